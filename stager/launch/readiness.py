"""Waiting until an instance is ready, by the sign that its droplet gives: an answer, a connection, a file.

A port that accepts connections is not ready: Apache listens before it opens its logs, and exits when
it cannot. So an answer counts, from a process that lives on, and a connection only where the droplet says so.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

from stager.launch.asking import ask, is_good, target
from stager.launch.deadline import Deadline
from stager.launch.instance import Instance
from stager.launch.ports import LOOPBACK
from stager.model.droplet import Sign
from stager.model.frozen import dataclass
from stager.model.plan import Health

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
#: The first request may have to compile the application, and to give up early would make it do so
#: again; a connection in the backlog of a process that is gone would be waited for in vain. So: patient,
#: and more so each time.
_FIRST_PATIENCE = 5.0
_CONNECT_SECONDS = 1.0
#: A process that ends shows nothing any more before it is known to have ended.
_ENDING_SECONDS = 0.05
#: What a state file has to say, as the ancestor's had to.
_READY = "RUNNING"
_STATE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Readiness:
    """How the waiting ended: ``seconds`` since the start, or None where it never became ready.

    ``status`` is the last HTTP status, if any; ``waited`` how long was waited, in seconds; ``seen`` what was
    found instead of the sign, where that is not to be seen any more by looking at the instance.
    """

    seconds: float | None
    status: int | None
    waited: float
    seen: str = ""


class _Look:
    """One way of telling; :meth:`is_given` looks once."""

    #: Whether it comes from a port, which then has to be this instance's own.
    is_on_port = True

    def __init__(self) -> None:
        self.status: int | None = None
        self.seen = ""

    def is_given(self, deadline: Deadline, is_pointless: Callable[[], bool]) -> bool:
        raise NotImplementedError


class _HttpAnswer(_Look):
    def __init__(self, instance: Instance, health: Health) -> None:
        super().__init__()
        self._port = instance.port
        self._health = health
        self._patience = _FIRST_PATIENCE

    def is_given(self, deadline: Deadline, is_pointless: Callable[[], bool]) -> bool:
        limit = deadline.within(self._patience)
        try:
            self.status = ask(self._port, target(self._health), limit, is_pointless=is_pointless).status
        except TimeoutError:
            self._patience *= 2
        except (OSError, http.client.HTTPException):
            pass
        else:
            return is_good(self.status, self._health)
        return False


class _Connection(_Look):
    def __init__(self, instance: Instance) -> None:
        super().__init__()
        self._address = LOOPBACK, instance.port

    def is_given(self, deadline: Deadline, is_pointless: Callable[[], bool]) -> bool:
        patience = max(0.001, min(_CONNECT_SECONDS, deadline.remaining))
        try:
            with socket.create_connection(self._address, patience):
                return True
        except OSError:
            return False


class _StateFile(_Look):
    is_on_port = False

    def __init__(self, instance: Instance, health: Health) -> None:
        super().__init__()
        self._name = health.state_file
        self._path = (instance.launch.state or instance.launch.droplet) / health.state_file

    def is_given(self, deadline: Deadline, is_pointless: Callable[[], bool]) -> bool:
        wrong = _describe_state(self._path)
        self.seen = f"{self._name} {wrong}"
        return not wrong


def _describe_state(path: Path) -> str:
    """What is wrong with it; empty where it says that the application runs."""
    try:
        # It is the application's: neither a link nor a pipe in its place leads or keeps us anywhere.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        return "is not there" if is_missing else f"cannot be read ({error.strerror})"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "is no file"
        data = os.read(descriptor, _STATE_BYTES)
    finally:
        os.close(descriptor)
    try:
        document = json.loads(data)
    except ValueError:
        return "holds no JSON"
    state = document.get("state") if isinstance(document, dict) else None
    return "" if state == _READY else f"says {json.dumps(state)[:80]}"


def wait_until_ready(
    instance: Instance,
    sign: Sign,
    health: Health,
    deadline: Deadline,
    *,
    settle: float,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> Readiness:
    """Look until the sign is given, the process ends, it is unwanted, or its time or the deadline is over.

    ``settle`` is for a process that gives no sign but that it lives: it is fine when it still runs after so
    many seconds.
    """
    if sign == "life":
        return _wait_until_settled(instance, settle, deadline, is_unwanted)
    deadline = deadline.within(health.timeout)
    look: _Look
    if sign == "state-file":
        look = _StateFile(instance, health)
    else:
        look = _Connection(instance) if sign == "tcp" else _HttpAnswer(instance, health)

    def is_pointless() -> bool:
        instance.log.follow()
        return instance.exit_code is not None or is_unwanted()

    pause = _FIRST_PAUSE
    while not is_pointless() and not deadline.is_over:
        if look.is_given(deadline, is_pointless):
            seconds = instance.age
            if _is_its_own(instance, is_on_port=look.is_on_port):
                return Readiness(seconds, look.status, seconds)
        time.sleep(min(pause, deadline.remaining))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return Readiness(None, look.status, instance.age, look.seen)


def _wait_until_settled(
    instance: Instance, seconds: float, deadline: Deadline, is_unwanted: Callable[[], bool]
) -> Readiness:
    end = deadline.within(seconds)
    while instance.exit_code is None and not end.is_over and not is_unwanted():
        instance.log.follow()
        instance.started.wait(min(0.05, end.remaining))
    return Readiness(instance.age if instance.exit_code is None else None, None, instance.age)


def _is_its_own(instance: Instance, *, is_on_port: bool) -> bool:
    """Whether it was this instance that gave the sign, and it still runs.

    Somebody else may have taken the port since it was found free; then ours is about to fail.
    """
    members = instance.observe()
    is_ours = not is_on_port or instance.is_listening()
    if not is_ours and instance.is_opaque():
        is_ours = instance.started.wait(_ENDING_SECONDS) is None
    return instance.exit_code is None and bool(members) and is_ours
