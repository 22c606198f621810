"""Processes that carry a mark in their environment: daemonised ones too, whoever their parent is now."""

from __future__ import annotations

import contextlib
import os
import signal


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
    """Kill every process that carries ``marker``; repeated, since one may fork meanwhile."""
    for _ in range(5):
        pids = marked(marker)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
