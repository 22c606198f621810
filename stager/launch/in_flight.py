"""A request that is in flight while the instance is being stopped."""

from __future__ import annotations

import http.client
import select
from contextlib import suppress
from http import HTTPStatus

from stager.launch.asking import Answer, ask, read_answer
from stager.launch.deadline import Deadline
from stager.launch.ports import LOOPBACK
from stager.model.finding import Finding
from stager.model.frozen import dataclass

CHECK = "in-flight"
BODY = b"stager=" + b"x" * 1017


@dataclass(frozen=True, slots=True)
class Flight:
    """What became of it: the answer, or why there is none."""

    answer: Answer | None
    problem: str = ""


class HeldRequest:
    """A POST of which half the body has been sent: a server that reads it has to wait for the rest."""

    def __init__(self, port: int, path: str, deadline: Deadline) -> None:
        half = len(BODY) // 2
        self._rest = BODY[half:]
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=max(0.001, deadline.remaining))
        try:
            self._connection.putrequest("POST", path)
            self._connection.putheader("User-Agent", "stager")
            self._connection.putheader("Connection", "close")
            self._connection.putheader("Content-Type", "application/x-www-form-urlencoded")
            self._connection.putheader("Content-Length", str(len(BODY)))
            self._connection.endheaders(BODY[:half])
        except BaseException:
            self.close()
            raise

    def has_answer(self, seconds: float) -> bool:
        """Whether the server says something, or hangs up, within so many seconds."""
        readable, _, _ = select.select([self._connection.sock], [], [], seconds)
        return bool(readable)

    def finish(self, deadline: Deadline) -> Flight:
        """Send the rest, and read the answer."""
        # It may have been answered, and hung up on, before: reading says which.
        with suppress(OSError):
            self._connection.send(self._rest)
        try:
            answer = read_answer(self._connection, deadline)
        except TimeoutError:
            return Flight(None, "no answer came")
        except (OSError, http.client.HTTPException) as error:
            return Flight(None, f"the connection was cut ({type(error).__name__})")
        finally:
            self.close()
        return Flight(answer) if answer.is_complete else Flight(answer, "the answer was cut short")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def ordinary_status(port: int, path: str, deadline: Deadline) -> int | None:
    """What the same request is answered when nobody stops anything; None where it is not."""
    try:
        return ask(port, path, deadline, body=BODY).status
    except (OSError, http.client.HTTPException):
        return None


def judge(flight: Flight | None, ordinary: int | None, *, drains: bool | None) -> tuple[Finding, ...]:
    """The finding about a request in flight, if any.

    Parameters
    ----------
    flight:
        None where not even the connection could be made.
    ordinary:
        :func:`ordinary_status` from before the stop.
    drains:
        What the manifest says of the process.
    """
    if ordinary is None:
        return (Finding(CHECK, "skipped", "It does not answer a POST, so none was kept in flight."),)
    problem = flight.problem if flight else "the connection was refused"
    if flight and flight.answer and flight.answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR > ordinary:
        # A front server that lost the server behind it still answers, for itself.
        problem = f"it was answered {flight.answer.status} instead of {ordinary}"
    if not problem:
        return ()
    if drains:
        return (Finding(CHECK, "error", f"The request in flight during ./stop was lost: {problem}."),)
    if drains is None:
        message = (
            f"The request in flight during ./stop was lost ({problem}): on SIGTERM the application should "
            "stop accepting requests, finish those it has, and end."
        )
        return (Finding(CHECK, "warning", message),)
    message = f"This server cannot drain: the request in flight during ./stop was lost ({problem})."
    return (Finding(CHECK, "info", message),)
