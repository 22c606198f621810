"""What is asked for of an application that runs: another in its place, or another number of instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

from stager.errors import UsageError
from stager.launch.account import unprivileged_account
from stager.launch.agent.declaring import Wanted, name_of, record_of, runs_already
from stager.launch.agent.droplets import identify, prune, reopen, unpack
from stager.launch.agent.identity import is_running
from stager.launch.agent.overview import look_at, unknown
from stager.launch.agent.passage import demand_passage
from stager.launch.agent.places import ApplicationPlace, StateDirectory
from stager.launch.agent.records import ALIVE, ApplicationRecord, EnvironmentRecord, ReplacementRecord
from stager.launch.agent.requesting import demand_quiet, settle, write_request


def declare_replacement(
    state: StateDirectory, name: str, wanted: Wanted
) -> tuple[ApplicationPlace, ReplacementRecord]:
    """Unpack a droplet beside that of the application, and write down that it is to take its place.

    What was not asked for is as it was: instances, limits that had been asked for, environment, services.

    Raises
    ------
    UsageError
        There is no such application, it is being replaced, or its port cannot be kept.
    DropletCorrupt
        The droplet is not what its digests say.
    """
    place = state.application(name)
    with _locked(place):
        seen = look_at(place)
        if seen is None or not (seen.supervisor or any(one.state in ALIVE for one in seen.instances)):
            raise unknown(state, name)
        demand_quiet(place)
        settle(place, is_dropping=not seen.supervisor)
        before = place.read() or seen.record
        if wanted.balance and wanted.balance != before.balance:
            raise UsageError(
                f"{name} would be served by another balancer than now.",
                details=f"Its port is {before.balance}." if before.balance else "It has none.",
                resolution=f"Leave --balance out; or `stager stop {name}`, and start it with --balance.",
            )
        account = unprivileged_account(wanted.user or before.user or None)
        demand_passage(state.path, account)
        try:
            sha256 = identify(wanted.droplet)
            droplet = reopen(wanted.droplet, sha256, place) or unpack(wanted.droplet, place, account)
            record = record_of(place, wanted, droplet, before)
        except BaseException:
            prune(place, {before.droplet_sha256})
            raise
        record = replace(record, generation=before.generation + 1, without=(), renewed=(), is_stopped=False)
        return place, write_request(place, record, _environment(wanted, place))


def declare_number(state: StateDirectory, wanted: Wanted) -> ApplicationPlace | None:
    """Write down another number of instances of an application that runs; None where it does not.

    Raises
    ------
    UsageError
        Something else is asked for, too: that is a replacement.
    """
    place = state.application(wanted.name or name_of(wanted.droplet))
    if wanted.instances is None:
        return None
    with _locked(place):
        before = place.read()
        if before is None or not is_running(place.read_supervisor()):
            return None
        demand_quiet(place)
        droplet = reopen(wanted.droplet, identify(wanted.droplet), place)
        if droplet is None:
            raise runs_already(place)
        record = record_of(place, wanted, droplet, before)
        given = _environment(wanted, place)
        if _wishes(record) != _wishes(before) or given != place.read_environment():
            raise runs_already(place)
        place.write(replace(before, instances=wanted.instances, without=()))
    return place


@contextmanager
def _locked(place: ApplicationPlace) -> Iterator[None]:
    """Its lock, if it is there."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            stack.enter_context(place.lock())
        yield


def _wishes(record: ApplicationRecord) -> ApplicationRecord:
    """All but the number of instances, and what nobody wishes."""
    return replace(record, instances=1, created=0.0, droplet="")


def _environment(wanted: Wanted, place: ApplicationPlace) -> EnvironmentRecord:
    """What was given before, and what is given now above that."""
    before = place.read_environment()
    return EnvironmentRecord({**before.variables, **wanted.variables}, wanted.services or before.services)
