"""``stop``: gracefully, then with force, and everything of the instance, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from stager.model.plan import Process, Shell

PYTHON = ("/usr/bin/python3", "-I", "-S", "-u")

#: Leaves a daemon behind: no parent, no group, no session of ours; with "wiped", not even the environment.
DAEMON = """
import ctypes, os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if "deaf" in sys.argv:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(1, f"daemon {os.getpid()}\\n".encode())
        time.sleep(1000)
    os._exit(0)
os.wait()
if "stays" in sys.argv:
    os.write(1, f"main {os.getpid()}\\n".encode())
    signal.pause()
"""


def ask(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    return connection.getresponse().read()


def pid_in(started, what):
    return int(started.wait_for(rf"^{what} (\d+)$")[1])


def test_a_request_in_flight_is_answered(server, wait_until):
    started = server.start()
    started.wait_for("^serving")
    wait_until(lambda: ask(started.port) == b"hello")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask(started.port, "/slow")))
    thread.start()
    started.wait_for("^asked slowly")
    sockets = server.sockets
    ended = server.stops()
    assert started.end() == 0
    thread.join(20)
    assert answers == [b"hello"]
    assert ended.stderr == b""
    assert "drained" in started.text
    assert not server.run_pid.exists()
    assert not sockets.exists()
    with pytest.raises(OSError, match="refused"):
        ask(started.port)


def test_the_processes_own_signal_is_used(make_droplet, lives):
    for name in ("WINCH", "QUIT", "INT", "USR1", "HUP"):
        droplet = make_droplet(Process("web", (*PYTHON, "server.py", name), stop_signal=name, grace=5.0))
        started = droplet.start()
        started.wait_for("^serving")
        droplet.stops()
        assert started.end() == 0
        assert "drained" in started.text


def test_nothing_runs_is_fine_again_and_again(server, make_droplet):
    assert server.stops().stderr == b"stop: nothing runs\n"
    started = server.start()
    started.wait_for("^serving")
    for _ in range(3):
        server.stops()
    assert started.end() == 0


@pytest.mark.parametrize(
    "content", ["", "garbage\n", "1 1 web\n", "99999999 7 web\n", "x[$(id)] 2\n", "-1 -1\n", "\0"]
)
def test_a_run_pid_that_says_nothing_is_removed(server, content):
    server.run_pid.write_text(content)
    server.stops()
    assert not server.run_pid.exists()


def test_a_recycled_pid_is_never_signalled(server, stat_of):
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        server.run_pid.write_text(
            f"{stranger.pid} {stat_of(stranger.pid)[4] - 1} web\n"
            f"process {stranger.pid} 5\ndrain {stranger.pid} 6\n"
        )
        server.stops()
        server.stops(str(stranger.pid))
        server.run_pid.write_text(f"{stranger.pid} {stat_of(stranger.pid)[4] - 1} web\n")
        server.stops(str(stranger.pid))
        assert stranger.poll() is None
        stranger.kill()


def test_a_pid_of_a_stranger_is_left_alone_and_the_instance_stopped(server):
    started = server.start()
    started.wait_for("^serving")
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        ended = server.stops(str(stranger.pid))
        assert b"is no process of this instance: left alone" in ended.stderr
        assert stranger.poll() is None
        stranger.kill()
    assert started.end() == 0


@pytest.mark.parametrize("argument", ["1", "0", "-9", "abc", "", "$(id)"])
def test_an_argument_that_is_no_pid_does_no_harm(server, argument):
    started = server.start()
    started.wait_for("^serving")
    ended = server.stop(argument)
    assert ended.returncode == (2 if argument == "-9" else 0)
    if argument != "-9":
        assert started.end() == 0


def test_its_own_pid_may_be_given(server):
    started = server.start()
    started.wait_for("^serving")
    assert server.stops(str(started.pid)).stderr == b""
    assert started.end() == 0


def test_an_instance_whose_run_pid_is_gone_is_found_by_a_pid_of_it(server, make_droplet):
    other = make_droplet(Process("web", ("true",)))
    started = server.start()
    started.wait_for("^serving")
    sockets = server.sockets
    server.run_pid.unlink()
    assert b"left alone" in other.stops(str(started.pid)).stderr
    assert started.process.poll() is None
    server.stops(str(started.pid))
    assert started.end() == 0
    assert not sockets.exists()


def test_what_ignores_the_signals_is_killed_after_two_periods_of_grace(make_droplet):
    droplet = make_droplet(
        Process("web", Shell("trap '' TERM HUP INT QUIT; echo up; while :; do sleep 0.1; done"), grace=0.5)
    )
    started = droplet.start()
    started.wait_for("^up")
    began = time.monotonic()
    droplet.stops()
    assert time.monotonic() - began > 0.9
    assert started.end() == -signal.SIGKILL


@pytest.mark.parametrize("options", [["stays"], ["stays", "deaf"], [], ["deaf"]])
def test_daemons_are_ended_too(make_droplet, lives, options):
    droplet = make_droplet(Process("web", (*PYTHON, "daemon.py", *options), grace=0.5))
    droplet.write("daemon.py", DAEMON)
    started = droplet.start()
    daemon = pid_in(started, "daemon")
    if "stays" in options:
        pid_in(started, "main")
    else:
        assert started.end() == 0
    assert lives(daemon)
    droplet.stops()
    assert not lives(daemon)
    assert not droplet.run_pid.exists()


def test_workers_of_a_killed_server_are_ended_also_without_an_environment(make_droplet, lives):
    code = (
        "import ctypes, os, signal, time\n"
        "f = open('/proc/self/stat', 'rb').read().rpartition(b') ')[2].split()\n"
        "ctypes.memset(int(f[47]), 0, int(f[48]) - int(f[47]))\n"
        "for i in range(3):\n"
        "    if os.fork() == 0: os.write(1, f'worker{i} {os.getpid()}\\n'.encode()); time.sleep(1000)\n"
        "signal.pause()\n"
    )
    droplet = make_droplet(Process("web", ("/usr/bin/python3", "-I", "-S", "server.py"), grace=1.0))
    droplet.write("server.py", code)
    started = droplet.start()
    workers = [pid_in(started, f"worker{number}") for number in range(3)]
    started.process.kill()
    started.end()
    assert all(lives(pid) for pid in workers)
    droplet.stops()
    assert not any(lives(pid) for pid in workers)


def test_a_shell_and_what_it_runs_get_the_signal_and_are_waited_for(make_droplet, lives):
    inner = "trap 'sleep 0.4; echo inner drained; exit 0' TERM; echo inner $$; while :; do sleep 0.02; done"
    droplet = make_droplet(Process("web", Shell("/bin/sh ./inner; echo over"), grace=5.0))
    droplet.write("inner", inner)
    started = droplet.start()
    pid = pid_in(started, "inner")
    droplet.stops()
    assert not lives(pid)
    assert "inner drained" in started.text


def test_the_workers_of_a_server_under_a_shell_are_left_to_it(make_droplet):
    # A second TERM, or one to the workers, cuts off what a celery or gunicorn would have finished.
    code = (
        "import os, signal, sys, time\n"
        "name = 'parent'\n"
        "child = os.fork()\n"
        "if child == 0: name = 'child'\n"
        "def term(*_):\n"
        "    os.write(1, f'{name} got TERM\\n'.encode())\n"
        "    if name == 'parent': time.sleep(0.2); os.kill(child, signal.SIGUSR1); os.wait()\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, term); signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))\n"
        "os.write(1, f'{name} up\\n'.encode())\n"
        "while True: signal.pause()\n"
    )
    for text in ("/usr/bin/python3 -I -S pool.py", "cd . && /usr/bin/python3 -I -S pool.py; echo ended"):
        droplet = make_droplet(Process("web", Shell(text), grace=5.0))
        droplet.write("pool.py", code)
        started = droplet.start()
        started.wait_for("child up")
        started.wait_for("parent up")
        droplet.stops()
        assert "parent got TERM" in started.text
        assert "child got TERM" not in started.text


def test_a_stop_from_inside_the_application_works(make_droplet, wait_until):
    text = "echo up; sleep 0.1; ../stop > stopped 2>&1; echo status $? >> stopped"
    droplet = make_droplet(Process("web", Shell(f"({text}) & exec sleep 1000"), grace=1.0))
    started = droplet.start()
    assert started.end() == -signal.SIGTERM
    wait_until(lambda: not droplet.run_pid.exists())


def test_a_stop_while_a_profile_runs_is_prompt(make_droplet, wait_until):
    for name in ("TERM", "WINCH"):
        droplet = make_droplet(Process("web", ("true",), stop_signal=name, grace=60.0))
        droplet.write(".profile", "echo profile; while :; do read -r -t 0.05 <> <(:); done")
        started = droplet.start()
        started.wait_for("^profile")
        sockets = droplet.sockets
        droplet.stops(timeout=30)  # half of the grace
        assert started.end() in {143, -signal.SIGTERM}
        assert not droplet.run_pid.exists()
        assert not sockets.exists()


def test_a_term_while_a_profile_runs_leaves_nothing(make_droplet):
    droplet = make_droplet(Process("web", ("true",)))
    droplet.write(".profile", "echo profile; while :; do read -r -t 0.05 <> <(:); done")
    started = droplet.start()
    started.wait_for("^profile")
    sockets = droplet.sockets
    started.process.terminate()
    started.end()
    assert not droplet.run_pid.exists()
    assert not sockets.exists()


def test_two_stops_at_once_both_end_well(server):
    started = server.start()
    started.wait_for("^serving")
    stops = [
        subprocess.Popen([server.path / "stop"], env=server.environ({}), stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [stop.communicate(timeout=20)[1] for stop in stops]
    assert [stop.returncode for stop in stops] == [0, 0], said
    assert started.end() == 0
    assert not server.run_pid.exists()


def test_what_cannot_be_stopped_is_named(server, unprivileged_user):
    started = server.start()
    started.wait_for("^serving")
    ended = server.stop(account=unprivileged_user)
    assert ended.returncode == 1
    assert f"still there: process {started.pid} (python3)".encode() in ended.stderr
    assert server.run_pid.exists()
    server.stops()


def test_a_killed_server_that_nobody_has_reaped_is_gone(server, stat_of, wait_until):
    started = server.start()
    started.wait_for("^serving")
    os.kill(started.pid, signal.SIGKILL)
    wait_until(lambda: stat_of(started.pid)[0] == "Z")
    server.stops()
    assert not server.run_pid.exists()


def test_a_stopped_process_is_ended(server):
    started = server.start("-t", "worker")
    started.wait_for("^working")
    os.kill(started.pid, signal.SIGSTOP)
    server.stops()
    assert started.end() < 0


def test_only_what_startup_made_is_removed(server, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    link = Path("/tmp") / f"stager.{os.getpid() % 1_000_000:06d}"
    link.symlink_to(precious)
    try:
        for path in (
            precious,
            "/tmp",
            "/tmp/stager.",
            "/tmp/stager.a/../",
            f"{link}/",
            link,
            "/tmp/stager.abcde/",
        ):
            server.run_pid.write_text(f"99999999 1 web\nsockets {path}\n")
            server.stops()
            assert precious.is_dir()
            assert link.is_symlink()
    finally:
        link.unlink()


def test_two_instances_in_two_places_do_not_know_each_other(server, tmp_path):
    first = server.start("-t", "worker", environment={"STAGER_RUN_DIR": str(tmp_path / "one")})
    second = server.start("-t", "worker", environment={"STAGER_RUN_DIR": str(tmp_path / "two")})
    first.wait_for("^working")
    second.wait_for("^working")
    server.stops(environment={"STAGER_RUN_DIR": str(tmp_path / "one")})
    first.end()
    assert second.process.poll() is None
    server.stops(environment={"STAGER_RUN_DIR": str(tmp_path / "two")})
    assert second.end() < 0


def test_a_run_directory_that_was_never_made_holds_nothing_that_runs(server, tmp_path):
    nowhere = {"STAGER_RUN_DIR": str(tmp_path / "nowhere")}
    for posix in (None, "1"):
        assert (
            server.stops(environment={**nowhere, "POSIXLY_CORRECT": posix}).stderr == b"stop: nothing runs\n"
        )
    assert not (tmp_path / "nowhere").exists()


def test_a_run_pid_that_cannot_be_read_is_not_taken_for_nothing(server, unprivileged_user):
    started = server.start()
    started.wait_for("^serving")
    server.run_pid.chmod(0o600)
    ended = server.stop(account=unprivileged_user)
    assert ended.returncode == 1
    assert b"run.pid cannot be read" in ended.stderr
    assert server.run_pid.exists()


def test_what_a_shell_exports_does_not_mislead_it(server, tmp_path):
    started = server.start()
    started.wait_for("^serving")
    (tmp_path / "evil").write_text("exit 9\n")
    evil = {"BASH_ENV": str(tmp_path / "evil"), "BASH_FUNC_kill%%": "() { :; }", "POSIXLY_CORRECT": "1"}
    server.stops(environment={**evil, "SHELLOPTS": "noexec:xtrace", "IFS": "0123456789", "GLOBIGNORE": "*"})
    assert started.end() == 0


def test_what_run_pid_says_is_never_run(server, tmp_path):
    started = server.start()
    started.wait_for("^serving")
    trap = f"a[$(touch${{IFS}}{tmp_path}/sprung)]"
    with server.run_pid.open("a") as file:
        file.write(
            f"process {trap} 1\nprocess 1 {trap}\ndrain {trap} 2\ndrain 3 {trap}\nsockets {trap}\n{trap}\n"
        )
    server.stops(environment={"STAGER_STARTING": trap})
    server.run_pid.write_text(f"1 {trap} web\n{trap} 1\n")
    server.stops()
    assert started.end() == 0
    assert not (tmp_path / "sprung").exists()


def test_a_term_at_any_moment_of_the_start_leaves_nothing(make_droplet, tmp_path):
    for number in range(25):
        droplet = make_droplet(Process("web", (*PYTHON, "-c", "import time; time.sleep(1000)")))
        folder = tmp_path / f"bin{number}"
        folder.mkdir()
        # Where the directory was made is known to mkdir alone, if it is interrupted.
        (folder / "mkdir").write_text(f'#!/bin/sh\necho "$2" >"{folder}/made"\nexec /bin/mkdir "$@"\n')
        (folder / "mkdir").chmod(0o755)
        started = droplet.start(environment={"PATH": f"{folder}:{os.environ['PATH']}"})
        time.sleep(number * 0.003)
        started.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(2)
        # bash forgets a signal that comes in the 40 microseconds before it becomes another program.
        started.process.terminate()
        assert started.end() in {-signal.SIGTERM, 143}
        droplet.stops()
        made = (folder / "made").read_text().strip() if (folder / "made").exists() else ""
        assert not made or not Path(made).exists()
        assert not droplet.run_pid.exists()
