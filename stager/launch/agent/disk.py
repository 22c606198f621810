"""What directories take on disk, found out a few entries at a time, again and again."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

#: What a file takes is counted in these, whatever the file system's own blocks are (stat(2)).
_BLOCK = 512
#: A directory that has not changed is not read again. Files in it may grow all the same: those that did so
#: within _WARM seconds are looked at in every walk, all others when so many seconds have passed.
_DEEP_SECONDS = 30.0
_WARM = 60.0
_MOST_WARM = 16
#: Our memory is not the hog's to take: of more directories than this the rest is read anew in every walk,
#: and after so many entries a walk ends with what it has found (the ancestor's limit on inodes).
_MOST_REMEMBERED = 5000
_MOST_ENTRIES = 200_000

_Inode = tuple[int, int]


class _Directory(NamedTuple):
    """What was seen when it was last read.

    ``size`` is without the files that have several names (``links``), and without those that grow.
    """

    changed: int
    size: int
    links: tuple[tuple[_Inode, int], ...]
    below: tuple[str, ...]
    warm: tuple[str, ...]


class DiskScan:
    """The space that some directories take, as ``du`` counts it, without ever walking through all at once.

    A file that was deleted while it is open counts as well, for its space is free only when it is closed.

    Parameters
    ----------
    roots:
        The directories. No link is followed, and no other file system entered.
    open_files:
        Returns directories such as ``/proc/123/fd``, of the processes that use the space.
    since:
        Nanoseconds since 1970: only what has been changed later counts. By the change time, which an
        application cannot set, as it can the time of modification.
    """

    def __init__(
        self, roots: Sequence[str], open_files: Callable[[], Iterable[str]] = tuple, *, since: int = 0
    ) -> None:
        self.roots = tuple(roots)
        #: Bytes, as of the last walk that came to its end.
        self.size = 0
        #: Whether there has been one.
        self.is_known = False
        self._open_files = open_files
        self.since = since
        self._known: dict[str, _Directory] = {}
        self._next_deep = 0.0
        self._pass: Iterator[None] | None = None

    def advance(self, entries: int) -> int:
        """Look at so many entries at most, and say how many are left of them when the walk has ended."""
        if self._pass is None:
            self._pass = self._walk()
        seen = sum(1 for _ in islice(self._pass, max(0, entries)))
        if seen < entries:
            self._pass = None
        return entries - seen

    def _walk(self) -> Iterator[None]:
        """One walk, which yields at each entry."""
        is_deep = time.monotonic() >= self._next_deep
        total = 0
        counted: dict[_Inode, int] = {}
        known: dict[str, _Directory] = {}
        devices = {status.st_dev for root in self.roots if (status := _status(root)) is not None}
        waiting = list(self.roots)
        while waiting and len(counted) + len(waiting) < _MOST_ENTRIES:
            path = waiting.pop()
            yield
            found = None if is_deep else self._known.get(path)
            if found is None or (status := _status(path)) is None or status.st_mtime_ns != found.changed:
                found = yield from _read(path, devices, self.since)
            if len(known) < _MOST_REMEMBERED:
                known[path] = found
            total += found.size
            counted.update(found.links)
            for name in found.warm:
                yield
                status = _status(os.path.join(path, name))
                total += status.st_blocks * _BLOCK if status is not None else 0
            waiting += [os.path.join(path, name) for name in found.below]
        for place in self._open_files():
            yield from _find_deleted(place, devices, counted)
        self.size = total + sum(counted.values())
        self.is_known = True
        self._known = known
        if is_deep:
            self._next_deep = time.monotonic() + _DEEP_SECONDS


def _read(path: str, devices: set[int], since_ns: int) -> Generator[None, None, _Directory]:
    """Read one directory, which may have any number of entries."""
    links: list[tuple[_Inode, int]] = []
    below: list[str] = []
    warm: list[str] = []
    try:
        # Not by its path: it could have been replaced by a link since it was listed.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return _Directory(0, 0, (), (), ())
    try:
        own = os.fstat(descriptor)
        if own.st_dev not in devices:
            return _Directory(own.st_mtime_ns, 0, (), (), ())
        size = own.st_blocks * _BLOCK if own.st_ctime_ns > since_ns else 0
        since = time.time() - _WARM
        with os.scandir(descriptor) as entries:
            for entry in islice(entries, _MOST_ENTRIES):
                yield
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                taken = status.st_blocks * _BLOCK
                if stat.S_ISDIR(status.st_mode):
                    below.append(entry.name)
                elif status.st_ctime_ns <= since_ns:
                    continue
                elif status.st_nlink > 1:
                    links.append(((status.st_dev, status.st_ino), taken))
                elif status.st_mtime >= since and len(warm) < _MOST_WARM:
                    warm.append(entry.name)
                else:
                    size += taken
    except OSError:
        return _Directory(0, 0, (), (), ())
    finally:
        os.close(descriptor)
    return _Directory(own.st_mtime_ns, size, tuple(links), tuple(below), tuple(warm))


def _find_deleted(place: str, devices: set[int], counted: dict[_Inode, int]) -> Iterator[None]:
    """Files that a process has open, and that have no name any more."""
    try:
        names = os.listdir(place)
    except OSError:
        return
    for name in names:
        yield
        try:
            status = os.stat(f"{place}/{name}")
        except OSError:
            continue
        if status.st_nlink == 0 and stat.S_ISREG(status.st_mode) and status.st_dev in devices:
            counted[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
