"""How a run looks, in each manner, and that nobody who reads it can end it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import struct
import sys
import termios

import pytest

from stager.cli.console import (
    JsonReporter,
    LiveReporter,
    PlainReporter,
    QuietReporter,
    make_reporter,
    printable,
)
from stager.errors import StepFailed

ERROR = StepFailed("It failed.", details="one\ntwo\x1b[2J", resolution="Do this.\nThen that.")
SHOWN = "stager: It failed.\n  one\n  two\\x1b[2J\n→ Do this.\n→ Then that.\n"


def tell(reporter):
    """One run with everything that can be said."""
    with reporter.phase("detect"):
        reporter.detail("php: index.php")
        reporter.warning("careful")
    with reporter.phase("assemble"):
        reporter.step("make deps")
        reporter.output("  made \x1b[31mit\x07")
    reporter.result("Done.")


def test_plain_is_lines():
    stream = io.StringIO()
    tell(PlainReporter(stream))
    assert stream.getvalue().splitlines() == [
        "-----> Detecting the runtime",
        "       php: index.php",
        " !     careful",
        "-----> Assembling",
        "       $ make deps",
        "           made \\x1b[31mit\\x07",
        "Done.",
    ]


def test_verbose_lines_hold_the_time_of_each_phase():
    stream = io.StringIO()
    tell(PlainReporter(stream, is_verbose=True))
    took = [line for line in stream.getvalue().splitlines() if "took" in line]
    assert len(took) == 2
    assert re.fullmatch(r"       detect took \d+\.\d\d s", took[0])


def test_quiet_shows_errors_and_nothing_else():
    stream = io.StringIO()
    reporter = QuietReporter(stream)
    tell(reporter)
    assert stream.getvalue() == ""
    reporter.error(ERROR)
    assert stream.getvalue() == SHOWN


def test_json_is_one_event_a_line():
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    tell(reporter)
    with pytest.raises(StepFailed), reporter.phase("pack"):
        raise ERROR
    reporter.error(ERROR)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert all(event.pop("seconds") >= 0 for event in events)
    assert events == [
        {"event": "phase-started", "phase": "detect"},
        {"event": "detail", "text": "php: index.php"},
        {"event": "warning", "text": "careful"},
        {"event": "phase-finished", "phase": "detect"},
        {"event": "phase-started", "phase": "assemble"},
        {"event": "step", "text": "make deps"},
        {"event": "output", "line": "  made \x1b[31mit\x07"},
        {"event": "phase-finished", "phase": "assemble"},
        {"event": "summary", "text": "Done."},
        {"event": "phase-started", "phase": "pack"},
        {"event": "phase-failed", "phase": "pack"},
        {
            "event": "error",
            "code": "step-failed",
            "fault": "application",
            "brief": "It failed.",
            "details": "one\ntwo\x1b[2J",
            "resolution": "Do this.\nThen that.",
            "retry": False,
            "exit_code": 40,
        },
    ]
    assert stream.getvalue().isascii()


class Terminal:
    """A terminal of so many columns; what was written to it is read from its other end."""

    def __init__(self, columns):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.set_blocking(self.ours, False)
        self.stream = open(self.theirs, "w", encoding="utf-8")  # noqa: SIM115  (closed by close)

    def seen(self):
        self.stream.flush()
        text = b""
        try:
            while data := os.read(self.ours, 65536):
                text += data
        except BlockingIOError:
            pass
        return text.decode()

    def hang_up(self):
        os.close(self.ours)
        self.ours = None

    def close(self):
        if self.ours is not None:
            os.close(self.ours)
        with contextlib.suppress(OSError):  # nobody reads what is still buffered
            self.stream.close()


@pytest.fixture
def terminal(monkeypatch):
    made = []
    monkeypatch.setenv("TERM", "xterm")

    def make(columns=80):
        made.append(Terminal(columns))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_live_leaves_one_line_a_phase(terminal):
    screen = terminal()
    reporter = LiveReporter(screen.stream)
    tell(reporter)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.seen()).replace("\r", "\n").split("\n")
    left = [line.strip() for line in lines if line.strip() and not line.startswith("…")]
    assert left[:2] == ["php: index.php", "! careful"]
    assert re.fullmatch(r"✓ Detecting the runtime \(\d\.\d s\)", left[2])
    assert re.fullmatch(r"✓ Assembling \(\d\.\d s\)", left[3])
    assert left[4:] == ["Done."]


def test_live_marks_a_phase_that_failed(terminal):
    screen = terminal()
    with pytest.raises(StepFailed), LiveReporter(screen.stream).phase("pack"):
        raise ERROR
    assert "✗ Packing (" in screen.seen()


@pytest.mark.parametrize("columns", [0, 1, 5, 19, 300])
def test_live_survives_terminals_of_any_width(terminal, columns):
    screen = terminal(columns)
    reporter = LiveReporter(screen.stream)
    with reporter.phase("assemble"):
        reporter.output("x" * 500 + "漢" * 50 + "\udcff\x1b[2J")
        reporter._live.refresh()
        reporter.detail("y" * 500)
    seen = screen.seen()
    assert "Assembling" in re.sub(r"\s", "", seen) or columns < 12
    assert "\x1b[2J" not in seen


def test_the_line_of_a_live_phase_fits_its_terminal(terminal):
    screen = terminal(60)
    reporter = LiveReporter(screen.stream)
    with reporter.phase("assemble"):
        reporter.output("漢" * 200)
        assert reporter._line().cell_len < 60


def test_live_survives_a_terminal_that_goes_away(terminal):
    screen = terminal()
    reporter = LiveReporter(screen.stream)
    done = []
    with reporter.phase("assemble"):
        screen.hang_up()
        reporter.detail("said to nobody")
        reporter._live.refresh()
        done.append("assemble")
    tell(reporter)
    reporter.error(ERROR)
    assert done == ["assemble"]


@pytest.mark.parametrize("manner", [PlainReporter, JsonReporter, QuietReporter])
@pytest.mark.parametrize("how", ["closed", "broken", "full"])
def test_a_reader_that_goes_away_ends_nothing(manner, how, tmp_path):
    place = "/dev/full"
    if how != "full":
        reading, place = os.pipe()
        os.close(reading)
    stream = open(place, "w", encoding="utf-8")  # noqa: SIM115  (closing it is what is tested)
    if how == "closed":
        stream.close()
    reporter = manner(stream)
    tell(reporter)
    reporter.error(ERROR)
    if how != "closed":
        with pytest.raises(OSError, match=r"Broken pipe|No space left"):
            stream.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\r", "a\\nb\\r"),
        ("\udcff", "\\udcff"),
        ("\u202eevil", "\\u202eevil"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("manner", "options", "kind"),
    [
        ("auto", {}, PlainReporter),
        ("plain", {}, PlainReporter),
        ("none", {}, QuietReporter),
        ("json", {}, JsonReporter),
        ("plain", {"is_quiet": True}, QuietReporter),
        ("json", {"is_quiet": True}, JsonReporter),
    ],
)
def test_the_manner_decides_who_reports(monkeypatch, manner, options, kind):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(make_reporter(manner, **options)) is kind


@pytest.mark.parametrize(
    ("term", "kind"), [("xterm", LiveReporter), ("dumb", PlainReporter), (None, PlainReporter)]
)
def test_auto_is_live_on_a_terminal_that_can(monkeypatch, terminal, term, kind):
    screen = terminal()
    monkeypatch.setattr(sys, "stderr", screen.stream)
    if term is None:
        monkeypatch.delenv("TERM")
    else:
        monkeypatch.setenv("TERM", term)
    assert type(make_reporter("auto")) is kind
