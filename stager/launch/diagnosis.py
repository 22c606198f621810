"""Why an instance did not become ready, as one finding."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from itertools import takewhile

from stager.launch import ports
from stager.launch.instance import Instance
from stager.launch.readiness import Readiness
from stager.model.finding import Finding
from stager.model.plan import Health, Process

CHECK = "boot"
_STARTUP = "startup: "
_FOREGROUND = "its command has to stay in the foreground: without &, and without what makes it a daemon"
#: What ``startup`` itself says with its exit code.
_STARTUP_CODES = {
    2: "a wrong port, process type or user",
    3: "it holds itself to be running already",
    4: "a host tool or user is missing",
}


def explain(instance: Instance, process: Process, health: Health, readiness: Readiness) -> Finding:
    """Say what was seen, and where it was that the process could be reached instead."""
    if instance.exit_code is not None:
        message = describe_exit(instance, process) + ", before it was ready."
        if not instance.exit_code:
            message += f" Does it leave the work to one in the background? Then {_FOREGROUND}."
    elif readiness.seen:
        message = f'{readiness.seen} after {readiness.waited:.1f} s; wanted: {{"state": "RUNNING"}}.'
    elif readiness.status is not None:
        message = _describe_status(health, readiness)
    else:
        message = _describe_silence(instance, readiness)
    return Finding(CHECK, "error", message + _last_words(instance))


def explain_start(error: OSError, user: str) -> Finding:
    """``startup`` could not even be executed."""
    reason = error.strerror or str(error)
    return Finding(CHECK, "error", f"startup cannot be executed as {user}: {reason}.", "startup")


def explain_end(instance: Instance, process: Process) -> Finding:
    """It was ready, and then it ended by itself."""
    message = describe_exit(instance, process) + " while it was being asked."
    return Finding(CHECK, "error", message + _last_words(instance))


def describe_exit(instance: Instance, process: Process) -> str:
    """``The web process ended with exit code 1 after 0.3 s``."""
    code = instance.exit_code or 0
    how = f"with exit code {code}"
    if code < 0:
        how = f"by {_signal_name(-code)}"
    elif code in _STARTUP_CODES and _is_of_startup(instance):
        how += f" (startup's own code for: {_STARTUP_CODES[code]})"
    return f"The {process.type} process ended {how} after {instance.age:.1f} s"


def _is_of_startup(instance: Instance) -> bool:
    """Whether startup gave the reason itself: a server may end with the same code."""
    lines = [line for line in instance.log.tail() if line.strip()]
    return any(line.startswith(_STARTUP) for line in lines[-2:])


def _describe_status(health: Health, readiness: Readiness) -> str:
    wanted = "2xx or 3xx" if health.path else "anything below 500"
    return (
        f"GET {health.path or '/'} was still answered {readiness.status} after {readiness.waited:.1f} s; "
        f"wanted: {wanted}."
    )


def _describe_silence(instance: Instance, readiness: Readiness) -> str:
    waited = f"within {readiness.waited:.1f} s"
    found = instance.listeners()
    reachable = [one for one in found if one.port == instance.port]
    if any(one.address in _LOOPBACKS for one in reachable):
        return f"Port {instance.port} accepts connections, but gave no HTTP answer {waited}."
    if reachable:
        return (
            f"It listens on port {instance.port} of {reachable[0].address} alone, not on "
            f"{ports.LOOPBACK} ($VCAP_APP_HOST)."
        )
    nothing = f"Nothing listened on port {instance.port} {waited}"
    if not found:
        return f"{nothing}, and its processes listen on no other port."
    others = ", ".join(sorted({f"{one.port} ({one.address})" for one in found}))
    return f"{nothing}; its processes listen on {others} instead. The port to listen on is in $PORT."


#: Where a connection to 127.0.0.1 arrives; "::" takes IPv4 as well unless told otherwise.
_LOOPBACKS = frozenset({ports.LOOPBACK, "0.0.0.0", "::", "::ffff:127.0.0.1"})  # noqa: S104


def _last_words(instance: Instance) -> str:
    if cause := instance.log.cause():
        return f" It failed with: {cause}"
    lines = [line.strip() for line in instance.log.tail() if line.strip()]
    if instance.exit_code in _STARTUP_CODES and (said := _said_by_startup(lines)):
        return f" It said: {' / '.join(said)}"
    # What startup says of every start is nothing of the application's.
    lines = [line for line in lines if not line.startswith(_STARTUP)]
    return f" Its last words: {lines[-1]}" if lines else " It printed nothing."


def _said_by_startup(lines: Sequence[str]) -> list[str]:
    """The reason may have several lines: what is missing, how to install it, what is there instead."""
    own = takewhile(lambda line: line.startswith(_STARTUP), reversed(lines))
    return [line.removeprefix(_STARTUP) for line in own][::-1]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
