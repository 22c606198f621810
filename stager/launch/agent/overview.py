"""What the state directory says, compared with what really runs; nothing is changed by looking."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from stager.errors import UsageError
from stager.launch.agent.identity import is_running
from stager.launch.agent.places import ApplicationPlace, StateDirectory, read_record
from stager.launch.agent.records import ALIVE, ApplicationRecord, InstanceRecord, ProcessRecord
from stager.launch.agent.requesting import read_request
from stager.model.frozen import dataclass

#: A shorter piece of an instance's id would be a name's most of the time.
_LEAST_ID = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """An application. ``supervisor`` and ``balancer`` are their pids, 0 where none runs."""

    place: ApplicationPlace
    record: ApplicationRecord
    supervisor: int
    instances: tuple[InstanceRecord, ...]
    balancer: int = 0

    def as_document(self) -> dict[str, Any]:
        record = self.record
        return {
            "name": record.name,
            "droplet": record.droplet,
            "droplet_sha256": record.droplet_sha256,
            "type": record.type,
            "wanted": 0 if record.is_stopped else record.instances - len(record.without),
            "running": sum(one.state == "running" for one in self.instances),
            "restart": record.restart,
            "supervisor": self.supervisor or None,
            "balancer": self.balancer_document(),
            "replacement": request.application.droplet if (request := read_request(self.place)) else None,
            "instances": [instance_document(one, self.place) for one in self.instances],
        }

    def balancer_document(self) -> dict[str, Any] | None:
        """What serves all of its instances at one port, where anything does."""
        if not self.record.balance:
            return None
        return {
            "port": self.record.balance,
            "pid": self.balancer or None,
            "state": "running" if self.balancer else "down",
        }


def instance_document(record: InstanceRecord, place: ApplicationPlace) -> dict[str, Any]:
    """An instance for ``--json``: its record, and where its logs are."""
    document = asdict(record)
    for hidden in ("schema", "mark", "sockets", "boot"):
        del document[hidden]
    document["logs"] = str(place.instance(record.index, record.id).logs)
    return document


def look(state: StateDirectory) -> list[Seen]:
    """Every application of a state directory."""
    found = (look_at(place) for place in state.applications())
    return [seen for seen in found if seen is not None]


def look_at(place: ApplicationPlace) -> Seen | None:
    """One application, or None where there is none."""
    record = place.read()
    if record is None:
        return None
    supervisor = place.read_supervisor()
    is_kept = supervisor is not None and is_running(supervisor)
    records = (one.read() for one in place.instances())
    instances = tuple(_as_it_is(one, is_kept=is_kept) for one in records if one is not None)
    balancer = read_record(ProcessRecord, place.balancer / "balancer.json") if record.balance else None
    return Seen(
        place,
        record,
        supervisor.pid if supervisor and is_kept else 0,
        instances,
        balancer.pid if balancer and is_running(balancer) else 0,
    )


def _as_it_is(record: InstanceRecord, *, is_kept: bool) -> InstanceRecord:
    """A process that is gone is not running, whatever was written while somebody still watched."""
    if record.state in ALIVE and (record.pid or not is_kept) and not is_running(record):
        # Who watches is about to find out how it ended, and to say so.
        if is_kept:
            return replace(record, state="stopping")
        return replace(record, state="crashed", reason="lost")
    if record.state == "backoff" and not is_kept:
        return replace(record, state="crashed", next_start=None)
    return record


def find(state: StateDirectory, text: str) -> tuple[Seen | None, InstanceRecord | None]:
    """The application of that name; or the instance of that id (or the beginning of one), and its own.

    Raises
    ------
    UsageError
        Several instances' ids begin so.
    """
    everything = look(state)
    for seen in everything:
        if seen.record.name == text:
            return seen, None
    pairs = [
        (seen, one)
        for seen in everything
        for one in seen.instances
        if len(text) >= _LEAST_ID and one.id.startswith(text)
    ]
    if len(pairs) > 1:
        raise UsageError(
            f"Several instances' ids begin with {text}.",
            details=", ".join(one.id for _, one in pairs),
            resolution="Give some more characters of it.",
        )
    return pairs[0] if pairs else (None, None)


def unknown(state: StateDirectory, text: str) -> UsageError:
    """There is neither an application nor an instance of that name."""
    names = ", ".join(seen.record.name for seen in look(state)) or "none"
    return UsageError(
        f"Nothing is called {text}.",
        details=f"Applications in {state.path}: {names}.",
        resolution="`stager ps` lists names and ids; --state-dir names another place to look.",
        slug="unknown-application",
    )


def age(seconds: float | None) -> str:
    """How long ago that was: ``3s``, ``12m``, ``5h``, ``9d``."""
    if seconds is None:
        return "-"
    left = max(0, int(time.time() - seconds))
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if left >= size:
            return f"{left // size}{letter}"
    return f"{left}s"
