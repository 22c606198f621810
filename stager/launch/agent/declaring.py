"""Writing down what is asked for, before anything is started."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

from stager.errors import UsageError
from stager.launch.account import unprivileged_account
from stager.launch.agent.application import WEB, process_of
from stager.launch.agent.balancer import find_haproxy
from stager.launch.agent.droplets import Unpacked, identify, reopen, unpack
from stager.launch.agent.identity import is_running, this_process
from stager.launch.agent.overview import look_at
from stager.launch.agent.passage import demand_passage
from stager.launch.agent.places import ApplicationPlace, StateDirectory
from stager.launch.agent.records import ALIVE, ApplicationRecord, EnvironmentRecord, InstanceLimits, Restart
from stager.launch.agent.requesting import settle
from stager.model.frozen import dataclass

_SUFFIXES = (".droplet.tar.gz", ".droplet.tar.zst", ".tar.gz", ".tar.zst", ".tgz", ".tar")

_LIMITS = ("memory", "disk", "fds")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``stager run`` was asked for. A limit that is None is the droplet's own.

    ``ports`` are those of the first instances; what is missing is found. ``balance`` is the port of a
    balancer in front of all of them. What is None, empty or 0 was not asked for.
    """

    droplet: Path
    name: str = ""
    type: str = ""
    instances: int | None = None
    ports: tuple[int, ...] = ()
    balance: int = 0
    debug_port: int | None = None
    console_port: int | None = None
    memory: int | None = None
    disk: int | None = None
    fds: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    services: str = ""
    user: str = ""
    restart: Restart | None = None
    is_keeping: bool = False


def name_of(droplet: Path) -> str:
    """A name for an application: its droplet's, without suffixes and what no name may have."""
    name = droplet.absolute().name
    suffix = next((one for one in _SUFFIXES if name.endswith(one) and name != one), "")
    name = "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "-" for char in name)
    return name.removesuffix(suffix).lstrip("_.-")[:100] or "app"


def declare(state: StateDirectory, wanted: Wanted) -> ApplicationPlace:
    """Unpack the droplet, its digests compared, and write down what is wanted; we are its supervisor now.

    Instances that still live of an application whose supervisor died stay: they are adopted, and replaced
    one by one where something else is wanted than what they were started with.

    Raises
    ------
    UsageError
        It runs already, or no application can be called so.
    DropletCorrupt
        The droplet is not what its digests say.
    """
    account = unprivileged_account(wanted.user or None)
    place = state.application(wanted.name or name_of(wanted.droplet))
    state.make()
    demand_passage(state.path, account)
    with place.lock(is_making=True):
        if is_running(place.read_supervisor()):
            raise runs_already(place)
        settle(place, is_dropping=True)
        before = look_at(place)
        place.make()
        try:
            lives = before is not None and any(one.state in ALIVE for one in before.instances)
            sha256 = identify(wanted.droplet)
            droplet = reopen(wanted.droplet, sha256, place) if lives else None
            droplet = droplet or unpack(wanted.droplet, place, account)
            record = record_of(place, wanted, droplet)
        except BaseException:
            if before is None:
                place.remove()
            raise
        given = EnvironmentRecord(dict(wanted.variables), wanted.services)
        if before is not None:
            record = replace(record, generation=_generation(before.record, record, place, given))
        place.write_environment(given)
        place.write(record)
        place.write_supervisor(this_process())
    return place


def runs_already(place: ApplicationPlace) -> UsageError:
    """Somebody keeps it."""
    supervisor = place.read_supervisor()
    return UsageError(
        f"{place.name} runs already.",
        details=f"Process {supervisor.pid if supervisor else 0} keeps it.",
        resolution=f"`--replace {place.name}` puts this in its place, `stager stop {place.name}` ends it; "
        "--name gives this one another name.",
        slug="runs-already",
    )


def record_of(
    place: ApplicationPlace, wanted: Wanted, droplet: Unpacked, before: ApplicationRecord | None = None
) -> ApplicationRecord:
    """What is wanted of that droplet; what was not asked for is as ``before``.

    Raises
    ------
    UsageError
        The droplet has no such process, or what is asked for contradicts itself.
    HostToolMissing
        There is no HAProxy, and it is needed.
    """
    base = before or ApplicationRecord(place.name, "", "", type=_default_type(droplet))
    given_limits = tuple(
        name for name in _LIMITS if getattr(wanted, name) is not None or name in base.given_limits
    )
    record = replace(
        base,
        droplet=str(wanted.droplet.absolute()),
        droplet_sha256=droplet.sha256,
        type=wanted.type or base.type,
        instances=wanted.instances or base.instances,
        ports=wanted.ports or base.ports,
        balance=wanted.balance or base.balance,
        debug_port=base.debug_port if wanted.debug_port is None else wanted.debug_port,
        console_port=base.console_port if wanted.console_port is None else wanted.console_port,
        limits=_limits(wanted, droplet, base),
        given_limits=given_limits,
        restart=wanted.restart or base.restart,
        user=wanted.user or base.user,
        is_keeping=wanted.is_keeping or base.is_keeping,
        created=time.time(),
    )
    process_of(droplet, record.type)
    _demand_balance(record)
    return record


def _limits(wanted: Wanted, droplet: Unpacked, base: ApplicationRecord) -> InstanceLimits:
    """Those that were asked for now, or before; else the droplet's own."""

    def limit(name: str) -> int:
        before = getattr(base.limits, name) if name in base.given_limits else None
        found: int = getattr(wanted, name) or before or getattr(droplet.manifest.limits, name)
        return found

    return InstanceLimits(limit("memory"), limit("disk"), limit("fds"))


def _default_type(droplet: Unpacked) -> str:
    types = [process.type for process in droplet.manifest.processes]
    return next((one for one in (WEB, *types) if one in types and one != "release"), types[0])


def _demand_balance(record: ApplicationRecord) -> None:
    if not record.balance:
        return
    if record.ports:
        raise UsageError(
            "The instances behind a balancer have free ports.",
            details=f"-p is the first one's own port, --balance {record.balance} that of all of them.",
            resolution="Leave one of the two out.",
        )
    if record.type != WEB:
        raise UsageError(
            f"Nobody sends requests to a {record.type} process.", resolution="Leave --balance out."
        )
    find_haproxy()


def _generation(
    before: ApplicationRecord, after: ApplicationRecord, place: ApplicationPlace, given: EnvironmentRecord
) -> int:
    """The same, where those that still live are as they would be started now."""
    names = ("droplet_sha256", "type", "ports", "balance", "debug_port", "console_port", "limits", "user")
    is_same = all(getattr(before, name) == getattr(after, name) for name in names)
    return before.generation + (not (is_same and place.read_environment() == given))
