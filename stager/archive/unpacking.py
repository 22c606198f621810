"""A directory that an archive is unpacked into, and that nothing in the archive can leave."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from stager.archive.complaint import Complaint
from stager.errors import DiskFull, PackError, StagerError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY_BYTES = 1 << 20


class Destination:
    """Writes members whose paths a Ledger has admitted.

    Nothing can be written through a link: there are none before :meth:`finish`, and files are created,
    never opened.

    Parameters
    ----------
    root:
        An existing empty directory.
    complaint:
        Raised for a name that the file system does not take. Everything else that goes wrong in writing is
        the host's fault: DiskFull, PackError.
    """

    def __init__(self, root: Path, complaint: Complaint) -> None:
        self._root = os.fspath(root) + "/"
        self._complaint = complaint
        self._links: list[tuple[str, str]] = []

    def directory(self, path: str) -> None:
        """Make a directory, unless a member below it has already made it."""
        try:
            self._make_directory(path)
        except OSError as error:
            raise self._failed(error, path) from error

    def file(self, path: str, read: Callable[[], bytes], *, is_executable: bool) -> int:
        """Write a file from what ``read`` gives until it gives nothing; returns the bytes written."""
        written = 0
        try:
            descriptor = self._create(path, 0o755 if is_executable else 0o644)
            try:
                while data := read():
                    written += len(data)
                    while len(data) != (count := os.write(descriptor, data)):
                        data = data[count:]
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._failed(error, path) from error
        return written

    def link(self, path: str, target: str) -> None:
        """Remember a symbolic link for :meth:`finish`."""
        self._links.append((path, target))

    def size(self, path: str) -> int:
        """Of a file that has been written, in bytes."""
        return os.lstat(self._root + path).st_size

    def copy(self, original: str, path: str) -> None:
        """Write another copy of a file that has been written."""
        try:
            with open(self._root + original, "rb") as file:
                is_executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
                self.file(path, lambda: file.read(_COPY_BYTES), is_executable=is_executable)
        except OSError as error:
            raise self._failed(error, path) from error

    def finish(self) -> None:
        """Make the symbolic links."""
        for path, target in self._links:
            try:
                self._make_parents(path)
                os.symlink(target, self._root + path)
            except OSError as error:
                raise self._failed(error, path) from error

    def _create(self, path: str, mode: int) -> int:
        try:
            descriptor = os.open(self._root + path, _NEW_FILE, mode)
        except FileNotFoundError:
            self._make_parents(path)
            descriptor = os.open(self._root + path, _NEW_FILE, mode)
        # The umask has taken bits away.
        os.fchmod(descriptor, mode)
        return descriptor

    def _make_parents(self, path: str) -> None:
        missing: list[str] = []
        parent = path.rpartition("/")[0]
        while parent and not os.path.isdir(self._root + parent):
            missing.append(self._root + parent)
            parent = parent.rpartition("/")[0]
        for host_path in reversed(missing):
            _make(host_path)

    def _make_directory(self, path: str) -> None:
        host_path = self._root + path
        if not os.path.isdir(host_path):
            self._make_parents(path)
            _make(host_path)

    def _failed(self, error: OSError, path: str) -> StagerError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(
                f"No space is left to unpack {self._complaint.subject}.",
                details=f"{self._root}{path}: {error.strerror}",
                resolution="Make room there, or set TMPDIR to a directory that has more.",
            )
        if error.errno == errno.ENAMETOOLONG:
            return self._complaint.refused(path, "has a name that is too long for this host")
        return PackError(
            f"{self._complaint.subject} could not be unpacked.",
            details=f"{self._root}{path}: {error.strerror}",
            resolution="Set TMPDIR to a directory on a Linux file system that this user can write to.",
        )


def _make(host_path: str) -> None:
    os.mkdir(host_path)
    # The umask has taken bits away.
    os.chmod(host_path, 0o755)  # noqa: S103
