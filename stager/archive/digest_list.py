"""The text of ``droplet.sha256``, line for line what ``sha256sum`` writes, and the listings of layers.

A name with a backslash, a line feed or a carriage return is escaped, and its line begins with a backslash.
The carriage return is for coreutils 9 (measured with 9.1): its ``--check`` takes one at the end of a line for
a part of the line's end, and looks for another file. Names are bytes: they need not be UTF-8.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from stager.archive.output import write_failed
from stager.errors import DropletCorrupt

#: The list's own name in a droplet; it is the one file that is not in it.
NAME = "droplet.sha256"

_DIGEST = 64
_SPECIAL = b"\\\n\r"
_HEX = frozenset(b"0123456789abcdef")
#: PATH_MAX is 4096, and each of its bytes may be escaped.
_LONGEST_LINE = 3 + _DIGEST + 2 * 4096 + 1
#: Not tempfile.gettempdir(): on a full disk that raises as well.
_ANYWHERE = "the directory for temporary files"
_SPOOL_BYTES = 256 << 10


class Digest(NamedTuple):
    """One line: a path as in Entry, and its file's SHA-256 in hexadecimal."""

    path: str
    sha256: str


def line_of(name: bytes, digest: bytes) -> bytes:
    """A line of the list. ``digest`` is hexadecimal."""
    # To drop what is special takes a third of the time of looking for each.
    if len(name.translate(None, _SPECIAL)) != len(name):
        return b"\\%b  %b\n" % (digest, escaped(name))
    return digest + b"  " + name + b"\n"


def link_line_of(name: bytes, target: bytes) -> bytes:
    """A link's line in a layer's listing; blanks are escaped in the target, so that it has one end."""
    return b"777 -> %b  %b\n" % (escaped(target).replace(b" ", b"\\040"), escaped(name))


def directory_line_of(name: bytes, mode: int) -> bytes:
    """A directory's line in a layer's listing."""
    return b"%o -  %b\n" % (mode, escaped(name))


def escaped(name: bytes) -> bytes:
    """Backslash, line feed and carriage return as two characters each."""
    return name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


def parse(text: BinaryIO) -> Iterator[Digest]:
    """Read a list, one line at a time. Raises DropletCorrupt with the number of a bad line."""
    for number, line in enumerate(iter(lambda: text.readline(_LONGEST_LINE), b""), start=1):
        is_escaped = line.startswith(b"\\")
        start = _DIGEST + is_escaped
        digest, gap, name = line[is_escaped:start], line[start : start + 2], line[start + 2 : -1]
        plain = _unescaped(name) if is_escaped else name
        if gap != b"  " or not line.endswith(b"\n") or not plain or not _HEX.issuperset(digest):
            raise _corrupt(number)
        yield Digest(os.fsdecode(plain), digest.decode("ascii"))


def _unescaped(name: bytes) -> bytes:
    """The reverse of ``escaped``; empty for what it cannot have made."""
    parts = name.split(b"\\\\")
    if any(part.replace(b"\\n", b"").replace(b"\\r", b"").count(b"\\") for part in parts):
        return b""
    return b"\\".join(part.replace(b"\\n", b"\n").replace(b"\\r", b"\r") for part in parts)


class DigestList:
    """The list while it grows, in a file without a name: 50,000 lines are 6 MB.

    Parameters
    ----------
    directory:
        Where that file is made; the system's place for temporary files where none is given.
    """

    def __init__(self, directory: str | None = None) -> None:
        self._directory = directory
        self._file = _unnamed(directory)
        self._lines: list[bytes] = []
        self._pending = 0
        self._size = 0

    def add(self, lines: bytes) -> None:
        """Append whole lines."""
        self._lines.append(lines)
        self._pending += len(lines)
        if self._pending >= _SPOOL_BYTES:
            self._spool()

    @property
    def size(self) -> int:
        """Of the text, in bytes."""
        return self._size + self._pending

    def fileno(self) -> int:
        """A descriptor, at the text's first byte, that stays this object's own."""
        self._spool()
        self._file.seek(0)
        return self._file.fileno()

    def truncate(self, size: int) -> None:
        """Forget all but the first ``size`` bytes."""
        self._spool()
        self._file.truncate(size)
        self._size = size

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

    def _spool(self) -> None:
        rest = memoryview(b"".join(self._lines))
        self._lines.clear()
        self._pending = 0
        try:
            while rest:
                written = os.pwrite(self._file.fileno(), rest, self._size)
                self._size += written
                rest = rest[written:]
        except OSError as error:
            raise write_failed(error, self._directory or _ANYWHERE) from error


def _unnamed(directory: str | None) -> BinaryIO:
    try:
        return tempfile.TemporaryFile(buffering=0, dir=directory)
    except OSError as error:
        raise write_failed(error, directory or _ANYWHERE) from error


def _corrupt(number: int) -> DropletCorrupt:
    return DropletCorrupt(
        "The droplet's list of digests cannot be read.",
        details=f"{NAME}, line {number}: it is not a line that sha256sum writes",
        resolution="Copy or build the droplet again: it was changed, or cut short.",
    )
