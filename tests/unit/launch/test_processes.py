from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stager.launch.processes import ProcessStat, Tree, read_environment, read_stat, send_signal, ticks_now


@pytest.fixture
def start():
    """Starts processes and ends them."""
    started = []

    def begin(*argv, **options):
        started.append(subprocess.Popen(argv, **options))
        return started[-1]

    yield begin
    for popen in started:
        popen.kill()
        popen.communicate()


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def test_a_process_is_read_whatever_its_name_is(start, programs):
    script = programs("a) R (b", "read -r")
    stat = read_stat(start(str(script), stdin=subprocess.PIPE).pid)
    assert (stat.name, stat.parent, stat.group) == ("a) R (b", os.getpid(), os.getpgrp())


def test_no_process_is_none():
    popen = subprocess.Popen(["/bin/true"])
    popen.wait()
    assert read_stat(popen.pid) is None
    assert read_environment(popen.pid) == {}


def test_a_zombie_does_not_run(start):
    popen = start("/bin/true")
    wait_for(lambda: read_stat(popen.pid).state == "Z")
    assert not read_stat(popen.pid).is_running
    assert Tree(popen.pid, 0).members() == ()


def test_descendants_are_members_and_neither_we_nor_older_processes_are(start):
    older = start("/bin/sleep", "60")
    time.sleep(0.03)
    since = ticks_now()
    popen = start("/bin/bash", "-c", "(sleep 60; :) & sleep 60; :")
    tree = Tree(popen.pid, since)
    wait_for(lambda: [stat.name for stat in tree.members()].count("sleep") == 2)
    pids = {stat.pid for stat in tree.members()}
    assert popen.pid in pids
    assert pids.isdisjoint({os.getpid(), older.pid})
    tree.end(patience=0)
    assert tree.members() == ()
    assert older.poll() is None


def test_a_mark_in_the_environment_makes_a_member(start):
    since = ticks_now()
    root = start("/bin/sleep", "60")
    marked = start("/bin/sleep", "60", env={"A": "1", "ID": "x-4711-y"})
    other = start("/bin/sleep", "60", env={"A": "1", "ID": "x-4712-y"})
    tree = Tree(root.pid, since, [b"-4711-"])
    wait_for(lambda: marked.pid in {stat.pid for stat in tree.members()})
    assert other.pid not in {stat.pid for stat in tree.members()}


def test_a_process_older_than_the_root_is_never_a_member(start):
    older = start("/bin/sleep", "60", env={"ID": "4711"})
    time.sleep(0.05)
    since = ticks_now()
    tree = Tree(start("/bin/sleep", "60").pid, since, [b"4711"])
    assert older.pid not in {stat.pid for stat in tree.members()}


def test_startups_own_mark_makes_a_member(start):
    since = ticks_now()
    root = start("/bin/sleep", "60")
    instance = f"{root.pid}.{read_stat(root.pid).start}"
    marked = start("/bin/sleep", "60", env={"STAGER_INSTANCE": instance})
    longer = start("/bin/sleep", "60", env={"STAGER_INSTANCE": f"{instance}0"})
    tree = Tree(root.pid, since)
    wait_for(lambda: marked.pid in {stat.pid for stat in tree.members()})
    assert longer.pid not in {stat.pid for stat in tree.members()}


def test_a_group_is_the_roots_also_after_the_root(start):
    since = ticks_now()
    root = start("/bin/bash", "-c", "env -i sleep 60 & exec sleep 61", start_new_session=True)
    tree = Tree(root.pid, since)
    wait_for(lambda: len(Path(f"/proc/{root.pid}/task/{root.pid}/children").read_text().split()) == 1)
    root.kill()
    root.wait()
    assert [stat.group for stat in tree.members()] == [root.pid]
    tree.end(patience=0)
    assert tree.members() == ()


def test_a_recycled_pid_is_a_stranger(start):
    stranger = start("/bin/sleep", "60", start_new_session=True)
    tree = Tree(stranger.pid, ticks_now() - 100)
    tree._start -= 1
    tree._marks.clear()
    tree._seen = {stranger.pid: tree._start}
    assert tree.members() == ()
    now = read_stat(stranger.pid)
    send_signal(now._replace(start=now.start - 1), signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(0.1)
    send_signal(now, signal.SIGKILL)
    assert stranger.wait(20) == -signal.SIGKILL


def test_signalling_what_is_gone_is_nothing():
    popen = subprocess.Popen(["/bin/true"])
    popen.wait()
    send_signal(ProcessStat(popen.pid, 1, 1, 1, 1, "S", "true"), signal.SIGKILL)


def test_ending_is_gentle_first(start, tmp_path):
    script = "import signal,sys,time; signal.signal(15, lambda *_: (open('said','w'), sys.exit())); "
    popen = start(sys.executable, "-c", script + "open('up','w'); time.sleep(60)", cwd=tmp_path)
    wait_for((tmp_path / "up").exists)
    Tree(popen.pid, 0).end(patience=20)
    assert popen.wait(20) == 0
    assert (tmp_path / "said").exists()


def test_ending_does_not_end_before_a_forking_process_is_gone(start):
    since = ticks_now()
    script = "import os,time\nwhile True:\n    if not os.fork(): time.sleep(60)\n    time.sleep(.001)"
    popen = start(sys.executable, "-c", script, start_new_session=True)
    tree = Tree(popen.pid, since)
    wait_for(lambda: len(tree.members()) > 3)
    tree.end(patience=0)
    assert tree.members() == ()
