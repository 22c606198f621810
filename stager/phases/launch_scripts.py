"""``startup`` and ``stop``: the only shell in a droplet that no user wrote, rendered from the manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import PurePath

from stager.errors import ConfigurationError, TemplateFailed
from stager.model.droplet import Manifest
from stager.model.frozen import dataclass
from stager.model.host import HostTool
from stager.model.memory import MIB, WorkerModel
from stager.model.plan import Argv, Companion, PrivateFile, Process, Shell
from stager.rendering import Renderer, references

WEB = "web"
#: Both scripts look every so often: /proc is read in about 50 µs a process.
TICKS_PER_SECOND = 50
SIGNALS = frozenset({"HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH"})
#: What every process gets from ``startup``.
CONTRACT = frozenset({
    "HOME", "MEMORY_LIMIT", "PATH", "PORT", "STAGER_AS", "STAGER_DROPLET", "STAGER_INSTANCE", "STAGER_ROOT",
    "STAGER_SERVER_GROUP", "STAGER_SERVER_USER", "STAGER_SOCKETS", "STAGER_STATE", "STAGER_TYPE",
    "STAGER_WORKERS", "TMPDIR", "VCAP_APP_HOST", "VCAP_APP_PORT", "WEB_CONCURRENCY",
})  # fmt: skip
#: Not known yet when the private directory is made.
DIVIDED = frozenset({"MEMORY_LIMIT", "STAGER_WORKERS", "WEB_CONCURRENCY"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: bash does not let anyone set these.
_READ_ONLY = frozenset({"BASHOPTS", "BASHPID", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})
#: A process that speaks of them is one that changes from root to the server's user by itself.
_DROPS_ROOT = frozenset({"STAGER_AS", "STAGER_SERVER_USER"})


def launch_scripts(manifest: Manifest, renderer: Renderer | None = None) -> tuple[str, str]:
    """Render ``startup`` and ``stop``.

    They depend on neither the layers nor what was measured. Both are text with surrogate escapes, and
    executable.

    Raises
    ------
    ConfigurationError
        A variable has a name that a shell cannot set.
    TemplateFailed
        A process refers to a variable of ours that does not exist, or stops by a signal that cannot do that.
    """
    check_names(manifest.environment)
    tools = tuple(tool for tool in manifest.tools if tool.when != "build")
    processes = [_process(process, manifest, tools) for process in manifest.processes]
    types = [process.type for process in manifest.processes]
    values = {
        "version": manifest.stager_version,
        "types": types,
        "default_type": WEB if WEB in types else types[0] if len(types) == 1 else "",
        "processes": processes,
        "environment": sorted(manifest.environment.items()),
        "tools": [_Tool.of(tool) for tool in tools],
        "private_files": _private_files(manifest, tools),
        "private_folders": _folders_of(manifest.private_files),
        "memory_mib": manifest.limits.memory // MIB,
        "fds": manifest.limits.fds,
        "writable": manifest.writable,
        "is_supervising": any(process.companions or process.stop_signal == "WINCH" for process in processes),
    }
    renderer = renderer or Renderer()
    return renderer.render("launch/startup.j2", values), renderer.render("launch/stop.j2", values)


def check_names(names: Iterable[str]) -> None:
    """Check names of environment variables; raises ConfigurationError for one that a shell cannot set."""
    for name in names:
        if not _NAME.fullmatch(name) or name in _READ_ONLY or name.startswith("stager_"):
            raise ConfigurationError(
                f"The environment variable {name!r} cannot be set when a droplet starts.",
                details="A shell sets it: letters, digits and _, no digit first, none of bash's own.",
                resolution="Rename it.",
            )


@dataclass(frozen=True, slots=True)
class _Tool:
    name: str
    package: str
    variable: str
    need: str
    candidates: Argv
    folder_variable: str
    question: Argv
    pattern: str
    landmarks: Argv
    landmark_line: str

    @classmethod
    def of(cls, tool: HostTool) -> _Tool:
        check_names(filter(None, (tool.variable, tool.folder_variable)))
        need = "optional" if tool.optional else "needed"
        candidates = (*tool.programs, *tool.files)
        return cls(
            tool.name,
            tool.package,
            tool.variable,
            need,
            candidates,
            tool.folder_variable,
            tool.start_arguments,
            tool.start_pattern,
            tool.start_landmarks,
            tool.start_landmark_line,
        )


def _private_files(manifest: Manifest, tools: tuple[HostTool, ...]) -> tuple[PrivateFile, ...]:
    """What is made in the private directory; raises TemplateFailed for a place that is not in it."""
    known = {name for tool in tools for name in (tool.variable, tool.folder_variable) if name}
    known |= CONTRACT - DIVIDED
    for file in manifest.private_files:
        unknown = sorted((references(file.text) | references(file.link)) - known)
        parts = file.path.split("/")
        if unknown or not {"", ".", ".."}.isdisjoint(parts) or bool(file.text) == bool(file.link):
            raise TemplateFailed(
                f"The private file {file.path!r} cannot be made.",
                details=f"It refers to {unknown[0]}, which nothing sets."
                if unknown
                else "It needs a relative path without dots, and either a text or a link.",
                resolution="If you wrote the plugin, correct it; otherwise tell its author.",
            )
    return manifest.private_files


def _folders_of(files: tuple[PrivateFile, ...]) -> tuple[str, ...]:
    """The folders that they lie in, each after those around it."""
    return tuple(
        sorted({os.fspath(folder) for file in files for folder in PurePath(file.path).parents} - {"."})
    )


@dataclass(frozen=True, slots=True)
class _Process:
    """A process as the templates see it.

    ``needs`` are the variables of optional tools that it cannot do without; ``model`` the arguments of
    ``stager_size``; a variable of ``environment`` whose value refers to itself is composed: it always
    applies, since what the user set is in it.
    """

    type: str
    is_shell: bool
    text: str
    command: Argv
    stop_signal: str
    grace_ticks: int
    companions: tuple[Companion, ...]
    checks: tuple[Argv, ...]
    model: Argv
    environment: tuple[tuple[str, str, bool], ...]
    needs: tuple[str, ...]
    drops_root: bool
    ignored_signals: tuple[str, ...]
    has_private: bool
    pid_files: tuple[str, ...]


def _process(process: Process, manifest: Manifest, tools: tuple[HostTool, ...]) -> _Process:
    check_names(process.environment)
    used = _used(process)
    variables = {name for tool in tools for name in (tool.variable, tool.folder_variable) if name}
    _check_references(process, used, {*variables, *manifest.environment, *process.environment})
    stops = (process.stop_signal, *(companion.stop_signal for companion in process.companions))
    for signal in (*stops, *process.ignored_signals):
        if signal not in SIGNALS:
            raise TemplateFailed(
                f"The process {process.type} cannot be stopped by the signal {signal!r}, or ignore it.",
                details=f"Known are {', '.join(sorted(SIGNALS))}.",
                resolution="If you wrote the plugin, correct its stop_signal; otherwise tell its author.",
            )
    command = process.command
    return _Process(
        type=process.type,
        is_shell=isinstance(command, Shell),
        text=command.text if isinstance(command, Shell) else "",
        command=() if isinstance(command, Shell) else command,
        stop_signal=process.stop_signal,
        grace_ticks=max(1, round(process.grace * TICKS_PER_SECOND)),
        companions=process.companions,
        checks=process.checks,
        model=_size_arguments(process.workers) if process.workers else (),
        environment=tuple(
            (name, value, name in references(value)) for name, value in sorted(process.environment.items())
        ),
        needs=tuple(sorted(variables & used)),
        drops_root=bool(_DROPS_ROOT & used),
        ignored_signals=process.ignored_signals,
        has_private=process.has_sockets or bool(manifest.private_files),
        pid_files=process.pid_files,
    )


def _used(process: Process) -> frozenset[str]:
    """The variables that its commands, checks and environment refer to."""
    command = () if isinstance(process.command, Shell) else process.command
    words = [*command, *(word for check in process.checks for word in check), *process.environment.values()]
    for companion in process.companions:
        words += [*companion.command, companion.ready_socket]
    return frozenset().union(*(references(word) for word in words))


def _check_references(process: Process, used: frozenset[str], known: set[str]) -> None:
    """A misspelt variable would be an empty word, and nobody would say so."""
    if process.workers:
        known |= {*_variables(process.workers)}
    unknown = sorted(name for name in used - known - CONTRACT if name.startswith("STAGER_"))
    if unknown:
        raise TemplateFailed(
            f"The process {process.type} refers to {unknown[0]}, which nothing sets.",
            details=f"startup sets {', '.join(sorted(CONTRACT | known - {''}))}.",
            resolution="If you wrote the plugin, correct the name; otherwise tell its author.",
        )


def _size_arguments(model: WorkerModel) -> Argv:
    if model.worker_mib + model.overhead_mib <= 0 or model.groups < 1:
        raise TemplateFailed(
            "A worker that takes no memory cannot be counted.",
            details=f"worker_mib is {model.worker_mib}, overhead_mib is {model.overhead_mib}, "
            f"groups is {model.groups}.",
            resolution="If you wrote the plugin, correct its WorkerModel; otherwise tell its author.",
        )
    check_names(_variables(model))
    numbers: list[object] = [
        model.base_mib, model.worker_mib, model.overhead_mib, model.least_mib, model.per_core_hundredths,
        model.beyond_cores, int(model.doublings), model.most, model.limit_variable, model.groups,
        model.group_variable, model.thread_mib, model.most_threads, model.threads_variable,
        int(model.is_divided), model.limit_hundredths,
    ]  # fmt: skip
    for share in model.shares:
        numbers += [share.variable, share.divisor, share.least_mib, share.most_mib]
    return tuple(str(number) for number in numbers)


def _variables(model: WorkerModel) -> Iterable[str]:
    shares = (share.variable for share in model.shares)
    return filter(None, (model.limit_variable, model.group_variable, model.threads_variable, *shares))
