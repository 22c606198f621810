"""Start a droplet, ask it, measure it, stop it, and prove that nothing is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from stager.launch import ports
from stager.launch.account import current_user, unprivileged_account
from stager.launch.asking import send_requests, target
from stager.launch.deadline import Deadline
from stager.launch.diagnosis import CHECK, explain, explain_end, explain_start
from stager.launch.instance import Instance, Launch, ignore_line
from stager.launch.readiness import Readiness, wait_until_ready
from stager.launch.stopping import stop
from stager.launch.workers import Footprint, measure, round_up
from stager.model.droplet import Manifest, Sign
from stager.model.finding import Boot, Finding
from stager.model.frozen import dataclass
from stager.model.plan import Process

WEB = "web"
#: How often another port is tried when somebody took the one that was free.
_MORE_PORTS = 2
_PORT_TAKEN = re.compile(
    r"address already in use|AH00072|EADDRINUSE|connection in use|port \d+ is (already )?(in use|taken)",
    re.IGNORECASE,
)
_REQUESTS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BootResult:
    """What a boot showed, and what is wrong with it.

    ``processes`` counts the whole tree; ``is_port_taken`` says that the log of a failed boot speaks of
    a port in use.
    """

    boot: Boot
    findings: tuple[Finding, ...] = ()
    port: int = 0
    processes: int = 0
    is_port_taken: bool = False


def boot(  # noqa: PLR0913  (each is a choice of the caller's, and all but two have a default)
    droplet_directory: Path,
    manifest: Manifest,
    *,
    process: str = WEB,
    state: Path | None = None,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
    on_line: Callable[[str], None] = ignore_line,
    settle: float = 2.0,
) -> BootResult:
    """Boot one process of an unpacked droplet on the loopback interface, and stop it again.

    Whatever happens, also an exception from a signal handler: nothing that was started here runs when
    this returns.

    Parameters
    ----------
    droplet_directory:
        The unpacked droplet, belonging to the user that it is started as
        (:func:`stager.launch.account.unprivileged_account`).
    process:
        The process type. ``web`` is asked as the manifest's health says; another one has to run
        for ``settle`` seconds.
    state:
        A directory of that user's for logs and run files (``STAGER_RUN_DIR``); None for the droplet
        itself. ``logs/boot.log`` in it is what ``startup`` printed.
    user:
        The user to become; None for an unprivileged one when we are root, else ours.
    environment:
        Given to ``startup`` besides the minimal one. It is in no argv.
    timeout:
        Seconds for everything (the stop gets 5 in any case); None for what health and grace
        periods add up to.
    on_line:
        Is told each line that the instance prints.

    Raises
    ------
    CouldNotVerify
        There is no such user to become.
    """
    planned = manifest.process(process)
    if planned is None:
        types = ", ".join(one.type for one in manifest.processes) or "none"
        message = f"There is no process {process} to be booted; the droplet has: {types}."
        return BootResult(Boot("skipped"), (Finding(CHECK, "skipped", message),))
    account = unprivileged_account(user)
    launch = Launch(
        droplet_directory.absolute(), process, state, account, environment or {}, manifest.limits, on_line
    )
    deadline = Deadline.after(timeout)
    result = _attempt(launch, manifest, planned, deadline, settle)
    for _ in range(_MORE_PORTS):
        if not result.is_port_taken:
            break
        result = _attempt(launch, manifest, planned, deadline, settle)
    return result


def _attempt(
    launch: Launch, manifest: Manifest, process: Process, deadline: Deadline, settle: float
) -> BootResult:
    """Boot on a port that is free now."""
    user = launch.account.name if launch.account else current_user()
    port = ports.free_port()
    try:
        instance = Instance(launch, port)
    except OSError as error:
        return BootResult(Boot("failed", user=user), (explain_start(error, user),), port)
    try:
        result = _watch(instance, manifest, process, deadline, settle)
        is_taken = result.boot.status == "failed" and bool(_PORT_TAKEN.search(instance.log.text()))
    finally:
        instance.end()
    return replace(result, boot=replace(result.boot, user=user), port=port, is_port_taken=is_taken)


def _watch(
    instance: Instance, manifest: Manifest, process: Process, deadline: Deadline, settle: float
) -> BootResult:
    """The life of one instance: ready, asked, measured, stopped."""
    health = manifest.health
    sign = manifest.sign_of(process.type)
    path = target(health) if process.type == WEB and health.check == "http" else None
    readiness = wait_until_ready(instance, sign, health, deadline, settle=settle)
    if readiness.seconds is None:
        failed = Boot("failed", http_status=readiness.status, log_tail=instance.log.tail())
        return BootResult(failed, (explain(instance, process, health, readiness),))
    if path is not None:
        send_requests(instance.port, path, deadline.within(_REQUESTS_SECONDS))
    footprint = measure(instance.observe())
    boot = _served(readiness, footprint, process, sign)
    if instance.exit_code is not None:
        boot = replace(boot, status="failed", log_tail=instance.log.tail())
        return BootResult(boot, (explain_end(instance, process),), processes=footprint.processes)
    stopped = stop(instance, process, deadline, path=path)
    is_fine = all(finding.level != "error" for finding in stopped.findings)
    tail = () if is_fine else instance.log.tail()
    boot = replace(boot, seconds_to_stop=stopped.seconds, log_tail=tail)
    return BootResult(boot, stopped.findings, processes=footprint.processes)


def _served(readiness: Readiness, footprint: Footprint, process: Process, sign: Sign) -> Boot:
    """What was measured."""
    return Boot(
        status="served",
        seconds_to_ready=readiness.seconds if sign != "life" else None,
        http_status=readiness.status,
        memory_bytes=footprint.memory_bytes,
        worker_bytes=round_up(footprint.worker_bytes) if process.workers else 0,
        workers=len(footprint.workers),
    )
