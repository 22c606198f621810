"""Too much memory or disk: found, said, and told apart from every other end."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

from stager.archive.allowance import in_units
from stager.launch.agent.history import Sample
from stager.launch.agent.limits import Enclosure
from stager.model.frozen import dataclass

#: The kernel ends a group's processes when it has come this near to its limit; with a smaller peak it was
#: the host, or a group above, that had no memory left.
_NEAR = 0.9


@dataclass(frozen=True, slots=True)
class Excess:
    """What an instance took too much of.

    Parameters
    ----------
    reason:
        For the record.
    limit, actual:
        Bytes; processes and threads for ``processes``.
    text:
        One line for people.
    """

    reason: Literal["memory", "disk", "processes"]
    limit: int
    actual: int
    text: str


def find_excess(sample: Sample, enclosure: Enclosure, shared: int = 0) -> Excess | None:
    """Judge one sample; None where all is within the limits.

    Who is told of an excess ends the instance, all of it, and says so in its record. Open files are no
    excess: the application is refused the next one, and can go on. ``shared`` is how much of its disk is
    what the application's instances have written into the droplet that they share.
    """
    limits = enclosure.limits
    if (killed := find_kill(enclosure)) is not None:
        return killed
    # In a group the kernel sees to it; and what it counts there may touch the limit without harm.
    if enclosure.group is None and sample.memory > limits.memory:
        text = _exceeded("Memory", in_units(limits.memory), f"{in_units(sample.memory)} were in use")
        return Excess("memory", limits.memory, sample.memory, text)
    if sample.disk > limits.disk:
        return find_crowding(sample, enclosure, shared)
    # In a group of pids the next one is refused instead.
    if not (enclosure.group and enclosure.group.has("pids")) and sample.tasks > limits.processes:
        text = _exceeded("Process", str(limits.processes), f"there were {sample.tasks} processes and threads")
        return Excess("processes", limits.processes, sample.tasks, text)
    return None


def find_crowding(sample: Sample, enclosure: Enclosure, shared: int) -> Excess:
    """The excess of one whose disk is used up, be it by what others have written where it writes, too."""
    limit = enclosure.limits.disk
    were = f"{in_units(sample.disk)} were in use"
    if 2 * shared > sample.disk:
        were += f", {in_units(shared)} of it in the droplet's directory, into which all its instances write"
    return Excess("disk", limit, sample.disk, _exceeded("Disk", in_units(limit), were))


def find_kill(enclosure: Enclosure) -> Excess | None:
    """Whether the kernel has ended a process of it for want of memory: also to be asked after its end.

    The signal alone does not tell: KILL is what everybody sends in the end.
    """
    kills = enclosure.oom_kills()
    if not kills:
        return None
    limit = enclosure.limits.memory
    usage = enclosure.usage()
    peak = usage.peak if usage is not None else 0
    ended = "1 process" if kills == 1 else f"{kills} processes"
    if 0 < peak < _NEAR * limit:
        text = (
            f"The host ran out of memory: the kernel ended {ended} of this instance, which had used "
            f"{in_units(peak)} at most and may use {in_units(limit)}. The instance is ended."
        )
        return Excess("memory", limit, peak, text)
    actual = max(peak, limit)
    was = f"{in_units(actual)} were in use, more was asked for, and the kernel ended {ended}"
    return Excess("memory", limit, actual, _exceeded("Memory", in_units(limit), was))


def tell_excess(excess: Excess, err_log: Path) -> None:
    """Write it to the instance's ``logs/err.log``, where its developer looks first. Raises OSError."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(err_log, flags, 0o644)
    try:
        os.write(descriptor, f"{moment} stager: {excess.text}\n".encode())
    finally:
        os.close(descriptor)


def _exceeded(what: str, limit: str, was: str) -> str:
    return f"{what} limit of {limit} exceeded: {was}. The instance is ended."
