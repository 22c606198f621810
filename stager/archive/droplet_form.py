"""The two forms of a droplet, a file and a directory, as the writer sees them."""

from __future__ import annotations

from typing import BinaryIO, Protocol


class DropletForm(Protocol):
    """Takes members, layer by layer. Names are bytes, relative, safe and in order.

    Every method raises DiskFull or OutputNotWritable.
    """

    @property
    def position(self) -> int:
        """How many bytes the complete layers take, as they are stored."""

    def begin(self, *, is_short: bool = False) -> None:
        """Begin a layer, which may be known to be short."""

    def end(self) -> None:
        """End a layer: all of it is written."""

    def file(self, name: bytes, mode: int, size: int) -> memoryview:
        """Begin a regular file of at most CHUNK_BYTES: gives the place for its bytes, and for one more."""

    def filled(self, size: int) -> None:
        """End that file: its bytes are there."""

    def begin_file(self, name: bytes, mode: int, size: int) -> None:
        """Begin a regular file whose bytes come in pieces."""

    def file_data(self, chunk: bytes) -> None:
        """Put the next piece of the file that was begun."""

    def end_file(self, size: int) -> None:
        """End the file that was begun."""

    def directory(self, name: bytes, mode: int) -> None:
        """Put a directory."""

    def link(self, name: bytes, target: bytes) -> None:
        """Put a symbolic link."""

    def append(self, compressed: BinaryIO, size: int) -> None:
        """Put a whole layer as it was stored before: the next ``size`` bytes of a file."""

    def finish(self) -> tuple[int, str]:
        """Complete the droplet: size in bytes, and SHA-256 where it is one file (else empty)."""

    def abort(self) -> None:
        """Stop where it is; what was written stays."""
