"""Start a process that stays: a droplet's ``startup``, or the ``stop`` that ends it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stager.model.frozen import dataclass

_KIB = 1024
#: bash as startup's own first line has it: with -p nobody's BASH_ENV runs here, and unlike dash it passes
#: variables on whose names are no identifiers.
_GATE = ("/bin/bash", "-p", "-c")


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a process runs as, with exactly these groups."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a process is given before its program runs, so that all it ever starts inherits it.

    Parameters
    ----------
    admit:
        Is told the pid while the process waits: it is put into its control groups here, by us, who may.
    fds, file_size, data:
        rlimits, hard and soft: open files, bytes of one file, bytes of private writable memory of one
        process; 0 leaves the inherited one. The process lowers them itself: for a process of another
        user even root needs CAP_SYS_RESOURCE, which it seldom has in a container.
    niceness:
        Added to the inherited one.
    umask:
        Of the process.
    """

    admit: Callable[[int], None] | None = None
    fds: int = 0
    file_size: int = 0
    data: int = 0
    niceness: int = 0
    umask: int = 0o077

    def argv(self, argv: Sequence[str]) -> list[str]:
        """A command that waits for a line on its stdin, and then becomes ``argv``."""
        wait = "gate() { local line; IFS= read -r line || exit 125; }; gate; unset -f gate; "
        limits = "".join(
            f"ulimit -{letter} {value} || exit 125; "
            for letter, value in (
                ("n", self.fds),
                ("f", -(-self.file_size // _KIB)),
                ("d", -(-self.data // _KIB)),
            )
            if value
        )
        nice = f"nice -n {self.niceness} " if self.niceness else ""
        return [*_GATE, f'{wait}{limits}exec {nice}"$@" </dev/null', "stager", *argv]


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


def spawn(  # noqa: PLR0913  (as Popen, it is told everything)
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    output: int,
    errors: int | None = None,
    account: Account | None = None,
    confinement: Confinement | None = None,
    is_apart: bool = False,
) -> Spawned:
    """Start ``argv`` with exactly ``environment``, as ``account``, and return while it runs.

    Parameters
    ----------
    argv:
        The program's absolute path, and its arguments.
    cwd:
        Where it starts.
    output:
        A file descriptor, open for writing, that becomes its stdout and stderr.
    errors:
        Another one for stderr.
    account:
        Needs root; None keeps the current user.
    confinement:
        None for our own limits, groups and niceness, and an ordinary umask. With one, a program that
        cannot be started says so on stderr and ends with 126 or 127, or 125 before it was one.
    is_apart:
        In a session of its own, where no Ctrl-C meant for us reaches it. A droplet's ``startup`` makes one
        where it has none, which takes it 2 ms; a verification looks whether it does.

    Raises
    ------
    OSError
        The program cannot be started, by that user or at all; or it could not be admitted.
    """
    options = _Options(environment, cwd, output, output if errors is None else errors, account, is_apart)
    if confinement is not None:
        return _spawn_confined(confinement, argv, options)
    started_at = time.monotonic()
    return Spawned(options.open(list(argv), subprocess.DEVNULL, umask=0o022), started_at)


def _spawn_confined(confinement: Confinement, argv: Sequence[str], options: _Options) -> Spawned:
    os.stat(argv[0])
    started_at = time.monotonic()
    waiting, opening = os.pipe()
    try:
        popen = options.open(confinement.argv(argv), waiting, umask=confinement.umask)
        try:
            if confinement.admit is not None:
                confinement.admit(popen.pid)
            # Where it has died meanwhile, its exit code says so.
            with suppress(BrokenPipeError):
                os.write(opening, b"\n")
        except BaseException:
            popen.kill()
            popen.wait()
            raise
    finally:
        # Were we to die before this, it would read the end of the file, and never become the program.
        os.close(waiting)
        os.close(opening)
    return Spawned(popen, started_at)


@dataclass(frozen=True, slots=True)
class _Options:
    """What both ways of starting have in common."""

    environment: Mapping[str, str]
    cwd: Path
    output: int
    errors: int
    account: Account | None
    is_apart: bool

    def open(self, argv: list[str], stdin: int, *, umask: int) -> subprocess.Popen[bytes]:
        account = self.account
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=self.output,
            stderr=self.errors,
            cwd=self.cwd,
            env=dict(self.environment),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=account.groups if account else None,
            umask=umask,
            start_new_session=self.is_apart,
        )
