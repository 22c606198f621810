"""The compressions of a droplet, and reading any compressed tar as a stream.

A droplet is a row of *members*, each complete in itself: a gzip member or a zstd frame. Together they are
one ordinary file, because both formats define a concatenation as the concatenation of the contents
(RFC 1952 section 2.2, RFC 8878 section 3).
"""

from __future__ import annotations

import enum
import io
import os
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import WriteableBuffer

#: Level 2 of ISA-L: 0.42 s and 58.6 MB for 200 MB of source text, where gzip -6 takes 5.6 s for 51.6 MB,
#: and level 3 0.78 s for 56.7 MB. Its bytes are the same on every x86 since Nehalem (2008; compared under
#: emulation up to AVX2, and on a processor with AVX-512); without SSE4.2 it hashes differently.
GZIP_LEVEL = 2
#: Level 2 with twice the window of level 3. 142 MB of installed Python, PHP and Node packages become
#: 36.8 MB, where `zstd -3` makes 34.8 MB; but with level 3 a build, which reads, hashes and verifies as
#: well, takes 1.7 times as long as `tar | zstd -3` on 20,000 files, and with this 1.5 times.
ZSTD_LEVEL = 2
ZSTD_WINDOW_LOG = 22
#: The size of a job decides about the bytes, the number of threads does not, as long as there is one. Two
#: of them beside the one that reads, which needs half as long as they do together, keep two cores busy.
#: Jobs of 8 MiB make the result 2 % smaller, and take 93 MB of memory where these take 70.
ZSTD_JOB_BYTES = 4 << 20
ZSTD_SHORT_JOB_BYTES = 1 << 20
ZSTD_MOST_THREADS = 2

READ_BYTES = 1 << 20

#: isal's, zlib's, zstandard's and lzma's own; by name, because none of the modules is imported before it is
#: needed.
_DECOMPRESSORS_ERRORS = frozenset({"IsalError", "error", "ZstdError", "LZMAError"})


class Compression(enum.Enum):
    """The closed set of ways to write a droplet as one file; the value is its format's name and suffix."""

    PLAIN = "tar"
    GZIP = "tar.gz"
    ZSTD = "tar.zst"


_SUFFIXES: Mapping[str, Compression] = {
    ".tar": Compression.PLAIN,
    ".tar.gz": Compression.GZIP,
    ".tgz": Compression.GZIP,
    ".tar.zst": Compression.ZSTD,
    ".tar.zstd": Compression.ZSTD,
    ".tzst": Compression.ZSTD,
}

_GZIP_MAGIC = b"\x1f\x8b"
#: A frame, or a skippable frame, with which pzstd begins.
_ZSTD_MAGIC = (b"\x28\xb5\x2f\xfd", *(bytes((digit, 0x2A, 0x4D, 0x18)) for digit in range(0x50, 0x60)))
_XZ_MAGIC = b"\xfd7zXZ\x00"
_BZIP2_MAGIC = b"BZh"
_LONGEST_MAGIC = 6


class BrokenStream(Exception):
    """Compressed bytes are damaged or cut short.

    The reader knows whose bytes they are, and says SourceUnreadable or DropletCorrupt instead.
    """


class Compressor(Protocol):
    """Makes one member. After ``flush`` it is used up."""

    def compress(self, data: bytes | memoryview, /) -> bytes | memoryview:
        """Take bytes, and give what is ready of the member; what was taken may be overwritten after that."""

    def flush(self) -> bytes:
        """Give the rest of the member."""


class _Plain:
    def compress(self, data: bytes | memoryview, /) -> bytes | memoryview:
        return data

    def flush(self) -> bytes:
        return b""


def compression_of(name: str) -> Compression | None:
    """The compression that a file's name asks for, or None where it says nothing known."""
    lowered = name.lower()
    return next((value for suffix, value in _SUFFIXES.items() if lowered.endswith(suffix)), None)


def compressor(compression: Compression, *, is_short: bool = False) -> Compressor:
    """A compressor for one member, with no name and no time in what it writes.

    What is ``is_short``, less than a job, is divided into smaller ones, so that it is not left to one thread.
    """
    if compression is Compression.GZIP:
        from isal import isal_zlib

        # 31: a window of 32 KiB, inside a gzip container, whose header ISA-L fills with zeros.
        return isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)
    if compression is Compression.ZSTD:
        import zstandard

        parameters = zstandard.ZstdCompressionParameters.from_level(
            ZSTD_LEVEL,
            threads=min(ZSTD_MOST_THREADS, len(os.sched_getaffinity(0))),
            job_size=ZSTD_SHORT_JOB_BYTES if is_short else ZSTD_JOB_BYTES,
            window_log=ZSTD_WINDOW_LOG,
            write_checksum=True,
        )
        return zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return _Plain()


def open_stream(file: BinaryIO) -> io.BufferedReader:
    """Open a tar, compressed or not, as the stream of its plain bytes.

    ``file`` is read forwards only, so it may be a pipe. The compression is told by its first bytes (gzip,
    zstd, xz, bzip2; whatever else is taken to be a plain tar), and concatenated members are read as one. The
    stream raises BrokenStream for damaged and for cut bytes; closing it leaves ``file`` open.
    """
    start = _read_exactly(file, _LONGEST_MAGIC)
    whole = cast("BinaryIO", io.BufferedReader(_Rejoined(start, file), READ_BYTES))
    return io.BufferedReader(_Checked(_decompressed(start, whole)), READ_BYTES)


def _decompressed(start: bytes, whole: BinaryIO) -> io.BufferedIOBase:
    if start.startswith(_GZIP_MAGIC):
        from isal import igzip

        return igzip.IGzipFile(fileobj=whole, mode="rb")  # type: ignore[no-untyped-call]
    if start.startswith(_ZSTD_MAGIC):
        import zstandard

        frames = cast("BinaryIO", _GuardedFrames(whole))
        reader = zstandard.ZstdDecompressor().stream_reader(
            frames, read_size=READ_BYTES, read_across_frames=True, closefd=False
        )
        return cast("io.BufferedIOBase", reader)
    if start.startswith(_XZ_MAGIC):
        import lzma

        return lzma.LZMAFile(whole)
    if start.startswith(_BZIP2_MAGIC):
        import bz2

        return bz2.BZ2File(whole)
    return cast("io.BufferedIOBase", whole)


class _Rejoined(io.RawIOBase):
    """The first bytes, which were read to look at them, and then the rest."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._start[: len(view)]
        if data:
            self._start = self._start[len(data) :]
        else:
            data = self._rest.read(len(view)) or b""
        view[: len(data)] = data
        return len(data)


class _GuardedFrames:
    """Zstd frames, and behind the last byte one skippable frame, longer than any block and full of 0xFF.

    ``stream_reader`` says nothing when its input ends in the middle of a frame. A decoder that is between
    two frames steps over the guard; one that is inside a frame has to take it for the frame's next blocks
    (128 KiB at most), and a block header of 0xFFFFFF has the reserved type, which is an error.
    """

    _GUARD_BYTES = 256 << 10

    def __init__(self, frames: BinaryIO) -> None:
        self._frames = frames
        self._is_guarded = False

    def read(self, size: int) -> bytes:
        data = self._frames.read(size)
        if data or self._is_guarded:
            return data
        self._is_guarded = True
        return b"\x50\x2a\x4d\x18" + self._GUARD_BYTES.to_bytes(4, "little") + b"\xff" * self._GUARD_BYTES


class _Checked(io.RawIOBase):
    """A decompressing stream, whose various errors become BrokenStream."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            return self._stream.readinto(buffer)
        except Exception as error:
            if not _is_broken(error):
                raise
            raise BrokenStream(str(error)) from error


def _is_broken(error: Exception) -> bool:
    """Whether a decompressor says that its input is bad, and not the system that it cannot be read."""
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, EOFError) or type(error).__name__ in _DECOMPRESSORS_ERRORS


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    """``size`` bytes, or all that there are: a pipe gives fewer at a time than it was asked for."""
    data = b""
    while len(data) < size:
        piece = file.read(size - len(data))
        if not piece:
            break
        data += piece
    return data
