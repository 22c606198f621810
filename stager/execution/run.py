"""Work on the host: streamed line by line, in a session of its own, ended as a whole at the deadline."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stager.execution.marked import end_marked
from stager.model.frozen import dataclass

#: From fork to exec takes milliseconds.
_STARTING_SECONDS = 0.1
#: A compiler says a lot after the line that matters.
TAIL_LINES = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: the exit status (negative: the signal), and the last lines that it printed."""

    status: int
    tail: tuple[str, ...]
    is_timed_out: bool = False


def run(
    argv: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    timeout: float,
    marker: str,
    on_line: Callable[[str], None],
) -> Outcome:
    """Run ``argv`` to its end and hand every line of its output to ``on_line``.

    Parameters
    ----------
    environment:
        The whole environment; nothing is inherited.
    timeout:
        Seconds; then the whole process group is killed.
    marker:
        ``NAME=value``, put into the environment: whatever the program left running is found by it.

    Raises
    ------
    FileNotFoundError
        The program is not on the PATH of ``environment``.
    OSError
        The kernel does not start it: its environment is too large, for instance.
    """
    import sh  # 40-60 ms, of which asyncio half: only builds that run steps pay for it

    # sh resolves names against the caller's own PATH, whatever _env says.
    program = shutil.which(argv[0], path=environment.get("PATH"))
    if program is None:
        raise FileNotFoundError(argv[0])
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def take(line: str) -> None:
        text = line.rstrip("\r\n")
        tail.append(text)
        on_line(text)

    name, _, value = marker.partition("=")
    with open(os.devnull, "rb") as nothing:
        # _tty_out: else tools print colours. _new_session: so that the group can be killed; sh's own
        # timeout kills the direct child alone.
        try:
            process = sh.Command(program)(
                *argv[1:],
                _cwd=str(directory),
                _env={**environment, name: value},
                _in=nothing,
                _out=take,
                _err_to_out=True,
                _tty_out=False,
                _new_session=True,
                _bg=True,
                _bg_exc=False,
                _timeout=timeout,
                # Else it is the locale's, which knows no é where that is C.
                _encoding="utf-8",
                _decode_errors="replace",
            )
        except sh.ForkException as error:
            # Its text is the child's traceback; the last line is what the kernel said.
            raise OSError(str(error).strip().splitlines()[-1].strip()) from None
        except BaseException:
            # A signal came while it was being started: it has the mark in its environment once it is a
            # program of its own.
            time.sleep(_STARTING_SECONDS)
            end_marked(marker)
            raise
        try:
            return _wait(process, tail)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            end_marked(marker)


def _wait(process: object, tail: deque[str]) -> Outcome:
    import sh

    try:
        process.wait()  # type: ignore[attr-defined]
    except sh.TimeoutException:
        return Outcome(-signal.SIGKILL, tuple(tail), is_timed_out=True)
    except sh.ErrorReturnCode as error:
        return Outcome(int(error.exit_code), tuple(tail))
    return Outcome(0, tuple(tail))
