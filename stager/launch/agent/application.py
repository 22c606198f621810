"""One application as its supervisor knows it: what was asked for, its droplet, and who it runs as."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stager.errors import DropletCorrupt, UsageError
from stager.execution.spawn import Account
from stager.launch import ports
from stager.launch.account import current_user, unprivileged_account
from stager.launch.agent.droplets import Unpacked, reopen, unpack
from stager.launch.agent.events import Events
from stager.launch.agent.ground import Ground
from stager.launch.agent.places import ApplicationPlace
from stager.launch.agent.records import ApplicationRecord, EnvironmentRecord, InstanceRecord
from stager.launch.instance import Launch
from stager.model.frozen import dataclass
from stager.model.memory import MIB
from stager.model.plan import Limits, Process

if TYPE_CHECKING:
    from stager.launch.agent.front import Front

WEB = "web"
#: All interfaces, as ``./startup`` by itself.
ANYWHERE = "0.0.0.0"  # noqa: S104
#: An instance gets another free port where its own is taken, so often.
_MOST_PORTS = 1000
_GATE_SECONDS = 0.2


class PortBook:
    """Ports that instances of ours have or are about to have: none is given out twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[int] = set()

    def take(self, wanted: int = 0, *, is_fixed: bool = False) -> int:
        """A free port: ``wanted``, else the next one above it; any for 0.

        With ``is_fixed`` it is ``wanted``, taken by a stranger or not.
        """
        with self._lock:
            if is_fixed:
                port = wanted
            elif wanted:
                above = range(wanted, min(wanted + _MOST_PORTS, 1 << 16))
                free = (one for one in above if one not in self._taken and ports.is_port_free(one))
                port = next(free, 0) or self._any()
            else:
                port = self._any()
            self._taken.add(port)
            return port

    def keep(self, port: int) -> None:
        """It has been taken already."""
        with self._lock:
            self._taken.add(port)

    def give_back(self, port: int) -> None:
        with self._lock:
            self._taken.discard(port)

    def _any(self) -> int:
        while (port := ports.free_port()) in self._taken:
            pass
        return port


@dataclass(slots=True)
class Application:
    """What all of an application's instances share.

    Parameters
    ----------
    record:
        What is asked for now; replaced when somebody asks for something else.
    turn:
        Held by the one instance that is being replaced: the others serve meanwhile.
    front:
        Its balancer, where it has one and is being kept.
    is_beside:
        It is to take the place of another that serves meanwhile: no port of that can be had yet.
    gate:
        As many instances may be starting at a time: each gets a core's worth of its deadline.
    """

    place: ApplicationPlace
    record: ApplicationRecord
    given: EnvironmentRecord
    droplet: Unpacked
    process: Process
    account: Account | None
    events: Events
    ports: PortBook = field(default_factory=PortBook)
    turn: threading.Lock = field(default_factory=threading.Lock)
    front: Front | None = None
    is_beside: bool = False
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(4))
    ground: Ground = field(init=False)

    def __post_init__(self) -> None:
        self.ground = Ground(self.droplet)

    @classmethod
    def open(cls, place: ApplicationPlace, record: ApplicationRecord, events: Events) -> Application:
        """What the record says, its droplet unpacked; one that is there already is used as it is.

        Raises
        ------
        DropletCorrupt, CouldNotVerify, UsageError
            The droplet is not what it was, there is no such account, or no such process.
        """
        account = unprivileged_account(record.user or None)
        path = Path(record.droplet)
        droplet = reopen(path, record.droplet_sha256, place) or unpack(path, place, account)
        record = replace(record, droplet_sha256=droplet.sha256)
        return cls(
            place,
            record,
            place.read_environment(),
            droplet,
            process_of(droplet, record.type),
            account,
            events,
        )

    @property
    def user(self) -> str:
        return self.account.name if self.account else current_user()

    @property
    def host(self) -> str:
        """Where instances listen. Behind a balancer what was given is the place where that listens."""
        return ports.LOOPBACK if self.record.balance else self.given.variables.get("VCAP_APP_HOST", ANYWHERE)

    @property
    def is_web(self) -> bool:
        return self.process.type == WEB

    def is_wanted(self, index: int) -> bool:
        """Whether an instance of that index is to be there."""
        record = self.record
        return not record.is_stopped and index < record.instances and index not in record.without

    def is_current(self, instance: InstanceRecord) -> bool:
        """Whether an instance may stay, or is to be replaced by a new one."""
        record = self.record
        port, is_fixed = self.port_of(instance.index)
        return (
            instance.generation >= record.generation
            and instance.id not in record.renewed
            and instance.droplet_sha256 == self.droplet.sha256
            and instance.type == record.type
            and (not is_fixed or instance.port == port)
        )

    @contextmanager
    def starting(self, index: int) -> Iterator[None]:
        """Wait until not too many others are starting, or that index is not wanted any more."""
        while not self.gate.acquire(timeout=_GATE_SECONDS):
            if not self.is_wanted(index):
                yield
                return
        try:
            yield
        finally:
            self.gate.release()

    def enter(self, index: int) -> None:
        """Let one stand on the droplet, unpacked anew where too much was written into it.

        Raises DropletCorrupt where that has to be done and cannot.
        """
        self.ground.enter_clean(index, self._unpack_again, lambda: self.is_wanted(index))

    def _unpack_again(self) -> Unpacked:
        fresh = unpack(Path(self.record.droplet), self.place, self.account)
        if fresh.sha256 != self.droplet.sha256:
            raise DropletCorrupt(
                f"{self.record.droplet} is not any more what runs here.",
                resolution=f"Start it as it is now: stager stop {self.place.name}, and stager run again.",
            )
        name = self.place.name
        self.events.tell(
            "unpacked", f"{name}: its droplet was unpacked anew, without what was written into it"
        )
        return fresh

    def port_of(self, index: int) -> tuple[int, bool]:
        """The port that index should have, 0 for any; and whether it may have no other."""
        asked = () if self.is_beside else self.record.ports
        if index < len(asked) and asked[index]:
            return asked[index], True
        return (asked[0] + index, False) if asked and asked[0] else (0, False)

    def launch(self, record: InstanceRecord) -> Launch:
        """How an instance is started, and stopped."""
        limits = record.limits
        own = self.place.droplet(record.droplet_sha256)
        return Launch(
            # One that was started from another droplet is stopped by that.
            droplet=own if (own / "stop").exists() else self.droplet.directory,
            process=record.type,
            state=self.place.instance(record.index, record.id).state,
            account=self.account,
            environment=self.environment(record),
            limits=Limits(limits.memory, limits.disk, limits.fds),
        )

    def environment(self, record: InstanceRecord) -> dict[str, str]:
        """The environment of DESIGN section 6; what was given to ``stager run`` wins, except for PORT.

        ``startup`` adds what depends on the droplet's place: HOME, TMPDIR, VCAP_APP_PORT.
        """
        found = {
            "VCAP_APPLICATION": json.dumps(self._vcap_application(record)),
            "VCAP_SERVICES": self.given.services or "{}",
            "MEMORY_LIMIT": f"{max(1, record.limits.memory // MIB)}m",
            **_side_ports("DEBUG", record.debug_port),
            **_side_ports("CONSOLE", record.console_port),
            **self.given.variables,
            "VCAP_APP_HOST": self.host,
        }
        name, _, value = record.mark.partition("=")
        return {**found, name: value}

    def _vcap_application(self, record: InstanceRecord) -> Mapping[str, object]:
        limits = record.limits
        started = record.started_at or time.time()
        return {
            "name": record.name,
            "application_name": record.name,
            "version": record.droplet_sha256,
            "uris": [f"localhost:{self.record.balance or record.port}"] if self.is_web else [],
            "users": [],
            "instance_id": record.id,
            "instance_index": record.index,
            "host": self.host,
            "port": record.port,
            "start": time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(started)),
            "started_at_timestamp": int(started),
            "limits": {"mem": limits.memory // MIB, "disk": limits.disk // MIB, "fds": limits.fds},
        }


def process_of(droplet: Unpacked, type_: str) -> Process:
    """The process of that type; raises UsageError that names those that there are."""
    process = droplet.manifest.process(type_)
    if process is None:
        types = ", ".join(one.type for one in droplet.manifest.processes)
        raise UsageError(
            f"The droplet has no process {type_}.",
            details=f"It has: {types}.",
            resolution="Name one with -t.",
        )
    return process


def _side_ports(name: str, port: int) -> dict[str, str]:
    return {f"VCAP_{name}_IP": ANYWHERE, f"VCAP_{name}_PORT": str(port)} if port else {}
