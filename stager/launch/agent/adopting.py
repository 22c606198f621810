"""What a supervisor before us has left: what of it stays, and what is ended."""

from __future__ import annotations

import time
from dataclasses import field

from stager.launch.agent import crashed
from stager.launch.agent.application import Application
from stager.launch.agent.records import ALIVE, InstanceRecord
from stager.launch.agent.running import Running
from stager.model.frozen import dataclass


@dataclass(slots=True)
class Left:
    """``living`` are ours now, one an index; ``others`` have ended, or are not wanted."""

    living: dict[int, Running] = field(default_factory=dict)
    others: list[Running] = field(default_factory=list)

    def serving(self) -> list[InstanceRecord]:
        """The instances that requests may go to."""
        return [one.record for one in self.living.values() if one.record.state == "running"]


def look_for_living(application: Application) -> Left:
    """Those that live are ours now; of several with one index the one that is as it would be started now."""
    left = Left()
    found: list[Running] = []
    for place in application.place.instances():
        record = place.read()
        if record is None:
            place.remove()
        elif record.state in ALIVE:
            found.append(Running.adopt(application, place, record))
        elif record.state == "backoff":
            crashed.give_up(place, record)
        elif record.state == "stopped" and not application.record.is_keeping:
            place.remove()
    for running in sorted(found, key=lambda one: _rank(application, one.record)):
        record = running.record
        if running.exit_code is None and record.index not in left.living and record.state != "stopping":
            left.living[record.index] = running
            application.ports.keep(record.port)
            _tell(
                application, record, "adopted", f"lives: adopted (process {record.pid}, port {record.port})"
            )
        else:
            left.others.append(running)
    crashed.prune(application.place)
    return left


def bury(application: Application, running: Running) -> None:
    """End one that ended while nobody watched, was being stopped, or is one too many; and tell it."""
    record = running.record
    has_ended = running.exit_code is not None
    if has_ended:
        running.end()
    else:
        running.stop(application)
    state = "crashed" if has_ended and record.state != "stopping" else "stopped"
    running.note(state=state, reason="lost" if has_ended else "", ended_at=time.time())
    if state == "crashed":
        _tell(application, record, "lost", f"ended while nobody watched (process {record.pid})")
    else:
        _tell(application, record, "stopped", f"is stopped (process {record.pid})")
        if not application.record.is_keeping:
            running.place.remove()


def _rank(application: Application, record: InstanceRecord) -> tuple[bool, bool, bool, int]:
    """The lower the better. What was to replace others, and has not, has a generation to come."""
    return (
        record.generation > application.record.generation,
        not application.is_current(record),
        record.state != "running",
        record.index,
    )


def _tell(application: Application, record: InstanceRecord, event: str, text: str) -> None:
    application.events.tell(event, f"{record.name}/{record.index} {text}", index=record.index, id=record.id)
