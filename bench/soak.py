"""Twenty instances of three examples behind balancers for ten minutes: killed, adopted, replaced, under load.

Who kills has dice of its own (--seed). A supervisor that was killed is started again by the command that had
started it, as an init system does. Kills may cost what the killed process had in hand; nothing else may.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sized
from pathlib import Path

from bench import leftovers
from bench.fleet import Fleet
from bench.killing import Keeper, Killer
from bench.load import CONNECTIONS, Load
from bench.watching import Watcher

#: Seconds after the last kill in which everything is as it was asked for: the longest back-off, and a start.
MOST_RECOVERY = 120.0
#: Requests that a process may have had in hand when it was killed: as many as one port is asked at a time.
MOST_LOST = CONNECTIONS + 2
#: KiB that a supervisor may grow in the second half of its life.
MOST_GROWTH = 2048


class Soak:
    def __init__(self, root: Path, seed: int, instances: int) -> None:
        self.dice = random.Random(seed)
        self.fleet = Fleet(root, instances)
        self.watcher = Watcher(self.fleet)
        self.is_good = True

    def run(self, seconds: float) -> bool:
        self.fleet.build()
        private = leftovers.private_directories()
        began = time.monotonic()
        self.watcher.start()
        try:
            self.fleet.start()
            print(
                f"{self.fleet.count} instances are ready after {time.monotonic() - began:.1f} s", flush=True
            )
            self.phase("calm", lambda: time.sleep(seconds * 0.05))
            self.kill(seconds * 0.3, "kills of processes, relays and supervisors", with_supervisors=True)
            self.phase("rolling replacements", lambda: self.replace(seconds * 0.2))
            self.kill(seconds * 0.15, "kills of processes", with_supervisors=False)
            self.phase("rolling replacements", lambda: self.replace(seconds * 0.2))
            self.phase("replacements whose supervisors are killed", self.replace_without_supervisor)
            self.phase("calm", lambda: time.sleep(seconds * 0.1))
        finally:
            self.watcher.end()
            self.fleet.stop()
        self.tell_watched()
        self.tell_left(private)
        return self.is_good

    def phase(self, name: str, work: Callable[[], int | None]) -> None:
        """Do it under load; what it returns is how many requests may be lost."""
        print(f"{name}:", flush=True)
        began = time.monotonic()
        load = Load([one.port for one in self.fleet.applications])
        most_lost = 0
        try:
            most_lost = work() or 0
        finally:
            asked = load.end()
        lost = sum(one.lost.total() for one in asked.values())
        for kind, found in asked.items():
            print(f"  {kind} in {time.monotonic() - began:.0f} s: {found}")
        is_good = lost <= most_lost and all(one.answered for one in asked.values())
        self.tell(f"{lost} requests are lost, bound {most_lost}", is_good=is_good)

    def kill(self, seconds: float, name: str, *, with_supervisors: bool) -> None:
        killer = Killer(self.fleet, self.dice, with_supervisors=with_supervisors)

        def work() -> int:
            with self.keeping():
                killer.run(seconds)
                self.recover()
            kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(killer.kills.items()))
            print(f"  killed: {kinds}", flush=True)
            return MOST_LOST * killer.kills["processes of instances"]

        self.phase(name, work)

    def replace_without_supervisor(self) -> None:
        """Once each; what is started of the new ones is found by who comes after the one that was killed."""
        with self.keeping():
            for one in self.fleet.applications:
                timer = threading.Timer(self.dice.uniform(0.5, 15.0), Killer.kill_supervisor, [one])
                timer.start()
                self.tell_replaced([one.replace()])
                timer.join()
            self.recover()

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        keeper = Keeper(self.fleet)
        keeper.start()
        try:
            yield
        finally:
            keeper.end()
        self.tell(f"{keeper.restarts} supervisors were started again", is_good=not keeper.failures)
        for one in keeper.failures:
            print(f"    {one}")

    def recover(self) -> None:
        began = time.monotonic()
        left = leftovers.settle(self.fleet.missing, MOST_RECOVERY)
        took = time.monotonic() - began
        self.tell(
            f"as asked for {took:.1f} s after the last kill, bound {MOST_RECOVERY:.0f}", is_good=not left
        )
        if left:
            print(f"    {left}")

    def replace(self, seconds: float) -> None:
        """One application after the other, once at least."""
        began = time.monotonic()
        times: list[float | None] = []
        while not times or time.monotonic() - began < seconds:
            times.extend(one.replace() for one in self.fleet.applications)
        self.tell_replaced(times)

    def tell_replaced(self, times: list[float | None]) -> None:
        took = [one for one in times if one is not None]
        span = f"{min(took, default=0):.1f}-{max(took, default=0):.1f} s"
        self.tell(f"{len(took)} of {len(times)} replacements, {span}", is_good=len(took) == len(times))

    def tell_watched(self) -> None:
        events = ", ".join(f"{number} {event}" for event, number in sorted(self.watcher.events.items()))
        print(f"events: {events}")
        self.tell_none("complaints", self.watcher.texts)
        for one in self.watcher.lives(at_least=60.0):
            text = " ".join(f"{size / 1024:.1f}" for size in one.memory(8))
            growth = one.growth
            self.tell(
                f"supervisor {one.pid} of {one.name}, {one.seconds:.0f} s: MB {text}, open files "
                f"{one.files[0]}-{one.files[-1]}, in its second half {growth} KiB more, bound {MOST_GROWTH}",
                is_good=growth <= MOST_GROWTH,
            )

    def tell_left(self, private: set[Path]) -> None:
        root, state = self.fleet.root, self.fleet.state.path
        self.tell_none("processes", leftovers.settle(lambda: leftovers.processes_of(root)))
        self.tell_none(
            "control groups", leftovers.settle(lambda: leftovers.control_groups(self.watcher.identifiers))
        )
        self.tell_none("directories in /tmp", leftovers.settle(lambda: leftovers.abandoned(private)))
        self.tell_none("listening sockets", leftovers.settle(self.watcher.still_listening))
        self.fleet.clear()
        self.tell_none("files", sorted(str(path.relative_to(state)) for path in state.rglob("*")))

    def tell_none(self, what: str, left: Sized) -> None:
        named = f": {str(left)[:2000]}" if left else ""
        self.tell(f"{what} left: {len(left)} of at most 0{named}", is_good=not left)

    def tell(self, text: str, *, is_good: bool) -> None:
        self.is_good = self.is_good and is_good
        print(f"  {text}  {'ok' if is_good else 'NOT'}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--instances", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    choices = parser.parse_args()
    print(
        f"soak: {choices.instances} instances, {choices.minutes:g} minutes, seed {choices.seed}", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="stager-bench-", dir="/tmp") as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        return 0 if Soak(root, choices.seed, choices.instances).run(choices.minutes * 60) else 1


if __name__ == "__main__":
    sys.exit(main())
