"""What the agent writes down: what was asked for, who keeps it so, and what became of each instance.

Every record is read by later and by earlier versions of stager as well: an unknown key is left out,
a missing one has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field, fields
from typing import Any, Literal, TypeVar

from stager.model.frozen import dataclass
from stager.model.memory import DEFAULT_MEMORY
from stager.model.typed import read

SCHEMA = 1

State = Literal["starting", "running", "stopping", "stopped", "crashed", "backoff"]
#: How an instance's limits are enforced; empty where nobody has yet.
Means = Literal["", "cgroup2", "cgroup1", "rlimits"]
Restart = Literal["always", "on-failure", "never"]
Record = TypeVar("Record")

#: States in which processes may be there.
ALIVE: frozenset[str] = frozenset({"starting", "running", "stopping"})


@dataclass(frozen=True, slots=True)
class InstanceLimits:
    """What one instance may take: bytes of memory and disk, open files and processes."""

    memory: int = DEFAULT_MEMORY
    disk: int = 1 << 30
    fds: int = 1024
    processes: int = 512


@dataclass(frozen=True, slots=True)
class ApplicationRecord:
    """What was asked for: ``application.json``.

    Parameters
    ----------
    droplet, droplet_sha256:
        The file or directory that was named, absolute, and the digest of what it held then.
    ports:
        The application port of each index; 0 or missing for a free one.
    debug_port, console_port:
        0 for none, -1 for a free one, else that of the first instance.
    user:
        The account to start as; empty for the default one.
    is_stopped:
        It was told to stop: nobody starts it again without being asked.
    generation:
        Grows when all instances are to be started anew; each instance has the one that it began with.
    without:
        Indexes that are not wanted: their instance was stopped by its id.
    renewed:
        Ids of instances that are to be replaced by new ones.
    balance:
        The port at which a balancer serves all instances; 0 for none.
    given_limits:
        Which of the limits were asked for; the others are the droplet's own.
    created:
        Seconds since 1970, like every time in a record.
    """

    name: str
    droplet: str
    droplet_sha256: str
    type: str = "web"
    instances: int = 1
    ports: tuple[int, ...] = ()
    debug_port: int = 0
    console_port: int = 0
    limits: InstanceLimits = field(default_factory=InstanceLimits)
    restart: Restart = "on-failure"
    user: str = ""
    is_keeping: bool = False
    is_stopped: bool = False
    generation: int = 0
    without: tuple[int, ...] = ()
    renewed: tuple[str, ...] = ()
    balance: int = 0
    given_limits: tuple[str, ...] = ()
    created: float = 0.0
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """What ``environment.json`` keeps, for its owner's eyes alone: given variables, and VCAP_SERVICES."""

    variables: Mapping[str, str] = field(default_factory=dict)
    services: str = ""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class ReplacementRecord:
    """What is to take an application's place, as soon as it is healthy: ``replacement.json``.

    Parameters
    ----------
    id:
        Tells the answer to this request from any other.
    application:
        Its generation is above the present one's; once the present one has it, it has taken over.
    """

    id: str
    application: ApplicationRecord
    environment: EnvironmentRecord
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process, as ``supervisor.json`` names it: its number, and the ticks since boot when it began.

    A process of that number with another start, or after another boot of the host, is a stranger.
    """

    pid: int = 0
    start_time: int = 0
    boot: str = ""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance: ``instance.json``. Times are seconds since 1970; None for not (yet).

    Parameters
    ----------
    reason:
        Why it is in that state: ``exit``, ``signal``, ``memory``, ``disk``, ``not-ready``, ``lost`` (it ended
        while nobody watched), or empty.
    start_time:
        Of ``pid``, in clock ticks since the host's boot (field 22 of /proc/PID/stat).
    boot:
        Which boot of the host that was (/proc/sys/kernel/random/boot_id).
    mark:
        A piece of environment that only its processes carry.
    sockets:
        The private directory that ``startup`` made for it.
    restarts:
        How often its index was started anew before.
    next_start:
        In the state ``backoff``: when it is tried again.
    """

    name: str
    index: int
    id: str
    state: State = "starting"
    reason: str = ""
    pid: int = 0
    start_time: int = 0
    boot: str = ""
    mark: str = ""
    sockets: str = ""
    type: str = "web"
    port: int = 0
    debug_port: int = 0
    console_port: int = 0
    limits: InstanceLimits = field(default_factory=InstanceLimits)
    means: Means = ""
    started_at: float | None = None
    ready_at: float | None = None
    ended_at: float | None = None
    next_start: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    restarts: int = 0
    generation: int = 0
    droplet_sha256: str = ""
    schema: int = SCHEMA


def to_document(record: Any) -> dict[str, Any]:
    """A record as plain data for JSON."""
    return asdict(record)


def from_document(kind: type[Record], document: object) -> Record:
    """Plain data as a record of that kind.

    Raises
    ------
    stager.model.typed.WrongShape
        A value is of another type, or one without a default is missing.
    """
    if isinstance(document, Mapping):
        known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
        document = {key: value for key, value in document.items() if key in known}
        limits = document.get("limits")
        if isinstance(limits, Mapping):
            kept = {one.name for one in fields(InstanceLimits)}
            document["limits"] = {key: value for key, value in limits.items() if key in kept}
    record: Record = read(kind, document, kind.__name__)
    return record
