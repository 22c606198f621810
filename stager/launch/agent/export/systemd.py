"""Units for systemd (247 and later: Debian 11): a template for each process type, and one target for all."""

from __future__ import annotations

import os

from stager.errors import UsageError
from stager.launch.agent.export.form import (
    DEFAULT_USER,
    MOST_PROCESSES,
    Exported,
    ExportedFile,
    Target,
    seconds_to_stop,
)
from stager.model.plan import Process
from stager.rendering import Renderer

_FIRST_FREE_PORT = 1024
_WEB = "web"
#: Where ProtectHome= hides what lies there.
_HOMES = ("/home/", "/root/", "/run/user/")
#: PrivateTmp= gives a service its own.
_TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108


def systemd(target: Target, renderer: Renderer | None = None) -> Exported:
    """Units that keep the droplet running.

    An instance of ``web`` is named after its port (``shop-web@8080.service``): units cannot add. Others
    count from 1.

    Raises
    ------
    UsageError
        The droplet's directory is none that a unit could start it from.
    """
    renderer = renderer or Renderer()
    directory = _directory(target)
    files = []
    units = []
    for process in target.processes:
        is_web = process.type == _WEB
        instances = range(target.port, target.port + target.instances) if is_web else range(1, 2)
        units += [f"{target.name}-{process.type}@{instance}.service" for instance in instances]
        text = renderer.render("export/service.j2", _service(target, process, directory))
        files.append(ExportedFile(f"{target.name}-{process.type}@.service", text))
    if target.socket:
        values = {"name": target.name, "socket": target.socket, "port": target.port}
        files.append(ExportedFile(f"{target.name}-proxy.socket", renderer.render("export/socket.j2", values)))
        files.append(ExportedFile(f"{target.name}-proxy.service", renderer.render("export/proxy.j2", values)))
        units.append(f"{target.name}-proxy.socket")
    text = renderer.render("export/target.j2", {"name": target.name, "units": units})
    files.append(ExportedFile(f"{target.name}.target", text))
    return Exported(tuple(files), _next_steps(target, directory))


def _directory(target: Target) -> str:
    directory = os.path.normpath(target.directory or f"/srv/{target.name}")
    if not os.path.isabs(directory):
        raise UsageError(
            f"--directory: {directory!r} is not absolute.", resolution="Units know absolute paths only."
        )
    if f"{directory}/".startswith(_TEMPORARY):
        raise UsageError(
            f"No unit can start a droplet that lies in {directory}.",
            details="Its services have a /tmp of their own, as they should.",
            resolution="Unpack it somewhere else, and name that place with --directory.",
        )
    return directory


def _service(target: Target, process: Process, directory: str) -> dict[str, object]:
    manifest = target.manifest
    is_web = process.type == _WEB
    writable = [f"{directory}/{path}" for path in manifest.writable]
    # Files in the droplet itself have to belong to somebody whose number does not change.
    user = target.user or (DEFAULT_USER if writable else "")
    return {
        "name": target.name,
        "type": process.type,
        "is_web": is_web,
        "directory": directory,
        "startup": [*_interpreter(directory), f"{directory}/startup", "-t", process.type],
        "stop": [*_interpreter(directory), f"{directory}/stop"],
        "waiting": target.waiting,
        "start_seconds": round(manifest.health.timeout) + 5,
        "stop_seconds": seconds_to_stop(process),
        "memory": manifest.limits.memory,
        "disk": manifest.limits.disk,
        "fds": manifest.limits.fds,
        "processes": MOST_PROCESSES,
        "user": user,
        "dynamic_user": target.name.lower().replace(".", "-")[:31],
        "host": "127.0.0.1" if target.socket and is_web else "",
        "writable": writable,
        "make": ["/bin/mkdir", "-p", "--", *writable],
        "own": ["/bin/chown", "-hR", "--", f"{user}:", *writable],
        "is_at_home": f"{directory}/".startswith(_HOMES),
        "is_port_low": is_web and target.port < _FIRST_FREE_PORT,
    }


def _interpreter(directory: str) -> tuple[str, ...]:
    """What comes before a script whose path systemd would not take for a program's: it may hold no quotes."""
    return ("/bin/bash", "-p", "--") if set("\"'\\$").intersection(directory) else ()


def _next_steps(target: Target, directory: str) -> tuple[str, ...]:
    steps = [] if target.directory else [f"Unpack the droplet to {directory} (owned by root)."]
    if target.packages:
        steps.append(f"apt-get install --no-install-recommends {' '.join(target.packages)}")
    return (
        *steps,
        "Copy the units to /etc/systemd/system, then: systemctl daemon-reload",
        f"Secrets and services (VCAP_SERVICES) go to /etc/{target.name}.env, mode 0600.",
        *target.once,
        f"systemctl enable --now {target.name}.target",
    )
