"""Looks, while files pass, for what must not get into a droplet: build paths, values of --build-env."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: More than anyone reads, and an upper bound where every file has a hit.
_MOST_HITS = 1000


class Needle(NamedTuple):
    """Bytes to look for, and what a finding calls them (never the bytes: they may be a secret)."""

    label: str
    value: bytes


class Hit(NamedTuple):
    """A needle's label, and the path of the member that has it in its bytes, name or target."""

    label: str
    path: str


class NeedleSearch:
    """Collects hits: one for each label and path, the first thousand.

    ``bytes.find`` skips ahead by up to the needle's length: 0.05 s for 200 MB and a path of 30 bytes.
    """

    def __init__(self, needles: Iterable[Needle]) -> None:
        self._needles = tuple(needle for needle in needles if needle.value)
        self._overlap = max((len(needle.value) for needle in self._needles), default=1) - 1
        self._hits: dict[Hit, None] = {}
        self._tail = b""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """In the order in which they were met."""
        return tuple(self._hits)

    def __bool__(self) -> bool:
        return bool(self._needles)

    def look(self, path: str, data: bytes) -> None:
        """Look at bytes that are complete: a small file, a name, a target."""
        for label, value in self._needles:
            if value in data and len(self._hits) < _MOST_HITS:
                self._hits[Hit(label, path)] = None

    def look_on(self, path: str, chunk: bytes, *, is_first: bool) -> None:
        """Look at the next piece of a large file, and across its border with the piece before it."""
        if self._overlap:
            if not is_first:
                self.look(path, self._tail + chunk[: self._overlap])
            self._tail = (b"" if is_first else self._tail)[-self._overlap :] + chunk[-self._overlap :]
            self._tail = self._tail[-self._overlap :]
        self.look(path, chunk)
