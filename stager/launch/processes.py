"""The processes of one instance, read from /proc: who belongs to it, who is left, and ending them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple


class ProcessStat(NamedTuple):
    """One line of /proc/<pid>/stat. ``start`` is in clock ticks since the host's boot."""

    pid: int
    parent: int
    group: int
    session: int
    start: int
    state: str
    name: str

    @property
    def is_running(self) -> bool:
        """A zombie holds nothing any more; where pid 1 does not reap, it stays for good."""
        return self.state not in "ZXx"


def read_stat(pid: int) -> ProcessStat | None:
    """That process now, or None where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return None
    # The name may hold blanks and parentheses: what follows the last one is regular (proc(5)).
    head, _, tail = data.rpartition(b") ")
    name = head.partition(b" (")[2].decode("utf-8", "replace")
    fields = tail.split()
    parent, group, session = (int(field) for field in fields[1:4])
    return ProcessStat(pid, parent, group, session, int(fields[19]), fields[0].decode(), name)


def runs(pid: int, start: int) -> bool:
    """Whether the process of that number that started then runs: a number alone may be another's by now."""
    stat = read_stat(pid)
    return stat is not None and stat.start == start and stat.is_running


def read_environment(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty where it is not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            data = file.read()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in data.split(b"\0") if b"=" in item)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def real_uid(pid: int) -> int | None:
    """The user that a process runs as, or None where it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def ticks_now() -> int:
    """The clock that ``start`` is on."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


class Tree:
    """The processes that came out of one started process.

    Four things make a process a member, since a daemon escapes from any single one: it descends from a
    member; it was a member when it was last seen (pid *and* start time); it is in the root's process
    group or session; its environment carries one of the ``marks``. None of them is ever true of a
    process that is older than the root.

    Parameters
    ----------
    root:
        The pid of the started process.
    since:
        :func:`ticks_now` from before it was started.
    marks:
        Pieces of environment (``NAME=value``, or a part of it) that nobody else's processes carry.
    start:
        The root's own ``start``, where it was started by somebody else; None where it was just now. If it
        is gone by now, its number may be a stranger's, and so may be the group and session of that number.
    """

    def __init__(
        self, root: int, since: int, marks: Iterable[bytes] = (), *, start: int | None = None
    ) -> None:
        self.root = root
        # One tick back: the kernel rounds down, the clock was read apart from it.
        self._since = since - 1
        self._seen: dict[int, int] = {}
        self._marks = list(marks)
        stat = read_stat(root)
        self._start = start if start is not None else stat.start if stat else None
        self._is_number_ours = start is None or (stat is not None and stat.start == start)
        if self._start is not None:
            self._seen[root] = self._start
            self._marks.append(f"STAGER_INSTANCE={root}.{self._start}\0".encode())

    @property
    def has_own_group(self) -> bool:
        """Whether the root leads a process group; false also when it is gone."""
        stat = read_stat(self.root)
        return stat is not None and stat.start == self._start and stat.group == self.root

    def members(self) -> tuple[ProcessStat, ...]:
        """Those that run now, by pid; remembered for the next time."""
        young = self._young()
        found = {pid for pid, stat in young.items() if self._is_member(stat, young)}
        waiting = [stat for pid, stat in young.items() if pid not in found]
        grew = True
        while grew:
            children = {stat.pid for stat in waiting if stat.parent in found}
            waiting = [stat for stat in waiting if stat.pid not in children]
            found |= children
            grew = bool(children)
        self._seen.update((pid, young[pid].start) for pid in found)
        return tuple(young[pid] for pid in sorted(found) if young[pid].is_running)

    def _young(self) -> dict[int, ProcessStat]:
        """All processes of the host that are not older than the root."""
        pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
        stats = (read_stat(pid) for pid in pids)
        return {stat.pid: stat for stat in stats if stat and stat.start >= self._since}

    def _is_member(self, stat: ProcessStat, young: dict[int, ProcessStat]) -> bool:
        if self._seen.get(stat.pid) == stat.start:
            return True
        # A pid is not given out again while a group or session carries it: a stranger under the
        # root's number says that the root's group and session are empty, and these are his.
        leader = young.get(self.root)
        is_root_number_ours = leader is None or leader.start == self._start
        if self._is_number_ours and is_root_number_ours and self.root in (stat.group, stat.session):
            return True
        return self._is_marked(stat.pid)

    def _is_marked(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read() + b"\0"
        except OSError:
            return False
        return any(mark in environment for mark in self._marks)

    def wait_until_empty(self, seconds: float) -> tuple[ProcessStat, ...]:
        """Wait at most so long; the members that are still there."""
        end = time.monotonic() + seconds
        while (left := self.members()) and time.monotonic() < end:
            time.sleep(0.01)
        return left

    def end(self, patience: float = 1.0) -> None:
        """End every member: TERM, after ``patience`` seconds KILL, until none is left."""
        if patience and (left := self.members()):
            for stat in left:
                send_signal(stat, signal.SIGTERM)
            self.wait_until_empty(patience)
        # Again and again: what is killed may just have forked.
        end = time.monotonic() + 5.0
        while (left := self.members()) and time.monotonic() < end:
            for stat in left:
                send_signal(stat, signal.SIGKILL)
            time.sleep(0.005)


def send_signal(stat: ProcessStat, number: signal.Signals) -> None:
    """Signal that very process; a later one under its pid is left alone."""
    try:
        descriptor = os.pidfd_open(stat.pid)
    except OSError:
        return
    try:
        now = read_stat(stat.pid)
        if now is not None and now.start == stat.start:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
