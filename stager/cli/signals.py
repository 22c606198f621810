"""SIGINT and SIGTERM end a build in an orderly way, and so does its deadline."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from stager.errors import Interrupted, StepTimedOut


@contextmanager
def orderly_end(timeout: float | None = None, doing: Callable[[], str] = str) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted, and ``timeout`` seconds into StepTimedOut.

    Only the first one is taken, and the others stay ignored when the block is left: a second would interrupt
    the cleaning up, or end the process before it has said with its status that it was interrupted.
    ``doing`` says what is being done when the time is over; empty where that is not known.
    """

    def ignore_the_rest() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def interrupted(number: int, _frame: FrameType | None) -> None:
        ignore_the_rest()
        raise Interrupted(
            f"Ended by {signal.Signals(number).name}.",
            resolution="Nothing was left behind; start it again when you like.",
        )

    def timed_out(_number: int, _frame: FrameType | None) -> None:
        ignore_the_rest()
        what = doing()
        raise StepTimedOut(
            f"It took longer than the {timeout:g} seconds that --timeout allows"
            + (f": {what} was not done yet." if what else "."),
            resolution="Allow more, or see in the lines above what takes so long.",
        )

    before = {
        number: signal.signal(number, interrupted)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # nohup means it
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, timed_out)
    if timeout:
        signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, action in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, action)
