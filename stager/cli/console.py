"""How a run looks: everything that is said goes to stderr, in one of four manners."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from stager.cli.streams import Enduring
from stager.model.reporter import Reporter, Silent

if TYPE_CHECKING:
    from rich.live import Live

    from stager.errors import StagerError

Manner = Literal["auto", "plain", "json", "none"]


def make_reporter(manner: Manner, *, is_quiet: bool = False, is_verbose: bool = False) -> ConsoleReporter:
    """The reporter for ``--progress``; auto is live on a terminal, else plain."""
    if manner == "json":
        return JsonReporter(sys.stderr)
    if is_quiet or manner == "none":
        return QuietReporter(sys.stderr)
    if manner == "auto" and sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb"):
        return LiveReporter(sys.stderr)
    return PlainReporter(sys.stderr, is_verbose=is_verbose)


def printable(text: str) -> str:
    """One line that a terminal can show: control characters and lone surrogates are written out."""
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char == "\t"
        else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


class ConsoleReporter(Reporter):
    """What all manners share: writing that outlives a closed stderr, and the warnings so far."""

    def __init__(self, stream: TextIO, *, is_verbose: bool = False) -> None:
        self.stream = cast("TextIO", Enduring(stream))
        self.is_verbose = is_verbose

    def write(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()

    def result(self, line: str) -> None:
        """A line of the summary after the work."""
        self.write(line)

    def error(self, error: StagerError) -> None:
        """Show an error: what is the matter, what was seen, what to do."""
        lines = [f"stager: {printable(error.brief)}"]
        lines += [f"  {printable(line)}" for line in error.details.splitlines()]
        if error.resolution:
            lines += [f"→ {printable(line)}" for line in error.resolution.splitlines()]
        self.write("\n".join(lines))


class QuietReporter(Silent, ConsoleReporter):
    """Says nothing but errors."""

    def result(self, line: str) -> None:
        pass


TITLES = {
    "detect": "Detecting the runtime",
    "plan": "Planning",
    "assemble": "Assembling",
    "pack": "Packing",
    "verify": "Verifying",
}


class PlainReporter(ConsoleReporter):
    """Lines, for logs and pipes."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.write(f"-----> {TITLES.get(name, name)}")
        started = time.monotonic()
        yield
        if self.is_verbose:
            self.write(f"       {name} took {time.monotonic() - started:.2f} s")

    def detail(self, text: str) -> None:
        self.write(f"       {printable(text)}")

    def step(self, text: str) -> None:
        self.write(f"       $ {printable(text)}")

    def output(self, line: str) -> None:
        self.write(f"         {printable(line)}")

    def warning(self, text: str) -> None:
        self.write(f" !     {printable(text)}")


class JsonReporter(ConsoleReporter):
    """One JSON event a line, on stderr: ``event`` says which, ``seconds`` when (from the start)."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._started = time.monotonic()

    def _event(self, event: str, **fields: Any) -> None:
        seconds = round(time.monotonic() - self._started, 3)
        self.write(json.dumps({"event": event, "seconds": seconds, **fields}))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._event("phase-started", phase=name)
        try:
            yield
        except BaseException:
            self._event("phase-failed", phase=name)
            raise
        self._event("phase-finished", phase=name)

    def detail(self, text: str) -> None:
        self._event("detail", text=text)

    def step(self, text: str) -> None:
        self._event("step", text=text)

    def output(self, line: str) -> None:
        self._event("output", line=line)

    def warning(self, text: str) -> None:
        self._event("warning", text=text)

    def result(self, line: str) -> None:
        self._event("summary", text=line)

    def error(self, error: StagerError) -> None:
        from stager.model.report import error_document

        self._event("error", **error_document(error), exit_code=error.exit_code)


class LiveReporter(ConsoleReporter):
    """On a terminal: one line a phase, with the time so far and the last line that a step printed."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._live: Live | None = None
        self._phase = ""
        self._last = ""
        self._started = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        from rich.console import Console
        from rich.live import Live

        self._phase, self._last, self._started = TITLES.get(name, name), "", time.monotonic()
        console = Console(file=self.stream, highlight=False)
        mark = "✗"
        try:
            with Live(
                console=console, get_renderable=self._line, refresh_per_second=8, transient=True
            ) as self._live:
                yield
            mark = "✓"
        finally:
            self._live = None
            self.write(f"{mark} {self._phase} ({time.monotonic() - self._started:.1f} s)")

    def _line(self) -> Any:
        from rich.text import Text

        seconds = time.monotonic() - self._started
        text = Text.assemble(f"… {self._phase} {seconds:.1f} s  ", (self._last, "dim"))
        text.truncate(max(20, self._width() - 1), overflow="ellipsis")
        return text

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self.stream.fileno()).columns
        except (OSError, ValueError):
            return 80

    def _say(self, line: str) -> None:
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(line))
        else:
            self.write(line)

    def detail(self, text: str) -> None:
        self._say(f"  {printable(text)}")

    def step(self, text: str) -> None:
        self._last = f"$ {printable(text)}"

    def output(self, line: str) -> None:
        self._last = printable(line).strip()

    def warning(self, text: str) -> None:
        self._say(f"! {printable(text)}")
