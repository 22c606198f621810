"""A droplet as a directory, for ``--format dir``."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from stager.archive.output import write_failed
from stager.archive.source_file import CHUNK_BYTES
from stager.errors import PackError

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY_MODE = 0o755


class DropletDirectory:
    """Writes members as files of a directory, with the modes and the time that they have in a tar.

    The bytes that were hashed are the ones that are written: letting the kernel copy the file
    (``copy_file_range``) would need them twice, and trust that nobody writes between.

    Parameters
    ----------
    root:
        The directory; it is made, and must not exist.
    mtime:
        Of everything in it, in seconds since 1970.
    """

    def __init__(self, root: str, mtime: int) -> None:
        self._root = os.fsencode(root)
        self._times = mtime * 10**9, mtime * 10**9
        self._parent = b""
        self._links: list[tuple[bytes, bytes]] = []
        self._descriptor = -1
        self._size = 0
        self._block = memoryview(bytearray(CHUNK_BYTES + 1))
        with self._writing():
            os.mkdir(self._root)
            os.chmod(self._root, _DIRECTORY_MODE)

    @property
    def position(self) -> int:
        """How many bytes the files have so far."""
        return self._size

    def begin(self, *, is_short: bool = False) -> None:
        pass

    def end(self) -> None:
        pass

    def file(self, name: bytes, mode: int, size: int) -> memoryview:
        self.begin_file(name, mode, size)
        return self._block[: size + 1]

    def filled(self, size: int) -> None:
        self.file_data(self._block[:size])
        self.end_file(size)

    def begin_file(self, name: bytes, mode: int, size: int) -> None:
        with self._writing():
            self._descriptor = os.open(self._place(name), _FLAGS, mode)
            os.fchmod(self._descriptor, mode)

    def file_data(self, chunk: bytes | memoryview) -> None:
        rest = memoryview(chunk)
        with self._writing():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def end_file(self, size: int) -> None:
        self._size += size
        with self._writing():
            os.utime(self._descriptor, ns=self._times)
        self._close()

    def directory(self, name: bytes, mode: int) -> None:
        with self._writing():
            place = self._place(name)
            if not _is_directory(place):
                os.mkdir(place)
            os.chmod(place, mode)

    def link(self, name: bytes, target: bytes) -> None:
        # Links are made last, so that no file is ever written through one.
        self._links.append((name, target))

    def append(self, compressed: BinaryIO, size: int) -> None:
        raise PackError("A compressed layer cannot become a part of a directory.")

    def finish(self) -> tuple[int, str]:
        with self._writing():
            for name, target in self._links:
                os.symlink(target, self._place(name))
                os.utime(os.path.join(self._root, name), ns=self._times, follow_symlinks=False)
            # Bottom up, and after everything else: each new name changes its directory's time.
            for directory, _, _ in os.walk(self._root, topdown=False):
                os.utime(directory, ns=self._times)
        return self._size, ""

    def abort(self) -> None:
        self._close()

    def _place(self, name: bytes) -> bytes:
        """The path to write to; the directories above it are made where they are missing."""
        parent = os.path.dirname(name)
        if parent != self._parent:
            place = self._root
            for part in parent.split(b"/") if parent else ():
                place = os.path.join(place, part)
                if not _is_directory(place):
                    os.mkdir(place)
                    os.chmod(place, _DIRECTORY_MODE)
            self._parent = parent
        return os.path.join(self._root, name)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_failed(error, os.fsdecode(self._root)) from error


def _is_directory(place: bytes) -> bool:
    """Whether a directory, and not a link to one, is there already."""
    try:
        return stat.S_ISDIR(os.lstat(place).st_mode)
    except FileNotFoundError:
        return False
