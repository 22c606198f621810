"""SIGTERM, SIGINT and SIGKILL in every phase: no droplet, no workspace, no process is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STAGER = Path(sys.executable).with_name("stager")
NEVER = "<?php http_response_code(500);"


@pytest.fixture
def begin(tmp_path):
    """Start a build and wait until it says that a phase has begun."""
    processes = []

    def do(phase, source, *arguments, stdin=subprocess.DEVNULL):
        out = tmp_path / "out"
        out.mkdir()
        process = subprocess.Popen(
            [STAGER, "build", source, "-o", out / "x.tar.gz", "--progress", "json", *arguments,
             "--report", tmp_path / "report.json"],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        )  # fmt: skip
        processes.append(process)
        for line in process.stderr:
            event = json.loads(line)
            if event["event"] == "phase-started" and event["phase"] == phase:
                return process, out
        pytest.fail(f"{phase} never began: {process.wait()}")

    yield do
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def slow_source(phase, tree, programs):
    """A source, and what has to be said of it, for which a phase takes its time."""
    if phase == "detect":
        return "-", []
    if phase == "plan":
        # A question is over soon by itself: nobody is there to end it after SIGKILL.
        programs("php", "exec sleep 2")
        return tree({"index.php": "<?php"}), []
    if phase == "assemble":
        return tree(
            {
                "index.php": "<?php",
                "stager.yml": "hooks: {before_build: 'sleep 60 & setsid sleep 61 & sleep 62'}",
            }
        ), []
    if phase == "pack":
        source = tree({"index.php": "<?php"})
        noise = os.urandom(1 << 20)
        for number in range(300):
            (source / f"noise{number}").write_bytes(noise)
        return source, []
    return tree({"index.php": NEVER, "stager.yml": "health: {timeout: 50}"}), ["--verify", "boot"]


def wait_until_empty(directory):
    deadline = time.monotonic() + 15
    while os.listdir(directory) and time.monotonic() < deadline:
        time.sleep(0.02)
    return os.listdir(directory)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
@pytest.mark.parametrize("phase", ["detect", "plan", "assemble", "pack", "verify"])
def test_a_signal_in_any_phase_leaves_nothing(begin, tree, programs, tmp_path, phase, number):
    source, arguments = slow_source(phase, tree, programs)
    reading, writing = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, writing)
        process, out = begin(phase, source, *arguments, stdin=reading)
        os.close(reading)
        # Into the middle of it, not to its very beginning.
        time.sleep(0.15 if phase == "pack" else 0.7)
        process.send_signal(number)
        process.communicate(timeout=40)
    if number == signal.SIGTERM:
        assert process.returncode == 130
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["error"]["code"] == "interrupted"
        assert report["exit_code"] == 130
    else:
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "report.json").exists()
    assert wait_until_empty(out) == []
    assert wait_until_empty(os.environ["TMPDIR"]) == []


def test_sigint_is_interrupted_too(begin, tree, programs):
    source, arguments = slow_source("assemble", tree, programs)
    process, out = begin("assemble", source, *arguments)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)
    assert process.returncode == 130
    assert os.listdir(out) == []


def test_a_second_signal_does_not_spoil_the_cleaning_up(begin, tree, programs):
    source, arguments = slow_source("verify", tree, programs)
    process, out = begin("verify", source, *arguments)
    time.sleep(1)
    for _ in range(5):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    process.communicate(timeout=40)
    assert process.returncode == 130
    assert os.listdir(out) == []
    assert wait_until_empty(os.environ["TMPDIR"]) == []


def test_the_timeout_ends_a_build_and_all_that_it_started(stager_cli, tree, programs, tmp_path):
    source, _ = slow_source("assemble", tree, programs)
    started = time.monotonic()
    done = stager_cli("build", source, "-o", tmp_path / "x.tar.gz", "--timeout", "1", "--json")
    assert time.monotonic() - started < 20
    assert done.returncode == 42
    document = json.loads(done.stdout)
    assert document["error"]["code"] == "timed-out"
    assert document["error"]["retry"] is True
    assert not (tmp_path / "x.tar.gz").exists()


def test_two_builds_to_the_same_output_both_leave_a_whole_droplet(tree, tmp_path):
    source = tree({"index.php": "<?php", "noise": os.urandom(20 << 20)})
    out = tmp_path / "same.tar.gz"
    builds = [
        subprocess.Popen([STAGER, "build", source, "-o", out, "-q"], stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [build.wait(60) for build in builds] == [0, 0]
    done = subprocess.run([STAGER, "verify", out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(os.listdir(tmp_path)) == ["app", "same.tar.gz"]
