"""One header of a tar, decoded."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from typing import NamedTuple

_POSIX = b"ustar\x0000"
#: Name, mode, size, checksum, type, target, magic and version, prefix; between them owner, time, devices.
_FIELDS = struct.Struct("100s8s16x12s12x8sc100s8s80x155s12x")
#: What ends mode, size and checksum: zeros as GNU tar and Python write them, or blanks.
_ENDS = (b"\0\0\0 ", b" \0\0 ", b"  \0 ")
_BLANK = b" " * 8
_ADLER = 65521


class Header(NamedTuple):
    """What a header says: nothing of it has been judged.

    ``type`` is the one byte of the format, with a directory of the old format (a name with ``/`` at its end)
    as ``5`` and every regular file as ``0``.
    """

    name: str
    type: bytes
    mode: int
    size: int
    target: str


def decode(block: bytes) -> Header:
    """Decode 512 bytes; raises tarfile.HeaderError where they are no header."""
    return _quick(block) or _thorough(block)


def _quick(block: bytes) -> Header | None:
    """Files and directories in POSIX's own dialect: nearly all that there are, in 4 µs instead of 26."""
    try:
        name, mode, size, checksum, type_, target, magic, prefix = _FIELDS.unpack(block)
    except struct.error:
        return None
    digits = (mode[:7], size[:11], checksum[:6])
    ends = mode[7:] + size[11:] + checksum[6:]
    if magic != _POSIX or type_ not in b"05" or ends not in _ENDS or not all(map(bytes.isdigit, digits)):
        return None
    try:
        mode_bits, byte_count, expected = (int(text, 8) for text in digits)
    except ValueError:
        return None
    # The low half of adler32 is one more than the sum of the bytes: a twentieth of the time of sum().
    total = zlib.adler32(block[156:], zlib.adler32(_BLANK, zlib.adler32(block[:148]))) & 0xFFFF
    if total != (expected + 1) % _ADLER:
        return None
    path = name.partition(b"\0")[0]
    if prefix[:1] != b"\0":
        path = prefix.partition(b"\0")[0] + b"/" + path
    if type_ == b"5":
        path = path.rstrip(b"/")
    return Header(os.fsdecode(path), type_, mode_bits, byte_count, os.fsdecode(target.partition(b"\0")[0]))


def _thorough(block: bytes) -> Header:
    import tarfile

    info = tarfile.TarInfo.frombuf(block, sys.getfilesystemencoding(), "surrogateescape")
    type_ = b"0" if info.isreg() and info.type != tarfile.GNUTYPE_SPARSE else info.type
    return Header(info.name, type_, info.mode, info.size, info.linkname)
