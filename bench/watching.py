"""What a soak remembers: the memory of supervisors, what events there were, what instances had."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from bench import leftovers
from bench.fleet import Application, Fleet
from stager.launch.agent.events import read_events
from stager.launch.ports import listeners

PERIOD = 1.0
#: Seconds after which a supervisor has loaded and made what it needs.
_WARM = 15.0


@dataclass
class Life:
    """A supervisor, from when it was seen first: its memory in KiB, and its open files."""

    name: str
    pid: int
    began: float
    at: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.at[-1] - self.began

    @property
    def warm(self) -> list[int]:
        return [size for at, size in zip(self.at, self.sizes, strict=True) if at - self.began >= _WARM]

    @property
    def growth(self) -> int:
        """In the second half of its life: a replacement, with twice the threads, is in the first one, too."""
        return self.warm[-1] - self.warm[len(self.warm) // 2]

    def memory(self, count: int) -> list[int]:
        """So many of its sizes, first and last included."""
        sizes = self.warm
        return [sizes[number * (len(sizes) - 1) // (count - 1)] for number in range(count)]


class Watcher(threading.Thread):
    def __init__(self, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self.events: Counter[str] = Counter()
        self.texts: list[str] = []
        self.identifiers: set[str] = set()
        self._listening: set[int] = set()
        self._fleet = fleet
        self._lives: dict[int, Life] = {}
        self._told: dict[str, set[tuple[float, str]]] = {}
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(PERIOD):
            self._look()

    def end(self) -> None:
        self._is_over.set()
        self.join()
        self._look()

    def lives(self, *, at_least: float) -> list[Life]:
        return [one for one in self._lives.values() if one.seconds >= at_least]

    def still_listening(self) -> set[int]:
        return self._listening & {one.inode for one in listeners()}

    def _look(self) -> None:
        ports = {one.port for one in self._fleet.applications}
        for one in self._fleet.applications:
            seen = one.look()
            if seen is None:
                continue
            self.identifiers |= {instance.id for instance in seen.instances}
            ports |= {instance.port for instance in seen.instances if instance.state == "running"}
            if seen.supervisor:
                self._sample(one.name, seen.supervisor)
            self._read_events(one)
        self._listening |= {one.inode for one in listeners() if one.port in ports}

    def _sample(self, name: str, pid: int) -> None:
        now = time.monotonic()
        life = self._lives.setdefault(pid, Life(name, pid, now))
        if size := leftovers.resident(pid):
            life.at.append(now)
            life.sizes.append(size)
            life.files.append(leftovers.descriptors(pid))

    def _read_events(self, application: Application) -> None:
        """The file is bounded: it is read again and again."""
        events = {
            (one["at"], one["text"]): one["event"] for one in read_events(application.place.events_file)
        }
        for key in events.keys() - self._told.get(application.name, set()):
            self.events[events[key]] += 1
            if events[key] in {"untidy", "failed"}:
                self.texts.append(key[1])
        self._told[application.name] = set(events)
