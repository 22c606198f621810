"""Trees that say themselves how they are started."""

import json
import os
import time
from pathlib import Path

import pytest

SHELL = Path(__file__).parents[1] / "fixtures" / "procfile_shell"


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def running_in(directory):
    """Command lines of the processes that work in a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd").startswith(str(directory)):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


@pytest.mark.parametrize("is_root", [True, False])
def test_pipes_quotes_and_variables_run_as_written(built, unpack, start, request, tmp_path, is_root):
    account = None if is_root else request.getfixturevalue("unprivileged_user")
    assert built(SHELL)["runtimes"] == ["procfile"]
    directory = unpack(tmp_path / "droplet.tar.gz", account=account)
    site = start(directory, account=account)
    assert site.get("/work.sh").text == (SHELL / "bin/work.sh").read_text()
    assert os.access(directory / "app/bin/work.sh", os.X_OK)
    stopped = site.stop()
    assert stopped.returncode == 0, stopped.stderr
    assert wait_until(lambda: not running_in(directory))
    assert site.is_port_free()


def test_a_worker_is_started_by_its_type_and_nothing_of_it_is_left(built, unpack, start, tmp_path):
    built(SHELL)
    directory = unpack(tmp_path / "droplet.tar.gz")
    worker = start(directory, "-t", "worker", is_waiting=False)
    line = "working on [x  y] with [a  b], unbuffered=1"
    assert wait_until(lambda: line in worker.said()), worker.said()
    assert any("sleep 1000" in command for command in running_in(directory))
    assert worker.stop().returncode == 0
    assert wait_until(lambda: not running_in(directory)), running_in(directory)


def test_a_droplet_with_only_workers_boots(built, tree):
    source = tree(
        {"Procfile": "worker: exec ./work.sh\n", "work.sh": "#!/bin/sh\nwhile :; do sleep 1; done\n"}
    )
    report = built(source, "--verify", "boot")
    assert report["verification"]["ok"] is True
    assert report["runtimes"] == ["procfile"]
    assert list(report["processes"]) == ["worker"]
    assert report["warnings"] == []


def test_processes_of_the_command_line_need_no_procfile(built, tree, unpack, start, tmp_path):
    source = tree({"data.txt": "1\n"})
    command = "echo \"$(cat data.txt) is '$((1 + 1))'\" | sed s/is/and/ && exec sleep 60"
    report = built(source, "--runtime", "procfile", "--set", f"processes.worker={command}")
    assert list(report["processes"]) == ["worker"]
    worker = start(unpack(tmp_path / "droplet.tar.gz"), "-t", "worker", is_waiting=False)
    assert wait_until(lambda: "1 and '2'" in worker.said()), worker.said()


def test_without_anything_to_start_it_says_what_to_write(stager_cli, tree, tmp_path):
    done = stager_cli(
        "build", tree({"a.txt": ""}), "--runtime", "procfile", "-o", tmp_path / "d.tar.gz", "--json"
    )
    assert done.returncode == 32
    error = json.loads(done.stdout)["error"]
    assert error["details"] == "There is no Procfile."
    assert "web: ./serve --port $PORT" in error["resolution"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"web ./serve\n", "Procfile line 1"),
        (b"web: ./serve\n\nweb: ./other\n", "Procfile line 3"),
        (b"- web: ./serve\n", "Procfile line 1"),
        (b"web:\n  - ./serve\n", "Procfile line 1"),
        (b"web:\r\n", "Procfile line 1"),
        (b"\tweb: ./serve\n", "Procfile line 1"),
    ],
)
def test_a_bad_line_is_named(stager_cli, tree, tmp_path, text, where):
    done = stager_cli("build", tree({"Procfile": text}), "-o", tmp_path / "d.tar.gz")
    assert done.returncode == 10
    assert where in done.stderr


def test_scripts_of_other_systems_are_warned_of(built, tree):
    report = built(
        tree(
            {
                "Procfile": "web: ./start.sh\r\nworker:\t./work\nclock: bash tick.sh && ./work\n",
                "start.sh": "#!/bin/sh\r\nsleep 1\r\n",
                "work": "sleep 1\n",
                "tick.sh": "sleep 1\n",
            }
        )
    )
    assert [warning.split(" ", 2)[:2] for warning in report["warnings"]] == [
        ["web:", "start.sh"],
        ["worker:", "work"],
    ]
