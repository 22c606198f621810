"""Carries what an instance prints from two pipes into bounded, rotated files, and ends with the last writer.

It is run as a script of its own, by ``python -I -S``, so that nothing of stager is loaded for each instance,
and so that the death of a supervisor is nothing to it:

    relay.py DIRECTORY BYTES FILES NAME=DESCRIPTOR...

DIRECTORY is a descriptor, too: whoever holds the lock on it is the one relay there. A reader never waits for
the disk: what does not fit into memory while that is slow is dropped, counted, and told in the log itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import threading

#: Of each stream: 80 ms of 50 MB/s.
MOST_PENDING = 4 << 20
_CHUNK = 1 << 18
_LINE_BREAK = 0x0A
#: In bytes; what is longer may go on in the next file.
_LONGEST_LINE = 1 << 16
#: 1 MiB is what /proc/sys/fs/pipe-max-size allows to everybody.
_PIPE = 1 << 20
_DEAF_TO = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGPIPE", "SIGUSR1", "SIGUSR2", "SIGXFSZ")
RECORD = "relay.json"


class RotatedFile:
    """``NAME.log`` and its predecessors ``.1`` (the last) to ``.FILES-1``, in a directory that is open."""

    def __init__(self, directory: int, name: str, limit: int, files: int) -> None:
        self._directory = directory
        self._name = f"{name}.log"
        self._limit = limit
        self._files = files
        self._descriptor = -1
        self.is_in_line = False

    def write(self, data: memoryview) -> int:
        """Write, and rotate between lines where that is possible; how many bytes got lost."""
        try:
            size = self._open()
            while data:
                part = self._part(data, size)
                if part:
                    written = os.write(self._descriptor, data[:part])
                    self.is_in_line = data[written - 1] != _LINE_BREAK
                    data = data[written:]
                    size += written
                if data and (part == 0 or size >= self._limit):
                    self._rotate()
                    size = self._open()
        except OSError:  # no space, no directory: the next time it may be there again
            return len(data)
        return 0

    def _part(self, data: memoryview, size: int) -> int:
        """How much of it goes into the file as it is now."""
        room = self._limit - size
        if len(data) <= room:
            return len(data)
        start = max(0, room - _LONGEST_LINE)
        end = bytes(data[start : max(0, room)]).rfind(b"\n") + 1
        if end:
            return start + end
        # A line longer than that is cut; another one waits for the next file.
        return 0 if size and not self.is_in_line and not start else max(0, room)

    def _open(self) -> int:
        """Open it, if that is to be done; its size, to which others may have added."""
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._name, flags, 0o600, dir_fd=self._directory)
        return os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        names = [self._name, *(f"{self._name}.{number}" for number in range(1, self._files))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            try:
                os.rename(newer, older, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            except FileNotFoundError:
                continue


class Stream:
    """One pipe and its file: one thread reads, another writes, and what is between them is bounded."""

    def __init__(self, descriptor: int, file: RotatedFile, most_pending: int = MOST_PENDING) -> None:
        self._descriptor = descriptor
        self._file = file
        self._most = most_pending
        self._change = threading.Condition()
        self._pending: list[bytes] = []
        self._size = 0
        self._is_over = False
        self._is_full = False
        self._is_in_line = False
        self._missing = [0, 0]
        self.dropped_lines = 0
        self.dropped_bytes = 0

    def read(self) -> None:
        """Until the last writer has gone."""
        # A user may have only so much of it: the usual 64 KiB do, too.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
        rest = b""
        while data := os.read(self._descriptor, _CHUNK):
            with self._change:
                rest = self._take(rest + data)
                self._change.notify()
        with self._change:
            self._pending.append(rest)
            self._is_over = True
            self._change.notify()

    def _take(self, data: bytes) -> bytes:
        """Keep it, or count what is not kept, in whole lines; what of it is to come again with what follows.

        Once something is missing everything is, until all that is pending was taken: the gap is in one place.
        """
        if not self._is_full and self._size + len(data) <= self._most:
            self._keep(data)
            return b""
        if not self._is_full and self._is_in_line:
            end = data.find(b"\n") + 1
            self._keep(data[:end])
            data = data[end:]
        self._is_full = True
        end = data.rfind(b"\n") + 1
        if len(data) - end > _LONGEST_LINE:
            end = len(data)
        self._missing[0] += data.count(b"\n", 0, end)
        self._missing[1] += end
        return data[end:]

    def _keep(self, data: bytes) -> None:
        if data:
            self._pending.append(data)
            self._size += len(data)
            self._is_in_line = data[-1] != _LINE_BREAK

    def write(self) -> None:
        """Until all that was read is written, or lost."""
        while True:
            with self._change:
                while not (self._pending or self._missing[1] or self._is_over):
                    self._change.wait()
                pending, self._pending = self._pending, []
                lines, amount = self._missing
                self._missing, self._size, self._is_full = [0, 0], 0, False
            if not pending and not amount:
                return
            data = b"".join(pending)
            if lost := self._file.write(memoryview(data)):
                lines += data[-lost:].count(b"\n")
                amount += lost
            if amount:
                self._tell(lines, amount)

    def _tell(self, lines: int, amount: int) -> None:
        self.dropped_lines += lines
        self.dropped_bytes += amount
        text = f"[stager] {lines} lines ({amount} bytes) are missing here: the disk did not take them in time"
        line = ("\n" if self._file.is_in_line else "") + text + "\n"
        self._file.write(memoryview(line.encode()))


def main(arguments: list[str]) -> int:
    """Carry until the pipes end."""
    directory, limit, files, *streams = arguments
    for name in _DEAF_TO:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    carried = {}
    threads = []
    for stream in streams:
        name, _, number = stream.partition("=")
        carried[name] = one = Stream(int(number), RotatedFile(int(directory), name, int(limit), int(files)))
        threads += [threading.Thread(target=one.read), threading.Thread(target=one.write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _record(int(directory), carried)
    return 0


def _record(directory: int, carried: dict[str, Stream]) -> None:
    import json  # 0.6 MB that most relays do not need before they end

    document = {
        name: {"dropped_lines": one.dropped_lines, "dropped_bytes": one.dropped_bytes}
        for name, one in carried.items()
    }
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        contextlib.suppress(OSError),
        open(os.open(RECORD, flags, 0o600, dir_fd=directory), "w", encoding="utf-8") as file,
    ):
        json.dump(document, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
