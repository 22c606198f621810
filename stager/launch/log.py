"""What a started process prints: one file in the instance's ``logs/``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stager.execution.spawn import Account

MOST_OF_TRACEBACK = 20
TAIL_LINES = 30
#: A tail is looked for in this many last bytes, and so many new ones are told at a time: an
#: application may print faster than anybody reads.
_CHUNK = 64 << 10


_ERROR = re.compile(r"[A-Za-z_][\w.]*(: |:?$)")
_BEGINNING = "Traceback (most recent call last):"
#: Of Apache: the time, the module, the process, the client.
_MARGIN = re.compile(r"^(?:\[[^\]]*\] ?)+")


class Log:
    """A log file that was opened here, and is read through the same descriptor.

    Never again by its name: the directory belongs to the user that the application runs as, which
    could have put a link there, and the tail goes into the report.
    """

    def __init__(self, descriptor: int, on_line: Callable[[str], None]) -> None:
        self.descriptor = descriptor
        self._on_line = on_line
        self._told = 0

    @classmethod
    def create(cls, base: Path, name: str, account: Account | None, on_line: Callable[[str], None]) -> Log:
        """Make ``base/logs/name`` anew, written to by ``account``.

        Raises OSError where that directory cannot be written to.
        """
        directory = base / "logs"
        if not directory.exists():
            directory.mkdir(parents=True)
            if account:
                os.chown(directory, account.uid, account.gid)
        where = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=where)
            # O_APPEND: servers open /dev/stderr anew, with an offset of their own.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o600, dir_fd=where)
        finally:
            os.close(where)
        if account:
            os.fchown(descriptor, account.uid, account.gid)
        return cls(descriptor, on_line)

    def follow(self) -> None:
        """Tell the complete lines that came since the last time."""
        data = os.pread(self.descriptor, _CHUNK, self._told)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == _CHUNK:
            end = len(data)
        self._told += end
        for line in data[:end].splitlines():
            self._on_line(line.decode("utf-8", "replace"))

    def text(self) -> str:
        """The last 64 KiB."""
        size = os.fstat(self.descriptor).st_size
        data = os.pread(self.descriptor, _CHUNK, max(0, size - _CHUNK))
        return data.decode("utf-8", "replace")

    def head(self) -> str:
        """The first 64 KiB."""
        return os.pread(self.descriptor, _CHUNK, 0).decode("utf-8", "replace")

    def tail(self, lines: int = TAIL_LINES) -> tuple[str, ...]:
        """The last lines; and before them the first traceback of Python, where the last ones are without it.

        Why an application cannot be imported is said once, and what follows from it many times.
        """
        said = self.text().splitlines()
        last = said[-lines:]
        first = self._traceback()[-MOST_OF_TRACEBACK:]
        if not first or "\n".join(first) in "\n".join(last):
            return tuple(last)
        return (*first, "…", *said[-(lines - len(first)) :])

    def cause(self) -> str:
        """The error that the first traceback of Python ends with; empty where there is none."""
        return (self._traceback() or ("",))[-1].strip()

    def _traceback(self) -> tuple[str, ...]:
        """The first traceback in the first 64 KiB, without what a server writes before each line."""
        lines = [_MARGIN.sub("", line) for line in self.head().splitlines()]
        for start, line in enumerate(lines):
            if not line.endswith(_BEGINNING):
                continue
            # Workers that fail at once write their lines in turn: what is no error is another one's.
            for end in range(start + 1, len(lines)):
                if _ERROR.match(lines[end]):
                    return tuple(lines[start : end + 1])
        return ()

    def close(self) -> None:
        """Give the descriptor back; the file stays."""
        os.close(self.descriptor)
