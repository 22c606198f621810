"""What holds one instance within its limits: control groups where we may make them, else rlimits."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from stager.execution.spawn import Confinement
from stager.launch.agent.cgroups import ControlGroup, as_paths, hierarchies, plan_groups
from stager.launch.agent.places import write_json
from stager.launch.agent.records import InstanceLimits, Means
from stager.model.frozen import dataclass

#: Microseconds over which processor time is measured out, the kernel's own choice.
_PERIOD = 100_000
#: Without a group one process may have this much more private writable memory than the instance may use:
#: it bounds what happens between two samples. What is only reserved counts as well, 8 MiB for each thread's
#: stack, and a well-behaved process must never meet it (with 128 MiB in all, Python starts 13 threads).
_RESERVED = 1 << 30
_NAMES: Mapping[Means, str] = {
    "cgroup2": "control groups (v2)",
    "cgroup1": "control groups (v1)",
    "rlimits": "rlimits and watching",
    "": "nothing",
}


@dataclass(frozen=True, slots=True)
class GroupUsage:
    """What the kernel has counted for all of a group, its dead included.

    Bytes, seconds since it was made, processes and threads; None for what it does not count. ``memory``
    is what could not be taken back at once: without the cache of files that nobody reads any more.
    ``peak`` is with it.
    """

    memory: int
    peak: int
    cpu_seconds: float | None
    tasks: int | None


@dataclass(frozen=True, slots=True)
class Enclosure:
    """The limits of one instance, in force from before its program runs until it is removed.

    Parameters
    ----------
    means:
        How memory is limited: ``cgroup2``, ``cgroup1`` or ``rlimits``.
    limits:
        What it may take.
    group:
        None for ``rlimits``.
    notices:
        What could not be done as it was asked for, in sentences.
    file_size:
        Bytes of one file; 0 for the limit on its disk.
    niceness:
        Added to ours.
    cores:
        Of processor time at most, fractions too; 0 for its fair share of what is there.
    """

    means: Means
    limits: InstanceLimits
    group: ControlGroup | None = None
    notices: tuple[str, ...] = ()
    file_size: int = 0
    niceness: int = 0
    cores: float = 0.0

    @classmethod
    def make(
        cls,
        identifier: str,
        limits: InstanceLimits,
        *,
        note: Path | None = None,
        file_size: int = 0,
        niceness: int = 0,
        cores: float = 0.0,
        allowed: tuple[Means, ...] = ("cgroup2", "cgroup1", "rlimits"),
    ) -> Enclosure:
        """Choose the best means that works here, and make ready what it needs.

        ``identifier`` is the instance's, and names its group; ``allowed`` are the means to be tried. What
        is going to be made is written to ``note`` before: who comes after us, also if we are killed in
        the next line, finds, reads and removes it by that. Raises OSError where that cannot be written.
        """
        for planned in _plans(identifier, allowed):
            if note is not None:
                _note(planned, note)
            group = planned.make()
            if group is None:
                continue
            if not group.write("memory.limit", limits.memory):
                group.remove(0.0)
                continue
            notices = _limit_group(group, limits, cores)
            return cls(group.version, limits, group, (*notices, *_capped(limits)), file_size, niceness, cores)
        notices = (
            "No control group can be made here: memory is limited by being watched.",
            "Processes are only counted: their limit in the kernel is the user's, which instances share.",
            *(("There is no means here to hold it to some cores.",) if cores else ()),
        )
        return cls("rlimits", limits, None, (*notices, *_capped(limits)), file_size, niceness, cores)

    @classmethod
    def read(cls, path: Path, limits: InstanceLimits) -> Enclosure:
        """What is there of that which another supervisor noted in ``path``; without a group if nothing is."""
        with suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            document = json.loads(path.read_bytes())
            if (means := document["means"]) in {"cgroup1", "cgroup2"}:
                group = ControlGroup(means, as_paths(document["directories"])).found()
                if group.directories:
                    return cls(means, limits, group)
        return cls("rlimits", limits)

    @property
    def confinement(self) -> Confinement:
        """For :func:`stager.execution.spawn.spawn`: what the first process, and by it every other, gets."""
        return Confinement(
            admit=self.group.admit if self.group else None,
            fds=_at_most(resource.RLIMIT_NOFILE, self.limits.fds),
            file_size=_at_most(resource.RLIMIT_FSIZE, self.file_size or self.limits.disk),
            data=0 if self.group else _at_most(resource.RLIMIT_DATA, _RESERVED + self.limits.memory),
            niceness=self.niceness,
            umask=0o077,
        )

    @property
    def description(self) -> str:
        """The means by its name, for people."""
        return _NAMES[self.means]

    def usage(self) -> GroupUsage | None:
        """What its group counts now; None without one, or when it is gone."""
        group = self.group
        now = group.read("memory.now") if group else b""
        if group is None or not now:
            return None
        idle = group.value("memory.stat", b"inactive_file" if group.version == "cgroup2" else _IDLE_V1)
        cpu: float | None = None
        if group.version == "cgroup2":
            cpu = group.value("cpu.now", b"usage_usec") / 1e6
        elif group.has("cpuacct"):
            cpu = group.number("cpu.now") / 1e9
        return GroupUsage(
            memory=max(0, int(now) - idle),
            peak=group.number("memory.peak"),
            cpu_seconds=cpu,
            tasks=group.number("pids.now") if group.has("pids") else None,
        )

    def pids(self) -> tuple[int, ...]:
        """Who is in its group; nobody where there is none."""
        return self.group.pids() if self.group else ()

    def oom_kills(self) -> int:
        """How many processes the kernel has ended because the memory was used up, since it was made."""
        return self.group.value("memory.events", b"oom_kill") if self.group else 0

    def refused_forks(self) -> int:
        """How often the limit on processes has refused one."""
        return self.group.value("pids.events", b"max") if self.group else 0

    def remove(self) -> bool:
        """Kill what is left in its group, and remove that; false where something would not die.

        May be called again. Without a group nothing is done: what is left is for the process tree to end.
        """
        return self.group.remove() if self.group else True


def _plans(identifier: str, allowed: tuple[Means, ...]) -> Iterator[ControlGroup]:
    for where in hierarchies():
        if where.version in allowed:
            yield from plan_groups(where, identifier)


def _note(group: ControlGroup, path: Path) -> None:
    directories = {name: str(directory) for name, directory in group.directories.items()}
    write_json(path, {"means": group.version, "directories": directories})


#: Of v1's counters those with this beginning include the groups below.
_IDLE_V1 = b"total_inactive_file"


def _limit_group(group: ControlGroup, limits: InstanceLimits, cores: float) -> tuple[str, ...]:
    """Everything but memory; what could not be done, in sentences."""
    notices = []
    # v1 limits memory and swap together, v2 swap alone; where swap is not counted there is no such file.
    group.write("memory.swap", limits.memory if group.version == "cgroup1" else 0)
    # What is left of an instance of which the kernel has taken a part is of no use to anybody.
    group.write("memory.together", 1)
    if not group.write("pids.limit", limits.processes):
        notices.append("There is no control group for processes here: they are only counted.")
    if cores and not _limit_cores(group, cores):
        notices.append("There is no control group for processor time here: it is not limited.")
    return tuple(notices)


def _limit_cores(group: ControlGroup, cores: float) -> bool:
    directory = group.directories.get("cpu")
    if directory is None:
        return False
    quota = max(1000, int(cores * _PERIOD))
    if group.version == "cgroup2":
        return group.write("cpu.limit", f"{quota} {_PERIOD}")
    return group.write("cpu.period", _PERIOD) and group.write("cpu.limit", quota)


def _at_most(kind: int, wanted: int) -> int:
    """``wanted``, or our own hard limit where that is lower: nobody without CAP_SYS_RESOURCE can raise it."""
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _capped(limits: InstanceLimits) -> tuple[str, ...]:
    possible = _at_most(resource.RLIMIT_NOFILE, limits.fds)
    if possible == limits.fds:
        return ()
    return (f"Only {possible} open files are possible here instead of {limits.fds}.",)
