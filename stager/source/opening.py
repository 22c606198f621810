"""Opening a source: a directory where it lies, an archive unpacked into a workspace."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from stager.archive.allowance import DEFAULT_MAX_SIZE, Allowance
from stager.archive.complaint import upload
from stager.archive.reader import unpack
from stager.errors import PackError, SourceUnreadable, UsageError
from stager.model.frozen import dataclass
from stager.source.ahead import index_of_bytes
from stager.source.ignoring import ALWAYS, ignoring_for
from stager.source.tree import Tree
from stager.source.zip_source import MAGIC as ZIP_MAGIC
from stager.source.zip_source import unpack_zip

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["DEFAULT_MAX_SIZE", "Location", "Source", "locate_source", "open_source"]

#: What a source that comes through a pipe is called.
PIPE_NAME = "app"
_MAGIC_SIZE = 4
_SUFFIXES = re.compile(r"\.(zip|tar|tgz|tzst|txz|tbz2?|tar\.(gz|zst|zstd|xz|bz2))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Location:
    """A source as a directory of this host, before anything in it is looked at.

    Parameters
    ----------
    root:
        The directory: the user's own, or one in the workspace.
    name:
        What people call it, without suffixes.
    kind:
        Whether it lay there or was unpacked.
    notes:
        What was decided in unpacking it, for people.
    """

    root: Path
    name: str
    kind: Literal["directory", "archive"]
    notes: tuple[str, ...] = ()

    def read(self, name: str, *, limit: int = 1 << 20) -> bytes | None:
        """A regular file in the root, such as ``stager.yml``, before ignore rules are known.

        None where there is none, or where it is a link that leads out. Raises SourceUnreadable.
        """
        path = os.path.join(self.root, name)
        try:
            real = os.path.realpath(path)
            inside = os.path.realpath(self.root).rstrip("/") + "/"
            if not real.startswith(inside) or not stat.S_ISREG(os.lstat(real).st_mode):
                return None
            with open(real, "rb") as file:
                return file.read(limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from error

    def children(self, path: str = "") -> tuple[str, ...]:
        """The names in the root, or in a directory below it; raises SourceUnreadable."""
        try:
            return tuple(sorted(os.listdir(os.path.join(self.root, path))))
        except OSError as error:
            raise _unreadable(os.path.join(self.root, path), error) from error

    def is_file(self, path: str) -> bool:
        """Whether it is a regular file, or a link to one inside."""
        return self.read(path, limit=0) is not None

    def read_bytes(self, path: str, *, limit: int = 1 << 20) -> bytes:
        """What :meth:`read` gives; nothing where there is no such file."""
        return self.read(path, limit=limit) or b""

    def index(
        self,
        ignore: Sequence[str] = (),
        excluded: Sequence[Path] = (),
        max_size: int | None = None,
        ahead: bytes | None = None,
    ) -> Source:
        """Read the ignore files and index what they leave, as :func:`open_source` does.

        An index that was made ``ahead``, up to the default size, saves the walk.
        """
        ignoring = ignoring_for(os.fspath(self.root), ignore, excluded)
        index = index_of_bytes(ahead, ignoring) if ahead and max_size is None else None
        tree = Tree.of_directory(self.root, self.name, ignoring=ignoring, max_size=max_size, index=index)
        return Source(tree, self.kind, self.notes)


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source: its tree, and what people should know of how it was opened."""

    tree: Tree
    kind: Literal["directory", "archive"]
    notes: tuple[str, ...] = ()


def open_source(
    source: str,
    *,
    workspace: Callable[[], Path],
    ignore: Sequence[str] = (),
    excluded: Sequence[Path] = (),
    max_size: int | None = None,
    stdin: BinaryIO | None = None,
) -> Source:
    """Open a source and index it.

    Parameters
    ----------
    source:
        A directory, a .zip, a .tar (plain or compressed with gzip, zstd, xz or bzip2), or ``-``.
    workspace:
        Called at most once, and only for an archive, which is unpacked below what it returns.
    ignore:
        Patterns of the settings, after those of the ignore files.
    excluded:
        Host paths that are left out where they lie inside the source: output, report, cache.
    max_size:
        Bytes that it may have when it is unpacked; None for :data:`DEFAULT_MAX_SIZE` and, of an
        archive, for at most a hundred times what it has compressed.
    stdin:
        What ``-`` is read from.

    Raises
    ------
    SourceUnreadable, UnsafeSource, ConfigurationError (an ignore pattern), UsageError, DiskFull, PackError
    """
    location = locate_source(source, workspace=workspace, max_size=max_size, stdin=stdin)
    return location.index(ignore, excluded, max_size)


def locate_source(
    source: str,
    *,
    workspace: Callable[[], Path],
    max_size: int | None = None,
    stdin: BinaryIO | None = None,
) -> Location:
    """The first half of :func:`open_source`: what follows may read ``stager.yml`` to know what to ignore."""
    if source == "-":
        if stdin is None or stdin.isatty():
            raise UsageError(
                "No archive comes through standard input.",
                resolution="Pipe one into stager, for example: tar -c . | stager build -",
            )
        return _through_pipe(stdin, "Standard input", workspace, max_size)
    try:
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            # "." and "app/.." are called what they are; a link is called what the user called it.
            name = os.path.basename(os.path.abspath(source)) or "root"
            return Location(Path(source), name, "directory")
        with open(source, "rb") as file:
            if not stat.S_ISREG(mode):
                return _through_pipe(file, source, workspace, max_size)
            return _from_file(file, source, workspace, max_size)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise SourceUnreadable(
            f"There is no {source!r}.",
            resolution="Name a directory, a .zip, a .tar (plain or compressed), or - for a tar on stdin.",
        ) from error
    except OSError as error:
        raise _unreadable(source, error) from error


def _from_file(file: BinaryIO, source: str, workspace: Callable[[], Path], max_size: int | None) -> Location:
    complaint = upload(repr(source))
    size = os.fstat(file.fileno()).st_size
    allowance = Allowance(complaint, max_size, lambda: size)
    magic = file.read(_MAGIC_SIZE)
    file.seek(0)
    if not magic:
        raise complaint.damaged("It is empty.")
    root = _new_directory(workspace)
    if magic in ZIP_MAGIC:
        unpack_zip(file, root, complaint, allowance)
        names_root = False
    else:
        names_root = unpack(file, root, complaint, allowance)
    name = os.path.basename(source)
    return _unpacked(root, _SUFFIXES.sub("", name) or name, names_root=names_root)


def _through_pipe(
    file: BinaryIO, subject: str, workspace: Callable[[], Path], max_size: int | None
) -> Location:
    complaint = upload(subject)
    counted = _Counted(file)
    stream = io.BufferedReader(counted)
    if stream.peek(_MAGIC_SIZE)[:_MAGIC_SIZE] in ZIP_MAGIC:
        raise complaint.damaged(
            "It is a .zip, which is read from its end, and a pipe has none.",
            "Hand it in as a file: stager build app.zip. Through a pipe comes a .tar, plain or compressed.",
        )
    root = _new_directory(workspace)
    allowance = Allowance(complaint, max_size, lambda: counted.count, is_stream=True)
    names_root = unpack(cast("BinaryIO", stream), root, complaint, allowance)
    return _unpacked(root, PIPE_NAME, names_root=names_root)


class _Counted(io.RawIOBase):
    """Counts what has been read of a pipe. The first read gives at least four bytes, if there are any."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        while self.count == 0 and 0 < len(data) < _MAGIC_SIZE and (more := self._read(len(view) - len(data))):
            data += more
        view[: len(data)] = data
        self.count += len(data)
        return len(data)

    def _read(self, size: int) -> bytes:
        # A buffered reader's read1 gives what is there; its read would wait for all of it.
        return getattr(self._file, "read1", self._file.read)(size) or b""


def _unpacked(root: Path, name: str, *, names_root: bool) -> Location:
    """Where the application begins: in the only directory of an archive that was packed with it.

    Archives from GitHub and of ``tar -c app`` hold one directory and nothing else. ``tar -c .`` names the
    root itself, and then it is the root.
    """
    if not names_root:
        with os.scandir(root) as entries:
            tops = [entry for entry in entries if entry.name not in ALWAYS]
        if len(tops) == 1 and tops[0].is_dir(follow_symlinks=False):
            top = tops[0].name
            note = f"The archive holds one directory, {top!r}, which is taken as the application's root."
            return Location(root / top, name, "archive", (note,))
    return Location(root, name, "archive")


def _new_directory(workspace: Callable[[], Path]) -> Path:
    root = workspace() / "source"
    try:
        root.mkdir()
        root.chmod(0o755)
    except OSError as error:
        raise PackError(
            "The source could not be unpacked.",
            details=f"{os.fspath(root)!r}: {error.strerror}",
            resolution="Set TMPDIR to a directory that this user can write to.",
        ) from error
    return root


def _unreadable(path: str, error: OSError) -> SourceUnreadable:
    return SourceUnreadable(
        f"{path!r} cannot be read.",
        details=f"{error.strerror}.",
        resolution="Make it readable for the user that runs stager.",
    )
