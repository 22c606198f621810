"""How the life of one instance goes: whether it becomes ready, and what there is to say of its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from stager.launch.agent.application import Application
from stager.launch.agent.excess import find_kill, tell_excess
from stager.launch.agent.running import Running
from stager.launch.deadline import Deadline
from stager.launch.diagnosis import describe_exit, explain
from stager.launch.readiness import Readiness, wait_until_ready
from stager.model.frozen import dataclass

#: A process that nobody asks is taken for ready when it still runs after so many seconds.
SETTLE_SECONDS = 1.0
_PORT_TAKEN = re.compile(
    r"address already in use|AH00072|EADDRINUSE|connection in use|port \d+ is (already )?(in use|taken)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an instance's life ended.

    Parameters
    ----------
    state:
        ``crashed``, or ``stopped`` where it did what it had to do.
    changes:
        What its record says of it: ``reason``, ``exit_code``, ``signal``.
    is_port_taken:
        Its log speaks of a port in use.
    """

    state: str
    changes: dict[str, Any]
    text: str
    is_port_taken: bool = False

    @property
    def has_failed(self) -> bool:
        return self.state == "crashed"


def become_ready(application: Application, running: Running, is_unwanted: Callable[[], bool]) -> Readiness:
    """Wait for the sign that its droplet gives; one that gives none has to run on for a while."""
    manifest = application.droplet.manifest
    return wait_until_ready(
        running,
        manifest.sign_of(application.process.type),
        manifest.health,
        Deadline.after(None),
        settle=SETTLE_SECONDS,
        is_unwanted=is_unwanted,
    )


def judge_start(application: Application, running: Running, readiness: Readiness) -> Ended:
    """Why it did not become ready; to be asked while it runs, if it does."""
    process = application.process
    is_port_taken = bool(_PORT_TAKEN.search(running.log.text()))
    if running.exit_code is None:
        text = explain(running, process, application.droplet.manifest.health, readiness).message
        return Ended("crashed", {"reason": "not-ready"}, text, is_port_taken)
    # What it said last may still be on its way into the log.
    running.wait_for_output()
    if running.exit_code == 0 and not application.is_web:
        return Ended("stopped", running.ending, describe_exit(running, process))
    text = explain(running, process, application.droplet.manifest.health, readiness).message
    return Ended("crashed", running.ending, _excess(running) or text, is_port_taken)


def judge_end(application: Application, running: Running) -> Ended:
    """How one ended that had been ready."""
    ending = running.ending
    text = describe_exit(running, application.process)
    if ending["exit_code"] is None and ending["signal"] is None:
        text = f"The {application.process.type} process ended; how, only who had started it could see"
    state = "stopped" if ending["exit_code"] == 0 else "crashed"
    return Ended(state, ending, _excess(running) or text)


def _excess(running: Running) -> str:
    """What the kernel ended it for, also told in its log; empty where it did not."""
    excess = find_kill(running.enclosure)
    if excess is None:
        return ""
    with suppress(OSError):
        tell_excess(excess, running.place.err_log)
    return excess.text
