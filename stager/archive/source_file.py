"""The bytes of one file, read once, and certain to be as many as were announced."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from stager.errors import SourceChanged, SourceUnreadable, StagerError

#: What is larger is read in pieces of this size.
CHUNK_BYTES = 1 << 20

# O_NONBLOCK: a FIFO that has taken the file's place must not hold the build up.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
#: What open and read say of a path that is no longer the regular file that was indexed.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ESTALE})


def read_whole(path: str, source: str | bytes, size: int, room: memoryview) -> memoryview:
    """All of a file, put into ``room``: the part of it that holds the file.

    Parameters
    ----------
    path:
        Its name in the droplet.
    source:
        Where it lies, or the bytes themselves.
    size:
        As it was announced, in bytes.
    room:
        At least one byte more than that.

    Raises
    ------
    SourceChanged
        It is not a regular file of that size any more.
    SourceUnreadable
        It cannot be read.
    """
    if isinstance(source, bytes):
        room[:size] = _as_announced(path, source, size)
        return room[:size]
    try:
        descriptor = os.open(source, _FLAGS)
        try:
            # One byte more than there should be: a single call shows that the size is right, and fstat's
            # microsecond is saved. Only what has no bytes could be something else than a file.
            found = os.readv(descriptor, (room,))
            if found != size or not size:
                _complete(descriptor, found, size, path, room)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(error, path, source) from error
    return room[:size]


def read_chunks(path: str, source: str | bytes, size: int) -> Iterator[bytes]:
    """A file of any size in pieces: of CHUNK_BYTES, but for the last one. Raises as ``read_whole``."""
    if isinstance(source, bytes):
        yield _as_announced(path, source, size)
        return
    with _opened(path, source) as descriptor:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise changed(path, f"it had {size} bytes, and has {found.st_size} now")
        yield from descriptor_chunks(descriptor, size, path)


def descriptor_chunks(descriptor: int, size: int, path: str) -> Iterator[bytes]:
    """What ``descriptor`` has from its position on, in pieces. Raises SourceChanged if not ``size`` bytes."""
    left = size
    while left:
        chunk = _read_exactly(descriptor, min(left, CHUNK_BYTES))
        left -= len(chunk)
        if not chunk:
            raise changed(path, f"it had {size} bytes, and ends after {size - left} now")
        yield chunk
    if os.read(descriptor, 1):
        raise changed(path, f"it had {size} bytes, and has more now")


def changed(path: str, what: str) -> SourceChanged:
    """The error for a file that is not what it was when the tree was indexed."""
    return SourceChanged(
        "A file changed while it was being packed.",
        details=f"{shown(path)}: {what}",
        resolution="Stop what writes into the source while it is staged, and build again.",
    )


def shown(path: str) -> str:
    """A path as text that any terminal can take: what is not printable is escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@contextmanager
def _opened(path: str, source: str) -> Iterator[int]:
    try:
        descriptor = os.open(source, _FLAGS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(error, path, source) from error


def _as_announced(path: str, data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise changed(path, f"it was announced with {size} bytes, and has {len(data)}")
    return data


def _complete(descriptor: int, found: int, size: int, path: str, room: memoryview) -> None:
    """Read the rest of a file that gave less or more at once than it should: some file systems read short."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise changed(path, "it was a regular file, and is not one now")
    while found <= size:
        more = os.readv(descriptor, (room[found:],))
        if not more:
            break
        found += more
    if found != size:
        now = "more" if found > size else str(found)
        raise changed(path, f"it had {size} bytes, and has {now} now")


def _read_exactly(descriptor: int, size: int) -> bytes:
    """``size`` bytes, or all that are left."""
    data = os.read(descriptor, size)
    while len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            break
        data += more
    return data


def _unreadable(error: OSError, path: str, source: str) -> StagerError:
    if error.errno in _GONE:
        return changed(path, f"it was a regular file, and is not one now ({error.strerror})")
    return SourceUnreadable(
        "A file of the source cannot be read.",
        details=f"{shown(path)}: {error.strerror} ({shown(source)})",
        resolution="Make it readable for the user who builds, or name it in .stagerignore.",
    )
