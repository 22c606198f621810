"""A replacement as two processes speak of it: one asks, the application's supervisor does it and answers."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from signal import Signals
from typing import Any

from stager.errors import CouldNotVerify, Interrupted, StagerError, UsageError
from stager.launch.agent.identity import is_running
from stager.launch.agent.places import ApplicationPlace, read_record, write_json
from stager.launch.agent.records import (
    ALIVE,
    ApplicationRecord,
    EnvironmentRecord,
    ProcessRecord,
    ReplacementRecord,
    to_document,
)
from stager.launch.deadline import Deadline
from stager.launch.processes import read_stat, send_signal
from stager.model.report import error_document

_PAUSE = 0.05
#: How often a supervisor that dies meanwhile is started again.
_MOST_STARTS = 3
_WITHDRAW_SECONDS = 60.0


def read_request(place: ApplicationPlace) -> ReplacementRecord | None:
    """What is to take over there, if anything is."""
    return read_record(ReplacementRecord, place.replacement_file)


def demand_quiet(place: ApplicationPlace) -> None:
    """Raises UsageError while something is taking over there."""
    supervisor = place.read_supervisor()
    if read_request(place) is not None and is_running(supervisor):
        raise UsageError(
            f"{place.name} is being replaced just now.",
            details="Its new instances have not taken over yet.",
            resolution=f"Wait until that has ended: `stager ps {place.name}` shows how it goes on.",
            slug="being-replaced",
        )


def write_request(
    place: ApplicationPlace, application: ApplicationRecord, environment: EnvironmentRecord
) -> ReplacementRecord:
    """Write it down; under the place's lock, in which nothing else is taking over."""
    request = ReplacementRecord(uuid.uuid4().hex, application, environment)
    write_json(place.replacement_file, to_document(request))
    return request


def commit(place: ApplicationPlace, request: ReplacementRecord) -> None:
    """It has taken over; under the place's lock. What dies in the middle of this is ended by the next one."""
    place.write(request.application)
    place.write_environment(request.environment)


def has_taken_over(place: ApplicationPlace, request: ReplacementRecord) -> bool:
    """Whether it is what is wanted now."""
    record = place.read()
    return record is not None and record.generation >= request.application.generation


def settle(place: ApplicationPlace, *, is_dropping: bool) -> None:
    """End what a supervisor has left that died while it wrote; under the place's lock.

    With ``is_dropping`` what has not taken over yet is asked for no more.
    """
    request = read_request(place)
    is_over = request is not None and has_taken_over(place, request)
    if request is not None and is_over:
        commit(place, request)
    if is_over or is_dropping:
        place.replacement_file.unlink(missing_ok=True)


def answer(
    place: ApplicationPlace, request: ReplacementRecord, outcome: dict[str, Any] | StagerError
) -> None:
    """Tell whoever asked how it went; where it did not, it is asked for no more."""
    if isinstance(outcome, StagerError):
        outcome = {"error": error_document(outcome), "exit_code": outcome.exit_code}
    with suppress(OSError), place.lock():
        # In this order: who waits looks at them the other way round.
        write_json(place.answer_file, {"id": request.id, **outcome})
        _forget(place, request)


def ask(
    place: ApplicationPlace,
    request: ReplacementRecord,
    signal: Signals,
    start: Callable[[ApplicationPlace], object],
) -> dict[str, Any]:
    """Have a replacement that is written down carried out, and wait for that.

    Parameters
    ----------
    signal:
        What makes a supervisor look.
    start:
        Starts a supervisor, where none runs.

    Returns
    -------
    dict
        ``seconds``, and ``gap_seconds``, None where nobody is left who knows it.

    Raises
    ------
    StagerError
        Why it has failed; the old instances serve.
    """
    try:
        return _wait(place, request, signal, start)
    except Interrupted as error:
        if _withdraw(place, request, signal):
            resolution = "The old instances go on serving."
        else:
            resolution = f"It came too late: the new instances of {place.name} have taken over."
        raise Interrupted(error.brief, resolution=resolution) from None


def _wait(
    place: ApplicationPlace,
    request: ReplacementRecord,
    signal: Signals,
    start: Callable[[ApplicationPlace], object],
) -> dict[str, Any]:
    began = time.monotonic()
    starts = 0
    told = ProcessRecord()
    while True:
        supervisor = place.read_supervisor() or ProcessRecord()
        is_kept = is_running(supervisor)
        is_asked = _is_asked(place, request)
        # After that: it is asked for until it is answered.
        if (found := _read_answer(place, request)) is not None:
            return found
        is_over = not is_asked and has_taken_over(place, request)
        if is_over and is_kept and not _has_old(place, request):
            # Whoever did it died before the answer, and the next one had nothing left to do.
            return {"seconds": round(time.monotonic() - began, 3), "gap_seconds": None}
        if not (is_asked or is_over) or (not is_kept and starts == _MOST_STARTS):
            raise CouldNotVerify(
                f"Nobody says whether {place.name} was replaced.",
                details="Its supervisor has ended meanwhile, or was told something else.",
                resolution=f"`stager ps {place.name}` shows what runs.",
                slug="not-replaced",
            )
        if not is_kept:
            starts += 1
            start(place)
        elif supervisor != told:
            tell(supervisor, signal)
            told = supervisor
        time.sleep(_PAUSE)


def tell(supervisor: ProcessRecord, number: Signals) -> None:
    """Send a signal to that very process, if it runs."""
    stat = read_stat(supervisor.pid)
    if stat is not None and stat.start == supervisor.start_time:
        send_signal(stat, number)


def _read_answer(place: ApplicationPlace, request: ReplacementRecord) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(place.answer_file.read_bytes())
    except (OSError, ValueError):
        return None
    if document.pop("id", "") != request.id:
        return None
    place.answer_file.unlink(missing_ok=True)
    raise_answer(document)
    return document


def raise_answer(document: dict[str, Any]) -> None:
    """The error that another process has written down, if it has."""
    if (said := document.get("error")) is None:
        return
    kinds = {kind.exit_code: kind for kind in _kinds(StagerError)}
    kind = kinds.get(document.get("exit_code", 1), StagerError)
    raise kind(said["brief"], details=said["details"], resolution=said["resolution"], slug=said["code"])


def _kinds(kind: type[StagerError]) -> list[type[StagerError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _kinds(child))]


def _has_old(place: ApplicationPlace, request: ReplacementRecord) -> bool:
    """Whether instances are there that are to be gone when it has taken over."""
    records = (one.read() for one in place.instances())
    return any(
        one.state in ALIVE and one.generation < request.application.generation for one in records if one
    )


def _withdraw(place: ApplicationPlace, request: ReplacementRecord, signal: Signals) -> bool:
    """Ask for it no more, and wait until nothing is left of it; false where it has taken over."""
    with suppress(FileNotFoundError), place.lock():
        if has_taken_over(place, request):
            return False
        _forget(place, request)
    supervisor = place.read_supervisor() or ProcessRecord()
    tell(supervisor, signal)
    deadline = Deadline.after(_WITHDRAW_SECONDS)
    with suppress(StagerError):
        while is_running(supervisor) and not deadline.is_over and _read_answer(place, request) is None:
            time.sleep(_PAUSE)
    return True


def _is_asked(place: ApplicationPlace, request: ReplacementRecord) -> bool:
    found = read_request(place)
    return found is not None and found.id == request.id


def _forget(place: ApplicationPlace, request: ReplacementRecord) -> None:
    if _is_asked(place, request):
        place.replacement_file.unlink()
