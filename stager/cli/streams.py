"""The standard streams as stager needs them, whatever the caller did to them."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import TextIO


def open_closed_streams() -> None:
    """Lead the standard streams that the caller closed to /dev/null.

    Python leaves them None; and their numbers would go to the next files that are opened: what is meant
    for stderr would be written into a droplet.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one: those below it are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            if getattr(sys, name) is None:
                stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115  (it stays open)
                setattr(sys, name, stream)


def settle_stdout() -> None:
    """Give up what is buffered for a stdout that takes nothing: Python would fail again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)


def has_lost_reader() -> bool:
    """Whether stdout is a pipe from which nobody reads any more."""
    poll = select.poll()
    poll.register(1, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


class Enduring:
    """A text stream whose reader may go away: then what is written is lost, and nobody is told.

    A build is not for the reader of its progress to end. rich writes to it from a thread of its own, too.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
