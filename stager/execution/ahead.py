"""Work that a child does beside us, while we still import what comes after it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Ahead:
    """Bytes that a child of ours is computing.

    Parameters
    ----------
    process:
        The child.
    memory:
        A file without a name that it writes them to; closed with this.
    """

    def __init__(self, process: int, memory: int) -> None:
        self._process = process
        self._memory = memory

    def result(self) -> bytes | None:
        """What it computed, once; None where it failed: whoever does its work again learns why."""
        if not self._process:
            return None
        process, self._process = self._process, 0
        if os.waitpid(process, 0)[1]:
            return None
        with open(self._memory, "rb", buffering=0, closefd=False) as file:
            file.seek(0)
            return file.read()

    def close(self) -> None:
        """End it, if nobody has wanted to know."""
        os.close(self._memory)
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = 0


@contextmanager
def begun_ahead(work: Callable[[], bytes]) -> Iterator[Ahead | None]:
    """Let a child begin with ``work``; None where none can be had.

    It forks, so only who has no threads may call it: the command line does, the library never.
    """
    ahead = _begin(work)
    try:
        yield ahead
    finally:
        if ahead is not None:
            ahead.close()


def _begin(work: Callable[[], bytes]) -> Ahead | None:
    try:
        memory = os.memfd_create("stager-ahead")
    except OSError:
        return None
    try:
        process = os.fork()
    except OSError:
        os.close(memory)
        return None
    if process:
        return Ahead(process, memory)
    status = 1
    # Neither a message nor a trace: it concerns nobody, and an ended parent least of all.
    with suppress(BaseException), open(memory, "wb", buffering=0) as file:
        rest = memoryview(work())
        while rest:
            rest = rest[file.write(rest) :]
        status = 0
    os._exit(status)
