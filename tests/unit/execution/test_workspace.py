"""A workspace costs nothing before it is used, and is gone however its build ended."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from stager.errors import DiskFull, OutputNotWritable
from stager.execution import workspace as module
from stager.execution.workspace import Workspace, remove_tree


def held(path):
    return [entry.name for entry in Path(path).iterdir()]


def test_nothing_is_made_before_it_is_asked_for():
    with Workspace() as workspace:
        assert workspace.root is None
        assert held(tempfile.gettempdir()) == []


def test_directories_are_private_fresh_and_gone_afterwards():
    with Workspace() as workspace:
        one = workspace.directory("one")
        other = workspace.directory("with space")
        assert one.parent == other.parent == workspace.root
        assert held(one) == []
        # Passed through, so that another user can boot a droplet in it; not listed.
        assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o711
        with pytest.raises(FileExistsError):
            workspace.directory("one")
    assert workspace.root is None
    assert held(tempfile.gettempdir()) == []


def test_it_is_gone_after_an_exception_and_what_was_read_only_too():
    def fail():
        with Workspace() as workspace:
            folder = workspace.directory("one") / "locked"
            folder.mkdir()
            (folder / "file").touch()
            folder.chmod(0o500)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert held(tempfile.gettempdir()) == []


def test_every_build_has_a_mark_of_its_own():
    assert Workspace().marker.startswith("STAGER_BUILD=")
    assert Workspace().marker != Workspace().marker


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EROFS, OutputNotWritable)]
)
def test_no_place_for_temporary_files_is_an_error_that_names_tmpdir(monkeypatch, number, kind):
    def refuse(**_):
        raise OSError(number, os.strerror(number), "/tmp/x")

    monkeypatch.setattr(module.tempfile, "mkdtemp", refuse)
    with pytest.raises(kind) as caught, Workspace() as workspace:
        workspace.directory("one")
    assert caught.value.brief == "There is no place for temporary files."
    assert os.strerror(number) in caught.value.details
    assert "TMPDIR" in caught.value.resolution


KILLED = """
import os, subprocess, sys, time
from stager.execution.workspace import BOOT_DIRECTORY, Workspace
with Workspace() as workspace:
    folder = workspace.directory(BOOT_DIRECTORY)
    stop = folder / "stop"
    stop.write_text("#!/bin/sh\\ntouch '%s'\\n" % sys.argv[1])
    stop.chmod(0o755)
    name, _, value = workspace.marker.partition("=")
    child = subprocess.Popen(["sleep", "60"], env={name: value}, start_new_session=True)
    print(workspace.root, child.pid, flush=True)
    time.sleep(60)
"""


def test_sigkill_leaves_neither_directory_nor_processes(tmp_path):
    stopped = tmp_path / "stopped"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, stopped], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        root, child = process.stdout.readline().rsplit(" ", 1)
        assert Path(root).is_dir()
        os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: not Path(root).exists() and not is_running(int(child)))
    assert stopped.exists(), "a droplet that was being booted was not stopped"


def wait_until(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ignores(pid, number):
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigIgn" in line]
    return int(line.split()[1], 16) >> (number - 1) & 1


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_janitor_outlives_a_terminal_and_ends_with_the_build():
    with Workspace() as workspace:
        workspace.directory("one")
        janitor = workspace._janitor
        assert os.getsid(janitor.pid) == janitor.pid
        wait_until(lambda: ignores(janitor.pid, signal.SIGINT))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(janitor.pid, number)
        time.sleep(0.05)
        assert janitor.poll() is None
    assert janitor.returncode == 0


def test_a_tree_that_was_made_read_only_is_removed(tmp_path, unprivileged_user):
    root = tmp_path / "tree"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").touch()
    for folder in (root / "a/b", root / "a"):
        folder.chmod(0o500)
    subprocess.run(["chown", "-R", str(unprivileged_user.uid), tmp_path], check=True)
    pid = os.fork()
    if pid == 0:
        os.setuid(unprivileged_user.uid)
        try:
            remove_tree(root)
        finally:
            os._exit(int(root.exists()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not root.exists()


def test_a_tree_goes_also_while_somebody_still_writes_into_it(tmp_path):
    logs = tmp_path / "tree/logs"
    logs.mkdir(parents=True)
    script = """
import itertools, pathlib, sys, time
end = time.monotonic() + 0.3
for number in itertools.count():
    try:
        pathlib.Path(sys.argv[1], str(number)).touch()
    except FileNotFoundError:
        break
    if number == 100:
        print("at work", flush=True)
    if time.monotonic() > end:
        break
"""
    with subprocess.Popen([sys.executable, "-c", script, logs], stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"at work\n"
        remove_tree(tmp_path / "tree")
    assert held(tmp_path) == []
