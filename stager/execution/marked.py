"""Processes that carry a mark in their environment: daemonised ones too, whoever their parent is now."""

from __future__ import annotations

import contextlib
import os
import signal
import time

_ROUNDS = 100
#: Seconds.
_PAUSE = 0.01


def marked(marker: str) -> list[int]:
    """The pids whose environment holds ``marker`` (``NAME=value``), without this process."""
    wanted = marker.encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as environ:
            if wanted in environ.read().split(b"\0"):
                found.append(int(name))
    return found


def end_marked(marker: str) -> None:
    """Kill every process that carries ``marker``, and wait until none does (at most about a second).

    Repeated, since one may fork meanwhile, and since a killed process is still busy for some milliseconds
    with what it was doing: a directory cannot be removed while somebody makes files in it.
    """
    for _ in range(_ROUNDS):
        pids = marked(marker)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)
