"""What every form of export begins with, and what it ends with."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from stager.errors import UsageError
from stager.launch.stopping import STOP_MARGIN
from stager.model.droplet import Manifest
from stager.model.frozen import dataclass
from stager.model.plan import Process

#: What the ancestor allowed an instance, too (ulimit -u 512).
MOST_PROCESSES = 512
DEFAULT_PORT = 8080
_LAST_PORT = 65535
#: What ``startup`` as root falls back to.
DEFAULT_USER = "www-data"
#: A task that runs once, before a new version takes over: nobody keeps it running.
_ONCE = "release"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")
_SUFFIXES = re.compile(r"(\.droplet)?(\.tar(\.\w+)?|\.tgz|\.tzst)?$")
#: One request, by bash alone: an image or a host may have no curl. 2xx and 3xx where a health path was
#: given, else anything below 500. ``$1`` is the path, ``$2`` the first status that is bad.
_PROBE = (
    'exec 3<>"/dev/tcp/127.0.0.1/$PORT" && '
    "printf 'GET %s HTTP/1.0\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' \"$1\" >&3 && "
    "read -r -t 10 version status rest <&3 && (( status >= 200 && status < $2 ))"
)
#: For what speaks no HTTP.
_CONNECTION = 'exec 3<>"/dev/tcp/127.0.0.1/$PORT"'


@dataclass(frozen=True, slots=True)
class Target:
    """What is exported.

    Parameters
    ----------
    name:
        Of the application; units and services are called after it.
    directory:
        Where the unpacked droplet lies, or is going to; empty for what is usual.
    port:
        Of the first instance; the others have those after it.
    instances:
        Of ``web``; every other process type has one.
    user:
        Empty for what is usual.
    socket:
        The port that systemd holds in front of the application; 0 for none.
    """

    name: str
    manifest: Manifest
    directory: str = ""
    port: int = DEFAULT_PORT
    instances: int = 1
    user: str = ""
    socket: int = 0

    @property
    def processes(self) -> tuple[Process, ...]:
        """What is to be kept running."""
        return tuple(process for process in self.manifest.processes if process.type != _ONCE)

    @property
    def packages(self) -> tuple[str, ...]:
        """The Debian packages that it needs to run."""
        tools = (tool for tool in self.manifest.tools if tool.when != "build" and not tool.optional)
        return tuple(sorted({package for tool in tools for package in tool.package.split()}))

    @property
    def probe(self) -> tuple[str, ...]:
        """What asks the instance on $PORT once, and ends with 0 for a good answer."""
        return ("/bin/bash", "-c", self._question, *self.probe_arguments)

    @property
    def waiting(self) -> tuple[str, ...]:
        """What asks until the answer is good, or until the process $MAINPID is gone."""
        lives = 'kill -0 "$MAINPID" 2>/dev/null'
        script = f"until ({self._question}) 2>/dev/null; do {lives} || exit 1; sleep 0.2; done"
        return ("/bin/bash", "-c", script, *self.probe_arguments)

    @property
    def _question(self) -> str:
        health = self.manifest.health
        # Whoever asks does not know where the state file lies.
        return _CONNECTION if health.check == "tcp" or health.state_file else _PROBE

    @property
    def probe_arguments(self) -> tuple[str, str, str]:
        path = self.manifest.health.path
        return "health", path if path.startswith("/") else f"/{path}", "400" if path else "500"

    @property
    def once(self) -> tuple[str, ...]:
        """Advice about what nobody keeps running."""
        if self.manifest.process(_ONCE) is None:
            return ()
        return (f"Run ./startup -t {_ONCE} yourself, before a new version takes over.",)


def seconds_to_stop(process: Process) -> int:
    """What ``./stop`` may need: its grace twice (and a supervisor's moment after each), and bash."""
    return round(2 * process.grace + (4 if process.companions else 0) + STOP_MARGIN)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file, by its name, and what is in it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Exported:
    """The files, and what is to be done with them, in order."""

    files: tuple[ExportedFile, ...]
    next_steps: tuple[str, ...]


def completed(target: Target, droplet: Path) -> Target:
    """The target with what was left out, after a look whether it makes sense.

    Raises
    ------
    UsageError
        A name, a port, a number, a user or a directory that nothing could be made of.
    """
    directory = target.directory or (os.path.abspath(droplet) if droplet.is_dir() else "")
    name = target.name or _SUFFIXES.sub("", os.path.basename(os.path.abspath(droplet)), count=1)
    port, last = target.port, target.port + target.instances - 1
    if not _NAME.fullmatch(name):
        raise _senseless("--name", name, "It is part of file names: letters, digits, '_', '.' and '-'.")
    if target.instances < 1 or port < 1 or last > _LAST_PORT:
        raise _senseless("--port", f"{port} to {last}", "Ports are 1 to 65535, and at least one is needed.")
    if target.user == "root" or (target.user and not _USER.fullmatch(target.user)):
        raise _senseless("--user", target.user, "Name a user of the host that is going to run it; not root.")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", directory):
        raise _senseless("--directory", directory, "Give it a name without control characters, in UTF-8.")
    if target.socket and (not 1 <= target.socket <= _LAST_PORT or port <= target.socket <= last):
        raise _senseless("--socket", str(target.socket), "It has to be a port that no instance has itself.")
    if target.socket and target.instances > 1:
        raise _senseless("--socket", str(target.socket), "It leads to one instance: use a balancer for more.")
    return replace(target, name=name, directory=directory)


def _senseless(option: str, value: str, resolution: str) -> UsageError:
    return UsageError(f"{option}: {value!r} makes no sense here.", resolution=resolution)
