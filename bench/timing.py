"""Times whole processes, two against each other in turn, so that a machine's moods hit both alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds on the wall, and the peak memory of its largest process in MB."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Paired runs of A and B."""

    a: tuple[Run, ...]
    b: tuple[Run, ...]

    @property
    def ratios(self) -> list[float]:
        return sorted(one.seconds / other.seconds for one, other in zip(self.a, self.b, strict=True))

    def line(self, name: str, bound: float) -> str:
        """One row: medians, the ratio's median with its range, and the bound that it is held against."""
        ratio = statistics.median(self.ratios)
        verdict = "ok" if ratio <= bound else "ABOVE"
        return (
            f"{name:<44} {median(self.a):6.2f} s {median(self.b):6.2f} s   "
            f"{ratio:5.2f} ({self.ratios[0]:.2f}-{self.ratios[-1]:.2f})   {bound:4.2f}  {verdict}"
        )


def median(runs: Sequence[Run]) -> float:
    """The median of the seconds."""
    return statistics.median(run.seconds for run in runs)


def once(command: Sequence[str] | str, cwd: str | None = None) -> Run:
    """Run a command to its end; a string goes to a shell. Raises RuntimeError where it fails."""
    argv = ["bash", "-o", "pipefail", "-c", command] if isinstance(command, str) else list(command)
    # An installed package has its bytecode; a checkout gets it with the first run, unless this forbids it.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    started = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{argv} ended with {process.returncode}: {said.decode(errors='replace')[-2000:]}")
    return Run(seconds, usage.ru_maxrss / 1024)


def pairs(a: Callable[[], Run], b: Callable[[], Run], count: int) -> Pair:
    """One warm-up each, then ``count`` runs of A and B in turn."""
    a()
    b()
    taken = [(a(), b()) for _ in range(count)]
    return Pair(tuple(one for one, _ in taken), tuple(other for _, other in taken))
