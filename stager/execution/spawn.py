"""Start a process that stays: a droplet's ``startup``, or the ``stop`` that ends it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a process runs as, with exactly these groups."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class Spawned:
    """A process that was started and is reaped as soon as it ends.

    ``started_at`` is the monotonic clock, in seconds, just before it was started.
    """

    def __init__(self, popen: subprocess.Popen[bytes], started_at: float) -> None:
        self.pid = popen.pid
        self.started_at = started_at
        self._popen = popen
        # Reaped at once, by a thread: a stop script that waits until the pid is gone would wait for
        # a zombie while its caller is busy with something else.
        self._reaper = threading.Thread(target=popen.wait, name=f"reap-{popen.pid}", daemon=True)
        self._reaper.start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._popen.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait at most ``timeout`` seconds; the exit code, or None while it still runs."""
        self._reaper.join(None if timeout is None else max(0.0, timeout))
        return self.exit_code


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    output: int,
    account: Account | None = None,
) -> Spawned:
    """Start ``argv`` with exactly ``environment``, as ``account``, and return while it runs.

    No session and no process group is made for it: a droplet's ``startup`` makes its own, and
    ``setsid`` would have to fork, that is change its pid, if it were a group's leader already.

    Parameters
    ----------
    argv:
        The program's absolute path, and its arguments.
    cwd:
        Where it starts.
    output:
        A file descriptor, open for writing, that becomes its stdout and stderr.
    account:
        Needs root; None keeps the current user.

    Raises
    ------
    OSError
        The program cannot be started, by that user or at all.
    """
    started_at = time.monotonic()
    popen = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=cwd,
        env=dict(environment),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=account.groups if account else None,
        umask=0o022,
    )
    return Spawned(popen, started_at)
