"""A droplet as one file: tar members, compressed layer by layer."""

from __future__ import annotations

from typing import BinaryIO

from stager.archive.compression import READ_BYTES, Compression, compressor
from stager.archive.output import MemberPipe, Output
from stager.archive.source_file import changed
from stager.archive.tar_headers import END, TarHeaders, padding

#: Headers and files are joined to blocks of at least this, each of which is one call of the compressor.
#: 256 KiB to 2 MiB make no difference in time.
_BLOCK_BYTES = 1 << 20


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
        self._pipe: MemberPipe | None = None
        self._pieces: list[bytes] = []
        self._pending = 0

    @property
    def position(self) -> int:
        return self._output.size

    def begin(self) -> None:
        self._pipe = MemberPipe(compressor(self._compression), self._output)

    def end(self) -> None:
        self._flush()
        if self._pipe is not None:
            self._pipe.close()
        self._pipe = None

    def file(self, name: bytes, mode: int, data: bytes) -> None:
        size = len(data)
        header = self._headers.file(name, mode, size)
        self._pieces += (header, data, padding(size))
        self._pending += len(header) + size
        if self._pending >= _BLOCK_BYTES:
            self._flush()

    def begin_file(self, name: bytes, mode: int, size: int) -> None:
        self.file_data(self._headers.file(name, mode, size))

    def file_data(self, chunk: bytes) -> None:
        self._pieces.append(chunk)
        self._pending += len(chunk)
        if self._pending >= _BLOCK_BYTES:
            self._flush()

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

    def _flush(self) -> None:
        if self._pieces and self._pipe is not None:
            self._pipe.put(b"".join(self._pieces))
            self._pieces.clear()
            self._pending = 0
