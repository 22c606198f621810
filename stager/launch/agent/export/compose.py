"""A Compose file: Debian, the packages that the droplet needs, and the droplet as a read-only volume."""

from __future__ import annotations

import re

from stager.launch.agent.export.form import (
    DEFAULT_USER,
    MOST_PROCESSES,
    Exported,
    ExportedFile,
    Target,
    seconds_to_stop,
)
from stager.model.plan import Process, Shell
from stager.rendering import Renderer

_IMAGE = "debian:bookworm-slim"
_INSIDE = "/droplet"
_STATE = "/var/lib/droplet"
_PORT = 8080
_WEB = "web"


def compose(target: Target, renderer: Renderer | None = None) -> Exported:
    """``compose.yaml``, with one service for each process type. Needs Compose 2.24 or later."""
    source = target.directory or f"./{target.name}"
    user = target.user or DEFAULT_USER
    values = {
        "name": re.sub(r"[^a-z0-9_-]", "-", target.name.lower()),
        "image": _IMAGE,
        "dockerfile": _dockerfile(target, user),
        "user": user,
        "source": source,
        "inside": _INSIDE,
        "state": _STATE,
        "writable": [(f"{source}/{path}", f"{_INSIDE}/{path}") for path in target.manifest.writable],
        "env_file": f"{target.name}.env",
        "memory": target.manifest.limits.memory,
        "processes": MOST_PROCESSES,
        "fds": target.manifest.limits.fds,
        "health_seconds": round(target.manifest.health.timeout),
        "probe": target.probe,
        "port": _PORT,
        "services": [_service(target, process) for process in target.processes],
    }
    text = (renderer or Renderer()).render("export/compose.j2", values)
    steps = [] if target.directory else [f"Unpack the droplet to {source}, beside compose.yaml."]
    if target.manifest.writable:
        names = ", ".join(target.manifest.writable)
        steps.append(f"Let {user} of the image (www-data is 33) own what it writes there: {names}")
    steps += [
        f"Secrets and services (VCAP_SERVICES) go to {target.name}.env, beside compose.yaml.",
        *target.once,
        "docker compose up --build --detach --wait",
    ]
    return Exported((ExportedFile("compose.yaml", text),), tuple(steps))


def _dockerfile(target: Target, user: str) -> str:
    """What the image has beside Debian: packages, and a directory for what is written while it runs."""
    lines = [f"FROM {_IMAGE}"]
    if target.packages:
        lines.append(
            "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
            f"{' '.join(target.packages)} && rm -rf /var/lib/apt/lists/*"
        )
    lines.append(f"RUN install -d -m 0750 -o {user} -g {user} {_STATE}")
    return "\n".join(lines) + "\n"


def _service(target: Target, process: Process) -> dict[str, object]:
    is_web = process.type == _WEB
    instances = target.instances if is_web else 1
    last = target.port + instances - 1
    is_shell = isinstance(process.command, Shell)
    startup = [f"{_INSIDE}/startup", "-t", process.type]
    # A shell does not pass TERM on to what it runs; ./stop reaches that.
    through_stop = [
        "/bin/bash", "-c", f'trap {_INSIDE}/stop TERM; "$@" & wait "$!"', "droplet", *startup,
    ]  # fmt: skip
    return {
        "type": process.type,
        "is_web": is_web,
        "command": through_stop if is_shell else startup,
        "stop_signal": "SIGTERM" if is_shell or process.companions else f"SIG{process.stop_signal}",
        "stop_seconds": seconds_to_stop(process),
        "instances": instances,
        "published": f"{target.port}-{last}" if instances > 1 else str(target.port),
    }
