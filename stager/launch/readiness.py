"""Asking an instance over HTTP until it answers.

A port that accepts connections is not ready: Apache listens before it opens its logs, and exits when
it cannot. Only an answer counts, from a process that lives on.
"""

from __future__ import annotations

import http.client
import select
import string
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from stager.launch.deadline import Deadline
from stager.launch.instance import Instance
from stager.launch.ports import LOOPBACK
from stager.model.plan import Health

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
#: The first request may have to compile the application, and to give up early would make it do so
#: again; a connection in the backlog of a process that is gone would be waited for in vain. So: patient,
#: and more so each time.
_FIRST_PATIENCE = 5.0
#: Enough for every worker of a small instance to have served once: a forked worker takes next to
#: nothing before that.
_REQUESTS = 20
_PARALLEL = 4
#: A body that never ends (an event stream) is no reason to call an application dead.
_BODY_SECONDS = 5.0
_BODY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``is_complete`` when its whole body came in time."""

    status: int
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Readiness:
    """How the waiting ended: ``seconds`` since the start, or None where it never became ready.

    ``status`` is the last HTTP status, if any; ``waited`` how long was waited, in seconds.
    """

    seconds: float | None
    status: int | None
    waited: float


def ask(
    port: int,
    path: str,
    deadline: Deadline,
    *,
    body: bytes | None = None,
    is_pointless: Callable[[], bool] = lambda: False,
) -> Answer:
    """One request to the loopback interface; redirects are answers.

    Parameters
    ----------
    body:
        With one it is a POST of a form.
    is_pointless:
        Asked again and again while no answer comes; the waiting ends when it says so.

    Raises
    ------
    OSError, http.client.HTTPException
        No answer came before the deadline, or it is none.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=max(0.001, deadline.remaining))
    headers = {"User-Agent": "stager", "Connection": "close", "Accept": "*/*"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request("GET" if body is None else "POST", path, body=body, headers=headers)
        _wait_for_answer(connection, deadline, is_pointless)
        return read_answer(connection, deadline)
    finally:
        connection.close()


def _wait_for_answer(
    connection: http.client.HTTPConnection, deadline: Deadline, is_pointless: Callable[[], bool]
) -> None:
    while not select.select([connection.sock], [], [], min(_LONGEST_PAUSE, deadline.remaining))[0]:
        if deadline.is_over:
            raise TimeoutError
        if is_pointless():
            raise ConnectionAbortedError


def read_answer(connection: http.client.HTTPConnection, deadline: Deadline) -> Answer:
    """Read the answer to the request that was sent; raises as :func:`ask` does."""
    # getresponse() lets go of the socket when the server is going to close it.
    socket = connection.sock
    socket.settimeout(max(0.001, deadline.remaining))
    with connection.getresponse() as response:
        body_deadline = deadline.within(_BODY_SECONDS)
        received = 0
        try:
            while chunk := response.read1(1 << 16):
                received += len(chunk)
                if body_deadline.is_over or received > _BODY_BYTES:
                    return Answer(response.status, is_complete=False)
                socket.settimeout(max(0.001, body_deadline.remaining))
        except (OSError, http.client.HTTPException):
            return Answer(response.status, is_complete=False)
        # read1() does not tell a body that ended from one that was cut; what is still due does.
        return Answer(response.status, is_complete=not response.length)


def target(health: Health) -> str:
    """What to ask for, as it may stand in a request line."""
    path = quote(health.path, safe=string.punctuation)
    return path if path.startswith("/") else f"/{path}"


def is_good(status: int, health: Health) -> bool:
    """A health path that was asked for has to say yes; any other page may say 404, but not fail."""
    if health.path:
        return HTTPStatus.OK <= status < HTTPStatus.BAD_REQUEST
    return status < HTTPStatus.INTERNAL_SERVER_ERROR


def wait_until_ready(
    instance: Instance,
    health: Health,
    deadline: Deadline,
    *,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> Readiness:
    """Ask until there is a good answer, the process ends, it is unwanted, or the deadline is over."""
    status: int | None = None

    def is_pointless() -> bool:
        instance.log.follow()
        return instance.exit_code is not None or is_unwanted()

    pause = _FIRST_PAUSE
    patience = _FIRST_PATIENCE
    while not is_pointless() and not deadline.is_over:
        try:
            answer = ask(instance.port, target(health), deadline.within(patience), is_pointless=is_pointless)
        except TimeoutError:
            patience *= 2
        except (OSError, http.client.HTTPException):
            pass
        else:
            seconds = instance.age
            status = answer.status
            if is_good(status, health) and _is_answering(instance):
                return Readiness(seconds, status, seconds)
        time.sleep(min(pause, deadline.remaining))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return Readiness(None, status, instance.age)


def wait_until_settled(
    instance: Instance,
    seconds: float,
    deadline: Deadline,
    *,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> Readiness:
    """For a process that nobody asks: it is fine when it still runs after ``seconds``."""
    end = deadline.within(seconds)
    while instance.exit_code is None and not end.is_over and not is_unwanted():
        instance.log.follow()
        instance.started.wait(min(0.05, end.remaining))
    return Readiness(instance.age if instance.exit_code is None else None, None, instance.age)


def send_requests(port: int, path: str, deadline: Deadline) -> None:
    """Ask some more, several at once, so that the workers have worked; the answers do not matter."""

    def ask_some() -> None:
        for _ in range(_REQUESTS // _PARALLEL):
            if deadline.is_over:
                return
            with suppress(OSError, http.client.HTTPException):
                ask(port, path, deadline)

    threads = [threading.Thread(target=ask_some, daemon=True) for _ in range(_PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.remaining + 1.0)


def _is_answering(instance: Instance) -> bool:
    """Whether it was this instance that answered, and it still runs.

    Somebody else may have taken the port since it was found free; then ours is about to fail.
    """
    members = instance.observe()
    is_ours = instance.is_listening() or instance.is_opaque()
    return instance.exit_code is None and bool(members) and is_ours
