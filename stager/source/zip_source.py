"""Unpacking a .zip under the same rules as a tar."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn

from stager.archive.allowance import MAX_MEMBERS, Allowance
from stager.archive.complaint import Complaint
from stager.archive.members import PATH_MAX, Ledger
from stager.archive.unpacking import Destination
from stager.errors import StagerError
from stager.model.entry import Kind

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

#: How a .zip begins: a member, or the directory of an empty one.
MAGIC = (b"PK\x03\x04", b"PK\x05\x06")

_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_IS_UTF8 = 0x800
#: Systems whose zips hold Unix modes: Unix and macOS.
_UNIX = (3, 19)
_FIELD = struct.Struct("<HH")
_UNICODE_PATH = 0x7075
#: What zipfile raises besides BadZipFile: it seeks before the start, and decodes what is no UTF-8.
_OTHER = (OSError, ValueError, struct.error)
#: The end of the central directory: 22 bytes and a comment; the 64-bit one, and where it is found.
_END, _END_SIZE = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_END64, _END64_SIZE = b"PK\x06\x06", 56
_ENTRY_SIZE = 46
_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


class _Found(NamedTuple):
    path: str
    kind: Kind
    is_executable: bool
    info: ZipInfo


def unpack_zip(file: BinaryIO, destination: Path, complaint: Complaint, allowance: Allowance) -> None:
    """Unpack a .zip into an existing empty directory.

    Every name, kind and size is judged from the central directory before a byte is written, and the sizes
    again while they are unpacked. On failure the directory is left as it is: it belongs to the caller.

    Raises what ``complaint`` says, DiskFull, PackError.
    """
    import lzma
    import zipfile

    try:
        _count(file, complaint)
        with zipfile.ZipFile(file) as archive:
            _unpack(archive, Destination(destination, complaint), complaint, allowance)
    except StagerError:
        raise
    except NotImplementedError as error:
        raise complaint.damaged(f"It is compressed in a way that stager does not know: {error}.") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, *_OTHER) as error:
        raise complaint.damaged(f"It is damaged or cut short: {error}.") from error


def _unpack(archive: ZipFile, target: Destination, complaint: Complaint, allowance: Allowance) -> None:
    ledger = Ledger(complaint)
    found = _judged(archive, ledger, complaint, allowance)
    for path, kind, _, info in found:
        if kind is Kind.LINK:
            link = os.fsdecode(_content(archive, info, complaint))
            ledger.admit(path, kind, link)
            target.link(path, link)
        else:
            ledger.admit(path, kind)
    ledger.finish()
    for path, kind, is_executable, info in found:
        if kind is Kind.DIRECTORY:
            target.directory(path)
        elif kind is Kind.FILE:
            with archive.open(info) as stream:
                written = target.file(
                    path, _reading(stream.read, complaint, allowance), is_executable=is_executable
                )
            if written != info.file_size:
                raise _wrong_size(path, written, info, complaint)
    target.finish()


def _judged(archive: ZipFile, ledger: Ledger, complaint: Complaint, allowance: Allowance) -> list[_Found]:
    found: list[_Found] = []
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        name = _name(info)
        path = ledger.clean(name)
        if info.flag_bits & _ENCRYPTED:
            mend = "Make the archive again without a password."
            raise complaint.damaged(f"{name!r} in it is encrypted.", mend)
        if info.header_offset < end:
            raise complaint.refused(name, "shares its bytes with another member, as in a decompression bomb")
        end = info.header_offset + info.compress_size
        kind = _kind(info, name, complaint)
        allowance.promise(info.file_size)
        if path:
            found.append(_Found(path, kind, bool(_mode(info) & 0o100), info))
        elif kind is not Kind.DIRECTORY:
            raise complaint.refused(name, "has no name")
    return found


def _mode(info: ZipInfo) -> int:
    return info.external_attr >> 16 if info.create_system in _UNIX else 0


def _kind(info: ZipInfo, name: str, complaint: Complaint) -> Kind:
    format_ = stat.S_IFMT(_mode(info))
    if format_ in _SPECIAL:
        raise complaint.refused(name, f"is {_SPECIAL[format_]}")
    if format_ == stat.S_IFLNK:
        if info.file_size >= PATH_MAX:
            raise complaint.refused(name, "is a symbolic link whose target is no path")
        return Kind.LINK
    return Kind.DIRECTORY if format_ == stat.S_IFDIR or name.endswith("/") else Kind.FILE


def _name(info: ZipInfo) -> str:
    """The name as the system that made the archive meant it.

    Python takes every name without the UTF-8 flag for code page 437. On Unix it is just bytes; and Info-ZIP
    adds the name in UTF-8 as an extra field. Old .NET wrote backslashes, which no Windows name can hold.
    """
    name = info.orig_filename
    if info.flag_bits & _IS_UTF8:
        return name
    raw = name.encode("cp437", "replace")
    if (unicode := _unicode_path(info.extra, raw)) is not None:
        return unicode
    if info.create_system in _UNIX:
        return os.fsdecode(raw)
    return name if "/" in name else name.replace("\\", "/")


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    start = struct.pack("<BI", 1, zlib.crc32(raw))
    while len(extra) >= _FIELD.size:
        kind, size = _FIELD.unpack_from(extra)
        value, extra = extra[_FIELD.size :][:size], extra[_FIELD.size + size :]
        if kind == _UNICODE_PATH and value.startswith(start):
            return os.fsdecode(value[len(start) :])
    return None


def _content(archive: ZipFile, info: ZipInfo, complaint: Complaint) -> bytes:
    with archive.open(info) as stream:
        data = stream.read(PATH_MAX)
    if len(data) != info.file_size:
        raise _wrong_size(info.filename, len(data), info, complaint)
    return data


def _wrong_size(path: str, size: int, info: ZipInfo, complaint: Complaint) -> StagerError:
    return complaint.damaged(f"{path!r} has {size:,} bytes, not {info.file_size:,} as it says.")


def _reading(read: Callable[[int], bytes], complaint: Complaint, allowance: Allowance) -> Callable[[], bytes]:
    """Reads a member; what goes wrong in reading must not look as if it had gone wrong in writing."""

    def chunk() -> bytes:
        try:
            data = read(_CHUNK)
        except OSError as error:
            _broken(error, complaint)
        allowance.spend(len(data))
        return data

    return chunk


def _broken(error: OSError, complaint: Complaint) -> NoReturn:
    raise complaint.damaged(f"It cannot be read: {error.strerror or error}.") from error


def _count(file: BinaryIO, complaint: Complaint) -> None:
    """Refuse a directory of too many entries before zipfile makes a kilobyte of objects of each.

    The size of the directory is what zipfile goes by; how many entries it says that it has may be a lie.
    """
    length = file.seek(0, os.SEEK_END)
    start = max(0, length - _END_SIZE - 0xFFFF)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_SIZE:
        raise complaint.damaged("It is cut short: its directory, which comes last, is missing.")
    size = struct.unpack_from("<I", tail, at + 12)[0]
    before = start + at - _LOCATOR_SIZE - _END64_SIZE
    if before >= 0:
        file.seek(before)
        record = file.read(_END64_SIZE + _LOCATOR_SIZE)
        # zipfile looks nowhere else for it, and goes by it wherever it is there.
        if record.startswith(_END64) and record.startswith(_LOCATOR, _END64_SIZE):
            size = struct.unpack_from("<Q", record, 40)[0]
    file.seek(0)
    if size > MAX_MEMBERS * _ENTRY_SIZE:
        raise complaint.oversized(
            f"Its directory has {size:,} bytes; {MAX_MEMBERS * _ENTRY_SIZE:,} are allowed.",
            "Leave out what can be installed during the build, such as node_modules.",
        )
