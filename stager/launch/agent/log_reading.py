"""Reading logs that are rotated while they are read: the last lines, and what comes after them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from pathlib import Path

from stager.errors import UsageError
from stager.launch.agent.logs import STREAMS
from stager.launch.agent.places import InstancePlace, StateDirectory
from stager.model.frozen import dataclass

_BLOCK = 1 << 16
#: More than any log has.
_MOST_FILES = 20
#: Renames that may come between two looks, before the next call has to try.
_TRIES = 20
#: At a time, of one log: who prints 50 MB a second would not let the others have their turn.
_MOST = 16 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """One log: of which application, instance and stream."""

    application: str
    index: int
    id: str
    stream: str
    path: Path


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, and where it was printed."""

    source: Source
    text: bytes


def sources(state: StateDirectory, wanted: str = "") -> tuple[Source, ...]:
    """The logs of an application, or of an instance (its id, or the beginning of it), or all.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    found = []
    for application in state.applications():
        for place in application.instances():
            index, _, identifier = place.path.name.partition("-")
            is_named = wanted in {"", application.name, f"{application.name}.{index}"}
            if index.isdecimal() and (is_named or identifier.startswith(wanted)):
                found += _logs(application.name, int(index), identifier, place)
    is_known = any(application.name == wanted for application in state.applications())
    if wanted and not found and not is_known:
        raise UsageError(
            f"There is neither an application nor an instance {wanted!r}.",
            details=f"State directory: {state.path}",
            resolution="`stager ps` shows what there is; --state-dir names another state directory.",
        )
    return tuple(found)


def _logs(application: str, index: int, identifier: str, place: InstancePlace) -> list[Source]:
    return [
        Source(application, index, identifier, stream, place.logs / f"{stream}.log") for stream in STREAMS
    ]


def tail(path: Path, lines: int) -> list[bytes]:
    """The last lines of a log, also from its predecessors; the last one may be incomplete."""
    found: list[bytes] = []
    for place in _names(path):
        if len(found) >= lines:
            break
        with suppress(OSError), place.open("rb") as file:
            found = _last_lines(file.fileno(), lines - len(found)) + found
    return found


def _last_lines(descriptor: int, lines: int) -> list[bytes]:
    end = os.fstat(descriptor).st_size
    data = b""
    while end > 0 and data.count(b"\n") <= lines:
        start = max(0, end - _BLOCK)
        data = os.pread(descriptor, end - start, start) + data
        end = start
    return data.splitlines()[-lines:] if lines else []


def _names(path: Path) -> list[Path]:
    """What the log and its predecessors may be called, the newest first; one may be missing for a moment."""
    return [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, _MOST_FILES))]


def _place(names: list[Path], wanted: os.stat_result) -> int | None:
    """Which of the names that file has now. Upwards, as files are renamed: none is passed by."""
    for number, name in enumerate(names):
        with suppress(OSError):
            if os.path.samestat(os.stat(name, follow_symlinks=False), wanted):
                return number
    return None


@dataclass(slots=True)
class Follower:
    """Reads what is added to a log, from its end or its beginning on, through any number of rotations."""

    source: Source
    is_from_start: bool = False
    _descriptor: int = -1
    _offset: int = 0
    _rest: bytes = field(default=b"")

    def open_at_end(self) -> None:
        """Begin where it ends now; a log that is not there yet is read from its beginning."""
        if not self.is_from_start and (descriptor := _opened(self.source.path)) is not None:
            self._descriptor = descriptor
            self._offset = os.fstat(descriptor).st_size

    def lines(self) -> Iterator[bytes]:
        """The complete lines that came since the last time."""
        if self._descriptor < 0:
            oldest = next(
                (one for name in reversed(_names(self.source.path)) if (one := _opened(name))), None
            )
            if oldest is None:
                return
            self._descriptor, self._offset = oldest, 0
        yield from self._read()
        while (newer := self._newer()) is not None:
            yield from self._read()  # what came before it was renamed
            os.close(self._descriptor)
            self._descriptor, self._offset = newer, 0
            yield from self._read()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> Iterator[bytes]:
        left = _MOST
        while left > 0 and (data := os.pread(self._descriptor, _BLOCK, self._offset)):
            self._offset += len(data)
            left -= len(data)
            *complete, self._rest = (self._rest + data).split(b"\n")
            yield from complete

    def _newer(self) -> int | None:
        """The file after the one that is open, open; None while there is none, or more of this to read."""
        ours = os.fstat(self._descriptor)
        if self._offset < ours.st_size:
            return None
        names = _names(self.source.path)
        for _ in range(_TRIES):
            place = _place(names, ours)
            if place == 0:
                return None
            if place is None:  # rotated away meanwhile: it goes on with the oldest there is
                return next((one for name in reversed(names) if (one := _opened(name))), None)
            if (newer := _opened(names[place - 1])) is not None:
                # In this order: ours can only have moved on, and never looks nearer than it is.
                after = _place(names, os.fstat(newer))
                if after is not None and _place(names, ours) == after + 1:
                    return newer
                os.close(newer)
        return None


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
