"""What an instance prints is kept: bounded, whole, whoever dies, and without making anybody wait."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from stager.errors import UsageError
from stager.launch.agent import logs, relay
from stager.launch.agent.log_reading import Follower, sources, tail
from stager.launch.agent.places import StateDirectory, make_directory

#: Seconds until something has happened on a machine that does many other things.
PATIENCE = 30.0


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def place(state):
    return make_place(state, "shop", 0, "abc1")


def make_place(state, name, index, identifier):
    make_directory(state.path)
    application = state.application(name)
    application.make()
    found = application.instance(index, identifier)
    found.make()
    return found


def shell(place, script, **options):
    """A process that prints into the logs of an instance; ``go`` in it waits for :func:`let_go`."""
    script = f"go() {{ while [ ! -e '{place.path}/go' ]; do sleep 0.02; done; }}; {script}"
    outputs = logs.open_outputs(place, **options)
    process = subprocess.Popen(
        ["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=outputs.out, stderr=outputs.err
    )
    outputs.close()
    return process


def let_go(place):
    (place.path / "go").touch()


def finish(process, place):
    assert process.wait(PATIENCE) == 0
    assert logs.wait_until_written(place, PATIENCE)


def relay_of(place):
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                is_one = b"/relay." in file.read()
            if is_one and os.readlink(f"/proc/{name}/cwd") == str(place.logs):
                return int(name)
        except OSError:
            continue
    return None


def ignores(pid, number):
    with open(f"/proc/{pid}/status") as file:
        (line,) = [line for line in file if line.startswith("SigIgn:")]
    return int(line.split()[1], 16) >> (number - 1) & 1


def wait_until(is_so):
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


# ---- the relay


def test_out_and_err_are_kept_apart_and_the_relay_ends_with_the_last_writer(place):
    process = shell(place, "echo to out; echo to err >&2; (go; echo late) & printf 'no end'")
    assert process.wait(PATIENCE) == 0
    assert logs.is_relayed(place)
    let_go(place)
    assert logs.wait_until_written(place, PATIENCE)
    assert place.out_log.read_text() == "to out\nno endlate\n"
    assert place.err_log.read_text() == "to err\n"
    wait_until(lambda: relay_of(place) is None)


def test_a_server_can_open_its_outputs_again(place, unprivileged_user):
    from stager.execution.spawn import Account, spawn

    account = Account(unprivileged_user.name, unprivileged_user.uid, unprivileged_user.gid)
    outputs = logs.open_outputs(place, account)
    script = "echo one > /dev/stdout; echo two >> /dev/stderr; echo three > /proc/self/fd/1"
    started = spawn(
        ["/bin/bash", "-c", script],
        environment={"PATH": "/bin"},
        cwd=place.path.parents[4],
        output=outputs.out,
        errors=outputs.err,
        account=account,
    )
    outputs.close()
    assert started.wait(PATIENCE) == 0
    assert logs.wait_until_written(place, PATIENCE)
    assert (place.out_log.read_text(), place.err_log.read_text()) == ("one\nthree\n", "two\n")
    assert place.out_log.stat().st_mode & 0o777 == 0o600


def test_files_are_rotated_between_lines_and_their_number_is_bounded(place):
    finish(shell(place, "seq 10000 12999", limit=3000, files=3), place)
    files = [place.out_log.with_name("out.log.2"), place.out_log.with_name("out.log.1"), place.out_log]
    assert sorted(path.name for path in place.logs.glob("out.log*")) == sorted(path.name for path in files)
    assert all(path.stat().st_size <= 3000 for path in files)
    kept = "".join(path.read_text() for path in files).splitlines()
    assert kept == [str(number) for number in range(13000 - len(kept), 13000)]
    assert len(kept) > 1000


def test_a_line_longer_than_a_file_is_cut(place):
    finish(shell(place, "head -c 2500 /dev/zero | tr '\\0' x; echo; echo end", limit=1000, files=9), place)
    files = sorted(place.logs.glob("out.log*"), key=lambda path: path.name, reverse=True)
    files = [path for path in files if path != place.out_log] + [place.out_log]
    assert all(path.stat().st_size <= 1000 for path in files)
    assert b"".join(path.read_bytes() for path in files) == b"x" * 2500 + b"\nend\n"


def test_much_output_neither_stalls_nor_fills_the_disk(place):
    script = """
import os, sys, time
chunk = (b"x" * 99 + b"\\n") * 640
worst = 0
for _ in range(1600):
    began = time.monotonic()
    os.write(1, chunk)
    worst = max(worst, time.monotonic() - began)
sys.stderr.write(f"{worst}\\n")
"""
    outputs = logs.open_outputs(place, limit=1_000_000, files=3)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=outputs.out, stderr=outputs.err)
    outputs.close()
    finish(process, place)  # 102 MB within PATIENCE; it takes about a second where nothing else runs
    assert float(place.err_log.read_text()) < 5
    assert sum(path.stat().st_size for path in place.logs.glob("out.log*")) <= 3_000_000
    for path in place.logs.glob("out.log*"):
        assert {line for line in path.read_bytes().splitlines() if b"[stager]" not in line} == {b"x" * 99}


def test_the_application_and_its_logs_outlive_who_started_it(place, tmp_path):
    script = f"""
import os, subprocess, signal
from pathlib import Path
from stager.launch.agent import logs
from stager.launch.agent.places import InstancePlace
outputs = logs.open_outputs(InstancePlace(Path({str(place.path)!r})))
subprocess.Popen(["bash", "-c", "sleep 0.5; echo still here; echo as well >&2"],
    stdout=outputs.out, stderr=outputs.err, start_new_session=True)
os.killpg(os.getpid(), signal.SIGKILL)
"""
    starter = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    assert starter.wait(PATIENCE) == -signal.SIGKILL
    assert logs.wait_until_written(place, PATIENCE)
    assert (place.out_log.read_text(), place.err_log.read_text()) == ("still here\n", "as well\n")


def test_another_relay_goes_on_where_one_was_killed(place):
    process = shell(place, "echo before; go; echo after; echo end >&2")
    wait_until(lambda: place.out_log.exists() and place.out_log.read_text() == "before\n")
    os.kill(relay_of(place), signal.SIGKILL)
    wait_until(lambda: not logs.is_relayed(place))
    assert logs.resume(place)
    assert not logs.resume(place)
    let_go(place)
    finish(process, place)
    assert (place.out_log.read_text(), place.err_log.read_text()) == ("before\nafter\n", "end\n")


def test_the_relay_is_deaf_to_what_ends_others(place):
    process = shell(place, "go; echo done")
    wait_until(lambda: relay_of(place))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        wait_until(lambda number=number: ignores(relay_of(place), number))
        os.kill(relay_of(place), number)
    let_go(place)
    finish(process, place)
    assert place.out_log.read_text() == "done\n"


def is_readable(descriptor):
    return bool(select.select([descriptor], [], [], 0)[0])


class SlowFile:
    """Takes nothing before it is let."""

    def __init__(self):
        self.may = threading.Event()
        self.data = b""
        self.is_in_line = False

    def write(self, data):
        assert self.may.wait(PATIENCE)
        self.data += bytes(data)
        self.is_in_line = self.data[-1:] not in {b"", b"\n"}
        return 0


def test_what_a_slow_disk_does_not_take_is_dropped_counted_and_told():
    out, into = os.pipe()
    file = SlowFile()
    stream = relay.Stream(out, file, most_pending=1000)
    threads = [threading.Thread(target=stream.read), threading.Thread(target=stream.write)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for number in range(200_000):
        os.write(into, b"%09d\n" % number)
    assert time.monotonic() - began < PATIENCE  # the writer did not wait
    file.may.set()
    wait_until(lambda: stream.dropped_lines and not is_readable(out) and not stream._pending)
    os.write(into, b"last\n")
    os.close(into)
    for thread in threads:
        thread.join()
    os.close(out)
    lines = file.data.splitlines()
    told = [line for line in lines if line.startswith(b"[stager]")]
    assert lines[-1] == b"last"
    assert {len(line) for line in lines} - {len(line) for line in told} <= {9, 4}  # whole lines
    assert b"lines (" in told[0]
    assert b"are missing here" in told[0]
    assert len(lines) - len(told) - 1 + stream.dropped_lines == 200_000
    assert stream.dropped_bytes == stream.dropped_lines * 10


def test_a_file_that_cannot_be_written_loses_lines_and_nothing_else(tmp_path):
    (tmp_path / "out.log").symlink_to("elsewhere")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        file = relay.RotatedFile(directory, "out", 1000, 3)
        assert file.write(memoryview(b"gone\n")) == 5
        (tmp_path / "out.log").unlink()
        assert file.write(memoryview(b"kept\n")) == 0
    finally:
        os.close(directory)
    assert (tmp_path / "out.log").read_text() == "kept\n"
    assert not (tmp_path / "elsewhere").exists()


def test_we_can_say_something_in_the_log_ourselves(place):
    process = shell(place, "echo one >&2; go; echo two >&2", limit=1000)
    wait_until(lambda: place.err_log.exists() and place.err_log.read_text())
    logs.add_line(place, "over its memory: 600 of 512 MiB")
    let_go(place)
    finish(process, place)
    assert place.err_log.read_text() == "one\n[stager] over its memory: 600 of 512 MiB\ntwo\n"
    assert logs.dropped_bytes(place) == 0


# ---- reading


def test_the_tail_goes_back_through_rotated_files(place):
    finish(shell(place, "seq 1 500", limit=300, files=5), place)
    assert tail(place.out_log, 3) == [b"498", b"499", b"500"]
    assert tail(place.out_log, 200) == [str(number).encode() for number in range(301, 501)]
    assert tail(place.out_log, 0) == []
    assert tail(place.logs / "none.log", 5) == []


def test_following_loses_no_line_of_many_rotations(place, state):
    source = next(one for one in sources(state) if one.stream == "out")
    follower = Follower(source, is_from_start=True)
    process = shell(
        place, "for i in {1..40}; do seq $((i * 1000)) $((i * 1000 + 99)); sleep 0.01; done", limit=1500
    )
    seen = []
    while process.poll() is None or logs.is_relayed(place):
        seen += follower.lines()
        time.sleep(0.005)
    seen += follower.lines()
    follower.close()
    assert seen == [b"%d" % (i * 1000 + j) for i in range(1, 41) for j in range(100)]


def test_instances_are_found_by_name_index_and_id(state):
    for name, index, identifier in (("shop", 0, "aa1"), ("shop", 1, "bb2"), ("blog", 0, "cc3")):
        make_place(state, name, index, identifier)

    def found(wanted):
        return sorted({(one.application, one.index) for one in sources(state, wanted)})

    assert found("") == [("blog", 0), ("shop", 0), ("shop", 1)]
    assert found("shop") == [("shop", 0), ("shop", 1)]
    assert found("shop.1") == found("bb") == found("bb2") == [("shop", 1)]
    with pytest.raises(UsageError, match="neither an application nor an instance"):
        found("nobody")


# ---- the command


def test_the_command_shows_the_last_lines(place, state, stager_cli):
    finish(shell(place, "seq 1 100; echo \u00e9\u2603; printf '\\377\\n' >&2"), place)
    shown = stager_cli("logs", "shop", "-n", "2", "--state-dir", state.path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == "shop.0 | 100\nshop.0 | \u00e9\u2603\nshop.0 ! \udcff\n"
    document = json.loads(stager_cli("logs", "--json", "-n", "1", "--state-dir", state.path).stdout)
    assert document["schema"] == 1
    assert document["lines"] == [
        {"application": "shop", "index": 0, "id": "abc1", "stream": "out", "line": "\u00e9\u2603"},
        {"application": "shop", "index": 0, "id": "abc1", "stream": "err", "line": "\ufffd"},
    ]
    wrong = stager_cli("logs", "nobody", "--state-dir", state.path)
    assert wrong.returncode == 2
    assert "nobody" in wrong.stderr


def test_the_command_follows_also_instances_that_come_later(place, state):
    process = shell(place, "echo first; go; echo second >&2")
    wait_until(lambda: place.out_log.exists() and place.out_log.read_text())
    command = [sys.executable, "-m", "stager", "logs", "-f", "--json", "--state-dir", str(state.path)]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert json.loads(follower.stdout.readline())["line"] == "first"
        later = make_place(state, "shop", 1, "def2")
        finish(shell(later, "echo third"), later)
        let_go(place)
        lines = [json.loads(follower.stdout.readline()) for _ in range(2)]
        assert sorted((one["index"], one["stream"], one["line"]) for one in lines) == [
            (0, "err", "second"),
            (1, "out", "third"),
        ]
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE) == 130
    finally:
        follower.kill()
        follower.communicate()
    finish(process, place)


def test_following_ends_when_nobody_reads(place, state):
    command = [sys.executable, "-m", "stager", "logs", "-f", "--state-dir", str(state.path)]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    follower.stdout.close()
    assert follower.wait(PATIENCE) == 0
