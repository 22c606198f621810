"""The record of one staging, filled as it goes, so that a failure can be reported as fully as a success."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any

from stager.errors import StagerError
from stager.model.frozen import dataclass
from stager.model.reporter import Reporter

if TYPE_CHECKING:
    from stager.model.detection import Detected
    from stager.model.droplet import Runtime
    from stager.model.finding import Verification
    from stager.model.plan import Limits, Process

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """How long a phase took, in seconds, and whether its result came from a cache."""

    name: str
    seconds: float
    cached: bool = False


@dataclass(frozen=True, slots=True)
class DropletFile:
    """Where the droplet is, the SHA-256 of its bytes (of its digest list for a directory), and its size."""

    path: str
    sha256: str
    size_bytes: int
    format: str


@dataclass(slots=True)
class Record:
    """What is known of a staging so far. The one mutable thing that the phases share."""

    detected: Detected | None = None
    runtimes: tuple[Runtime, ...] = ()
    droplet: DropletFile | None = None
    processes: tuple[Process, ...] = ()
    limits: Limits | None = None
    phases: list[PhaseTime] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    verification: Verification | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    #: What is being done, for people: the step, else the phase.
    doing: str = ""

    def document(self, stager_version: str, error: StagerError | None = None) -> dict[str, Any]:
        """The report (DESIGN section 5): the same keys on success and on failure."""
        from stager.model.droplet import plain

        return {
            "schema": SCHEMA,
            "status": "failed" if error else "succeeded",
            "exit_code": error.exit_code if error else 0,
            "error": error_document(error) if error else None,
            "runtimes": [runtime.name for runtime in self.runtimes],
            "versions": {runtime.name: dict(runtime.versions) for runtime in self.runtimes},
            "detections": detections_document(self.detected)["detections"] if self.detected else [],
            "near_misses": list(self.detected.near_misses) if self.detected else [],
            "droplet": plain(self.droplet),
            "processes": {process.type: command_text(process) for process in self.processes},
            "limits": plain(self.limits),
            "settings_from": dict(self.origins),
            "phases": [plain(phase) for phase in self.phases],
            "warnings": list(self.warnings),
            "verification": self.verification.as_document() if self.verification else None,
            "stager_version": stager_version,
        }


class Recording(Reporter):
    """Passes on to a reporter what it is told, and keeps the times of phases and the warnings in a record."""

    def __init__(self, reporter: Reporter, record: Record) -> None:
        self._reporter = reporter
        self._record = record

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Take the time of a phase, also of one that fails."""
        started = time.monotonic()
        self._record.doing = f"the phase {name}"
        try:
            with self._reporter.phase(name):
                yield
        finally:
            self._record.phases.append(PhaseTime(name, round(time.monotonic() - started, 3)))

    def detail(self, text: str) -> None:
        self._reporter.detail(text)

    def step(self, text: str) -> None:
        self._record.doing = text
        self._reporter.step(text)

    def output(self, line: str) -> None:
        self._reporter.output(line)

    def warning(self, text: str) -> None:
        self._record.warnings.append(text)
        self._reporter.warning(text)


def error_document(error: StagerError) -> dict[str, Any]:
    """``error`` of a report."""
    return {
        "code": error.slug,
        "fault": error.fault,
        "brief": error.brief,
        "details": error.details,
        "resolution": error.resolution,
        "retry": error.retry,
    }


def detections_document(detected: Detected) -> dict[str, Any]:
    """What ``stager detect --json`` shows."""
    return {
        "schema": SCHEMA,
        "detections": [
            {
                "runtime": runtime,
                "strength": answer.strength.name.lower(),
                "evidence": list(answer.evidence),
            }
            for runtime, answer in detected.detections
            if answer.strength
        ],
        "near_misses": list(detected.near_misses),
        "selected": list(detected.selected),
    }


def command_text(process: Process) -> str | list[str]:
    """A process's command as people read it: shell text as written, argv as a list."""
    from stager.model.plan import Shell

    if isinstance(process.command, Shell):
        return process.command.text
    return list(process.command)
