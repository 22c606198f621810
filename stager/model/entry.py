"""The members of a layer: where each one's bytes lie, never the bytes of a whole tree."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Kind(enum.IntEnum):
    """What a member is. Nothing else can be in a droplet."""

    FILE = 0
    DIRECTORY = 1
    LINK = 2


class Entry(NamedTuple):
    """One member of a layer.

    A NamedTuple, not a dataclass: 50,000 of them are made in a build, and they are made one at a time.

    Parameters
    ----------
    path:
        Relative to the droplet, ``/`` between components, surrogate escapes for what is not UTF-8.
    kind:
        File, directory or symbolic link.
    mode:
        0o644 or 0o755.
    source:
        A host path whose bytes are read when the member is packed, the bytes themselves, or a
        link's target; empty for a directory.
    size:
        In bytes; of a file on disk what ``lstat`` said when the tree was indexed.
    """

    path: str
    kind: Kind
    mode: int
    source: str | bytes
    size: int = 0


def file_of_bytes(path: str, data: bytes, mode: int = 0o644) -> Entry:
    """A member whose bytes are in memory (rendered files)."""
    return Entry(path, Kind.FILE, mode, data, len(data))
