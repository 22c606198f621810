"""What verification says: findings, and what a boot measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any, Literal

from stager.model.frozen import dataclass

Level = Literal["error", "warning", "skipped", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a verification report. ``path`` is relative to the droplet, or empty."""

    check: str
    level: Level
    message: str
    path: str = ""


def are_fine(findings: Iterable[Finding]) -> bool:
    """Whether none of them is an error."""
    return not any(finding.level == "error" for finding in findings)


@dataclass(frozen=True, slots=True)
class Boot:
    """What starting the droplet showed. Times in seconds, memory in bytes.

    ``memory_bytes`` is the whole tree's proportional share (PSS, else RSS); ``worker_bytes`` what
    one more worker takes, or 0 where that could not be told.
    """

    status: Literal["served", "failed", "skipped"]
    seconds_to_ready: float | None = None
    http_status: int | None = None
    memory_bytes: int | None = None
    worker_bytes: int = 0
    workers: int = 0
    seconds_to_stop: float | None = None
    user: str = ""
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """All findings of one droplet. It is fine when none of them is an error."""

    findings: tuple[Finding, ...] = ()
    boot: Boot | None = None
    checks: tuple[str, ...] = field(default=())

    @property
    def is_ok(self) -> bool:
        return are_fine(self.findings)

    def as_document(self) -> dict[str, Any]:
        """The shape of ``verification`` in a report and of ``stager verify --json``."""
        from dataclasses import asdict

        return {
            "ok": self.is_ok,
            "findings": [asdict(finding) for finding in self.findings],
            "boot": asdict(self.boot) if self.boot else None,
            "checks": list(self.checks),
        }
