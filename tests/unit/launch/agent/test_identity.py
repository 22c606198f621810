from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace

import pytest

from stager.launch.agent.identity import boot_id, identify, is_of_this_boot, is_running, this_process
from stager.launch.agent.records import ProcessRecord
from stager.launch.processes import Tree, read_stat


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


def test_this_process_runs():
    assert is_running(this_process())
    assert this_process().pid == os.getpid()
    assert boot_id()


def test_another_start_another_boot_and_nobody_are_strangers(sleeper):
    record = identify(sleeper.pid)
    assert is_running(record)
    assert not is_running(replace(record, start_time=record.start_time - 1))
    assert not is_running(replace(record, boot="another"))
    assert not is_running(None)
    assert not is_of_this_boot(ProcessRecord())


def test_what_has_ended_does_not_run(sleeper):
    record = identify(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert not is_running(record)


def test_a_tree_whose_root_is_gone_has_nothing_to_do_with_who_has_its_number(sleeper):
    start = read_stat(sleeper.pid).start
    tree = Tree(sleeper.pid, start - 100, start=start - 100)
    assert tree.members() == ()
    assert not tree.has_own_group
    tree.end(patience=0.1)
    assert sleeper.poll() is None


def test_a_tree_that_somebody_else_began_is_known_by_its_start(sleeper):
    start = read_stat(sleeper.pid).start
    tree = Tree(sleeper.pid, start, start=start)
    assert [stat.pid for stat in tree.members()] == [sleeper.pid]
    tree.end(patience=20.0)
    assert sleeper.wait(20) == -15


def test_a_daemon_is_found_by_its_mark_when_its_root_is_gone():
    marked = {**os.environ, "STAGER_INSTANCE_ID": "0123456789abcdef"}
    with subprocess.Popen(["sleep", "1000"], env=marked, start_new_session=True) as daemon:
        try:
            start = read_stat(daemon.pid).start
            tree = Tree(2**22 - 1, start, [b"STAGER_INSTANCE_ID=0123456789abcdef\0"], start=start)
            # Until exec has happened the environment is still ours.
            end = time.monotonic() + 20
            while not tree.members() and time.monotonic() < end:
                time.sleep(0.01)
            assert [stat.pid for stat in tree.members()] == [daemon.pid]
        finally:
            daemon.kill()
