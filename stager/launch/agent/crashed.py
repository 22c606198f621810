"""What is kept of instances that crashed: their logs, for a while and not without bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from stager.execution.workspace import remove_tree
from stager.launch.agent.places import ApplicationPlace, InstancePlace
from stager.launch.agent.records import InstanceRecord
from stager.launch.agent.running import Running

#: Of one application, the newest.
MOST_KEPT = 5
#: Instances crash at the same time, and each one's thread removes what is one too many then.
_changing = threading.Lock()


def find(place: ApplicationPlace) -> list[tuple[InstancePlace, InstanceRecord]]:
    """The crashed instances that are kept, the newest first."""
    found = [
        (one, record)
        for one in place.instances()
        if (record := one.read()) is not None and record.state in ("crashed", "backoff")
    ]
    return sorted(found, key=lambda item: item[1].ended_at or 0.0, reverse=True)


def prune(place: ApplicationPlace) -> None:
    """Remove all but the newest; of these what an instance has filled its disk with, the logs apart."""
    with _changing:
        found = find(place)
        for one, _ in found[MOST_KEPT:]:
            one.remove()
        for one, record in found[:MOST_KEPT]:
            if record.reason == "disk" and one.state.is_dir():
                remove_tree(one.state)


def give_up(place: InstancePlace, record: InstanceRecord) -> None:
    """Nobody waits any more to start another one in the place of one in the state ``backoff``."""
    place.write(replace(record, state="crashed", next_start=None))


@contextmanager
def backing_off(ended: Running | None, until: float) -> Iterator[None]:
    """Meanwhile the record of one that ended says when the next is started."""
    if ended is None:
        yield
        return
    state = ended.record.state
    _note(ended, state="backoff", next_start=until)
    try:
        yield
    finally:
        _note(ended, state=state, next_start=None)


def _note(ended: Running, **changes: Any) -> None:
    """Unless so many others have crashed since that nothing is kept of this one."""
    with _changing:
        if ended.place.path.is_dir():
            ended.note(**changes)
