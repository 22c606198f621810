"""The applications of a soak: examples, each behind one port, driven through ``stager`` as people do."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

from bench.pack import STAGER
from stager.launch.agent.overview import Seen, look_at
from stager.launch.agent.places import ApplicationPlace, StateDirectory
from stager.launch.agent.records import InstanceRecord
from stager.launch.ports import free_port

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ("php", "python", "node")
#: Seconds for seven instances, one after the other, on a machine that does many other things.
PATIENCE = 600


class Application:
    """One example, of which there are two droplets that take each other's place."""

    def __init__(self, root: Path, state: StateDirectory, name: str, instances: int) -> None:
        self.name = name
        self.instances = instances
        self.port = free_port()
        self.droplets = [root / f"{name}-{version}.tar.gz" for version in (1, 2)]
        #: Held by whoever starts or replaces it.
        self.turn = threading.Lock()
        self._root = root
        self._state = state

    @property
    def place(self) -> ApplicationPlace:
        return self._state.application(self.name)

    def build(self) -> None:
        for droplet in self.droplets:
            source = self._root / droplet.name.removesuffix(".tar.gz")
            shutil.copytree(EXAMPLES / self.name, source)
            (source / "version.txt").write_text(droplet.name)
            subprocess.run(
                [*STAGER, "build", source, "-o", droplet, "-q"], check=True, stdout=subprocess.DEVNULL
            )

    def start(self) -> str:
        """Start it, or a supervisor for what lives of it; why that was not possible, or nothing."""
        return self._stager(
            *("run", self.droplets[0], "--name", self.name, "--detach"),
            *("--instances", str(self.instances), "--balance", str(self.port)),
        )

    def replace(self) -> float | None:
        """Put the other droplet in its place; the seconds that took, or None where it was not possible."""
        began = time.monotonic()
        with self.turn:
            error = self._stager("run", self.droplets[1], "--replace", self.name)
            if error:
                print(f"    {self.name} is not replaced: {error}", flush=True)
                return None
            self.droplets.reverse()
        return time.monotonic() - began

    def stop(self) -> str:
        return self._stager("stop", self.name)

    def clear(self) -> None:
        """Remove what is kept of instances that have crashed."""
        seen = self.look()
        for one in seen.instances if seen else ():
            self._stager("stop", one.id)

    def look(self) -> Seen | None:
        return look_at(self.place)

    def running(self) -> list[InstanceRecord]:
        seen = self.look()
        return [one for one in seen.instances if one.state == "running"] if seen else []

    def _stager(self, command: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [*STAGER, command, *arguments, "--state-dir", self._state.path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""


class Fleet:
    """All of them: some instances of each example."""

    def __init__(self, root: Path, instances: int) -> None:
        self.root = root
        self.count = instances
        self.state = StateDirectory(root / "state")
        shares = [len(range(number, instances, len(NAMES))) for number in range(len(NAMES))]
        self.applications = [
            Application(root, self.state, name, share) for name, share in zip(NAMES, shares, strict=True)
        ]

    def build(self) -> None:
        for one in self.applications:
            one.build()

    def start(self) -> None:
        for one in self.applications:
            if error := one.start():
                raise RuntimeError(error)

    def missing(self) -> list[str]:
        """What is not as it was asked for, in words."""
        found = []
        for one in self.applications:
            seen = one.look()
            if seen is None or not seen.supervisor:
                found.append(f"{one.name} has no supervisor")
            if (running := len(one.running())) != one.instances:
                states = (
                    [(instance.index, instance.state, instance.reason) for instance in seen.instances]
                    if seen
                    else []
                )
                found.append(f"{one.name}: {running} of {one.instances} run: {states}")
        return found

    def stop(self) -> None:
        for one in self.applications:
            if error := one.stop():
                print(f"  {one.name} is not stopped: {error}  NOT", flush=True)

    def clear(self) -> None:
        for one in self.applications:
            one.clear()
