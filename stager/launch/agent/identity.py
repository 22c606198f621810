"""Which process a record means: its number, its start, and the boot of the host that both belong to."""

from __future__ import annotations

import os
from functools import cache
from typing import Protocol

from stager.launch.agent.records import ProcessRecord
from stager.launch.processes import read_stat, runs


class Identified(Protocol):
    """What names a process."""

    @property
    def pid(self) -> int: ...

    @property
    def start_time(self) -> int: ...

    @property
    def boot(self) -> str: ...


@cache
def boot_id() -> str:
    """Of the host's present boot; empty where it does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def is_of_this_boot(one: Identified) -> bool:
    """Whether its numbers mean anything by now."""
    return one.pid > 0 and one.boot == boot_id()


def is_running(one: Identified | None) -> bool:
    """Whether that very process runs."""
    if one is None or not is_of_this_boot(one):
        return False
    return runs(one.pid, one.start_time)


def identify(pid: int) -> ProcessRecord:
    """The process of that number now; with a start of 0, that no process has, where it is gone."""
    stat = read_stat(pid)
    return ProcessRecord(pid, stat.start if stat else 0, boot_id())


def this_process() -> ProcessRecord:
    """Ourselves."""
    return identify(os.getpid())
