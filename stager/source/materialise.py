"""A copy of a tree on disk, for steps that need a directory to work in."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stager.errors import DiskFull, PackError, SourceChanged, SourceUnreadable, StagerError
from stager.model.entry import Entry, Kind

if TYPE_CHECKING:
    from stager.source.tree import Tree

_CHUNK = 8 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def materialise(tree: Tree, destination: Path, only: frozenset[str] | None = None) -> None:
    """Copy a tree into an existing empty directory, with its links and execute bits.

    With ``only`` these paths alone, files and directories with all that is in them; ``""`` is everything.

    The kernel copies (and shares blocks where the file system can); never hard links, because a step may
    write into a file where it is. Raises SourceUnreadable, SourceChanged, DiskFull, PackError.
    """
    root = f"{os.fspath(destination)}/"
    for entry in tree.entries("") if only is None or "" in only else _chosen(tree, only):
        target = root + entry.path
        try:
            if entry.kind is Kind.DIRECTORY:
                os.mkdir(target)
                os.chmod(target, 0o755)  # noqa: S103
            elif entry.kind is Kind.LINK:
                os.symlink(entry.source, target)
            else:
                _copy(os.fsdecode(entry.source), target, entry.mode)
        except OSError as error:
            raise _failed(error, target) from error


def _chosen(tree: Tree, only: frozenset[str]) -> Iterator[Entry]:
    """The entries of some paths, after the directories that they lie in."""
    parents = {parent for path in only for parent in _parents(path)}
    for entry in tree.entries("") if only else ():
        if entry.path in only or entry.path in parents or not only.isdisjoint(_parents(entry.path)):
            yield entry


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _copy(source: str, target: str, mode: int) -> None:
    try:
        reading = os.open(source, _READ)
    except OSError as error:
        raise _unreadable(error, source) from error
    try:
        writing = os.open(target, _WRITE, mode)
        try:
            os.fchmod(writing, mode)
            _copy_bytes(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_bytes(reading: int, writing: int) -> None:
    try:
        while os.copy_file_range(reading, writing, _CHUNK):
            pass
    except OSError as error:
        # Between file systems of different kinds, and on some overlays, the kernel does not copy.
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
    # Both descriptors stand where the kernel stopped. Usually that is the end.
    while data := os.read(reading, _CHUNK):
        while data:
            data = data[os.write(writing, data) :]


def _unreadable(error: OSError, source: str) -> StagerError:
    if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
        return SourceChanged(
            "The source changed while it was being copied.",
            details=f"{source!r} is no longer there.",
            resolution="Build again when nothing writes into the source.",
        )
    return SourceUnreadable(
        "The source cannot be read.",
        details=f"{source!r}: {error.strerror}",
        resolution="Make it readable for the user that runs stager, or name it in .stagerignore.",
    )


def _failed(error: OSError, target: str) -> StagerError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            "No space is left to copy the source for a step.",
            details=f"{target}: {error.strerror}",
            resolution="Make room there, or set TMPDIR to a directory that has more.",
        )
    return PackError(
        "The source could not be copied for a step.",
        details=f"{target}: {error.strerror}",
        resolution="Set TMPDIR to a directory on a Linux file system that this user can write to.",
    )
