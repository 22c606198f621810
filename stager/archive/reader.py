"""Reading a tar as a stream: member by member for verification, or into a directory.

Python's tarfile decodes single headers here (checksums, octal, base 256); the walk from one to the next
is our own, because ``TarFile.next`` takes a damaged header and a missing end for the end of the archive
(3.11 to 3.13): a tar that was cut between two members would be unpacked as if it were whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from stager.archive.allowance import Allowance
from stager.archive.body import BLOCK, CHUNK, Body
from stager.archive.complaint import Complaint, droplet
from stager.archive.header import Header, decode
from stager.archive.members import Ledger
from stager.archive.unpacking import Destination
from stager.model.entry import Kind

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes of one extended header. A name has at most 4,096; extended attributes, which we skip, 64 KiB each.
MAX_EXTENSION = 1 << 20
#: Zeros behind the end: tar pads to a record of 10 KiB, or to what ``--blocking-factor`` says.
MAX_PADDING = 64 << 20
#: What a droplet may unpack to, without an allowance of its own. A guess: eight uploads.
DROPLET_MAX_SIZE = 16 << 30

_HARD_LINK = b"1"
_KINDS = {b"0": Kind.FILE, _HARD_LINK: Kind.FILE, b"2": Kind.LINK, b"5": Kind.DIRECTORY}
_SPECIAL = {b"3": "a character device", b"4": "a block device", b"6": "a FIFO"}


class Member(NamedTuple):
    """One member of a tar.

    Parameters
    ----------
    path:
        Relative, without ``.`` and ``..``; surrogate escapes for what is not UTF-8.
    kind:
        File, directory or symbolic link; a hard link is a file with ``copy_of``.
    mode:
        The permission bits as they are stored, set-user-id and the like too.
    size:
        Of a file, in bytes.
    target:
        Of a symbolic link.
    copy_of:
        The earlier file that a hard link stands for; empty for everything else.
    body:
        Where a file's bytes are read, until the next member is asked for; None for everything else.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    target: str = ""
    copy_of: str = ""
    body: Body | None = None

    @property
    def is_privileged(self) -> bool:
        """Whether it would run as its owner or group: set-user-id or set-group-id."""
        return bool(self.mode & 0o6000)


class TarReader:
    """Walks through a tar and judges every member before anyone sees it."""

    def __init__(self, file: BinaryIO, complaint: Complaint, allowance: Allowance) -> None:
        self.names_root = False
        self._complaint = complaint
        self._allowance = allowance
        self._ledger = Ledger(complaint)
        self._body = Body(file, complaint, allowance)

    def __iter__(self) -> Iterator[Member]:
        extension: dict[str, bytes] = {}
        while (info := self._header()) is not None:
            if info.type in b"xXgLK":
                self._extend(info, extension)
                continue
            member = self._member(info, extension)
            extension = {}
            if member is not None:
                yield member
            self._body.skip()
        self._finish()

    def _header(self) -> Header | None:
        import tarfile

        start = self._body.position
        block = self._body.block(BLOCK, may_end=True) if start else self._body.some(BLOCK)
        if not block and start:
            raise self._complaint.damaged(
                f"It is cut short: after {start:,} unpacked bytes the mark of its end is missing."
            )
        if not block:
            raise self._complaint.damaged("It is empty.")
        if len(block) == BLOCK and not block.strip(b"\0"):
            return None
        try:
            info = decode(block)
        except tarfile.HeaderError as error:
            where = f"After {start:,} unpacked bytes there is no tar header: {error}."
            raise self._complaint.damaged(
                where if start else "It does not begin like a tar, compressed or not."
            ) from error
        if info.size < 0:
            raise self._complaint.damaged(f"The size of {info.name!r} is negative.")
        return info

    def _extend(self, info: Header, extension: dict[str, bytes]) -> None:
        """Read what precedes a member: a long name (GNU), or records (POSIX)."""
        if info.size > MAX_EXTENSION:
            raise self._complaint.damaged(f"An extended header has {info.size:,} bytes.")
        data = self._body.block(info.size)
        self._body.block(-info.size % BLOCK)
        if info.type in b"LK":
            extension["path" if info.type == b"L" else "linkpath"] = data.partition(b"\0")[0]
            return
        records = self._records(data)
        if info.type != b"g":
            extension.update(records)
        elif any(key in ("path", "linkpath", "size") or key.startswith("GNU.sparse") for key in records):
            # Every later member would be called the same; no tar writes that, and readers disagree about it.
            raise self._complaint.damaged("A global header names a path or a size.")

    def _records(self, data: bytes) -> dict[str, bytes]:
        records: dict[str, bytes] = {}
        while data:
            digits, space, _ = data[:20].partition(b" ")
            length = int(digits) if space and digits.isdigit() else 0
            key, equals, value = data[len(digits) + 1 : length - 1].partition(b"=")
            if not equals or length > len(data) or data[length - 1 : length] != b"\n":
                raise self._complaint.damaged("An extended header is malformed.")
            records[key.decode("utf-8", "replace")] = value
            data = data[length:]
        return records

    def _member(self, info: Header, extension: dict[str, bytes]) -> Member | None:
        name = os.fsdecode(extension["path"]) if "path" in extension else info.name
        target = os.fsdecode(extension["linkpath"]) if "linkpath" in extension else info.target
        path = self._ledger.clean(name)
        kind = self._kind(info, path, extension)
        if not path:
            if kind is not Kind.DIRECTORY:
                raise self._complaint.refused(name, "has no name")
            self.names_root = True
            return None
        if info.type == _HARD_LINK:
            original = self._ledger.hard_link(path, target)
            self._ledger.admit(path, Kind.FILE)
            return Member(path, Kind.FILE, info.mode & 0o7777, copy_of=original)
        self._ledger.admit(path, kind, target)
        if kind is not Kind.FILE:
            target = target if kind is Kind.LINK else ""
            self._allowance.promise(len(target))
            return Member(path, kind, info.mode & 0o7777, target=target)
        size = self._size(info, extension)
        self._allowance.promise(size)
        self._body.begin(size)
        return Member(path, Kind.FILE, info.mode & 0o7777, size, body=self._body)

    def _kind(self, info: Header, path: str, extension: dict[str, bytes]) -> Kind:
        if info.type in _SPECIAL:
            raise self._complaint.refused(path, f"is {_SPECIAL[info.type]}")
        if info.type == b"S" or any(key.startswith("GNU.sparse") for key in extension):
            mend = "Make the archive again without --sparse."
            raise self._complaint.refused(path, "is stored as a sparse file", mend)
        kind = _KINDS.get(info.type)
        if kind is None:
            raise self._complaint.refused(path, f"is of a type that stager does not know, {info.type!r}")
        return kind

    def _size(self, info: Header, extension: dict[str, bytes]) -> int:
        text = extension.get("size")
        if text is None:
            return info.size
        if not text.isdigit():
            raise self._complaint.damaged(f"The size of {info.name!r} is no number.")
        return int(text)

    def _finish(self) -> None:
        """Read to the very end, so that checksums behind the last member are compared, and no pipe breaks."""
        padding = 0
        while data := self._body.some(CHUNK):
            padding += len(data)
            if data.count(0) != len(data):
                raise self._complaint.damaged(
                    "There are more bytes behind its end: two archives in one file?"
                )
            if padding > MAX_PADDING:
                limit = MAX_PADDING >> 20
                raise self._complaint.damaged(f"There are more than {limit} MiB of zeros behind its end.")
        self._ledger.finish()


def members(
    file: BinaryIO, complaint: Complaint | None = None, allowance: Allowance | None = None
) -> Iterator[Member]:
    """The members of a droplet, in order, without unpacking it.

    Raises what ``complaint`` says (DropletCorrupt): for a member before it is given, for links that lead
    out and for damage at the end only when the iteration ends. Hard links are refused: no droplet has any.
    """
    complaint = complaint or droplet()
    for member in TarReader(file, complaint, allowance or Allowance(complaint, DROPLET_MAX_SIZE)):
        if member.copy_of:
            raise complaint.refused(member.path, f"is a hard link to {member.copy_of!r}")
        yield member


def unpack(
    file: BinaryIO, destination: Path, complaint: Complaint | None = None, allowance: Allowance | None = None
) -> bool:
    """Unpack a tar stream, compressed or not, into an existing empty directory.

    Modes become 0644 and 0755, owners and times are those of now; symbolic links are made last, when all
    that has to be written has been. On failure the directory is left as it is: it belongs to the caller.

    Returns
    -------
    Whether the archive names its own root (``./``), as ``tar -C DIRECTORY .`` does.

    Raises
    ------
    What ``complaint`` says (without one: DropletCorrupt), DiskFull, PackError.
    """
    complaint = complaint or droplet()
    allowance = allowance or Allowance(complaint, DROPLET_MAX_SIZE)
    reader = TarReader(file, complaint, allowance)
    target = Destination(destination, complaint)
    for member in reader:
        if member.kind is Kind.DIRECTORY:
            target.directory(member.path)
        elif member.kind is Kind.LINK:
            target.link(member.path, member.target)
        elif member.copy_of:
            allowance.promise(target.size(member.copy_of))
            target.copy(member.copy_of, member.path)
        elif member.body is not None:
            target.file(member.path, member.body.read, is_executable=bool(member.mode & 0o100))
    target.finish()
    return reader.names_root
