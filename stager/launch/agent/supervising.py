"""Beginning to keep an application: in this process, or in one of its own that goes on by itself."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from stager.errors import StagerError
from stager.execution.spawn import spawn
from stager.launch.agent.application import Application
from stager.launch.agent.events import Events
from stager.launch.agent.identity import identify, this_process
from stager.launch.agent.overview import look_at
from stager.launch.agent.places import ApplicationPlace
from stager.launch.agent.records import ALIVE
from stager.launch.agent.requesting import raise_answer, settle
from stager.launch.agent.supervisor import Supervisor, forget
from stager.launch.processes import read_stat, send_signal

_STOP_SECONDS = 60.0


def supervise(
    place: ApplicationPlace, say: Callable[[str], None], on_ready: Callable[[dict[str, Any]], None]
) -> None:
    """Keep the application that is written down there; raises what :meth:`Supervisor.run` does.

    ``on_ready`` is given the document that ``stager run --json`` prints.
    """
    with suppress(FileNotFoundError), place.lock():
        settle(place, is_dropping=False)
    record = place.read()
    if record is None:
        raise StagerError(f"There is no application in {place.path}.")
    place.write_supervisor(this_process())
    try:
        application = Application.open(place, record, Events(place.events_file, say))
    except BaseException:
        seen = look_at(place)
        if seen is None or not any(one.state in ALIVE for one in seen.instances):
            forget(place, is_keeping=True)
        raise
    Supervisor(application, lambda: on_ready(document_of(place))).run()


def document_of(place: ApplicationPlace) -> dict[str, Any]:
    """An application for ``--json``."""
    seen = look_at(place)
    return {"schema": 1, "status": "running", **(seen.as_document() if seen else {"name": place.name})}


def resume(place: ApplicationPlace) -> dict[str, Any]:
    """:func:`detach` for what has lost its supervisor: it goes on also when we are interrupted."""
    return detach(place, is_new=False)


def detach(place: ApplicationPlace, *, is_new: bool = True) -> dict[str, Any]:
    """Start a supervisor that goes on when we end, and wait until its application is ready.

    With ``is_new``, it ends with everything that it has started when we are interrupted meanwhile.

    Raises
    ------
    StagerError
        What it said when it failed.
    """
    log = os.open(place.path / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    answer, given = os.pipe()
    try:
        spawned = spawn(
            [sys.executable, "-m", "stager", "supervise", place.name, "--state-dir", str(place.path.parent)],
            environment=os.environ,
            cwd=Path("/"),
            output=given,
            errors=log,
        )
    finally:
        os.close(given)
        os.close(log)
    try:
        place.write_supervisor(identify(spawned.pid))
        with open(answer, encoding="utf-8") as file:
            text = file.read()
    except BaseException:
        # It stops what it has started, and then itself.
        if is_new and (stat := read_stat(spawned.pid)) is not None and spawned.exit_code is None:
            send_signal(stat, signal.SIGTERM)
            spawned.wait(_STOP_SECONDS)
        raise
    return _read_answer(text, spawned.wait(1.0), place)


def _read_answer(text: str, exit_code: int | None, place: ApplicationPlace) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError:
        raise StagerError(
            "The supervisor ended before it could say why.",
            details=f"Its exit code was {exit_code}. {_last_words(place)}",
            resolution="Start it without --detach to see more.",
        ) from None
    raise_answer(document)
    return document


def _last_words(place: ApplicationPlace) -> str:
    try:
        return (place.path / "supervisor.log").read_text(errors="replace")[-2000:]
    except OSError:
        return ""
