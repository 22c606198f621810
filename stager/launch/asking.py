"""Asking an instance over HTTP, once or some twenty times."""

from __future__ import annotations

import http.client
import select
import string
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import quote

from stager.launch.deadline import Deadline
from stager.launch.ports import LOOPBACK
from stager.model.frozen import dataclass
from stager.model.plan import Health

#: Between two looks whether it is still worth waiting for an answer.
_LOOK_SECONDS = 0.1
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
    while not select.select([connection.sock], [], [], min(_LOOK_SECONDS, deadline.remaining))[0]:
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
