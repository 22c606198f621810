"""Questions to the host: short, captured, with a time limit. Never raises for an answer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from stager.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said. ``status`` is its exit status; None where it did not start or took too long."""

    status: int | None
    output: str


def probe(
    argv: Sequence[str],
    *,
    timeout: float = 10.0,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
) -> Answer:
    """Ask ``argv`` and return its exit status and what it printed, stdout before stderr.

    Parameters
    ----------
    timeout:
        Seconds; a program that takes longer is killed, and its status is None.
    environment:
        The whole environment; by default the caller's.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if environment is None else dict(environment),
            cwd=directory,
            start_new_session=True,
        )
    except OSError as error:
        return Answer(None, f"{argv[0]}: {os.strerror(error.errno or 0)}")
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as error:
            # What a program has started itself would else go on, and hold the pipes open.
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return Answer(None, f"{argv[0]} did not answer within {timeout:g} seconds")
            raise
    return Answer(process.returncode, (out + err).decode(errors="replace"))
