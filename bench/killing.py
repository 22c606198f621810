"""Who kills in a soak, and who starts again what only an init system would."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from bench.fleet import Application, Fleet
from stager.launch.agent.records import InstanceRecord

#: Seconds between two kills.
_LEAST_PAUSE, _MOST_PAUSE = 0.3, 2.0
_SUPERVISORS, _RELAYS = 0.12, 0.1


class Killer:
    """kill -9, now this, now that."""

    def __init__(self, fleet: Fleet, dice: random.Random, *, with_supervisors: bool) -> None:
        self.kills: Counter[str] = Counter()
        self._fleet = fleet
        self._dice = dice
        self._with_supervisors = with_supervisors

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self._dice.uniform(_LEAST_PAUSE, _MOST_PAUSE))
            self._kill_one(self._dice.choice(self._fleet.applications))

    @staticmethod
    def kill_supervisor(application: Application) -> None:
        seen = application.look()
        if seen is not None and seen.supervisor:
            with contextlib.suppress(ProcessLookupError):
                os.kill(seen.supervisor, signal.SIGKILL)

    def _kill_one(self, application: Application) -> None:
        chance = self._dice.random()
        seen = application.look()
        running = application.running()
        if seen is not None and seen.supervisor and self._with_supervisors and chance < _SUPERVISORS:
            self._kill("supervisors", [seen.supervisor])
        elif len(running) > 1:  # the last one has to serve
            instance = self._dice.choice(running)
            if chance > 1 - _RELAYS:
                self._kill("relays", relays_of(application, instance))
            else:
                self._kill("processes of instances", members_of(instance))

    def _kill(self, kind: str, pids: list[int]) -> None:
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._dice.choice(pids), signal.SIGKILL)
                self.kills[kind] += 1


class Keeper(threading.Thread):
    """Starts supervisors again that are gone."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self.restarts = 0
        self.failures: list[str] = []
        self._fleet = fleet
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(0.5):
            for one in self._fleet.applications:
                seen = one.look()
                if seen is not None and seen.supervisor:
                    continue
                with one.turn:
                    error = one.start()
                self.restarts += 1
                # It may have been killed while it was starting.
                if error and "exit code was -9" not in error:
                    self.failures.append(f"{one.name}: {error}")

    def end(self) -> None:
        self._is_over.set()
        self.join()


def members_of(instance: InstanceRecord) -> list[int]:
    """Processes that carry its mark."""
    needle = f"{instance.mark}\0".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if needle in Path(entry.path, "environ").read_bytes():
                    found.append(int(entry.name))
    return sorted(found)


def relays_of(application: Application, instance: InstanceRecord) -> list[int]:
    logs = str(application.place.instance(instance.index, instance.id).logs)
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(f"{entry.path}/cwd") == logs:
                    found.append(int(entry.name))
    return found
