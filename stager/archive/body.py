"""The bytes of a tar, decompressed and counted, and what is left of the member that is being read."""

from __future__ import annotations

from typing import BinaryIO, NoReturn

from stager.archive.allowance import Allowance
from stager.archive.complaint import Complaint
from stager.archive.compression import BrokenStream, open_stream

BLOCK = 512
CHUNK = 1 << 20


class Body:
    """The bytes of a tar, in order; what is left of the current member is read with :meth:`read`."""

    def __init__(self, file: BinaryIO, complaint: Complaint, allowance: Allowance) -> None:
        self._complaint = complaint
        self._allowance = allowance
        self._padding = 0
        self.left = 0
        self.position = 0
        try:
            self._stream = open_stream(file)
        except (BrokenStream, OSError) as error:
            self._broken(error)

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes of the member, at most :data:`CHUNK` without a size; empty at its end."""
        size = min(self.left, CHUNK if size < 0 else size)
        data = self.block(size) if size else b""
        self.left -= size
        self._allowance.spend(size)
        return data

    def begin(self, size: int) -> None:
        """The next ``size`` bytes are a member's."""
        self.left = size
        self._padding = -size % BLOCK

    def skip(self) -> None:
        """Go to the end of the member and its padding."""
        while self.read():
            pass
        if self._padding:
            self.block(self._padding)
            self._padding = 0

    def block(self, size: int, *, may_end: bool = False) -> bytes:
        """Exactly ``size`` bytes, or none at the end if it may be here."""
        data = self.some(size)
        if len(data) != size and (data or not may_end):
            raise self._complaint.damaged(f"It is cut short: it ends after {self.position:,} unpacked bytes.")
        return data

    def some(self, size: int) -> bytes:
        """``size`` bytes, or what is left."""
        try:
            data = self._stream.read(size)
        except (BrokenStream, OSError) as error:
            self._broken(error)
        self.position += len(data)
        return data

    def _broken(self, error: Exception) -> NoReturn:
        text = f"It cannot be read: {error}." if isinstance(error, OSError) else ""
        raise self._complaint.damaged(
            text or f"Its compressed bytes are damaged or cut short ({error})."
        ) from error
