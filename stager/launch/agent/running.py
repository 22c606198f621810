"""An instance of an application: one that was begun here, or one that a supervisor before us had begun."""

from __future__ import annotations

import os
import select
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from stager.execution.spawn import Spawned, spawn
from stager.launch.agent import logs
from stager.launch.agent.application import Application
from stager.launch.agent.excess import find_kill
from stager.launch.agent.identity import boot_id, is_of_this_boot
from stager.launch.agent.limits import Enclosure
from stager.launch.agent.places import InstancePlace
from stager.launch.agent.records import InstanceRecord
from stager.launch.deadline import Deadline
from stager.launch.instance import Instance, Launch, ignore_line
from stager.launch.log import Log
from stager.launch.processes import Tree, read_stat, runs, ticks_now
from stager.launch.stopping import stop

#: Of a 128-bit number: more would only make paths long.
_ID_CHARACTERS = 16
#: What an adopted process is said to have ended with: only its parent could have known.
UNKNOWN_EXIT = 255
_TAIL_BYTES = 32 << 10


class Adopted:
    """A process that somebody else started; like :class:`Spawned`, as far as that goes."""

    def __init__(self, pid: int, start: int) -> None:
        self.pid = pid
        self._start = start
        ticks = os.sysconf("SC_CLK_TCK")
        self.started_at = time.monotonic() - max(0, ticks_now() - start) / ticks

    @property
    def exit_code(self) -> int | None:
        """None while it runs, then :data:`UNKNOWN_EXIT`."""
        return None if runs(self.pid, self._start) else UNKNOWN_EXIT

    def wait(self, timeout: float | None = None) -> int | None:
        deadline = Deadline.after(timeout)
        while self.exit_code is None and not deadline.is_over:
            time.sleep(min(0.01, deadline.remaining))
        return self.exit_code


class Outputs(Log):
    """What an instance has printed: the ends of its two logs, as one text."""

    def __init__(self, place: InstancePlace) -> None:
        super().__init__(-1, ignore_line)
        self._place = place

    def follow(self) -> None:
        """Nobody is told its lines: they are in its logs."""

    def text(self) -> str:
        return _end_of(self._place.out_log) + _end_of(self._place.err_log)

    def head(self) -> str:
        """The same: earlier lives have written into these logs, too."""
        return self.text()

    def close(self) -> None:
        """It holds nothing open."""


def _end_of(path: os.PathLike[str]) -> str:
    with suppress(OSError), open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace")
    return ""


class Running(Instance):
    """One instance, with its record on disk.

    Not begun by :class:`Instance`: its output goes elsewhere, and it may be another process's child.
    """

    started: Spawned | Adopted  # type: ignore[assignment]

    def __init__(
        self,
        place: InstancePlace,
        record: InstanceRecord,
        launch: Launch,
        started: Spawned | Adopted,
        tree: Tree,
    ) -> None:
        self.place = place
        self.record = record
        self.launch = launch
        self.port = record.port
        self.log = Outputs(place)
        self.started = started
        self.tree = tree
        self._sockets = record.sockets
        self._listening = frozenset()
        self._pidfd = _pidfd(started)
        self._is_over = False
        self.enclosure = Enclosure.read(place.enclosure_file, record.limits)

    @classmethod
    def adopt(cls, application: Application, place: InstancePlace, record: InstanceRecord) -> Running:
        """The instance of that record, whether it lives or not: see :attr:`exit_code`."""
        start = record.start_time if is_of_this_boot(record) else -1
        tree = Tree(record.pid, max(1, start), [record.mark.encode() + b"\0"], start=start)
        return cls(place, record, application.launch(record), Adopted(record.pid, start), tree)

    def note(self, **changes: Any) -> None:
        """Change the record, also on disk."""
        self.record = replace(self.record, **changes)
        self.place.write(self.record)

    def note_sockets(self) -> None:
        """Remember its private directory: who stops it may be somebody else."""
        self.observe()
        if self._sockets != self.record.sockets:
            self.note(sockets=self._sockets)

    def wait(self, wake: int, timeout: float | None = None) -> bool:
        """Wait until it has ended (then true), ``wake`` can be read, or ``timeout`` seconds are over."""
        if self._pidfd is None:
            self.started.wait(1.0)
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(wake, select.POLLIN)
        ready = poll.poll(None if timeout is None else timeout * 1000)
        if any(descriptor == self._pidfd for descriptor, _ in ready):
            self.started.wait(1.0)
            return True
        return False

    def stop(self, application: Application) -> tuple[str, ...]:
        """Stop it gracefully, with ``./stop``, then by force; what was wrong with that, if anything.

        When this returns nothing of it runs, and its private directory is gone.
        """
        self.note(state="stopping")
        complaints: tuple[str, ...] = ()
        try:
            findings = stop(self, application.process, Deadline.after(None)).findings
            complaints = tuple(finding.message for finding in findings)
        finally:
            self.end()
        return complaints

    def end(self, patience: float = 1.0) -> None:
        if self._is_over:
            return
        self._is_over = True
        super().end(patience)
        self.enclosure.remove()
        logs.wait_until_written(self.place)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def wait_for_output(self) -> None:
        """Wait until what it printed is in its logs; one that lives on in its children keeps us a second."""
        logs.wait_until_written(self.place)

    @property
    def ending(self) -> dict[str, Any]:
        """How it ended, as its record says it."""
        code = self.exit_code
        if (excess := find_kill(self.enclosure)) is not None:
            number = -code if code is not None and code < 0 else None
            return {"reason": excess.reason, "exit_code": None, "signal": number}
        if code is None or isinstance(self.started, Adopted):
            return {"reason": "exit", "exit_code": None, "signal": None}
        if code < 0:
            return {"reason": "signal", "exit_code": None, "signal": -code}
        return {"reason": "exit", "exit_code": code, "signal": None}


def _pidfd(started: Spawned | Adopted) -> int | None:
    try:
        descriptor = os.pidfd_open(started.pid)
    except OSError:
        return None
    if started.exit_code is None:
        return descriptor
    os.close(descriptor)
    return None


def begin(application: Application, index: int, port: int, restarts: int) -> Running:
    """Make a place for one instance, and start it there.

    Raises
    ------
    OSError
        ``startup`` cannot be executed by that account; the place is gone again.
    """
    asked = application.record
    identifier = uuid.uuid4().hex[:_ID_CHARACTERS]
    place = application.place.instance(index, identifier)
    place.make()
    record = InstanceRecord(
        asked.name,
        index,
        identifier,
        mark=f"STAGER_INSTANCE_ID={identifier}",
        type=asked.type,
        port=port,
        debug_port=_side_port(application, asked.debug_port, index),
        console_port=_side_port(application, asked.console_port, index),
        limits=asked.limits,
        boot=boot_id(),
        started_at=time.time(),
        restarts=restarts,
        generation=asked.generation,
        droplet_sha256=application.droplet.sha256,
    )
    try:
        _make_state(application, place)
        return _spawn(application, place, record)
    except BaseException:
        place.remove()
        raise


def _side_port(application: Application, asked: int, index: int) -> int:
    if not asked:
        return 0
    return application.ports.take(asked + index if asked > 0 else 0)


def _make_state(application: Application, place: InstancePlace) -> None:
    place.state.mkdir()
    place.state.chmod(0o700)
    if application.account is not None:
        os.chown(place.state, application.account.uid, application.account.gid)


def _spawn(application: Application, place: InstancePlace, record: InstanceRecord) -> Running:
    launch = application.launch(record)
    # Before it is there: what a supervisor leaves that dies in the next line is found by its mark.
    place.write(record)
    enclosure = Enclosure.make(record.id, record.limits, note=place.enclosure_file)
    since = ticks_now()
    limit = logs.file_bytes(record.limits.disk)
    outputs = logs.open_outputs(place, application.account, limit=limit)
    try:
        started = spawn(
            [str(launch.droplet / "startup"), "-p", str(record.port), "-t", record.type],
            environment=launch.start_environment(record.port, record.id),
            # The script may not count on being started from the droplet.
            cwd=Path("/"),
            output=outputs.out,
            errors=outputs.err,
            account=launch.account,
            confinement=enclosure.confinement,
            is_apart=True,
        )
    except BaseException:
        enclosure.remove()
        raise
    finally:
        outputs.close()
    tree = Tree(started.pid, since, [record.mark.encode() + b"\0"])
    running = Running(place, record, launch, started, tree)
    stat = read_stat(started.pid)
    try:
        running.note(pid=started.pid, start_time=stat.start if stat else 0, means=enclosure.means)
    except BaseException:
        running.end(patience=0.0)
        raise
    return running
