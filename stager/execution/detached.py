"""Start a process that outlives whoever started it: in a session of its own, where no terminal reaches it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from stager.execution.spawn import Spawned


def start_detached(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path = Path("/"),
    output: int | None = None,
    descriptors: Sequence[int] = (),
) -> Spawned:
    """Start ``argv`` with exactly ``environment``, and return while it runs.

    Parameters
    ----------
    output:
        A file descriptor that becomes its stdout and stderr; None for nowhere.
    descriptors:
        Open files that it gets under the same numbers. No others.

    Raises
    ------
    OSError
        The program cannot be started.
    """
    started_at = time.monotonic()
    where = subprocess.DEVNULL if output is None else output
    popen = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=where,
        stderr=where,
        cwd=cwd,
        env=dict(environment),
        pass_fds=tuple(descriptors),
        start_new_session=True,
        umask=0o077,
    )
    return Spawned(popen, started_at)
