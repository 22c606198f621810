"""``./stop``, and the proof that nothing is left after it."""

from __future__ import annotations

import http.client
import time

from stager.launch import in_flight, ports
from stager.launch.deadline import Deadline
from stager.launch.in_flight import Flight, HeldRequest
from stager.launch.instance import Instance
from stager.model.finding import Finding
from stager.model.frozen import dataclass
from stager.model.plan import Process

#: For bash, /proc and the kernel, beside the two periods of grace that ``stop`` may use up.
STOP_MARGIN = 10.0
#: A timeout that is nearly over would make every stop look like a failure.
LEAST_SECONDS = 5.0
#: Until the server has taken the request in hand, or has answered without waiting for all of it.
_ACCEPT_SECONDS = 0.1
_ORDINARY_SECONDS = 10.0
#: How long the second half of a body stays away: ``stop`` has signalled the server by then (it takes
#: some 30 ms of bash), and it is still well within every period of grace.
HOLD_SECONDS = 0.3
#: A process that was signalled and waited for may be seen exiting, no longer with an environment, for
#: some milliseconds more.
SETTLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Stopped:
    """``seconds`` is how long ``./stop`` took, or None where it did not end by itself."""

    findings: tuple[Finding, ...]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the script ended: None for an exit code where it had to be ended."""

    exit_code: int | None
    seconds: float
    said: str
    flight: Flight | None


def stop(instance: Instance, process: Process, deadline: Deadline, *, path: str | None = None) -> Stopped:
    """Stop the instance with its own ``./stop``, judge how that went, and look for what is left.

    Parameters
    ----------
    path:
        Where to keep a request in flight meanwhile; None for no request.
    """
    instance.observe()
    if instance.exit_code is None and not instance.tree.has_own_group:
        # Apache's parent signals its whole group when it is stopped, and that would be us.
        message = "startup stays in its caller's process group, which a stopping server may signal."
        return Stopped((_error("stop", message, "startup"),))
    ordinary, held = _hold(instance, path, deadline)
    limit = 2 * process.grace + STOP_MARGIN
    end = Deadline.after(min(limit, max(deadline.remaining, LEAST_SECONDS)))
    try:
        ended = _run_script(instance, held, end)
    except OSError as error:
        return Stopped((_error("stop", f"stop cannot be started: {error.strerror}.", "stop"),))
    finally:
        if held is not None:
            held.close()
    instance.log.follow()
    findings = _judge_script(ended)
    if path is not None:
        findings += in_flight.judge(ended.flight, ordinary, drains=process.drains)
    findings += _find_leftovers(instance)
    return Stopped(findings, None if ended.exit_code is None else ended.seconds)


def _hold(instance: Instance, path: str | None, deadline: Deadline) -> tuple[int | None, HeldRequest | None]:
    """What a POST is answered ordinarily, and one of which half has been sent."""
    if path is None:
        return None, None
    ordinary = in_flight.ordinary_status(instance.port, path, deadline.within(_ORDINARY_SECONDS))
    if ordinary is None:
        return None, None
    try:
        return ordinary, HeldRequest(instance.port, path, deadline.within(_ORDINARY_SECONDS))
    except (OSError, http.client.HTTPException):
        return ordinary, None


def _run_script(instance: Instance, held: HeldRequest | None, end: Deadline) -> _Ended:
    # An answer to half a request is an answer all the same: some applications never read a body.
    flight = held.finish(end) if held is not None and held.has_answer(_ACCEPT_SECONDS) else None
    began = time.monotonic()
    with instance.stop_script() as (script, log):
        if held is not None and flight is None:
            time.sleep(min(HOLD_SECONDS, end.remaining))
            flight = held.finish(end)
        exit_code = script.wait(end.remaining)
        return _Ended(exit_code, time.monotonic() - began, " / ".join(log.tail(5)), flight)


def _judge_script(ended: _Ended) -> tuple[Finding, ...]:
    said = f" It said: {ended.said}" if ended.said else ""
    if ended.exit_code is None:
        return (_error("stop", f"./stop did not end within {ended.seconds:.1f} s.{said}", "stop"),)
    if ended.exit_code != 0:
        return (_error("stop", f"./stop ended with exit code {ended.exit_code}.{said}", "stop"),)
    return ()


def _find_leftovers(instance: Instance) -> tuple[Finding, ...]:
    """What ``stop`` should have ended and removed; :meth:`Instance.end` does it after this."""
    left = instance.tree.wait_until_empty(SETTLE_SECONDS)
    findings = [
        _error("leftovers", f"Process {stat.pid} ({stat.name}) still runs after ./stop.") for stat in left
    ]
    if instance.is_listening():
        findings.append(_error("port", f"Port {instance.port} is still listened on after ./stop."))
    elif not ports.is_port_free(instance.port):
        message = f"Port {instance.port} could not be bound after ./stop; it is not this droplet's socket."
        findings.append(Finding("port", "warning", message))
    if (directory := instance.sockets_directory()) is not None:
        findings.append(_error("leftovers", f"The directory {directory} is still there after ./stop."))
    return tuple(findings)


def _error(check: str, message: str, path: str = "") -> Finding:
    return Finding(check, "error", message, path)
