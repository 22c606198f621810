"""Two processes: the companion first, the main one after it, and never one without the other."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest

from stager.model.plan import Companion, Process, Shell

#: Writes what happens to it into the log of the droplet; makes its socket; ends as it is told.
ACTOR = """
import os, signal, socket, sys, time
name, graceful, socket_path, *options = sys.argv[1:]
def say(what):
    os.write(1, f"{name} {what} {os.getpid()}\\n".encode())
ended = []
def handle(number, frame):
    say(f"got {signal.Signals(number).name}")
    if "stubborn" in options:
        return
    if signal.Signals(number).name == "SIG" + graceful:
        ended.append(0)
    if number == signal.SIGTERM:
        ended.append(0)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, handle)
if "child" in options and os.fork() == 0:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    say("child"); time.sleep(1000)
if "daemon" in options and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say("daemon"); time.sleep(1000)
    os._exit(0)
if socket_path:
    time.sleep(0.1)
    listener = socket.socket(socket.AF_UNIX); listener.bind(socket_path); listener.listen()
say("up")
while not ended:
    signal.pause() if "drains" not in options else time.sleep(0.01)
if "drains" in options:
    time.sleep(0.4)
say("over")
sys.exit(ended[0])
"""
PYTHON = ("/usr/bin/python3", "-I", "-S", "-u")


def actor(name, *options, graceful="TERM", at=""):
    return (*PYTHON, "actor.py", name, graceful, at, *options)


@pytest.fixture
def pair(make_droplet):
    def make(main=(), side=(), signals=("WINCH", "QUIT"), grace=5.0, ready=True, **fields):
        at = "${STAGER_SOCKETS}/side.sock"
        companion = Companion(
            "side", actor("side", *side, graceful=signals[1], at=at if ready else ""), signals[1], at
        )
        web = Process(
            "web",
            actor("main", *main, graceful=signals[0]),
            stop_signal=signals[0],
            grace=grace,
            companions=(companion,),
        )
        droplet = make_droplet(web, **fields)
        droplet.write("actor.py", ACTOR)
        return droplet

    return make


def pid_in(started, what):
    return int(started.wait_for(rf"^{what} (\d+)$")[1])


def test_the_companion_is_first_and_the_main_process_waits_for_its_socket(pair, stat_of):
    droplet = pair()
    started = droplet.start()
    main, side = pid_in(started, "main up"), pid_in(started, "side up")
    assert started.text.index("side up") < started.text.index("main up")
    # Each leads a group: Apache's parent kills its own.
    assert stat_of(main)[1:3] == (started.pid, main)
    assert stat_of(side)[1:3] == (started.pid, side)
    assert stat_of(started.pid)[2] == started.pid
    lines = droplet.run_pid.read_text().splitlines()
    assert lines[0].split()[0] == str(started.pid)
    assert {f"process {pid} {stat_of(pid)[4]}" for pid in (main, side)} <= set(lines)
    droplet.stops()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH])
def test_each_process_is_ended_by_its_own_signal_the_main_one_first(pair, lives, number):
    droplet = pair(main=["drains"])
    started = droplet.start()
    main, side = pid_in(started, "main up"), pid_in(started, "side up")
    sockets = droplet.sockets
    os.kill(started.pid, number)
    assert started.end() == 0
    assert not lives(main)
    assert not lives(side)
    told = [line.split()[:3] for line in started.text.splitlines() if " got " in line or " over " in line]
    assert [" ".join(line[:3]) for line in told] == [
        "main got SIGWINCH", f"main over {main}", "side got SIGQUIT", f"side over {side}",
    ]  # fmt: skip
    assert not sockets.exists()
    assert not droplet.run_pid.exists()


def test_stop_ends_it_gracefully(pair, lives):
    droplet = pair(main=["drains"])
    started = droplet.start()
    main = pid_in(started, "main up")
    ended = droplet.stops()
    assert ended.stderr == b""
    assert started.end() == 0
    assert not lives(main)
    assert "main got SIGWINCH" in started.text
    assert "SIGTERM" not in started.text


def test_a_repeated_signal_leaves_nothing_behind(pair, lives):
    droplet = pair(main=["drains", "child"], side=["child"], grace=2.0)
    started = droplet.start()
    pids = [pid_in(started, f"{one} {what}") for one in ("main", "side") for what in ("up", "child")]
    for _ in range(5):
        with contextlib.suppress(ProcessLookupError):
            os.kill(started.pid, signal.SIGTERM)
        time.sleep(0.05)
    assert started.end() == 0
    assert [pid for pid in pids if lives(pid)] == []
    assert "main over" in started.text


@pytest.mark.parametrize("victim", ["main", "side"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, 137), (signal.SIGTERM, 70)])
def test_when_one_ends_the_other_is_stopped_and_that_is_a_failure(pair, lives, victim, number, status):
    droplet = pair(main=["child"], side=["child"], grace=1.0)
    started = droplet.start()
    pids = {one: [pid_in(started, f"{one} up"), pid_in(started, f"{one} child")] for one in ("main", "side")}
    sockets = droplet.sockets
    os.kill(pids[victim][0], number)
    assert started.end() == (status if victim == "main" else 70)
    assert (
        f"process {pids[victim][0]} ended with status {128 + number if number == signal.SIGKILL else 0}"
        in started.text
    )
    other = "side got SIGQUIT" if victim == "main" else "main got SIGWINCH"
    assert other in started.text
    assert [pid for both in pids.values() for pid in both if lives(pid)] == []
    assert not sockets.exists()
    assert not droplet.run_pid.exists()


def test_what_does_not_listen_is_killed_after_two_periods_of_grace(pair, lives):
    droplet = pair(main=["stubborn"], side=["stubborn"], grace=1.0)
    started = droplet.start()
    pids = [pid_in(started, "main up"), pid_in(started, "side up")]
    os.kill(started.pid, signal.SIGTERM)
    assert started.end() == 0
    assert [pid for pid in pids if lives(pid)] == []
    assert [line.split()[2] for line in started.text.splitlines() if line.startswith("main got")] == [
        "SIGWINCH",
        "SIGTERM",
    ]


def test_other_signals_are_relayed_to_the_main_process(pair):
    droplet = pair()
    started = droplet.start()
    pid_in(started, "main up")
    for name in ("USR1", "HUP"):
        os.kill(started.pid, getattr(signal, f"SIG{name}"))
        started.wait_for(f"main got SIG{name}")
    assert "side got" not in started.text
    assert started.process.poll() is None
    droplet.stops()


def test_a_companion_that_ends_before_it_is_ready_ends_the_start(make_droplet):
    companion = Companion("side", ("/bin/sh", "-c", "exit 5"), "TERM", "${STAGER_SOCKETS}/never")
    droplet = make_droplet(Process("web", ("/bin/echo", "MAIN"), companions=(companion,)))
    ended = droplet.run("-p", "80")
    assert ended.returncode == 70
    assert b"MAIN" not in ended.stdout
    assert b"ended with status 5" in ended.stderr
    assert not droplet.run_pid.exists()


def test_a_companion_that_never_is_ready_is_given_up_after_ten_seconds(pair):
    droplet = pair(ready=False)
    began = time.monotonic()
    started = droplet.start()
    assert started.end() == 70
    assert time.monotonic() - began > 9
    assert "did not become ready" in started.text
    assert "side got SIGQUIT" in started.text
    assert "main" not in started.text


def test_a_stop_while_it_waits_for_the_companion_is_a_stop(pair):
    droplet = pair(ready=False)
    started = droplet.start()
    pid_in(started, "side up")
    os.kill(started.pid, signal.SIGTERM)
    assert started.end() == 0
    assert "side got SIGQUIT" in started.text
    assert not droplet.run_pid.exists()


def test_a_command_that_is_missing_ends_both(make_droplet):
    companion = Companion("side", ("sleep", "1000"))
    droplet = make_droplet(Process("web", ("/nonexistent/main",), companions=(companion,), grace=1.0))
    ended = droplet.run("-p", "80")
    assert ended.returncode == 127
    assert not droplet.run_pid.exists()


def test_shell_text_beside_a_companion_gets_the_signal_in_all_its_processes(make_droplet):
    text = "/bin/sh ./inner; echo after"
    droplet = make_droplet(
        Process("web", Shell(text), grace=5.0, companions=(Companion("side", ("sleep", "1000")),))
    )
    droplet.write("inner", "trap 'echo inner; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    started = droplet.start()
    started.wait_for("^up")
    droplet.stops()
    assert started.end() == 0
    assert "inner" in started.text


def test_an_orphaned_pair_is_found_although_it_wiped_its_environment(pair, lives):
    droplet = pair(side=["child"], grace=1.0)
    # php-fpm writes its title over its environment; so does setproctitle. What is left of it is nothing.
    droplet.write("actor.py", f"import ctypes, re\n{WIPE}\n{ACTOR}")
    started = droplet.start()
    pids = [pid_in(started, "main up"), pid_in(started, "side up"), pid_in(started, "side child")]
    assert all(b"STAGER_" not in Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
    started.process.kill()
    started.end()
    assert all(lives(pid) for pid in pids)
    droplet.stops()
    assert not any(lives(pid) for pid in pids)


WIPE = """
import os
fields = open("/proc/self/stat", "rb").read().rpartition(b") ")[2].split()
begin, end = int(fields[47]), int(fields[48])
ctypes.memset(begin, 0, end - begin)
"""


#: What a terminal emulator does for the shell in it.
IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_terminal_that_changes_its_size_does_not_stop_it(make_droplet):
    web = Process("web", actor("main", graceful="WINCH"), stop_signal="WINCH", grace=3.0)
    droplet = make_droplet(web)
    droplet.write("actor.py", ACTOR)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PYTHON, "-c", IN_TERMINAL,
         droplet.path / "startup", "-p", "80"],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=droplet.environ({}),
    )  # fmt: skip
    os.close(slave)
    text = read_until(master, b"main up")
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 30, 0, 0))
    time.sleep(0.3)
    assert process.poll() is None
    droplet.stops()
    assert process.wait(20) == 0
    text += read_until(master, b"main over")
    assert text.count(b"SIGWINCH") == 1
    os.close(master)


def read_until(descriptor, needle):
    text = b""
    while needle not in text:
        text += os.read(descriptor, 4096)
    return text


@pytest.mark.parametrize("number", range(8))
def test_a_process_that_is_gone_before_it_can_be_looked_at_has_ended(make_droplet, number):
    # /proc has no start time of it any more, or just still has.
    side = Companion("side", ("true",) if number % 2 else ("sleep", "1000"))
    droplet = make_droplet(Process("web", ("true",), companions=(side,), grace=1.0))
    ended = droplet.run("-p", "80")
    assert ended.returncode == 70
    assert b"ended with status 0" in ended.stderr
