"""What is said while it works, and where: stdout carries the result alone."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STAGER = Path(sys.executable).with_name("stager")
PHASES = ["detect", "plan", "assemble", "pack", "verify"]
APPLICATION = {
    "index.php": "<?php echo 'hello';",
    "stager.yml": "hooks: {before_build: 'echo from the hook; sleep 0.4; echo and again'}\n",
}


@pytest.fixture
def source(tree):
    return tree(APPLICATION)


@pytest.fixture
def said(stager_cli, source, tmp_path):
    """Build in a manner, and return what came out."""

    def do(*arguments):
        done = stager_cli("build", source, "-o", tmp_path / "a.tar.gz", *arguments)
        assert done.returncode == 0, done.stderr
        return done

    return do


@pytest.mark.parametrize("arguments", [[], ["--progress", "plain"], ["--progress", "auto", "-v"]])
def test_plain_lines_where_there_is_no_terminal(said, tmp_path, arguments):
    done = said(*arguments)
    assert done.stdout == f"{tmp_path}/a.tar.gz\n"
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    assert [line[7:] for line in done.stderr.splitlines() if line.startswith("-----> ")] == [
        "Detecting the runtime", "Planning", "Assembling", "Packing", "Verifying",
    ]  # fmt: skip
    assert "       $ echo from the hook; sleep 0.4; echo and again\n         from the hook\n" in done.stderr
    assert f"Droplet {tmp_path}/a.tar.gz: " in done.stderr
    assert ("pack took" in done.stderr) == ("-v" in arguments)


def test_verbose_says_where_each_setting_came_from(said):
    done = said("-v", "--memory", "1G")
    assert "Setting memory: --memory\n" in done.stderr
    assert "Setting hooks.before_build: stager.yml line 1" in done.stderr


@pytest.mark.parametrize("arguments", [["--progress", "none"], ["-q"], ["-q", "--progress", "plain"]])
def test_nothing_but_the_result_when_nothing_is_wanted(said, tmp_path, arguments):
    done = said(*arguments)
    assert (done.stdout, done.stderr) == (f"{tmp_path}/a.tar.gz\n", "")


def test_quiet_shows_errors_all_the_same(stager_cli, tree):
    done = stager_cli("build", tree({}), "-q")
    assert done.returncode == 21
    assert done.stderr.startswith("stager: No runtime recognises this application.\n")
    assert done.stdout == ""


def test_json_is_one_event_a_line(said, tmp_path):
    done = said("--progress", "json")
    assert done.stdout == f"{tmp_path}/a.tar.gz\n"
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(set(event) >= {"event", "seconds"} for event in events)
    assert [event["phase"] for event in events if event["event"] == "phase-started"] == PHASES
    assert [event["phase"] for event in events if event["event"] == "phase-finished"] == PHASES
    assert [event["line"] for event in events if event["event"] == "output"] == ["from the hook", "and again"]
    times = [event["seconds"] for event in events]
    assert times == sorted(times)


def test_json_tells_of_failures_by_events_too(stager_cli, tree):
    done = stager_cli("build", tree({"index.php": "<?php"}), "--runtime", "cobol", "--progress", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 23
    assert [event["event"] for event in events][-2:] == ["phase-failed", "error"]
    assert (events[-1]["code"], events[-1]["exit_code"]) == ("unknown-runtime", 23)
    assert events[-1]["resolution"]

    done = stager_cli("build", "--progress", "json", "--no-such-option")
    (event,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (event["event"], event["exit_code"], event["fault"]) == ("error", 2, "usage")


def test_json_on_stdout_and_events_on_stderr_do_not_mix(said):
    done = said("--progress", "json", "--json")
    assert json.loads(done.stdout)["status"] == "succeeded"
    assert all(json.loads(line)["event"] for line in done.stderr.splitlines())


def test_output_of_an_application_cannot_write_to_the_terminal(stager_cli, tree, tmp_path):
    source = tree({
        "index.php": "<?php",
        "stager.yml": """hooks: {before_build: 'printf "\\033[2Jcleared\\r\\a\\n"'}\n""",
        "bell\a.txt": "",
    })  # fmt: skip
    done = stager_cli("build", source, "-o", tmp_path / "a.tar.gz")
    assert done.returncode == 0, done.stderr
    assert "cleared" in done.stderr
    assert "\x1b" not in done.stderr
    assert "\a" not in done.stderr


@pytest.fixture
def on_terminal(tmp_path):
    """Runs stager with a terminal of 60 columns as stderr; returns exit code, stdout, and what was shown."""

    def do(*arguments, term="xterm", interrupt_at=None):
        ours, theirs = pty.openpty()
        size = (24).to_bytes(2, sys.byteorder) + (60).to_bytes(2, sys.byteorder) + bytes(4)
        import fcntl
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        process = subprocess.Popen(
            [STAGER, *arguments], cwd=tmp_path, env={**os.environ, "TERM": term, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            seen += data
            if interrupt_at and interrupt_at in seen:
                process.send_signal(signal.SIGINT)
                interrupt_at = None
        os.close(ours)
        out, _ = process.communicate(timeout=30)
        return process.returncode, out.decode(), seen.decode()

    return do


def left_on_screen(text):
    """The lines that a terminal shows in the end; it has to know of cursor up, erase line, and no more."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", text):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            pass
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] += part
    return [line.strip() for line in lines if line.strip()]


def test_a_terminal_shows_one_line_a_phase_that_lives(on_terminal, source, tmp_path):
    code, out, seen = on_terminal("build", source, "-o", "a.tar.gz")
    assert (code, out) == (0, "a.tar.gz\n")
    screen = left_on_screen(seen)
    marks = [line for line in screen if line.startswith("✓")]
    assert len(marks) == 5, screen
    assert all(re.search(r"\(\d+\.\d s\)$", mark) for mark in marks)
    # While it lasted: the time so far, and what the step printed last.
    assert re.search(r"… Assembling \d\.\d s +(\x1b\[2m)?from the hook", seen)
    assert not any(line.startswith("…") for line in screen), screen
    assert "\x1b[?25l" not in seen or seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


def test_a_failure_on_a_terminal_marks_the_phase_and_gives_the_cursor_back(on_terminal, tree):
    code, out, seen = on_terminal("build", tree({}))
    assert (code, out) == (21, "")
    assert any(line.startswith("✗ ") for line in left_on_screen(seen))
    assert "No runtime recognises this application." in seen
    assert "\x1b[?25l" not in seen or seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


def test_an_interrupt_on_a_terminal_gives_the_cursor_back(on_terminal, tree, tmp_path):
    source = tree({"index.php": "<?php", "stager.yml": "hooks: {before_build: 'echo begun; sleep 30'}"})
    code, out, seen = on_terminal("build", source, "-o", "a.tar.gz", interrupt_at=b"begun")
    assert (code, out) == (130, "")
    assert "\x1b[?25l" not in seen or seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert sorted(os.listdir(tmp_path)) == ["app"]


def test_a_dumb_terminal_gets_plain_lines(on_terminal, source):
    code, _, seen = on_terminal("build", source, "-o", "a.tar.gz", term="dumb")
    assert code == 0
    assert "-----> Assembling" in seen
    assert "\x1b" not in seen


def test_the_manner_that_is_named_wins_over_the_terminal(on_terminal, source):
    for manner, expected in (("plain", "-----> Packing"), ("json", '{"event": "phase-started"')):
        code, _, seen = on_terminal("build", source, "-o", "a.tar.gz", "--progress", manner)
        assert code == 0
        assert expected in seen
        assert "\x1b" not in seen
    assert on_terminal("build", source, "-o", "a.tar.gz", "-q") == (0, "a.tar.gz\n", "")
