"""The blocks of memory in which members travel from the thread that reads to the one that compresses."""

from __future__ import annotations

import queue

from stager.archive.source_file import CHUNK_BYTES

#: From here on a block is handed over, which is one call of the compressor. 256 KiB to 2 MiB make no
#: difference in time.
FULL_BYTES = 1 << 20
#: Behind a block that is not full yet there is room for any file that is read at once, for the byte that
#: would show that it has grown, and for its header and padding.
BLOCK_BYTES = FULL_BYTES + CHUNK_BYTES + (16 << 10)
#: One is filled, one is compressed, four wait: with two the reader of 30,000 files stood still for 20 ms.
MOST_BLOCKS = 6


class Blocks:
    """A few blocks that are used again and again.

    Files are read to where they are compressed from. With fresh memory for every file, and a fresh block in
    which they were joined, the reading thread took 0.50 s for 20,000 files (200 MB) instead of 0.39 s.
    """

    def __init__(self) -> None:
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._made = 0

    def take(self) -> memoryview:
        """A block to fill; waits while all of them are on their way."""
        if self._made < MOST_BLOCKS and self._free.empty():
            self._made += 1
            return memoryview(bytearray(BLOCK_BYTES))
        return self._free.get()

    def give_back(self, block: memoryview) -> None:
        """Say that nobody needs what is in it any more."""
        self._free.put(block)
