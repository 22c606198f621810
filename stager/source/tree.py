"""The tree: what buildpacks look at and what packing streams, both from one index."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from stager.archive.members import resolve
from stager.errors import SourceUnreadable
from stager.model.entry import Entry, Kind
from stager.source.ignoring import Ignoring
from stager.source.index import EXECUTABLE, Index, index_directory

#: Directories of installed dependencies: what lies in them says nothing about the application.
INSTALLED = frozenset({"vendor", "node_modules"})


class Tree:
    """A directory, indexed once: a :class:`stager.model.source_tree.SourceTree` that can be packed.

    Parameters
    ----------
    name:
        What people call it.
    root:
        Where it lies on the host.
    index:
        What is in it.
    ignoring:
        What was left out of it.
    """

    def __init__(self, name: str, root: Path, index: Index, ignoring: Ignoring | None) -> None:
        self._name = name
        self._root = root
        self._index = index
        self._ignoring = ignoring

    @classmethod
    def of_directory(
        cls,
        root: Path,
        name: str = "",
        *,
        ignoring: Ignoring | None = None,
        max_size: int | None = None,
        index: Index | None = None,
    ) -> Tree:
        """Index a directory of the host.

        Without ``ignoring`` everything in it counts, as in a directory that steps have worked in.
        ``max_size`` is in bytes. An ``index`` that was made already saves the walk.
        Raises SourceUnreadable and UnsafeSource.
        """
        index = index or index_directory(os.fspath(root), ignoring, max_size)
        return cls(name or root.name, root, index, ignoring)

    @property
    def name(self) -> str:
        """What people call it: the directory's or archive's name, without suffixes."""
        return self._name

    @property
    def root(self) -> Path:
        """The directory on the host whose files are read when they are packed."""
        return self._root

    @property
    def file_count(self) -> int:
        """How many regular files there are."""
        return self._index.files

    @property
    def byte_count(self) -> int:
        """What the regular files have together, in bytes."""
        return self._index.size

    def counted(self, leave_out: Collection[str]) -> tuple[int, int]:
        """How many regular files there are, and their bytes, without some paths and what is in them."""
        if not any(self.has(path) for path in leave_out):
            return self.file_count, self.byte_count
        index = self._index
        found = [
            index.sizes[place]
            for _, place in index.walk("", frozenset(leave_out))
            if index.flags[place] & ~EXECUTABLE == Kind.FILE
        ]
        return len(found), sum(found)

    def has(self, path: str) -> bool:
        """Whether a file, link or directory of that name is there."""
        parent, _, name = path.rpartition("/")
        real = self._real(parent)
        if name in ("", ".", ".."):
            return self._real(path) is not None
        return real is not None and self._index.place(f"{real}/{name}" if real else name) is not None

    def is_file(self, path: str) -> bool:
        """Whether it is a regular file, or a link to one inside the tree."""
        return self._flags(path) & ~EXECUTABLE == Kind.FILE

    def is_directory(self, path: str) -> bool:
        """Whether it is a directory, or a link to one inside the tree."""
        return self._real(path) in self._index.numbers

    def is_executable(self, path: str) -> bool:
        """Whether it is a regular file that its owner may execute, or a link to one."""
        return self._flags(path) == EXECUTABLE | Kind.FILE

    def children(self, path: str = "") -> tuple[str, ...]:
        """The names in one directory, sorted; empty where there is no such directory."""
        real = self._real(path)
        span = self._index.span(real) if real is not None else range(0)
        return tuple(sorted(self._index.names[span.start : span.stop]))

    def files(self, pattern: str = "*", *, depth: int | None = None) -> Iterator[str]:
        """Paths of the regular files whose *name* matches the shell pattern, sorted within each directory.

        A directory's own files come before those of its directories. ``depth`` 1 looks only into the root.
        Directories of installed dependencies (``vendor``, ``node_modules``) are not entered.
        """
        import fnmatch
        import re

        matches = re.compile(fnmatch.translate(pattern)).match
        index = self._index
        waiting = [("", 1)]
        while waiting:
            directory, level = waiting.pop()
            prefix = f"{directory}/" if directory else ""
            span = index.span(directory)
            names = index.names[span.start : span.stop]
            # Few names match: only theirs is the kind looked up.
            for place in [place for place, name in zip(span, names, strict=True) if matches(name)]:
                if index.kind(place) == Kind.FILE:
                    yield prefix + index.names[place]
            if depth is None or level < depth:
                below = (index.names[place] for place in reversed(index.directories(span)))
                waiting.extend((prefix + name, level + 1) for name in below if name not in INSTALLED)

    def read_bytes(self, path: str, *, limit: int = 8 << 20) -> bytes:
        """At most ``limit`` bytes of a file; raises SourceUnreadable where it cannot be read."""
        real = self._real(path)
        if real is None or not self.is_file(real):
            raise SourceUnreadable(
                f"There is no file {path!r} in the source.", resolution="Add it, or correct the name."
            )
        try:
            # What was a file when it was indexed may be a link or a FIFO by now.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._root / real, flags)
            with open(descriptor, "rb") as file:
                return file.read(limit)
        except OSError as error:
            raise SourceUnreadable(
                f"{path!r} in the source cannot be read.",
                details=f"{os.fspath(self._root / real)!r}: {error.strerror}",
                resolution="Make it readable for the user that runs stager, or name it in .stagerignore.",
            ) from error

    def read_text(self, path: str, *, limit: int = 8 << 20) -> str:
        """The same as UTF-8 (a byte order mark is dropped, bad bytes are replaced)."""
        return self.read_bytes(path, limit=limit).decode("utf-8-sig", "replace")

    def ignored_by(self, path: str) -> str | None:
        """Which rule leaves out a path that does lie in the directory: ``.slugignore line 3``; else None."""
        try:
            status = os.lstat(self._root / path)
        except (OSError, ValueError):
            return None
        if self._ignoring is None:
            return None
        return self._ignoring.reason(path, is_directory=stat.S_ISDIR(status.st_mode))

    def entries(
        self, prefix: str = "app", *, below: str = "", leave_out: Collection[str] = ()
    ) -> Iterator[Entry]:
        """The members for a layer, in the order of a tar, made one at a time.

        By bytes of whole paths, where a directory counts as its path and ``/``, and precedes its content.
        The first entry is the directory that is streamed itself, unless its path is empty.

        Parameters
        ----------
        prefix:
            What the tree is called in the droplet; empty for its root.
        below:
            Stream only this directory of the tree, under its full path; nothing where it is not one.
        leave_out:
            Paths in the tree that are not streamed, with everything in them.
        """
        index = self._index
        if below not in index.numbers or _lies_in(below, leave_out):
            return
        start = f"{prefix}/" if prefix else ""
        if top := (start + below).rstrip("/"):
            yield Entry(top, Kind.DIRECTORY, 0o755, "")
        host = f"{os.fspath(self._root).rstrip('/')}/"
        flags, sizes = index.flags, index.sizes
        # Looked up once: an enumeration takes its time.
        file, directory, link = Kind
        for path, place in index.walk(below, frozenset(leave_out)):
            flag = flags[place]
            if flag & ~EXECUTABLE == file:
                mode = 0o755 if flag & EXECUTABLE else 0o644
                yield Entry(start + path, file, mode, host + path, sizes[place])
            elif flag == directory:
                yield Entry(start + path, directory, 0o755, "")
            else:
                yield Entry(start + path, link, 0o755, index.links[path])

    def _real(self, path: str) -> str | None:
        """The path without links, ``.`` and ``..``; None where it leaves the tree or goes in circles.

        It need not exist.
        """
        if path in self._index.numbers:
            return path
        resolved = resolve(path, self._index.links.get)
        return None if resolved.escapes or resolved.is_loop else resolved.path

    def _flags(self, path: str) -> int:
        real = self._real(path)
        place = self._index.place(real) if real else None
        return Kind.DIRECTORY if place is None else self._index.flags[place]


def _lies_in(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
