"""An instance begins and ends, again and again, in one process that goes on."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]


def test_a_hundred_starts_and_stops_leave_no_file_process_or_port(tmp_path):
    # A thousand are what `bench/run cycles` does; a process of its own, whose memory nobody else has used.
    done = subprocess.run(
        [sys.executable, "-m", "bench.cycles", "--count", "100", "--root", tmp_path],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  ok\n") == 10
