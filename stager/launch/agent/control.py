"""Stop and restart, said from another process: to the supervisor, or, where it died, done here."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from stager.errors import CouldNotVerify, StagerError, UsageError
from stager.launch.agent.application import Application
from stager.launch.agent.balancer import DRAIN_SECONDS
from stager.launch.agent.events import Events
from stager.launch.agent.front import stop_balancer
from stager.launch.agent.identity import is_running
from stager.launch.agent.overview import Seen, look_at
from stager.launch.agent.places import ApplicationPlace
from stager.launch.agent.records import (
    ALIVE,
    ApplicationRecord,
    InstanceRecord,
    ProcessRecord,
    ReplacementRecord,
)
from stager.launch.agent.requesting import ask, demand_quiet, settle, tell, write_request
from stager.launch.agent.running import Running
from stager.launch.agent.supervisor import RELOAD, forget
from stager.launch.deadline import Deadline
from stager.launch.processes import Tree

#: Beside the periods of grace of a stop: for bash, /proc, and an instance that is just being started.
_MARGIN = 30.0
_PAUSE = 0.03


def stop_application(seen: Seen, say: Callable[[str], None]) -> None:
    """Stop all of it; when this returns nothing of it runs.

    Raises
    ------
    CouldNotVerify
        Something of it could not be ended.
    """
    place = seen.place
    _change(place, lambda record: replace(record, is_stopped=True), is_ending=True)
    supervisor = place.read_supervisor()
    if supervisor is not None and is_running(supervisor):
        tell(supervisor, signal.SIGTERM)
        deadline = Deadline.after(_patience(place))
        while is_running(supervisor) and not deadline.is_over:
            time.sleep(_PAUSE)
        if is_running(supervisor):
            raise CouldNotVerify(
                f"{place.name} is still being stopped.",
                details=f"Its supervisor, process {supervisor.pid}, has not ended.",
                resolution="Wait, and say it again; after kill -9 of that process it is done by force.",
            )
    _stop_directly(place, say)


def stop_instance(seen: Seen, instance: InstanceRecord, say: Callable[[str], None]) -> None:
    """Stop one instance, and do not want another one in its place (until a restart)."""
    place = seen.place
    if instance.state not in ALIVE and instance.state != "backoff":
        _remove_kept(place, instance)
        return
    _change(place, lambda record: replace(record, without=tuple({*record.without, instance.index})))
    supervisor = place.read_supervisor()
    if supervisor is not None and is_running(supervisor):
        tell(supervisor, RELOAD)
        _wait(
            place, lambda now: all(one.id != instance.id or one.state not in ALIVE for one in now), supervisor
        )
        return
    _stop_directly(place, say, instance.id)


def _remove_kept(place: ApplicationPlace, instance: InstanceRecord) -> None:
    """What was kept of one that has crashed; the last one takes with it what is kept of its application."""
    place.instance(instance.index, instance.id).remove()
    with suppress(FileNotFoundError), place.lock():
        supervisor = place.read_supervisor()
        if not place.instances() and (supervisor is None or not is_running(supervisor)):
            place.remove()


def restart(seen: Seen, instance: InstanceRecord | None, start: Callable[[ApplicationPlace], object]) -> None:
    """Replace all instances, or one, each by a new one when the one before is ready.

    Behind a balancer all the new ones are started beside the old ones, which go when the new ones serve.

    Parameters
    ----------
    start:
        Starts a supervisor for the place where none runs; it adopts what lives, and replaces that.

    Raises
    ------
    CouldNotVerify
        Not all of the new ones became ready in time.
    """
    place = seen.place
    if instance is None and seen.record.balance:
        ask(place, _declare_restart(place), RELOAD, start)
        return
    if instance is None:
        changed = _change(
            place,
            lambda record: replace(
                record, generation=record.generation + 1, without=(), renewed=(), is_stopped=False
            ),
        )
    else:
        renewed = (*seen.record.renewed[-50:], instance.id)
        without = tuple(index for index in seen.record.without if index != instance.index)
        changed = _change(place, lambda record: replace(record, renewed=renewed, without=without))
    supervisor = place.read_supervisor()
    if supervisor is not None and is_running(supervisor):
        tell(supervisor, RELOAD)
    else:
        start(place)
        supervisor = place.read_supervisor() or ProcessRecord()

    def is_renewed(now: tuple[InstanceRecord, ...]) -> bool:
        if any(one.state == "backoff" and _is_new(one, changed) for one in now):
            raise CouldNotVerify(
                f"{place.name} does not start again.",
                details="The new instance has crashed; the old ones that are left go on serving.",
                resolution=f"`stager logs {place.name}` shows why; it is tried again and again meanwhile.",
                slug="not-restarted",
            )
        alive = [one for one in now if one.state in ALIVE]
        return all(_is_new(one, changed) for one in alive) and _has_all(alive, changed)

    _wait(place, is_renewed, supervisor)


def wait_for_number(place: ApplicationPlace) -> None:
    """Have its supervisor start or stop as many instances as are wanted by now, and wait for that.

    Raises
    ------
    CouldNotVerify
        Not all of them became ready in time, or ended.
    """
    record, supervisor = place.read(), place.read_supervisor()
    if record is None or supervisor is None:
        raise _gone(place)
    tell(supervisor, RELOAD)

    def is_as_wanted(now: tuple[InstanceRecord, ...]) -> bool:
        alive = [one for one in now if one.state in ALIVE]
        return all(one.index < record.instances for one in alive) and _has_all(alive, record)

    _wait(place, is_as_wanted, supervisor)


def _has_all(instances: Iterable[InstanceRecord], record: ApplicationRecord) -> bool:
    """Whether every index that is wanted runs, and was started as is wanted now."""
    good = {one.index for one in instances if one.state == "running" and _is_new(one, record)}
    return good.issuperset(index for index in range(record.instances) if index not in record.without)


def _declare_restart(place: ApplicationPlace) -> ReplacementRecord:
    with suppress(FileNotFoundError), place.lock():
        demand_quiet(place)
        settle(place, is_dropping=True)
        record = place.read()
        if record is not None:
            again = replace(
                record, generation=record.generation + 1, without=(), renewed=(), is_stopped=False
            )
            return write_request(place, again, place.read_environment())
    raise _gone(place)


def _is_new(instance: InstanceRecord, record: ApplicationRecord) -> bool:
    return instance.generation >= record.generation and instance.id not in record.renewed


def _change(
    place: ApplicationPlace,
    change: Callable[[ApplicationRecord], ApplicationRecord],
    *,
    is_ending: bool = False,
) -> ApplicationRecord:
    with suppress(FileNotFoundError), place.lock():
        if not is_ending:
            demand_quiet(place)
        if not is_running(place.read_supervisor()):
            settle(place, is_dropping=True)
        record = place.read()
        if record is not None:
            changed = change(record)
            place.write(changed)
            return changed
    raise _gone(place)


def _gone(place: ApplicationPlace) -> UsageError:
    return UsageError(f"{place.name} is gone.", resolution="Somebody else has just stopped it.")


def _patience(place: ApplicationPlace) -> float:
    """Seconds that stopping, or starting, all of it may take."""
    try:
        application = _open(place, lambda _: None)
    except (StagerError, OSError):
        return 2 * _MARGIN
    drain = DRAIN_SECONDS if application.record.balance else 0.0
    return 2 * application.process.grace + application.droplet.manifest.health.timeout + drain + _MARGIN


def _wait(
    place: ApplicationPlace, is_done: Callable[[tuple[InstanceRecord, ...]], bool], supervisor: ProcessRecord
) -> None:
    seen = look_at(place)
    deadline = Deadline.after(_patience(place) * max(1, len(seen.instances) if seen else 1))
    while not deadline.is_over:
        seen = look_at(place)
        if seen is None or is_done(seen.instances):
            return
        if not is_running(supervisor):
            break
        time.sleep(_PAUSE)
    states = ", ".join(f"{one.index}: {one.state}" for one in seen.instances) if seen else "it is gone"
    raise CouldNotVerify(
        f"{place.name} is not yet as it was asked for.",
        details=f"Its instances: {states}.",
        resolution=f"`stager ps` shows how it goes on; its logs are in {place.instances_directory}.",
        slug="not-as-wanted",
    )


def _open(place: ApplicationPlace, say: Callable[[str], None]) -> Application:
    record = place.read()
    if record is None:
        raise _gone(place)
    return Application.open(place, record, Events(place.events_file, say))


def _stop_directly(place: ApplicationPlace, say: Callable[[str], None], identifier: str = "") -> None:
    """Stop what no supervisor keeps any more: all of it, or one instance."""
    if place.read() is None:
        return
    try:
        application = _open(place, say)
    except (StagerError, OSError):
        application = None
    threads = []
    if not identifier:
        stop_balancer(place)
    for one in place.instances():
        record = one.read()
        if record is None or record.state not in ALIVE or not record.id.startswith(identifier):
            continue
        if application is None:
            _kill(record)
            one.remove()
            continue
        running = Running.adopt(application, one, record)
        threads.append(threading.Thread(target=_end, args=(application, running)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if not identifier:
        with suppress(FileNotFoundError), place.lock():
            forget(place, is_keeping=application is not None and application.record.is_keeping)


def _end(application: Application, running: Running) -> None:
    record = running.record
    for complaint in running.stop(application):
        application.events.tell("untidy", f"{record.name}/{record.index} {complaint}")
    running.note(state="stopped", ended_at=time.time())
    application.events.tell("stopped", f"{record.name}/{record.index} is stopped", id=record.id)
    if not application.record.is_keeping:
        running.place.remove()


def _kill(record: InstanceRecord) -> None:
    """Its droplet is gone, and with it its ``./stop``: its processes are ended, and nobody else's."""
    tree = Tree(
        record.pid, max(1, record.start_time), [record.mark.encode() + b"\0"], start=record.start_time
    )
    tree.end()
    if record.sockets.startswith("/tmp/stager."):  # noqa: S108
        import shutil

        with suppress(OSError):
            if not os.path.islink(record.sockets):
                shutil.rmtree(record.sockets)
