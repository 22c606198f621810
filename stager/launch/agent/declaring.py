"""Writing down what is asked for, before anything is started."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

from stager.errors import UsageError
from stager.launch.account import unprivileged_account
from stager.launch.agent.application import process_of
from stager.launch.agent.droplets import Unpacked, identify, reopen, unpack
from stager.launch.agent.identity import is_running, this_process
from stager.launch.agent.overview import look_at
from stager.launch.agent.passage import demand_passage
from stager.launch.agent.places import ApplicationPlace, StateDirectory
from stager.launch.agent.records import ALIVE, ApplicationRecord, EnvironmentRecord, InstanceLimits, Restart
from stager.model.frozen import dataclass

_SUFFIXES = (".droplet.tar.gz", ".droplet.tar.zst", ".tar.gz", ".tar.zst", ".tgz", ".tar")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``stager run`` was asked for. A limit that is None is the droplet's own.

    ``ports`` are those of the first instances; what is missing is found.
    """

    droplet: Path
    name: str = ""
    type: str = ""
    instances: int = 1
    ports: tuple[int, ...] = ()
    debug_port: int = 0
    console_port: int = 0
    memory: int | None = None
    disk: int | None = None
    fds: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    services: str = ""
    user: str = ""
    restart: Restart = "on-failure"
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
        supervisor = place.read_supervisor()
        if is_running(supervisor):
            raise UsageError(
                f"{place.name} runs already.",
                details=f"Process {supervisor.pid if supervisor else 0} keeps it.",
                resolution=f"`stager stop {place.name}` ends it; --name gives this one another name.",
                slug="runs-already",
            )
        before = look_at(place)
        place.make()
        try:
            lives = before is not None and any(one.state in ALIVE for one in before.instances)
            sha256 = identify(wanted.droplet)
            droplet = reopen(wanted.droplet, sha256, place) if lives else None
            droplet = droplet or unpack(wanted.droplet, place, account)
            record = _record(place, wanted, droplet)
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


def _record(place: ApplicationPlace, wanted: Wanted, droplet: Unpacked) -> ApplicationRecord:
    limits = droplet.manifest.limits
    types = [process.type for process in droplet.manifest.processes]
    type_ = wanted.type or next(
        (one for one in ("web", *types) if one in types and one != "release"), types[0]
    )
    process_of(droplet, type_)
    return ApplicationRecord(
        name=place.name,
        droplet=str(wanted.droplet.absolute()),
        droplet_sha256=droplet.sha256,
        type=type_,
        instances=wanted.instances,
        ports=wanted.ports,
        debug_port=wanted.debug_port,
        console_port=wanted.console_port,
        limits=InstanceLimits(
            memory=wanted.memory or limits.memory,
            disk=wanted.disk or limits.disk,
            fds=wanted.fds or limits.fds,
        ),
        restart=wanted.restart,
        user=wanted.user,
        is_keeping=wanted.is_keeping,
        created=time.time(),
    )


def _generation(
    before: ApplicationRecord, after: ApplicationRecord, place: ApplicationPlace, given: EnvironmentRecord
) -> int:
    """The same, where those that still live are as they would be started now."""
    names = ("droplet_sha256", "type", "ports", "debug_port", "console_port", "limits", "user")
    is_same = all(getattr(before, name) == getattr(after, name) for name in names)
    return before.generation + (not (is_same and place.read_environment() == given))
