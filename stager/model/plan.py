"""A build plan: everything that a build would do, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from stager.model.frozen import dataclass
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
class KnownFailure:
    """What a tool says when it fails for a reason that is known, and what the user is told then.

    Parameters
    ----------
    pattern:
        A regular expression, searched in the last lines that the tool printed (joined by newlines).
    is_offline:
        Whether it means that something is not in the cache (with ``--offline``: exit 44 instead of 40).
    brief, resolution:
        Texts for the error; ``{name}`` is the pattern's group of that name. ``{where}`` is the first of
        the step's inputs in which the group ``name`` stands as a word, with its line
        ("requirements.txt line 3"), or else the first input.
    """

    pattern: str
    brief: str
    resolution: str
    is_offline: bool = False


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a tool in a copy of the application.

    Beside that copy (``.``, which becomes ``app/``) lie ``../deps/``, which becomes the droplet's ``deps/``,
    and ``../build/``, which steps share and which ends with the build.

    Parameters
    ----------
    name:
        What people see: ``composer install``.
    tool:
        The :class:`HostTool` whose program is run, exit 41 where it is missing; or, beginning with ``../``,
        a program that an earlier step has made.
    arguments:
        What follows the program.
    script:
        A template of the plugin's package, rendered without values, whose path comes before ``arguments``. A
        line of its output that begins with ``stager: warning: `` is a warning.
    environment:
        Added to the clean environment of steps. ``{cache}`` in a value is the cache directory.
    inputs:
        Paths in the application on which the result depends; ``""`` is all of it.
    outputs:
        Directories, relative to the droplet, that the step makes (``app/vendor``, ``deps/python``): they
        become the ``dependencies`` layer.
    is_confined:
        It reads nothing of the application but its inputs, and of what it writes only the outputs below
        ``deps/`` count. Where all steps are, the application is packed from where it lies.
    failures:
        What it says when it fails for a known reason; the first that matches is told.
    fails_on:
        A regular expression. A line of its output in which it is found means that it failed, although it
        ended with status 0.
    hides:
        A regular expression. A line of its output in which it is found is not shown: what a tool says of how
        it was called is no concern of the user's.
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
    script: str = ""
    is_confined: bool = False
    failures: tuple[KnownFailure, ...] = ()
    fails_on: str = ""
    hides: str = ""
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
class PrivateFile:
    """What ``startup`` puts into its private directory before anything runs: a text, or a link.

    ``path`` is relative to ``${STAGER_SOCKETS}``. In ``text`` and ``link`` (the target) ``${NAME}`` is
    replaced as in an argv, but for what the memory budget decides. A link to what is not there is left out.
    """

    path: str
    text: str = ""
    link: str = ""


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
        Whether requests in flight finish when it is stopped so; None where that is not known: a user's own
        command.
    companions:
        Programs beside it; with any, ``startup`` stays as their supervisor.
    workers:
        How its workers are counted; ``WEB_CONCURRENCY`` and the model's variables come from it.
    checks:
        argv of the server's own configuration checks, run in the start environment.
    environment:
        For this process only; ``${NAME}`` as in argv.
    ignored_signals:
        Signals that would end its first process and leave the others: they are ignored from the start.
    has_sockets:
        Whether it opens sockets besides its port, which need a short private directory. Without, and without
        private files, ``${STAGER_SOCKETS}`` is ``run/``: a directory in /tmp costs 2 ms of each start.
    pid_files:
        Files besides ``run.pid``, relative to ``${STAGER_STATE}``, that it writes its pid into: what one that
        was killed leaves, ``stop`` removes.
    """

    type: str
    command: Command
    stop_signal: str = "TERM"
    grace: float = 10.0
    drains: bool | None = True
    companions: tuple[Companion, ...] = ()
    workers: WorkerModel | None = None
    checks: tuple[Argv, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ignored_signals: tuple[str, ...] = ()
    has_sockets: bool = True
    pid_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may take. Bytes, and a number of open files."""

    memory: int = DEFAULT_MEMORY
    disk: int = 1 << 30
    fds: int = 1024


@dataclass(frozen=True, slots=True)
class Health:
    """How to tell that the application is ready.

    Parameters
    ----------
    path:
        Asked for over HTTP; empty for any answer below 500 to /.
    timeout:
        Seconds that it may take.
    check:
        How the web process is asked: ``tcp`` where it does not speak HTTP.
    state_file:
        Instead of that: a file in ``logs/``, ``tmp/`` or ``run/`` of the instance in which the application
        says ``{"state": "RUNNING"}``.
    """

    path: str = ""
    timeout: float = 60.0
    check: Literal["http", "tcp"] = "http"
    state_file: str = ""


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
    process_environment:
        The same, with ``${NAME}`` replaced as in an argv, also for the processes that a user adds; what a
        process says itself wins.
    step_environment:
        Given to every step and hook; what the user sets wins.
    build_path:
        Folders that come first on the PATH of every step, relative to the droplet as steps see it:
        ``build/python/bin``.
    private_files:
        What ``startup`` makes in its private directory.
    tools:
        Programs and files that the droplet looks for when it starts.
    writable:
        Paths, relative to the droplet, that the server's user has to be able to write.
    left_out:
        Paths of the application that steps need and the droplet does not (build-time ``node_modules``).
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
    process_environment: Mapping[str, str] = field(default_factory=dict)
    step_environment: Mapping[str, str] = field(default_factory=dict)
    build_path: tuple[str, ...] = ()
    private_files: tuple[PrivateFile, ...] = ()
    tools: tuple[HostTool, ...] = ()
    writable: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
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
