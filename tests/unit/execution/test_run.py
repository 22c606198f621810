"""Work is done by real small programs: argv, output, deadlines, and nothing that goes on."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from stager.execution.marked import end_marked, marked
from stager.execution.run import TAIL_LINES, Outcome, run


@pytest.fixture
def work(programs, tmp_path):
    """Run a program in a directory; what it said is in ``work.lines``."""

    def do(name, *arguments, timeout=20.0, environment=None, directory=tmp_path):
        do.lines = []
        return run(
            [name, *arguments],
            directory=directory,
            environment={"PATH": os.environ["PATH"], **(environment or {})},
            timeout=timeout,
            marker=do.marker,
            on_line=do.lines.append,
        )

    do.marker = f"STAGER_BUILD={os.urandom(8).hex()}"
    yield do
    assert marked(do.marker) == []


def test_every_line_is_handed_on_and_the_last_ones_are_kept(programs, work):
    programs("count", "seq 100; echo to stderr >&2; printf 'no end'")
    outcome = work("count")
    assert outcome.status == 0
    assert not outcome.is_timed_out
    assert work.lines == [*map(str, range(1, 101)), "to stderr", "no end"]
    assert outcome.tail == tuple(work.lines[-TAIL_LINES:])


def test_argv_arrives_as_it_is(programs, work):
    programs("say", 'printf "%s\\n" "$@"')
    odd = ["a b", "$(id)", "", "-x", "--long=1", "'\"", "*", "é"]
    work("say", *odd)
    assert work.lines == odd


def test_the_environment_is_the_one_given_and_the_mark(programs, work, monkeypatch):
    monkeypatch.setenv("SECRET", "the caller's")
    programs("show", "exec env")
    work("show", environment={"GIVEN": "x y"})
    known = {"PWD", "SHLVL", "_"}  # bash's own
    seen = dict(line.split("=", 1) for line in work.lines)
    assert {name: value for name, value in seen.items() if name not in known} == {
        "PATH": os.environ["PATH"],
        "GIVEN": "x y",
        "STAGER_BUILD": work.marker.partition("=")[2],
    }


def test_it_works_in_the_directory_without_a_terminal_and_without_input(programs, work, tmp_path):
    place = tmp_path / "a b"
    place.mkdir()
    programs("look", 'pwd; cat; test -t 0 || test -t 1 || test -t 2 || echo "no terminal"')
    work("look", directory=place)
    assert work.lines == [str(place), "no terminal"]


@pytest.mark.parametrize(
    ("script", "status"), [("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", -15), ("kill -KILL $$", -9)]
)
def test_how_it_ended_is_told_and_raises_nothing(programs, work, script, status):
    programs("end", f"echo last; {script}")
    assert work("end") == Outcome(status, ("last",))


def test_bytes_that_are_not_utf8_are_replaced(programs, work):
    programs("say", r"printf 'a\xffb\r\n'")
    assert work("say").tail == ("a\ufffdb",)


def test_a_program_that_is_not_on_its_path_is_not_found(programs, work):
    programs("here", "true")
    with pytest.raises(FileNotFoundError, match="here"):
        work("here", environment={"PATH": "/nonexistent"})


def test_an_environment_that_is_too_large_is_an_error_of_the_system(programs, work):
    programs("here", "true")
    with pytest.raises(OSError, match=r"^OSError: \[Errno 7\] Argument list too long"):
        work("here", environment={"BIG": "x" * 200_000})


def test_at_the_deadline_everything_is_killed_grandchildren_in_other_sessions_too(programs, work):
    programs("slow", "echo begun; setsid sleep 60 & setsid bash -c 'sleep 60' >/dev/null 2>&1 & sleep 60")
    outcome = work("slow", timeout=2)
    assert outcome == Outcome(-signal.SIGKILL, ("begun",), is_timed_out=True)
    # The fixture looks for what carries the mark.


def test_what_a_finished_program_left_running_is_ended(programs, work):
    programs("daemon", "setsid sleep 60 >/dev/null 2>&1 </dev/null & disown; echo done")
    assert work("daemon") == Outcome(0, ("done",))


def test_a_daemon_that_keeps_the_output_open_does_not_hold_the_build_up(programs, work):
    programs("daemon", "setsid sleep 60 & echo done")
    started = time.monotonic()
    assert work("daemon", timeout=50).tail == ("done",)
    assert time.monotonic() - started < 40  # neither the deadline nor the daemon's end


def test_an_exception_of_the_caller_ends_the_program(programs, work):
    class Stop(BaseException):
        pass

    def stop(*_):
        raise Stop

    programs("slow", "setsid sleep 60 >/dev/null & echo begun; sleep 60")
    before = signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Stop):
            work("slow")
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_marked_processes_are_found_whoever_their_parent_is(programs, tmp_path):
    import subprocess

    marker = f"STAGER_BUILD={os.urandom(8).hex()}"
    name, _, value = marker.partition("=")
    process = subprocess.Popen(["sleep", "60"], env={name: value}, start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], env={name: value + "x"}, start_new_session=True)
    try:
        deadline = time.monotonic() + 20
        while not marked(marker) and time.monotonic() < deadline:
            time.sleep(0.01)  # between fork and exec it has our environment
        assert marked(marker) == [process.pid]
        end_marked(marker)
        assert process.wait(20) == -signal.SIGKILL
        assert other.poll() is None
        end_marked(marker)
    finally:
        for one in (process, other):
            one.kill()
            one.wait()
