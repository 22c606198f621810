"""What an instance takes: the memory of its tree, and of one worker."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Sequence

from stager.launch.processes import ProcessStat
from stager.model.frozen import dataclass
from stager.model.memory import MIB

_KIB = 1024
#: The recorded number enters the manifest, that is the droplet's bytes: equal builds have to record the
#: same one, although a worker's memory differs by some pages from run to run. Only a worker within
#: those pages of a multiple can still come out one step apart.
WORKER_STEP = 16 * MIB
#: A supervisor's subshells look like a server's forks.
_SHELLS = frozenset({"bash", "dash", "sh"})


@dataclass(frozen=True, slots=True)
class Footprint:
    """What was measured. Bytes; ``worker_bytes`` is exact here, not rounded."""

    memory_bytes: int
    processes: int
    workers: tuple[ProcessStat, ...]
    worker_bytes: int


def measure(members: Sequence[ProcessStat]) -> Footprint:
    """Measure these processes as one tree."""
    workers = find_workers(members)
    sizes = [private_bytes(stat.pid) + released_bytes(stat.pid) for stat in workers]
    return Footprint(
        memory_bytes=sum(resident_bytes(stat.pid) for stat in members),
        processes=len(members),
        workers=workers,
        # The high median: beside one worker there may be one small companion of the same program
        # (Python's resource tracker), and half of a worker would be nobody's size.
        worker_bytes=statistics.median_high(sizes) if sizes else 0,
    )


def round_up(size: int) -> int:
    """To :data:`WORKER_STEP`."""
    return -(-size // WORKER_STEP) * WORKER_STEP


def find_workers(members: Sequence[ProcessStat]) -> tuple[ProcessStat, ...]:
    """The processes that do the work, or the one that does.

    A pre-forking server's workers are leaves that run the same program as their parent; loggers
    and helpers run another one. Of several such families (Apache's children beside php-fpm's) the
    one with the most private memory is where the application lives. Without any, the largest
    process is the server itself.
    """
    programs = {stat.pid: _program(stat.pid) for stat in members}
    parents = {stat.parent for stat in members}
    families: dict[tuple[int, str], list[ProcessStat]] = defaultdict(list)
    servers: list[ProcessStat] = []
    for stat in members:
        program = programs[stat.pid]
        if not program or os.path.basename(program) in _SHELLS:
            continue
        servers.append(stat)
        if stat.pid not in parents and program == programs.get(stat.parent):
            families[stat.parent, program].append(stat)
    if families:
        return tuple(max(families.values(), key=lambda one: sum(private_bytes(s.pid) for s in one)))
    return (max(servers, key=lambda stat: private_bytes(stat.pid)),) if servers else ()


def resident_bytes(pid: int) -> int:
    """The proportional share (PSS) of a process, or where that is not permitted its RSS."""
    rollup = _rollup(pid)
    if rollup is not None:
        return rollup.get("Pss", 0)
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def private_bytes(pid: int) -> int:
    """What would not be there without this process: its private dirty pages, swapped ones too."""
    rollup = _rollup(pid) or {}
    return rollup.get("Private_Dirty", 0) + rollup.get("Swap", 0)


def released_bytes(pid: int) -> int:
    """What it had at its peak, and has given back since.

    PHP returns a request's memory when the request ends: a page that fills 8 MiB leaves a worker with 0.5
    MiB of private pages, although each worker needs the 8 MiB while it works. A fork's peak begins anew.
    """
    sizes = _sizes(f"/proc/{pid}/status")
    return max(0, sizes.get("VmHWM", 0) - sizes.get("VmRSS", 0))


def _rollup(pid: int) -> dict[str, int] | None:
    return _sizes(f"/proc/{pid}/smaps_rollup") or None


def _sizes(path: str) -> dict[str, int]:
    """The lines ``Name:   123 kB`` of a file of /proc, in bytes; none where it may not be read."""
    sizes: dict[str, int] = {}
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if value.endswith(" kB\n"):
                    sizes[key] = int(value[:-4]) * _KIB
    except OSError:
        return {}
    return sizes


def _program(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""
