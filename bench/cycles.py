"""Starts and stops a small droplet a thousand times as ``stager run`` does, and looks for what that leaves.

All in one process, several at a time: its open files, threads and memory are those of a supervisor that has
had a thousand instances.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import leftovers
from bench.pack import STAGER
from stager.launch.agent.application import Application
from stager.launch.agent.declaring import Wanted, declare
from stager.launch.agent.events import Events, read_events
from stager.launch.agent.heap import use_one_heap
from stager.launch.agent.places import StateDirectory
from stager.launch.agent.slot import Slot
from stager.launch.agent.supervisor import forget
from stager.launch.agent.watching import Watch
from stager.launch.ports import listeners

#: KiB. What threads leave of their heaps is 2000 after a thousand; a leak of 5 KiB each would be more.
MOST_GROWTH = 4096
PATIENCE = 60.0
#: Starts in 20 ms: the cycles are to be the agent's, not Python's.
SERVER = """
import os
import socket

listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    client, _ = listener.accept()
    client.recv(1000)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    client.close()
"""
FILES = {
    "Procfile": "web: exec /usr/bin/python3 -I -S server.py\n",
    "server.py": SERVER,
    "stager.yml": "memory: 64M\nhealth: {timeout: 60}\n",
}


@dataclass
class Seen:
    """What the instances had, which has to be gone after them."""

    identifiers: set[str] = field(default_factory=set)
    sockets: set[str] = field(default_factory=set)
    listening: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What this process has for itself."""

    descriptors: int
    threads: int
    children: int
    memory: int

    @classmethod
    def now(cls) -> Holdings:
        return cls(
            leftovers.descriptors(),
            threading.active_count(),
            len(leftovers.children()),
            leftovers.resident(),
        )


class Cycles:
    """Instances of one application, each begun and stopped in a slot of its own."""

    def __init__(self, root: Path, parallel: int) -> None:
        self.state = StateDirectory(root / "state")
        self.seen = Seen()
        self.watch = Watch()
        place = declare(self.state, Wanted(_droplet(root), instances=parallel))
        record = place.read()
        assert record is not None
        self.application = Application.open(place, record, Events(place.events_file, lambda _: None))
        self._parallel = parallel
        self._lock = threading.Lock()
        self.watch.start()

    def run(self, count: int) -> None:
        """So many, as many at a time as there are indexes; raises RuntimeError for one that goes wrong."""
        with ThreadPoolExecutor(self._parallel) as pool:
            shares = [len(range(index, count, self._parallel)) for index in range(self._parallel)]
            list(pool.map(self._repeat, range(self._parallel), shares))

    def end(self) -> None:
        self.watch.end()
        self.watch.join()
        with self.application.place.lock():
            forget(self.application.place, is_keeping=False)

    def _repeat(self, index: int, count: int) -> None:
        for _ in range(count):
            self._cycle(index)

    def _cycle(self, index: int) -> None:
        changed = threading.Event()
        self._want(index, is_wanted=True)
        slot = Slot(self.application, index, None, self.watch, changed.set)
        slot.start()
        changed.wait(PATIENCE)
        running = slot.running
        if running is None or slot.failure is not None:
            raise RuntimeError(f"{index}: {slot.failure}")
        self.seen.identifiers.add(running.record.id)
        self.seen.sockets.add(running.record.sockets)
        self.seen.listening |= {one.inode for one in running.listeners()}
        self._want(index, is_wanted=False)
        slot.wake()
        slot.join(PATIENCE)
        if slot.is_alive():
            raise RuntimeError(f"{index} is not stopped after {PATIENCE} s")

    def _want(self, index: int, *, is_wanted: bool) -> None:
        with self._lock:
            record = self.application.record
            without = set(record.without) - {index} if is_wanted else {*record.without, index}
            self.application.record = replace(record, without=tuple(without))


def main() -> int:
    use_one_heap()  # as a supervisor does
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--parallel", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument(
        "--root", type=Path, default=Path("/tmp"), help="what it makes is in here, and goes again"
    )
    choices = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stager-bench-", dir=choices.root) as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        return 0 if run(root, choices.count, choices.parallel) else 1


def run(root: Path, count: int, parallel: int) -> bool:
    cycles = Cycles(root, parallel)
    # What is loaded and made only once is there after the first ones.
    cycles.run(3 * parallel)
    before = _settled(parallel)
    began = time.monotonic()
    cycles.run(count)
    seconds = time.monotonic() - began
    after = _settled(parallel)
    untidy = [one["text"] for one in read_events(cycles.application.place.events_file) if _is_bad(one)]
    cycles.end()
    print(f"{count} instances, {parallel} at a time: {seconds:.0f} s, {count / seconds:.1f} a second")
    return all(
        [
            _told("what its events complain of", untidy),
            _told("processes", leftovers.settle(lambda: leftovers.processes_of(root))),
            _told("listening sockets", cycles.seen.listening & {one.inode for one in listeners()}),
            _told(
                "directories in /tmp", sorted(path for path in cycles.seen.sockets if os.path.lexists(path))
            ),
            _told("control groups", leftovers.control_groups(cycles.seen.identifiers)),
            _told("files in the state directory", sorted(map(str, cycles.state.path.rglob("*")))),
            _compared("open files", before.descriptors, after.descriptors),
            _compared("threads", before.threads, after.threads),
            _compared("children", before.children, after.children),
            _compared("KiB of memory", before.memory, after.memory, MOST_GROWTH),
        ]
    )


def _settled(parallel: int) -> Holdings:
    """Threads that reap end a moment after what they wait for."""
    leftovers.settle(lambda: threading.active_count() > parallel)
    leftovers.settle(leftovers.children)
    return Holdings.now()


def _is_bad(event: dict[str, object]) -> bool:
    return event["event"] in {"untidy", "crashed", "failed", "backoff"}


def _told(what: str, left: Sized) -> bool:
    number = len(left)
    print(
        f"  {what} left: {number} of at most 0  {'ok' if not left else 'NOT: ' + str(left)[:2000]}",
        flush=True,
    )
    return not left


def _compared(what: str, before: int, after: int, more: int = 0) -> bool:
    is_good = after <= before + more
    print(
        f"  {what}: {before} before, {after} after, bound {before + more}  {'ok' if is_good else 'NOT'}",
        flush=True,
    )
    return is_good


def _droplet(root: Path) -> Path:
    source, droplet = root / "app", root / "small.tar.gz"
    source.mkdir()
    for name, text in FILES.items():
        (source / name).write_text(text)
    subprocess.run([*STAGER, "build", source, "-o", droplet, "-q"], check=True, stdout=subprocess.DEVNULL)
    return droplet


if __name__ == "__main__":
    sys.exit(main())
