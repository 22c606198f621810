"""How much an archive may unpack to: against bombs, and against filling the disk by mistake."""

from __future__ import annotations

from collections.abc import Callable

from stager.archive.complaint import Complaint
from stager.model.frozen import dataclass

#: Bytes that an archive may hold when it is unpacked, unless the user says otherwise.
DEFAULT_MAX_SIZE = 2 << 30
#: Members that an archive may hold. A guess: twenty times the largest Node application that we have seen.
MAX_MEMBERS = 1_000_000
#: An archive that unpacks to more than this many bytes ...
RATIO_FLOOR = 64 << 20
#: ... must not be this many times larger than it is compressed. Source code measured: 4 to 12 times.
MAX_RATIO = 100


@dataclass(slots=True)
class Allowance:
    """How much may still be unpacked.

    Parameters
    ----------
    complaint:
        Who complains.
    max_size:
        Bytes; None for the default together with the ratio of compression.
    compressed:
        How many bytes of the archive there are, or, of a stream, have been read so far.
    is_stream:
        Whether ``compressed`` still grows. Then only what has been unpacked is compared with it,
        not what a header promises: the bytes of a large member are not here yet.
    """

    complaint: Complaint
    max_size: int | None = None
    compressed: Callable[[], int] | None = None
    is_stream: bool = False
    members: int = 0
    promised: int = 0
    unpacked: int = 0

    def promise(self, size: int) -> None:
        """A member of ``size`` bytes comes next; raises before a byte of it is unpacked."""
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise self.complaint.oversized(
                f"It holds more than {MAX_MEMBERS:,} files and directories.",
                "Leave out what can be installed during the build, such as node_modules.",
            )
        self.promised += size
        limit = DEFAULT_MAX_SIZE if self.max_size is None else self.max_size
        if self.promised > limit:
            raise self.complaint.oversized(
                f"It unpacks to at least {in_units(self.promised)}; {in_units(limit)} are allowed.",
                "Leave out what the application does not need, or allow more with --max-size.",
            )
        if not self.is_stream:
            self._compare(self.promised)

    def spend(self, size: int) -> None:
        """``size`` bytes have been unpacked."""
        self.unpacked += size
        if self.is_stream:
            self._compare(self.unpacked)

    def _compare(self, unpacked: int) -> None:
        if self.max_size is not None or self.compressed is None or unpacked <= RATIO_FLOOR:
            return
        compressed = self.compressed()
        if unpacked > MAX_RATIO * compressed:
            raise self.complaint.oversized(
                f"Its {in_units(compressed)} unpack to at least {in_units(unpacked)}: more than "
                f"{MAX_RATIO} times as much, as a decompression bomb does.",
                f"If that is meant, say how much it may be: --max-size {in_units(2 * unpacked, '')}.",
            )


def in_units(size: int, space: str = " ") -> str:
    """Bytes for people: ``64 MiB``; whole units, rounded up, so that a size over a limit looks like it."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 10 << shift or (size >= 1 << shift and not size % (1 << shift)):
            return f"{-(-size >> shift)}{space}{unit if space else unit[0]}"
    return f"{size:,}{space}bytes" if space else str(size)
