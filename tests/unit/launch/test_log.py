from __future__ import annotations

import contextlib
import os

import pytest

from stager.launch.log import Log


@pytest.fixture
def log(tmp_path):
    lines = []
    log = Log.create(tmp_path, "boot.log", None, lines.append)
    log.lines = lines
    yield log
    with contextlib.suppress(OSError):
        log.close()


def test_complete_lines_are_told_once(log):
    os.write(log.descriptor, b"one\ntw")
    log.follow()
    assert log.lines == ["one"]
    os.write(log.descriptor, b"o\n\xff\n")
    log.follow()
    log.follow()
    assert log.lines == ["one", "two", "\ufffd"]


def test_a_line_without_end_is_told_in_pieces(log):
    os.write(log.descriptor, b"x" * 70_000)
    log.follow()
    assert [len(line) for line in log.lines] == [65536]


def test_the_tail_is_short_however_long_the_log_is(log):
    for number in range(30_000):
        os.write(log.descriptor, b"%d\n" % number)
    assert log.tail(2) == ("29998", "29999")
    assert len(log.text()) <= 1 << 16


def test_what_a_server_writes_through_its_own_opening_is_not_overwritten(log, tmp_path):
    server = os.open(f"/proc/self/fd/{log.descriptor}", os.O_WRONLY)
    os.write(server, b"server\n")
    os.close(server)
    os.write(log.descriptor, b"startup\n")
    assert (tmp_path / "logs/boot.log").read_bytes() == b"server\nstartup\n"
    assert os.get_inheritable(log.descriptor) is False


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("secret\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/boot.log").symlink_to(precious)
    log = Log.create(tmp_path, "boot.log", None, print)
    os.write(log.descriptor, b"line\n")
    log.close()
    assert precious.read_text() == "secret\n"
    assert not (tmp_path / "logs/boot.log").is_symlink()


def test_a_directory_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "logs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="logs"):
        Log.create(tmp_path, "boot.log", None, print)


def test_what_is_read_is_what_was_opened(log, tmp_path):
    os.write(log.descriptor, b"mine\n")
    (tmp_path / "logs/boot.log").unlink()
    (tmp_path / "logs/boot.log").symlink_to("/etc/passwd")
    assert log.tail() == ("mine",)


# ---- tracebacks

FIRST = [
    "Traceback (most recent call last):",
    '  File "app.py", line 3',
    "    raise KeyError(1)",
    "KeyError: 1",
]


def test_the_first_traceback_is_kept_where_what_follows_from_it_pushes_it_out(log):
    os.write(
        log.descriptor,
        ("\n".join(["starting", *FIRST, *(f"again {number}" for number in range(20_000))]) + "\n").encode(),
    )
    tail = log.tail(10)
    assert tail == (*FIRST, "…", *(f"again {number}" for number in range(19_994, 20_000)))
    assert log.cause() == "KeyError: 1"


def test_it_is_not_told_twice(log):
    os.write(log.descriptor, ("\n".join(["starting", *FIRST, "the end"]) + "\n").encode())
    assert log.tail() == ("starting", *FIRST, "the end")


def test_what_apache_writes_before_each_line_is_no_part_of_it(log):
    before = "[Sat Nov 21 16:00:00.{} 2026] [wsgi:error] [pid 1:tid 2] "
    lines = [before.format(number) + line for number, line in enumerate(FIRST)]
    os.write(log.descriptor, ("\n".join(lines) + "\n").encode())
    assert log.cause() == "KeyError: 1"


def test_of_two_workers_that_fail_at_once_neither_is_taken_for_the_others_error(log):
    lines = (
        "[wsgi:error] Traceback (most recent call last):",
        "[wsgi:error] Traceback (most recent call last):",
        '[wsgi:error]   File "app.py", line 1, in <module>',
        "[wsgi:error] mod_wsgi (pid=12): Exception occurred processing WSGI script",
        '[wsgi:error]   File "app.py", line 1, in <module>',
        "[wsgi:error] KeyError: 'a'",
        "[wsgi:error] KeyError: 'a'",
    )
    os.write(log.descriptor, "\n".join(lines).encode() + b"\n")
    assert log.cause() == "KeyError: 'a'"


def test_without_one_there_is_no_cause(log):
    os.write(log.descriptor, (b"all is well\n"))
    assert log.cause() == ""
    os.write(log.descriptor, (b"Traceback (most recent call last):\n  cut of"))
    assert log.cause() == ""
