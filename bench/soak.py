"""Twenty instances of three examples behind balancers for ten minutes: killed, adopted, replaced, under load.

Who kills has dice of its own (--seed). A supervisor that was killed is started again by the command that had
started it, as an init system does. Kills may cost what the killed process had in hand; nothing else may.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import leftovers
from bench.fleet import Fleet
from bench.killing import Keeper, Killer
from bench.load import Asked, Load
from bench.watching import Watcher

#: Seconds after the last kill in which everything is as it was asked for: the longest back-off, and a start.
MOST_RECOVERY = 120.0
#: Of the requests while processes are killed, this share may be lost: those that they had in hand.
MOST_LOST = 0.01
#: KiB that a supervisor may grow from its first minute to its end.
MOST_GROWTH = 4096


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
        self.fleet.start()
        self.watcher.start()
        print(f"{self.fleet.count} instances are ready after {time.monotonic() - began:.1f} s", flush=True)
        try:
            self.phase("calm", lambda: time.sleep(seconds * 0.05), most_lost=0.0)
            self.kill(seconds * 0.35, "kills of processes, relays and supervisors", with_supervisors=True)
            self.phase("rolling replacements", lambda: self.replace(seconds * 0.2), most_lost=0.0)
            self.kill(seconds * 0.2, "kills of processes", with_supervisors=False)
            self.phase("rolling replacements", lambda: self.replace(seconds * 0.2), most_lost=0.0)
        finally:
            self.watcher.end()
            self.fleet.stop()
        self.tell_watched()
        self.tell_left(private)
        return self.is_good

    def phase(self, name: str, work: Callable[[], None], *, most_lost: float) -> None:
        began = time.monotonic()
        load = Load([one.port for one in self.fleet.applications])
        try:
            work()
        finally:
            asked = load.end()
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        for kind, found in asked.items():
            self.judge(f"{kind}: {found}", found, most_lost)

    def judge(self, text: str, found: Asked, most_lost: float) -> None:
        share = found.lost.total() / max(1, found.count)
        self.tell(
            f"{text}, {share:.3%}, bound {most_lost:.0%}", is_good=found.count > 0 and share <= most_lost
        )

    def kill(self, seconds: float, name: str, *, with_supervisors: bool) -> None:
        killer = Killer(self.fleet, self.dice, with_supervisors=with_supervisors)

        def work() -> None:
            keeper = Keeper(self.fleet)
            keeper.start()
            try:
                killer.run(seconds)
                self.recover()
            finally:
                keeper.end()
            self.tell(f"{keeper.restarts} supervisors were started again", is_good=not keeper.failures)
            for one in keeper.failures:
                print(f"    {one}")

        self.phase(name, work, most_lost=MOST_LOST)
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(killer.kills.items()))
        print(f"  kills: {kinds}", flush=True)

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
        took = [one for one in times if one is not None]
        span = f"{min(took, default=0):.1f}-{max(took, default=0):.1f} s"
        self.tell(f"{len(took)} of {len(times)} replacements, {span}", is_good=len(took) == len(times))

    def tell_watched(self) -> None:
        events = ", ".join(f"{number} {event}" for event, number in sorted(self.watcher.events.items()))
        print(f"events: {events}")
        for one in self.watcher.lives(at_least=30.0):
            text = " ".join(f"{size / 1024:.1f}" for size in one.memory(8))
            growth = one.growth
            self.tell(
                f"supervisor {one.pid} of {one.name}, {one.seconds:.0f} s: MB {text}, open files "
                f"{one.files[0]}-{one.files[-1]}, growth {growth} KiB, bound {MOST_GROWTH}",
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

    def tell_none(self, what: str, left: object) -> None:
        self.tell(f"{what} left: {len(left)} of at most 0{f': {left}' if left else ''}", is_good=not left)  # type: ignore[arg-type]

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
