"""Whose process is it: one look at all of /proc for all instances that have no control group."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stager.launch.agent.cgroups import read_file
from stager.model.frozen import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: A process that has just been born, or just becomes another program, may show neither its environment nor
#: its final parent. After so many seconds a stranger stays one, and is not looked at again.
_SETTLED_SECONDS = 5.0


class Member(NamedTuple):
    """A process as /proc/PID/stat shows it: seconds, bytes, and ticks since boot for ``start``."""

    pid: int
    parent: int
    group: int
    session: int
    cpu_seconds: float
    tasks: int
    start: int
    resident: int


@dataclass(frozen=True, slots=True)
class Root:
    """How the processes of one instance are known: they come from ``pid``, or carry one of the ``marks``."""

    pid: int
    start: int
    marks: tuple[bytes, ...] = ()

    def owns(self, environment: bytes) -> bool:
        """Whether a process with that environment is one of its."""
        own = f"STAGER_INSTANCE={self.pid}.{self.start}\0".encode()
        return own in environment or any(mark in environment for mark in self.marks)


class Census:
    """Remembers who belongs to whom, so that a process is asked for its origin once in its life.

    Daemons are found as :class:`stager.launch.processes.Tree` finds them: by their parents, by a member
    that leads their group or session, by a mark in their environment, and since they were members before.
    """

    def __init__(self) -> None:
        self._owners: dict[tuple[int, int], str] = {}
        self._strangers: set[tuple[int, int]] = set()

    def take(self, roots: Mapping[str, Root]) -> dict[str, list[Member]]:
        """The processes of each instance that run now."""
        found: dict[str, list[Member]] = {name: [] for name in roots}
        if not roots:
            return found
        now = _everybody(min(root.start for root in roots.values()))
        by_root = {(root.pid, root.start): name for name, root in roots.items()}
        owners: dict[tuple[int, int], str] = {}
        # By age: whoever leads is older than who follows, except for a number that was given out anew.
        for member in sorted(now.values(), key=lambda one: (one.start, one.pid)):
            key = member.pid, member.start
            owner = self._owners.get(key) or by_root.get(key)
            if owner is None and key not in self._strangers:
                owner = self._origin(member, now, owners, roots)
            if owner in found:
                owners[key] = owner
                found[owner].append(member)
        self._remember(now, owners)
        return found

    def _origin(
        self,
        member: Member,
        now: Mapping[int, Member],
        owners: Mapping[tuple[int, int], str],
        roots: Mapping[str, Root],
    ) -> str | None:
        for leader in (now.get(number) for number in (member.parent, member.group, member.session)):
            if leader is not None and leader is not member:
                owner = owners.get((leader.pid, leader.start))
                if owner is not None:
                    return owner
        environment = read_file(f"/proc/{member.pid}/environ") + b"\0"
        for name, root in roots.items():
            if root.start <= member.start + 1 and root.owns(environment):
                return name
        return None

    def _remember(self, now: Mapping[int, Member], owners: dict[tuple[int, int], str]) -> None:
        latest = (time.clock_gettime(time.CLOCK_BOOTTIME) - _SETTLED_SECONDS) * _TICKS
        self._owners = owners
        self._strangers = {
            (member.pid, member.start)
            for member in now.values()
            if member.start < latest and (member.pid, member.start) not in owners
        }


def read_members(pids: Iterable[int]) -> list[Member]:
    """Those of these processes that run."""
    return [member for pid in pids if (member := _read(str(pid))) is not None]


def read_family(pid: int) -> list[Member]:
    """A process and its children, as far as they run."""
    children = read_file(f"/proc/{pid}/task/{pid}/children").split()
    return read_members([pid, *map(int, children)])


def _everybody(since: int) -> dict[int, Member]:
    """All processes of the host that are not older than ``since``; one tick less, since the kernel rounds."""
    everybody = (_read(name) for name in os.listdir("/proc") if name[0] in "123456789")
    return {one.pid: one for one in everybody if one is not None and one.start >= since - 1}


def _read(pid: str) -> Member | None:
    data = read_file(f"/proc/{pid}/stat")
    # The name may hold blanks and parentheses: what follows the last one is regular (proc(5)).
    fields = data[data.rfind(b") ") + 2 :].split()
    if not fields or fields[0] in b"ZXx":
        return None
    return Member(
        int(pid),
        int(fields[1]),
        int(fields[2]),
        int(fields[3]),
        # With the children that it has waited for: what lived between two looks is in there.
        (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / _TICKS,
        int(fields[17]),
        int(fields[19]),
        int(fields[21]) * _PAGE,
    )
