"""A droplet as one file: tar members, compressed layer by layer."""

from __future__ import annotations

from typing import BinaryIO

from stager.archive.blocks import BLOCK_BYTES, FULL_BYTES, Blocks
from stager.archive.compression import READ_BYTES, Compression, compressor
from stager.archive.output import MemberPipe, Output
from stager.archive.source_file import changed
from stager.archive.tar_headers import END, TarHeaders, padding


class DropletFile:
    """Writes a tar whose layers are members of a compressed file, each complete in itself.

    Parameters
    ----------
    file:
        Where the droplet goes; it need not be seekable, and stays open.
    compression:
        Of every layer.
    mtime:
        Of every member, in seconds since 1970.
    """

    def __init__(self, file: BinaryIO, compression: Compression, mtime: int) -> None:
        self._output = Output(file)
        self._compression = compression
        self._headers = TarHeaders(mtime)
        self._is_short = False
        self._pipe: MemberPipe | None = None
        self._blocks = Blocks()
        self._block = self._blocks.take()
        self._filled = 0
        #: Without the padding of files: a full block is told by what it holds, as it always was, because
        #: where blocks end shows in ISA-L's bytes.
        self._content = 0

    @property
    def position(self) -> int:
        return self._output.size

    def begin(self, *, is_short: bool = False) -> None:
        # A layer without members has no bytes: there is no compressor until there is something for it.
        self._is_short = is_short

    def end(self) -> None:
        self._hand_over()
        if self._pipe is not None:
            self._pipe.close()
        self._pipe = None

    def file(self, name: bytes, mode: int, size: int) -> memoryview:
        block, place = self._block, self._filled
        start = self._headers.put_file(block, place, name, mode, size)
        self._filled = start
        self._content += start - place + size
        return block[start : start + size + 1]

    def filled(self, size: int) -> None:
        zeros = padding(size)
        start = self._filled + size
        self._filled = end = start + len(zeros)
        self._block[start:end] = zeros
        if self._content >= FULL_BYTES:
            self._hand_over()

    def begin_file(self, name: bytes, mode: int, size: int) -> None:
        self.file_data(self._headers.file(name, mode, size))

    def file_data(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            piece = rest[: BLOCK_BYTES - self._filled]
            self._block[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            self._content += len(piece)
            rest = rest[len(piece) :]
            if self._content >= FULL_BYTES:
                self._hand_over()

    def end_file(self, size: int) -> None:
        self.file_data(padding(size))

    def directory(self, name: bytes, mode: int) -> None:
        self.file_data(self._headers.directory(name, mode))

    def link(self, name: bytes, target: bytes) -> None:
        self.file_data(self._headers.link(name, target))

    def append(self, compressed: BinaryIO, size: int) -> None:
        left = size
        while left:
            data = compressed.read(min(left, READ_BYTES))
            if not data:
                raise changed("a layer that was packed before", f"it had {size} bytes, and lacks {left} now")
            left -= len(data)
            self._output.write(data)

    def finish(self) -> tuple[int, str]:
        # The end of the tar is a member of its own: so every layer has the same bytes wherever it stands.
        self.begin()
        self.file_data(END)
        self.end()
        self._output.flush()
        return self._output.size, self._output.sha256

    def abort(self) -> None:
        if self._pipe is not None:
            self._pipe.abort()
        self._pipe = None

    def _hand_over(self) -> None:
        if self._filled:
            if self._pipe is None:
                one = compressor(self._compression, is_short=self._is_short)
                self._pipe = MemberPipe(one, self._output, self._blocks)
            self._pipe.put(self._block, self._filled)
            self._block = self._blocks.take()
            self._filled = self._content = 0
