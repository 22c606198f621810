"""Looks at all instances of a supervisor every two seconds: what they take, and whether that is too much."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from stager.launch.agent import logs
from stager.launch.agent.census import Root
from stager.launch.agent.excess import Excess, find_crowding, find_excess, tell_excess
from stager.launch.agent.ground import Ground
from stager.launch.agent.history import History, Sample
from stager.launch.agent.running import Running
from stager.launch.agent.usage import Sampler
from stager.model.frozen import dataclass

PERIOD = 2.0


@dataclass(frozen=True, slots=True)
class _Watched:
    running: Running
    history: History
    condemn: Callable[[str, str], None]
    ground: Ground | None


class Watch(threading.Thread):
    """Samples in a thread of its own; who is over a limit is condemned, with the reason and a text."""

    def __init__(self, period: float = PERIOD) -> None:
        super().__init__(name="watch", daemon=True)
        self._period = period
        self._sampler = Sampler()
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def add(
        self, running: Running, condemn: Callable[[str, str], None], ground: Ground | None = None
    ) -> None:
        """Watch an instance from now on, once; ``ground`` is the droplet that it writes into."""
        record, place = running.record, running.place
        with self._lock:
            if record.id in self._watched:
                return
            self._watched[record.id] = _Watched(running, History(place.history_file), condemn, ground)
            root = Root(record.pid, record.start_time, (f"{record.mark}\0".encode(),))
            disk = (place.state, place.logs)
            shared = ground.scan if ground is not None else None
            self._sampler.add(record.id, root, running.enclosure, disk, shared=shared)

    def remove(self, running: Running) -> None:
        """Watch it no longer."""
        with self._lock:
            watched = self._watched.pop(running.record.id, None)
            self._sampler.remove(running.record.id)
        if watched is not None:
            watched.history.close()

    def end(self) -> None:
        """Look no more."""
        self._is_over.set()

    def run(self) -> None:
        while not self._is_over.wait(self._period):
            with self._lock:
                for identifier, sample in self._sampler.sample().items():
                    self._judge(self._watched[identifier], sample)

    def _judge(self, watched: _Watched, sample: Sample) -> None:
        running = watched.running
        watched.history.add(sample)
        # Where it lies is known only some time after the start.
        if (private := running.sockets_directory()) is not None:
            self._sampler.include(running.record.id, private)
        # Whoever kills a relay gets another one; nothing waits for it meanwhile.
        with suppress(OSError):
            logs.resume(running.place, limit=logs.file_bytes(running.record.limits.disk))
        excess = _find_excess(sample, running, watched.ground)
        if excess is not None and running.exit_code is None:
            with suppress(OSError):
                tell_excess(excess, running.place.err_log)
            watched.condemn(excess.reason, excess.text)


def _find_excess(sample: Sample, running: Running, ground: Ground | None) -> Excess | None:
    if ground is None:
        return find_excess(sample, running.enclosure)
    excess = find_excess(sample, running.enclosure, ground.size)
    if excess is not None and excess.reason == "disk" and 2 * ground.size > excess.limit:
        ground.is_soiled = True
    # The others end with it: to clean up under their feet would be worse.
    return excess or (find_crowding(sample, running.enclosure, ground.size) if ground.is_soiled else None)
