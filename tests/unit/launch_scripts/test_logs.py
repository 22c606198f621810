"""Where the output goes, and that a server can open it again."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from stager.model.plan import Process, Shell

#: What Apache and php-fpm do with their logs, and what everybody else does.
WRITES = (
    "echo by name >> /dev/stdout; echo error by name >> /dev/stderr; echo inherited; echo error inherited >&2"
)
OUT = {b"by name", b"inherited"}
ERR = {b"error by name", b"error inherited"}


def said_by_us(lines):
    return {line for line in lines if not line.startswith(b"startup: ")}


@pytest.fixture
def writer(make_droplet):
    def make(account=None, text=WRITES):
        return make_droplet(Process("web", Shell(text)), account=account)

    return make


def test_a_pipe_of_another_user_is_no_obstacle(writer, unprivileged_user):
    # subprocess makes the pipes as root.
    ended = writer(unprivileged_user).run("-p", "80")
    assert ended.returncode == 0, ended.stderr
    assert said_by_us(ended.stdout.splitlines()) == OUT
    assert said_by_us(ended.stderr.splitlines()) == ERR


def test_one_pipe_for_both_keeps_the_order(writer, unprivileged_user):
    droplet = writer(unprivileged_user, "for i in {1..200}; do echo $i; echo $i >&2; done")
    ended = subprocess.run(
        [droplet.path / "startup", "-p", "80"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=droplet.environ({}), check=True, **unprivileged_user.options,
    )  # fmt: skip
    lines = [line for line in ended.stdout.splitlines() if not line.startswith(b"startup")]
    assert lines == [b"%d" % (number // 2 + 1) for number in range(400)]


def test_sockets_are_no_obstacle(writer):
    here, there = socket.socketpair()
    with here, there:
        ended = writer().start("-p", "80", stdout=there, stderr=there, environment={"PORT": "80"})
        there.close()
        text = b""
        while chunk := here.recv(4096):
            text += chunk
        ended.end()
    assert said_by_us(text.splitlines()) == OUT | ERR


def test_a_file_is_appended_to_by_everybody(writer, tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as output:
        output.write(b"before\n")
        output.flush()
        writer().start("-p", "80", stdout=output, stderr=output).end()
    lines = log.read_bytes().splitlines()
    assert lines[0] == b"before"
    assert said_by_us(lines[1:]) == OUT | ERR


def test_a_file_that_only_its_opener_may_open_is_no_obstacle(writer, unprivileged_user, tmp_path, wait_until):
    with own_file(tmp_path / "log") as output:
        ended = writer(unprivileged_user).start("-p", "80", stdout=output, stderr=output)
        assert ended.end() == 0
    wait_until(lambda: said_by_us((tmp_path / "log").read_bytes().splitlines()) == OUT | ERR)


def own_file(path):
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb")


def test_closed_outputs_are_no_obstacle(writer):
    droplet = writer(text=f"{WRITES}; echo done > done")
    subprocess.run(
        ["/bin/sh", "-c", f'"{droplet.path}/startup" -p 80 <&- >&- 2>&-'], env=droplet.environ({}), check=True
    )
    assert (droplet.path / "app/done").exists()


def test_a_reader_that_has_gone_does_not_keep_it_from_starting(writer):
    droplet = writer(text="echo done > done; exec sleep 1000")
    reading, writing = os.pipe()
    os.close(reading)
    started = droplet.start("-p", "80", stdout=writing)
    os.close(writing)
    while not (droplet.path / "app/done").exists():
        assert started.process.poll() is None
    droplet.stops()


def test_logs_in_files_are_appended_to(writer):
    droplet = writer()
    for _ in range(2):
        ended = droplet.run("-p", "80", environment={"STAGER_LOGS": "files"})
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    out, err = ((droplet.path / f"logs/std{name}.log").read_bytes().splitlines() for name in ("out", "err"))
    assert sorted(said_by_us(out)) == sorted(OUT)
    assert len(out) == 4
    assert said_by_us(err) == ERR
    assert any(line.startswith(b"startup: web: ") for line in err)


def test_the_last_lines_are_not_lost_when_it_is_stopped(make_droplet, unprivileged_user, tmp_path):
    text = "trap 'for i in {1..20000}; do echo line $i; done; echo last; exit' TERM; echo up;"
    text += " while :; do sleep 0.05; done"
    droplet = make_droplet(Process("web", Shell(text), grace=10.0), account=unprivileged_user)
    with own_file(tmp_path / "log") as output:
        started = droplet.start("-p", "80", stdout=output, stderr=output)
        while b"up\n" not in (tmp_path / "log").read_bytes():
            assert started.process.poll() is None
        assert "\ndrain " in droplet.run_pid.read_text()
        droplet.stops(account=unprivileged_user)
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines[-1] == b"last"
    assert lines[-2] == b"line 20000"


def test_stop_does_not_wait_for_a_reader_that_does_not_read(make_droplet, unprivileged_user):
    text = "echo up; trap 'exit 0' TERM; while :; do echo 0123456789012345678901234567890123456789; done"
    droplet = make_droplet(Process("web", Shell(text), grace=1.0), account=unprivileged_user)
    process = subprocess.Popen(
        [droplet.path / "startup", "-p", "80"], env=droplet.environ({}), stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, **unprivileged_user.options,
    )  # fmt: skip
    with process:
        process.stdout.read(100)
        ended = droplet.stops(account=unprivileged_user)
        assert b"still has output that nobody reads" in ended.stderr
        # It is not thrown away.
        assert len(process.stdout.read()) > 65536
