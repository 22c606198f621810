"""A build plan: everything that a build would do, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stager.model.host import HostTool
from stager.model.memory import DEFAULT_MEMORY, WorkerModel

#: argv; in it ``${NAME}`` is replaced, when the droplet starts, by that variable's value, and ``$$``
#: is a dollar. Nothing else is special: it is quoted, whatever it holds.
Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shell:
    """A command that a user wrote as shell text. It runs as written, under bash, in ``app/``."""

    text: str


Command = Argv | Shell


@dataclass(frozen=True, slots=True)
class CacheItem:
    """A file under the cache directory without which a step cannot work offline."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a host tool in the application's directory.

    Parameters
    ----------
    name:
        What people see: ``composer install``.
    tool:
        The :class:`HostTool` whose program is run; exit 41 where it is missing.
    arguments:
        What follows the program.
    environment:
        Added to the clean environment of steps. ``{cache}`` in a value is the cache directory.
    inputs:
        Paths in the application on which the result depends.
    outputs:
        Directories, relative to the droplet, that the step makes: they become the ``dependencies`` layer.
    timeout:
        Seconds.
    offline_needs:
        What has to be in the cache already with ``--offline``.
    offline_environment:
        Added with ``--offline``.
    """

    name: str
    tool: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    timeout: float = 900.0
    offline_needs: tuple[CacheItem, ...] = ()
    offline_environment: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["command"] = "command"


@dataclass(frozen=True, slots=True)
class RunHook:
    """Run shell text of the user's (``hooks:``) in the application's directory."""

    name: str
    script: str
    timeout: float = 900.0
    kind: Literal["hook"] = "hook"


Step = RunCommand | RunHook


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file of the droplet made from a template. ``path`` is relative to the droplet."""

    path: str
    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Companion:
    """A second program that a process cannot do without; started first, stopped last.

    ``ready_socket`` names the environment-expanded path that has to exist before the main command starts.
    """

    name: str
    command: Argv
    stop_signal: str = "TERM"
    ready_socket: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """What ``startup -t TYPE`` runs.

    Parameters
    ----------
    type:
        ``web``, ``worker``, …
    command:
        argv, or shell text that a user wrote.
    stop_signal:
        The server's graceful signal, without ``SIG``.
    grace:
        Seconds between the graceful signal and TERM; after as many again, KILL.
    drains:
        Whether requests in flight finish when it is stopped so.
    companions:
        Programs beside it; with any, ``startup`` stays as their supervisor.
    workers:
        How its workers are counted; ``WEB_CONCURRENCY`` and the model's variables come from it.
    checks:
        argv of the server's own configuration checks, run in the start environment.
    environment:
        For this process only; ``${NAME}`` as in argv.
    """

    type: str
    command: Command
    stop_signal: str = "TERM"
    grace: float = 10.0
    drains: bool = True
    companions: tuple[Companion, ...] = ()
    workers: WorkerModel | None = None
    checks: tuple[Argv, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may take. Bytes, and a number of open files."""

    memory: int = DEFAULT_MEMORY
    disk: int = 1 << 30
    fds: int = 1024


@dataclass(frozen=True, slots=True)
class Health:
    """How to tell that the application is ready: ``path`` (empty: any answer below 500 to /), seconds."""

    path: str = ""
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a buildpack returns.

    Parameters
    ----------
    steps:
        Commands to run, in order.
    files:
        Files to render.
    processes:
        What can be started; exactly one of all merged plans is ``web``.
    environment:
        Given to every process; a variable that is set at start wins.
    tools:
        Programs and files that the droplet looks for when it starts.
    writable:
        Paths, relative to the droplet, that the server's user has to be able to write.
    directories:
        Empty directories to be made.
    choices:
        What was decided and why, for people: ("document root", "public, because …").
    warnings:
        What the user should know, and that ends nothing.
    syntax_checks:
        Files of the application that have to parse.
    versions:
        What the droplet was planned for: ``{"php": "8.2.36"}``.
    """

    runtime: str
    steps: tuple[Step, ...] = ()
    files: tuple[RenderedFile, ...] = ()
    processes: tuple[Process, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[HostTool, ...] = ()
    writable: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    syntax_checks: tuple[SyntaxCheck, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyntaxCheck:
    """Ask a host tool whether a file of the application parses: ``php -l app/index.php``."""

    tool: str
    arguments: tuple[str, ...]
    path: str
