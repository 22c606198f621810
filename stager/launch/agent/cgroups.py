"""Control groups of one instance: where one can be made, what it is told, what it says, and its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Literal

from stager.launch.processes import read_stat, send_signal
from stager.model.frozen import dataclass

Version = Literal["cgroup2", "cgroup1"]

_PREFIX = "stager-"
_REMOVE_SECONDS = 5.0
#: Without memory there is no point in a group. The others are taken where they are: pids stops a fork
#: bomb, cpu divides the cores by instances instead of by processes.
_OPTIONAL = {"cgroup2": ("pids", "cpu"), "cgroup1": ("pids", "cpu", "cpuacct")}
#: What a question is called there: the controller, and the name of its file.
_FILES: Mapping[Version, Mapping[str, tuple[str, str]]] = {
    "cgroup2": {
        "memory.limit": ("memory", "memory.max"),
        "memory.swap": ("memory", "memory.swap.max"),
        "memory.together": ("memory", "memory.oom.group"),
        "memory.now": ("memory", "memory.current"),
        "memory.peak": ("memory", "memory.peak"),
        "memory.stat": ("memory", "memory.stat"),
        "memory.events": ("memory", "memory.events"),
        "pids.limit": ("pids", "pids.max"),
        "pids.now": ("pids", "pids.current"),
        "pids.events": ("pids", "pids.events"),
        "cpu.now": ("memory", "cpu.stat"),
        "cpu.limit": ("cpu", "cpu.max"),
        "kill": ("memory", "cgroup.kill"),
    },
    "cgroup1": {
        "memory.limit": ("memory", "memory.limit_in_bytes"),
        "memory.swap": ("memory", "memory.memsw.limit_in_bytes"),
        "memory.now": ("memory", "memory.usage_in_bytes"),
        "memory.peak": ("memory", "memory.max_usage_in_bytes"),
        "memory.stat": ("memory", "memory.stat"),
        "memory.events": ("memory", "memory.oom_control"),
        "pids.limit": ("pids", "pids.max"),
        "pids.now": ("pids", "pids.current"),
        "pids.events": ("pids", "pids.events"),
        "cpu.now": ("cpuacct", "cpuacct.usage"),
        "cpu.limit": ("cpu", "cpu.cfs_quota_us"),
        "cpu.period": ("cpu", "cpu.cfs_period_us"),
    },
}


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where the kernel shows control groups, and in which of them we are ourselves.

    ``parents`` are, for each controller, the directories from our own group up to the root: a limit
    that lies upon us lies upon what we start, too.
    """

    version: Version
    parents: Mapping[str, tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """One group, in one directory (cgroup v2), or in one of each controller (v1)."""

    version: Version
    directories: Mapping[str, Path] = field(default_factory=dict)

    def has(self, controller: str) -> bool:
        return controller in self.directories

    def path(self, question: str) -> str:
        """The file that answers to it, whether it is there or not; empty without its controller."""
        controller, name = _FILES[self.version].get(question, ("", ""))
        directory = self.directories.get(controller)
        # A Path would take as long as the kernel's answer, and this is asked 150 times in a sample.
        return f"{directory}/{name}" if directory else ""

    def read(self, question: str) -> bytes:
        """What the file says; empty where there is none."""
        path = self.path(question)
        return read_file(path) if path else b""

    def number(self, question: str) -> int:
        """The same as a number; 0 where it says none."""
        text = self.read(question).strip()
        return int(text) if text.isdigit() else 0

    def value(self, question: str, key: bytes) -> int:
        """The number behind ``key`` in a file of such lines; 0 where there is none."""
        for line in self.read(question).splitlines():
            name, _, value = line.partition(b" ")
            if name == key:
                return int(value)
        return 0

    def write(self, question: str, value: object) -> bool:
        """Tell it, and say whether that could be done."""
        path = self.path(question)
        try:
            if path:
                write_file(path, str(value))
                return True
        except OSError:
            pass
        return False

    def make(self) -> ControlGroup | None:
        """Make its directories; what of it could be made, or None where its memory cannot be limited."""
        made = self._only([one for one in self._distinct() if _has_made(one)])
        if made.has("memory"):
            return made
        made.remove(0.0)
        return None

    def found(self) -> ControlGroup:
        """What of it is there."""
        return self._only([one for one in self._distinct() if one.is_dir()])

    def _only(self, some: Sequence[Path]) -> ControlGroup:
        return ControlGroup(
            self.version, {name: one for name, one in self.directories.items() if one in some}
        )

    def admit(self, pid: int) -> None:
        """Put a process into it, and by that all that it will start.

        Raises OSError where that is not allowed.
        """
        for directory in self._distinct():
            write_file(directory / "cgroup.procs", str(pid))

    def pids(self) -> tuple[int, ...]:
        """Who is in it, wherever its parents went."""
        directory = self.directories.get("memory")
        return tuple(int(pid) for pid in read_file(f"{directory}/cgroup.procs").split()) if directory else ()

    def kill(self) -> None:
        """Kill all that is in it, once."""
        # Nothing new can be born meanwhile: a fork bomb would be faster than we are.
        self.write("pids.limit", 0)
        if self.write("kill", 1):
            return
        for pid in self.pids():
            stat = read_stat(pid)
            # Asked once more, now that the process is known by its start, too: the number could have
            # been given to somebody else since the list was made.
            if stat is not None and stat.is_running and pid in self.pids():
                send_signal(stat, signal.SIGKILL)

    def remove(self, seconds: float = _REMOVE_SECONDS) -> bool:
        """Kill what is left in it and remove it; false where something would not die in time."""
        end = time.monotonic() + seconds
        while left := [one for one in self._distinct() if not _has_removed(one)]:
            if time.monotonic() > end:
                return False
            if any(read_file(one / "cgroup.procs") for one in left):
                self.kill()
            time.sleep(0.005)
        return True

    def _distinct(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(self.directories.values()))


def hierarchies(proc: Path = Path("/proc/self")) -> tuple[Hierarchies, ...]:
    """Those that know how to limit memory, v2 first.

    A mounted v2 says nothing about its controllers: on a hybrid host it may have none at all.
    """
    own = _own_groups(read_file(proc / "cgroup").decode(errors="surrogateescape"))
    first: dict[str, tuple[Path, ...]] = {}
    second: dict[str, tuple[Path, ...]] = {}
    for kind, options, root, mountpoint in _mounts(
        read_file(proc / "mountinfo").decode(errors="surrogateescape")
    ):
        if kind == "cgroup2":
            chain = _chain(mountpoint, root, own.get("", "/"))
            there = read_file(mountpoint / "cgroup.controllers").decode().split()
            second = dict.fromkeys(("memory", "pids", "cpu"), chain) if "memory" in there else second
        else:
            for name in ("memory", *_OPTIONAL["cgroup1"]):
                if name in options.split(",") and name not in first:
                    first[name] = _chain(mountpoint, root, own.get(name, "/"))
    found: list[tuple[Version, dict[str, tuple[Path, ...]]]] = [("cgroup2", second), ("cgroup1", first)]
    return tuple(Hierarchies(version, parents) for version, parents in found if "memory" in parents)


def plan_groups(where: Hierarchies, identifier: str) -> Iterator[ControlGroup]:
    """Groups that could be made for the instance of that identifier, the best first; none is there yet."""
    name = _PREFIX + identifier
    if where.version == "cgroup1":
        yield ControlGroup(where.version, {one: chain[0] / name for one, chain in where.parents.items()})
        return
    chain = where.parents["memory"]
    for parent in chain:
        # A group with processes in it cannot give controllers to children ("no internal processes");
        # the one above often does. Moving a process needs the right to write to what is above both.
        given = _given(parent, is_own=parent == chain[0])
        if "memory" in given and os.access(parent / "cgroup.procs", os.W_OK):
            controllers = [one for one in ("memory", *_OPTIONAL["cgroup2"]) if one in given]
            yield ControlGroup(where.version, dict.fromkeys(controllers, parent / name))


def _given(parent: Path, *, is_own: bool) -> frozenset[str]:
    """The controllers that children of ``parent`` have; of our own group those that they could have, too."""
    path = parent / "cgroup.subtree_control"
    if is_own:
        for controller in ("memory", *_OPTIONAL["cgroup2"]):
            with suppress(OSError):
                write_file(path, f"+{controller}")
    return frozenset(read_file(path).decode().split())


def _own_groups(text: str) -> dict[str, str]:
    """/proc/self/cgroup: the group for each controller of v1; under the empty name that of v2."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts(text: str) -> Iterator[tuple[str, str, str, Path]]:
    """Type, controllers, root and mount point of each cgroup mount in mountinfo (proc(5))."""
    for line in text.splitlines():
        head, _, tail = line.partition(" - ")
        kind, _, rest = tail.partition(" ")
        if kind in {"cgroup", "cgroup2"}:
            fields = head.split(" ")
            yield kind, rest.rpartition(" ")[2], fields[3], Path(fields[4].replace("\\040", " "))


def _chain(mountpoint: Path, root: str, own: str) -> tuple[Path, ...]:
    """From our group up to the mount point; that alone where our group lies outside of what is mounted."""
    relative = os.path.relpath(own, root)
    if relative == "." or relative.startswith(".."):
        return (mountpoint,)
    parts = Path(relative).parts
    return tuple(mountpoint.joinpath(*parts[:size]) for size in range(len(parts), -1, -1))


def _has_made(directory: Path) -> bool:
    try:
        directory.mkdir()
    except OSError:
        return False
    return True


def _has_removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def read_file(path: Path | str) -> bytes:
    """All of a small file of the kernel's; empty where it cannot be read. A third of what open() takes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = part = os.read(descriptor, 65536)
        while part:
            part = os.read(descriptor, 65536)
            data += part
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return data


def write_file(path: Path | str, text: str) -> None:
    """One write, as the kernel wants it. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def as_paths(directories: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, Path]:
    """The directories of a group as they were written down."""
    return {controller: Path(path) for controller, path in dict(directories).items()}
