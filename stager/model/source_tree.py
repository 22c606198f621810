"""The read-only view of an upload that buildpacks and phases share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class SourceTree(Protocol):
    """A source tree as a buildpack sees it: names and bytes, nothing to write.

    Paths are relative, with ``/``, without a leading ``./``; ``""`` is the root. What the ignore
    files name is not there. Names that are not UTF-8 carry surrogate escapes.
    """

    @property
    def name(self) -> str:
        """What people call it: the directory's or archive's name, without suffixes."""

    def has(self, path: str) -> bool:
        """Whether a file, link or directory of that name is there."""

    def is_file(self, path: str) -> bool:
        """Whether it is a regular file, or a link to one inside the tree."""

    def is_directory(self, path: str) -> bool:
        """Whether it is a directory."""

    def is_executable(self, path: str) -> bool:
        """Whether it is a regular file with an execute bit."""

    def children(self, path: str = "") -> tuple[str, ...]:
        """The names in one directory, sorted; empty where there is no such directory."""

    def files(self, pattern: str = "*", *, depth: int | None = None) -> Iterator[str]:
        """Paths of the regular files whose *name* matches the shell pattern, sorted within each directory.

        ``depth`` 1 looks only into the root. Directories of installed dependencies
        (``vendor``, ``node_modules``) are not entered.
        """

    def read_bytes(self, path: str, *, limit: int = 8 << 20) -> bytes:
        """At most ``limit`` bytes of a file; raises SourceUnreadable where it cannot be read."""

    def read_text(self, path: str, *, limit: int = 8 << 20) -> str:
        """The same as UTF-8 (a byte order mark is dropped, bad bytes are replaced)."""
