"""SIGINT and SIGTERM end a build in an orderly way, and so does its deadline."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from stager.errors import Interrupted, StagerError, StepTimedOut

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds.
_SOON = 0.01


class _End:
    """How a block ends before its time: once, whatever else comes.

    Parameters
    ----------
    timeout, doing:
        As :func:`orderly_end` takes them.
    """

    def __init__(self, timeout: float | None, doing: Callable[[], str]) -> None:
        self._timeout, self._doing = timeout, doing
        self._report = sys.unraisablehook
        self._problem: StagerError | None = None

    def by_signal(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self._raise(
            Interrupted(
                f"Ended by {name}.", resolution="Nothing was left behind; start it again when you like."
            )
        )

    def by_clock(self, _number: int, _frame: FrameType | None) -> None:
        if self._problem:
            raise self._problem
        what = self._doing()
        self._raise(
            StepTimedOut(
                f"It took longer than the {self._timeout:g} seconds that --timeout allows"
                + (f": {what} was not done yet." if what else "."),
                resolution="Allow more, or see in the lines above what takes so long.",
            )
        )

    def _raise(self, problem: StagerError) -> NoReturn:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._problem = problem
        raise problem

    def raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        """What is raised in a destructor or a weak reference's callback, as imports have, goes nowhere."""
        if self._problem and lost.exc_value is self._problem:
            signal.setitimer(signal.ITIMER_REAL, _SOON)
        else:
            self._report(lost)


@contextmanager
def orderly_end(timeout: float | None = None, doing: Callable[[], str] = str) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted, and ``timeout`` seconds into StepTimedOut.

    Only the first one is taken, and the others stay ignored when the block is left: a second would interrupt
    the cleaning up, or end the process before it has said with its status that it was interrupted.
    ``doing`` says what is being done when the time is over; empty where that is not known.
    """
    end, hook = _End(timeout, doing), sys.unraisablehook
    before = {
        number: signal.signal(number, end.by_signal)
        for number in _SIGNALS
        # nohup means it
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, end.by_clock)
    sys.unraisablehook = end.raise_again
    if timeout:
        signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number, action in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, action)
