"""What many instances take, looked at every other second without being felt."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from stager.launch.agent.census import Census, Member, Root, read_members
from stager.launch.agent.disk import DiskScan
from stager.launch.agent.history import Sample
from stager.launch.agent.limits import Enclosure
from stager.launch.workers import resident_bytes

#: Seconds between two samples: the ancestor's, and what the bounds below are measured for.
PERIOD = 2.0
#: Entries of directories looked at in one sample, for all instances together. One takes 5 to 20 µs.
ENTRIES = 600
#: The exact share of a process in its memory takes 0.05 to 2 ms to find out: so many seconds of it in one
#: sample, and between two of an instance's it is what its resident memory has grown since.
_SHARE_SECONDS = 0.003


class _Watched:
    """One instance, and what has to be known of it from one sample to the next."""

    def __init__(
        self,
        root: Root,
        enclosure: Enclosure,
        directories: Sequence[Path],
        shared: DiskScan | None,
        cpu_seconds: float,
    ) -> None:
        self.root = root
        self.enclosure = enclosure
        self.shared_at = 0.0
        self._members: Sequence[Member] = ()
        self._pids: tuple[int, ...] = ()
        self._cpu_seconds = cpu_seconds
        #: The sum over the processes the last time; None before the first one.
        self._counted: float | None = None
        self._shared = 0
        self._resident = 0
        roots = [os.fspath(directory) for directory in directories]
        self._own = DiskScan(roots, lambda: [f"/proc/{pid}/fd" for pid in self._pids])
        self.scans = (self._own,) if shared is None else (self._own, shared)

    def see(self, members: Sequence[Member]) -> None:
        """Its processes are these now."""
        self._members = members
        self._pids = tuple(member.pid for member in members)

    @property
    def memory(self) -> int:
        """The exact share of the last time, and what its resident memory has grown since."""
        return max(0, self._shared + sum(one.resident for one in self._members) - self._resident)

    @property
    def is_urgent(self) -> bool:
        """Whether it seems to be over its limit, so that it has to be known exactly."""
        return self.memory > self.enclosure.limits.memory

    @property
    def disk(self) -> int:
        """Its own, and what it shares with others."""
        return sum(scan.size for scan in self.scans)

    def share(self, now: float) -> None:
        """Find out the exact share: pages that forks have in common count once."""
        self._shared = sum(resident_bytes(pid) for pid in self._pids)
        self._resident = sum(one.resident for one in self._members)
        self.shared_at = now

    def sample_members(self, at: float) -> Sample:
        """By its processes, one by one."""
        return Sample(
            at,
            self._count_cpu(),
            self.memory,
            self.disk,
            len(self._members),
            sum(one.tasks for one in self._members),
            most_descriptors(self._pids),
        )

    def sample_group(self, at: float) -> Sample:
        """By its control group; what that does not count, by its processes."""
        usage = self.enclosure.usage()
        self._pids = self.enclosure.pids()
        if usage is None:
            return Sample(at, self._cpu_seconds, disk=self.disk)
        if usage.cpu_seconds is None or usage.tasks is None:
            self._members = read_members(self._pids)
        tasks = usage.tasks if usage.tasks is not None else sum(one.tasks for one in self._members)
        if usage.cpu_seconds is None:
            self._count_cpu()
        else:
            self._cpu_seconds = usage.cpu_seconds
        return Sample(
            at,
            self._cpu_seconds,
            usage.memory,
            self.disk,
            len(self._pids),
            tasks,
            most_descriptors(self._pids),
        )

    def _count_cpu(self) -> float:
        """What the sum has grown by. It shrinks when a process ends for which no member waits: a daemon."""
        total = sum(one.cpu_seconds for one in self._members)
        if self._counted is None:
            self._cpu_seconds = max(self._cpu_seconds, total)
        else:
            self._cpu_seconds += max(0.0, total - self._counted)
        self._counted = total
        return self._cpu_seconds


class Sampler:
    """Samples all instances of a supervisor.

    Parameters
    ----------
    entries:
        Of directories, in one sample, for all instances together.
    """

    def __init__(self, entries: int = ENTRIES) -> None:
        self._entries = entries
        self._watched: dict[str, _Watched] = {}
        self._census = Census()
        self._turn = 0

    def add(
        self,
        identifier: str,
        root: Root,
        enclosure: Enclosure,
        directories: Sequence[Path] = (),
        *,
        shared: DiskScan | None = None,
        cpu_seconds: float = 0.0,
    ) -> None:
        """Watch an instance from now on.

        Parameters
        ----------
        identifier:
            Its name in what :meth:`sample` returns.
        root:
            Its first process, and the marks of all others.
        directories:
            What counts as its disk.
        shared:
            What counts as well, for others, too.
        cpu_seconds:
            What it had used when another supervisor watched it last.
        """
        self._watched[identifier] = _Watched(root, enclosure, directories, shared, cpu_seconds)

    def include(self, identifier: str, directory: Path) -> None:
        """Count another directory as its own from now on; nothing happens where it is counted already."""
        scan = self._watched[identifier].scans[0]
        if (path := os.fspath(directory)) not in scan.roots:
            scan.roots = (*scan.roots, path)

    def remove(self, identifier: str) -> None:
        """Watch it no longer; nothing happens where it is not known."""
        self._watched.pop(identifier, None)

    def sample(self, at: float | None = None) -> dict[str, Sample]:
        """What each takes now; ``at`` is the time that is written into it, in seconds since 1970."""
        moment = time.time() if at is None else at
        groups = {name: one for name, one in self._watched.items() if one.enclosure.group is not None}
        others = {name: one for name, one in self._watched.items() if one.enclosure.group is None}
        for name, members in self._census.take({name: one.root for name, one in others.items()}).items():
            others[name].see(members)
        _share(others.values())
        self._scan()
        return {
            **{name: one.sample_group(moment) for name, one in groups.items()},
            **{name: one.sample_members(moment) for name, one in others.items()},
        }

    def _scan(self) -> None:
        """Let the walks go on: each has its part first, then whoever needs it what the others left."""
        scans = list(dict.fromkeys(scan for watched in self._watched.values() for scan in watched.scans))
        if not scans:
            return
        self._turn = (self._turn + 1) % len(scans)
        scans = scans[self._turn :] + scans[: self._turn]
        part = max(1, self._entries // len(scans))
        left = self._entries
        unfinished = []
        for scan in scans:
            rest = scan.advance(part)
            left -= part - rest
            if not rest:
                unfinished.append(scan)
        for scan in unfinished:
            if left <= 0:
                break
            left = scan.advance(left)


def _share(watched: Iterable[_Watched]) -> None:
    """Those that seem to be over their limit, and of the others the oldest figures, as time allows."""
    end = time.perf_counter() + _SHARE_SECONDS
    for one in sorted(watched, key=_age):
        if one.is_urgent or time.perf_counter() < end:
            one.share(time.monotonic())


def _age(watched: _Watched) -> float:
    return watched.shared_at


def most_descriptors(pids: Iterable[int]) -> int | None:
    """How many files that of the processes has open which has most; None where none lets us see that."""
    return max((count for pid in pids if (count := _descriptors(pid)) is not None), default=None)


def _descriptors(pid: int) -> int | None:
    place = f"/proc/{pid}/fd"
    try:
        # Since Linux 6.2 that is their number; before, it is 0.
        return os.stat(place).st_size or len(os.listdir(place))
    except OSError:
        return None
