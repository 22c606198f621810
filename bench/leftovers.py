"""What applications leave behind, as the kernel tells it: processes, control groups, directories, memory."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from stager.launch.account import unprivileged_account
from stager.launch.deadline import Deadline

Left = TypeVar("Left")


def processes_of(root: Path) -> dict[int, str]:
    """Pid and command of each process but this one that works in a directory, or was told of it."""
    needle = os.fsencode(root) + b"/"
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            told = Path(entry.path, "environ").read_bytes() + Path(entry.path, "cmdline").read_bytes()
            place = os.fsencode(os.readlink(f"{entry.path}/cwd")) + b"/"
            if needle in told.replace(b"\0", b"/\0") or place.startswith(needle):
                command = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").strip()
                found[int(entry.name)] = command.decode(errors="replace")[:120]
    return found


def children() -> tuple[int, ...]:
    """Those of this process, dead ones that nobody has asked about included."""
    found: list[int] = []
    for task in os.scandir("/proc/self/task"):
        with contextlib.suppress(OSError):
            found.extend(int(pid) for pid in Path(task.path, "children").read_text().split())
    return tuple(found)


def control_groups(identifiers: Iterable[str]) -> list[str]:
    """Directories of control groups in whose name one of these occurs."""
    wanted = set(identifiers)
    return [
        os.path.join(folder, name)
        for folder, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.rpartition("-")[2] in wanted
    ]


def private_directories() -> set[Path]:
    """Those that ``startup`` makes, of the account that instances run as here."""
    account = unprivileged_account(None)
    owner = account.uid if account else os.getuid()
    found = set()
    for path in Path("/tmp").glob("stager.*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == owner:
                found.add(path)
    return found


def resident(pid: int | str = "self") -> int:
    """KiB of memory that a process has to itself, or shares; 0 where there is none."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") >> 10
    return 0


def descriptors(pid: int | str = "self") -> int:
    """How many files it has open."""
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


def settle(look: Callable[[], Left], seconds: float = 10.0) -> Left:
    """What is left when nothing is any more, or after so long: a process ends a moment after its TERM."""
    deadline = Deadline.after(seconds)
    while (left := look()) and not deadline.is_over:
        time.sleep(0.05)
    return left


def abandoned(before: set[Path]) -> list[str]:
    """Private directories that were not there ``before``, and that no process knows of."""
    new = {os.fsencode(path) for path in private_directories() - before}
    for entry in os.scandir("/proc") if new else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                told = Path(entry.path, "environ").read_bytes()
                new = {path for path in new if b"STAGER_SOCKETS=" + path + b"\0" not in told}
    return sorted(os.fsdecode(path) for path in new)
