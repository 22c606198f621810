"""Where an instance's stdout and stderr go: through pipes with names to a relay, and from there to its logs.

The relay is a process of its own (``relay.py``): nothing of it depends on a supervisor. The pipes have names,
so that another relay can take the place of one that was killed; the application holds both ends of them, and
so waits meanwhile, instead of dying of SIGPIPE.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from stager.execution.detached import start_detached
from stager.execution.spawn import Account
from stager.launch.agent import relay
from stager.launch.agent.places import InstancePlace
from stager.model.frozen import dataclass

#: Of one file, in bytes; and how many files a stream has, the current one included.
FILE_BYTES = 10_000_000
FILES = 5
STREAMS = ("out", "err")
_LEAST_BYTES = 100_000
_PAUSE = 0.005
_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def file_bytes(disk: int) -> int:
    """How large one file may be where an instance has so much disk: its logs alone never exceed that."""
    return max(_LEAST_BYTES, min(FILE_BYTES, disk // (2 * FILES * len(STREAMS))))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Two descriptors, open for writing, for the process that is about to be started."""

    out: int
    err: int

    def close(self) -> None:
        """Give them back, when the process has them: the relay ends with the last who has."""
        os.close(self.out)
        os.close(self.err)


def open_outputs(
    place: InstancePlace, account: Account | None = None, *, limit: int = FILE_BYTES, files: int = FILES
) -> Outputs:
    """Make the pipes and start the relay, for a process that runs as ``account``.

    Raises OSError where that is not possible.
    """
    descriptors: list[int] = []
    try:
        descriptors.extend(_open_pipe(_pipe(place, stream), account) for stream in STREAMS)
        _start_relay(place, limit, files)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return Outputs(*descriptors)


def resume(place: InstancePlace, *, limit: int = FILE_BYTES, files: int = FILES) -> bool:
    """Start another relay for an instance that lives on without one; whether that had to be done.

    Cheap enough to be asked often: about 30 µs where there is one. Raises OSError as above.
    """
    if not all(_pipe(place, stream).is_fifo() for stream in STREAMS):
        return False
    return _start_relay(place, limit, files)


def is_relayed(place: InstancePlace) -> bool:
    """Whether a relay is at work there: it holds the directory's lock as long as it lives."""
    with contextlib.suppress(FileNotFoundError), _directory(place) as directory:
        return not _is_locked_now(directory)
    return False


def wait_until_written(place: InstancePlace, seconds: float = 1.0) -> bool:
    """Wait until all that an instance printed that has ended is in its logs; whether that is so."""
    end = time.monotonic() + seconds
    while is_relayed(place):
        if time.monotonic() >= end:
            return False
        time.sleep(_PAUSE)
    return True


def add_line(place: InstancePlace, text: str) -> None:
    """Say something of ours in ``err.log``: why an instance was ended. A full disk is no error here."""
    with contextlib.suppress(OSError), _open(place.err_log) as descriptor:
        os.write(descriptor, f"[stager] {text}\n".encode(errors="replace"))


def dropped_bytes(place: InstancePlace) -> int:
    """What is missing in the logs of an instance that has ended; 0 where nobody knows."""
    try:
        document = json.loads((place.logs / relay.RECORD).read_bytes())
        return sum(int(one["dropped_bytes"]) for one in document.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def _pipe(place: InstancePlace, stream: str) -> Path:
    return place.logs / f"{stream}.pipe"


def _open_pipe(path: Path, account: Account | None) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    # Both ends: nobody gets SIGPIPE while there is no relay, and nobody waits for one to open it.
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    if account is not None:
        # Servers open /dev/stderr anew, as who they have become.
        os.fchown(descriptor, account.uid, account.gid)
    return descriptor


def _start_relay(place: InstancePlace, limit: int, files: int) -> bool:
    """Start it with the lock that we have taken, so that it is there at once; false where there is one."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(_directory(place))
        if not _is_locked_now(directory):
            return False
        streams = {stream: stack.enter_context(_reading_end(_pipe(place, stream))) for stream in STREAMS}
        start_detached(
            [
                *(sys.executable, "-I", "-S", _script(), str(directory), str(limit), str(files)),
                *(f"{stream}={descriptor}" for stream, descriptor in streams.items()),
            ],
            # One arena for its five threads: 1 MB less of each relay.
            environment={"LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"},
            # Says whose it is, in /proc.
            cwd=place.logs,
            descriptors=(directory, *streams.values()),
        )
    return True


def _script() -> str:
    """The relay as it was compiled for us, if it was: to compile it anew takes each 0.5 MB of its 4.5."""
    compiled = importlib.util.cache_from_source(relay.__file__)
    with contextlib.suppress(OSError):
        # Nobody compares the two where the compiled one is named.
        if os.stat(compiled).st_mtime >= os.stat(relay.__file__).st_mtime:
            return compiled
    return relay.__file__


def _is_locked_now(directory: int) -> bool:
    """Take the lock; false where somebody else has it."""
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _directory(place: InstancePlace) -> Iterator[int]:
    descriptor = os.open(place.logs, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reading_end(path: Path) -> Iterator[int]:
    # Without waiting for a writer; but the relay is to wait for what they write.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.set_blocking(descriptor, True)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    descriptor = os.open(path, _APPENDING, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
