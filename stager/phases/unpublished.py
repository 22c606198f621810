"""A droplet that has no name yet: it gets one when all of it is verified, or it was never there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from stager.archive.output import write_failed
from stager.errors import OutputNotWritable
from stager.model.request import Format


class UnpublishedFile:
    """A file beside its final place, without a name where the file system can do that (O_TMPFILE).

    Then not even SIGKILL leaves anything behind.
    """

    def __init__(self, final: Path, format_: Format) -> None:
        self.final = final
        self.format = format_
        self._temporary: Path | None = None
        folder = final.absolute().parent
        if os.path.isdir(final):
            raise OutputNotWritable(
                f"{final} is a directory.", resolution="Name a file with -o, or say --format dir."
            )
        try:
            descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except FileNotFoundError as error:
            raise OutputNotWritable(
                f"The directory {folder} does not exist.",
                resolution="Make it first, or name another place with -o.",
            ) from error
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise write_failed(error, str(final)) from error
            self._temporary = final.with_name(_temporary_name(final))
            try:
                descriptor = os.open(
                    self._temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666
                )
            except OSError as second:
                raise write_failed(second, str(final)) from second
        self.file: BinaryIO = open(descriptor, "rb+", buffering=0)  # noqa: SIM115

    def again(self) -> UnpublishedFile:
        """Another one for the same place."""
        return UnpublishedFile(self.final, self.format)

    def publish(self) -> None:
        """Sync it and give it its name, in place of what had it. Raises DiskFull, OutputNotWritable."""
        try:
            os.fsync(self.file.fileno())
            if self._temporary is None:
                # linkat() does not replace; so it gets another name first, and is renamed.
                self._temporary = self.final.with_name(_temporary_name(self.final))
                _give_name(self.file.fileno(), self._temporary)
            self._temporary.replace(self.final)
            self._temporary = None
            _sync_directory(self.final.absolute().parent)
        except OSError as error:
            raise write_failed(error, str(self.final)) from error

    def discard(self) -> None:
        """Close it; what has no name by now is gone."""
        self.file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)


class UnpublishedDirectory:
    """A directory beside its final place, which is empty, absent, or an older droplet."""

    format: Format = "dir"

    def __init__(self, final: Path) -> None:
        # "." and ".." have no name to be renamed to.
        self.final = final = final if final.name not in ("", "..") else Path(os.path.realpath(final))
        self.path = final.parent / _temporary_name(final)
        if os.path.lexists(final) and not _may_be_replaced(final):
            raise OutputNotWritable(
                f"{final} exists, and is no droplet.",
                resolution="Remove it, or name another place: only droplets are overwritten.",
            )
        if not os.path.isdir(final.absolute().parent):
            raise OutputNotWritable(
                f"The directory {final.absolute().parent} does not exist.",
                resolution="Make it first, or name another place with -o.",
            )

    def publish(self) -> None:
        """Give it its name; an older droplet there makes room. Raises OutputNotWritable."""
        older = self.final.parent / _temporary_name(self.final)
        try:
            if self.final.exists():
                self.final.rename(older)
            try:
                self.path.rename(self.final)
            except OSError:
                if older.exists():
                    older.rename(self.final)
                raise
            _sync_directory(self.final.absolute().parent)
        except OSError as error:
            raise write_failed(error, str(self.final)) from error
        shutil.rmtree(older, ignore_errors=True)

    def discard(self) -> None:
        """Remove it, if it was not published."""
        shutil.rmtree(self.path, ignore_errors=True)


Unpublished = UnpublishedFile | UnpublishedDirectory


def unpublished_at(final: Path, format_: Format) -> Unpublished:
    """A droplet of that format on its way to ``final``. Raises OutputNotWritable, DiskFull."""
    return UnpublishedDirectory(final) if format_ == "dir" else UnpublishedFile(final, format_)


def _temporary_name(final: Path) -> str:
    # A name has 255 bytes at most, and the final one may have them all: 50 characters are 200 at most.
    return f".{final.name[:50]}.{os.urandom(4).hex()}"


def _may_be_replaced(path: Path) -> bool:
    try:
        return path.is_dir() and ((path / "droplet.yaml").is_file() or not any(path.iterdir()))
    except OSError as error:
        raise write_failed(error, str(path)) from error


def _give_name(descriptor: int, path: Path) -> None:
    # With a directory's descriptor os.link() calls linkat() with AT_SYMLINK_FOLLOW; without one it calls
    # link(), which would link the entry in /proc itself (EXDEV).
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder)
    finally:
        os.close(folder)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
