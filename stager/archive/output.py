"""Where compressed bytes go: a file that counts and hashes what it gets, and a thread that compresses."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import queue
import threading
from typing import BinaryIO

from stager.archive.blocks import Blocks
from stager.archive.compression import Compressor
from stager.errors import DiskFull, OutputNotWritable, PackError

#: EFBIG is what a limit on the size of files gives (ulimit -f).
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ABORT_SECONDS = 5.0
_AHEAD_BYTES = 4 << 20


def write_failed(error: OSError, place: str) -> PackError:
    """The error for an OSError that came from writing to ``place``."""
    details = f"{place}: {error.strerror or error}"
    if error.errno in _FULL:
        return DiskFull(
            "There is no space left for the droplet.",
            details=details,
            resolution="Free some space there, or choose another place with -o, and build again.",
        )
    return OutputNotWritable(
        "The droplet cannot be written.",
        details=details,
        resolution="Choose a place that can be written to with -o, and build again.",
    )


class Output:
    """The droplet's file: knows the size and the SHA-256 of what was written to it.

    Parameters
    ----------
    file:
        Open for writing, buffered or not. It is not closed here.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256(usedforsecurity=False)
        self.size = 0
        self._on_its_way = 0

    def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``. Raises DiskFull, OutputNotWritable."""
        rest = memoryview(data)
        try:
            while rest:
                # An unbuffered file may take less than it was given.
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise write_failed(error, self.name) from error
        self._digest.update(data)
        self.size += len(data)
        if self.size - self._on_its_way >= _AHEAD_BYTES:
            self._send_off()

    def _send_off(self) -> None:
        """Let the system begin to write to the disk: of 36 MB, fsync then waits 4 ms instead of 22."""
        # What is not in a file, or not on a disk, has nothing to begin with.
        with contextlib.suppress(OSError, AttributeError):
            os.posix_fadvise(
                self._file.fileno(), self._on_its_way, self.size - self._on_its_way, os.POSIX_FADV_DONTNEED
            )
        self._on_its_way = self.size

    def flush(self) -> None:
        """Hand what the file has buffered to the system. Raises DiskFull, OutputNotWritable."""
        try:
            self._file.flush()
        except OSError as error:
            raise write_failed(error, self.name) from error

    @property
    def sha256(self) -> str:
        """Of all that was written, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def name(self) -> str:
        """What people call the file."""
        name = getattr(self._file, "name", "")
        return name if isinstance(name, str) and name else "the output"


class MemberPipe:
    """Compresses one member and writes it, beside the thread that reads the files.

    The compressors and SHA-256 let go of the interpreter's lock, so that on two cores reading and hashing
    the sources costs nothing beside compressing them.

    Parameters
    ----------
    compressor:
        Of this member alone.
    output:
        Where it goes.
    blocks:
        Where every block goes back to when it is compressed.
    """

    def __init__(self, compressor: Compressor, output: Output, blocks: Blocks) -> None:
        self._compressor = compressor
        self._output = output
        self._blocks = blocks
        self._waiting: queue.SimpleQueue[tuple[memoryview, int] | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._is_aborted = False
        self._thread = threading.Thread(target=self._run, name="stager-compress", daemon=True)
        self._thread.start()

    def put(self, block: memoryview, size: int) -> None:
        """Hand over a block of which ``size`` bytes are filled. Raises what failed in the thread."""
        if self._failure is not None:
            raise self._failure
        self._waiting.put((block, size))

    def close(self) -> None:
        """End the member, and wait until all of it is written. Raises what failed in the thread."""
        self._waiting.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def abort(self) -> None:
        """Give the member up; what was written of it stays."""
        self._is_aborted = True
        self._waiting.put(None)
        # It may hang in a write to a pipe that nobody reads; being a daemon, it ends with us.
        self._thread.join(_ABORT_SECONDS)

    def _run(self) -> None:
        try:
            self._compress()
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            self._failure = error
            # The reading thread may be waiting for a block: it gets one, and learns at its next.
            while (item := self._waiting.get()) is not None:
                self._blocks.give_back(item[0])

    def _compress(self) -> None:
        while (item := self._waiting.get()) is not None:
            block, size = item
            try:
                if not self._is_aborted:
                    self._write(self._compressor.compress(block[:size]))
            finally:
                self._blocks.give_back(block)
        if not self._is_aborted:
            self._write(self._compressor.flush())

    def _write(self, data: bytes | memoryview) -> None:
        if data:
            self._output.write(data)
