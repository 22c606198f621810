"""What an instance has used lately: a ring of samples in one file of a fixed size."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stager.model.frozen import dataclass

#: One hour of a sample every two seconds, in 128 KiB.
CAPACITY = 1800
_MAGIC = b"stager history 1"
_HEADER = struct.Struct("<16sI")
#: Number, time, processor seconds, memory, disk, processes, tasks, descriptors; and before them the
#: checksum of all that: a writer can be killed in the middle of a slot, and a reader can meet it there.
_FIELDS = struct.Struct("<QddQQIIi")
_SUM = struct.Struct("<I")
_SLOT = 64
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Sample:
    """What the whole tree of one instance took at one moment.

    Parameters
    ----------
    at:
        Seconds since 1970.
    cpu_seconds:
        Processor time since the instance began; it never becomes less.
    memory, disk:
        Bytes.
    processes, tasks:
        How many; a task is a thread, and that is what the limit counts.
    fds:
        Open files of the process that has most of them, since each has a limit of its own; None where that
        may not be seen.
    """

    at: float
    cpu_seconds: float = 0.0
    memory: int = 0
    disk: int = 0
    processes: int = 0
    tasks: int = 0
    fds: int | None = None


class History:
    """The writing end; there may be only one at a time, and any number of readers.

    Nothing is synced: the samples of the last seconds before a host loses its power are not worth that.
    A file that is damaged, or of another size, begins anew.
    """

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        try:
            found = _slots(_content(self._descriptor))
            if found is None or found[0] != capacity:
                self._begin()
                found = capacity, []
            self._next = max((number for number, _ in found[1]), default=-1) + 1
        except BaseException:
            os.close(self._descriptor)
            raise

    def add(self, sample: Sample) -> None:
        """Write it over the oldest one. A full disk loses this sample, and nothing else."""
        fds = _UNKNOWN if sample.fds is None else sample.fds
        fields = _FIELDS.pack(
            self._next,
            sample.at,
            sample.cpu_seconds,
            sample.memory,
            sample.disk,
            sample.processes,
            sample.tasks,
            fds,
        )
        place = _SLOT * (1 + self._next % self._capacity)
        with suppress(OSError):
            os.pwrite(self._descriptor, _SUM.pack(zlib.crc32(fields)) + fields, place)
        self._next += 1

    def close(self) -> None:
        """Give the file back. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, _HEADER.pack(_MAGIC, self._capacity), 0)
        # All of it now: a disk that is full later does not keep us from writing into it.
        with suppress(OSError):
            os.posix_fallocate(self._descriptor, 0, _SLOT * (1 + self._capacity))


def read_history(path: Path, last: int = 0) -> tuple[Sample, ...]:
    """The samples in a file, oldest first; ``last`` of them at most, 0 for all. No file has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        found = _slots(_content(descriptor))
    except OSError:
        return ()
    finally:
        os.close(descriptor)
    samples = [sample for _, sample in sorted(found[1], key=_number)] if found else []
    return tuple(samples[-last:])


def cpu_shares(samples: Iterable[Sample]) -> tuple[float, ...]:
    """Between each sample and the one before it: how much of one core was used (1.0 is all of it)."""
    shares: list[float] = []
    before: Sample | None = None
    for sample in samples:
        if before is not None:
            seconds = sample.at - before.at
            used = sample.cpu_seconds - before.cpu_seconds
            # A clock that was set back, or a supervisor that took over, is no reason for nonsense.
            shares.append(max(0.0, used / seconds) if seconds > 0 else 0.0)
        before = sample
    return tuple(shares)


def _number(slot: tuple[int, Sample]) -> int:
    return slot[0]


def _content(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    # A file of ours never gets larger; of something else under this name we do not want all.
    return os.pread(descriptor, min(size, _SLOT * 100_000), 0)


def _slots(data: bytes) -> tuple[int, list[tuple[int, Sample]]] | None:
    """Capacity, and each whole slot with its number; None where that is no history."""
    if len(data) < _HEADER.size:
        return None
    magic, capacity = _HEADER.unpack_from(data)
    if magic != _MAGIC or capacity == 0 or len(data) > _SLOT * (1 + capacity):
        return None
    found = []
    for place in range(_SLOT, len(data) - _SLOT + 1, _SLOT):
        slot = data[place : place + _SUM.size + _FIELDS.size]
        fields = slot[_SUM.size :]
        if _SUM.unpack_from(slot)[0] != zlib.crc32(fields):
            continue
        number, at, cpu, memory, disk, processes, tasks, fds = _FIELDS.unpack(fields)
        known = None if fds == _UNKNOWN else fds
        found.append((number, Sample(at, cpu, memory, disk, processes, tasks, known)))
    return capacity, found
