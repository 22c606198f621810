"""The definition of ``stager.yml``: the keys of the core, and a section for each installed runtime.

Validation, JSON Schema, ``STAGER_*`` variables, ``--set`` and the reference page follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Literal

from stager.errors import PluginBroken
from stager.model.frozen import dataclass
from stager.model.plan import Command, Health, Limits
from stager.settings.containers import Broken, Either, Field, Record
from stager.settings.fields import record_of
from stager.settings.kinds import About, Kind
from stager.settings.values import Section, Value, joined, problem

MIB = 1 << 20
TIB = 1 << 40
PROCESS_TYPE = r"[A-Za-z0-9_-]+"
VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
# Set by startup, or by bash itself: bash 5.2 keeps its own value of each of these, whatever is exported
# (measured with `bash -c 'export NAME=x; env'`); an assignment to a read-only one ends the script.
_OF_STARTUP = "PORT|HOME|TMPDIR|MEMORY_LIMIT|VCAP_[A-Za-z0-9_]*|STAGER_[A-Za-z0-9_]*"
_OF_BASH = (
    "UID|EUID|PPID|BASHOPTS|SHELLOPTS|BASH_VERSINFO|GROUPS|FUNCNAME|DIRSTACK|RANDOM|SRANDOM|SECONDS"
    "|EPOCHSECONDS|LINENO|HISTCMD|BASHPID|BASH_COMMAND|SHLVL|OPTIND|IFS"
)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Shell text of the user's, run in the application's directory during the build."""

    before_build: str = field(
        default="", metadata={"help": "Runs before anything is installed.", "example": "npm run build"}
    )
    after_build: str = field(
        default="", metadata={"help": "Runs when everything is installed.", "example": "php artisan optimize"}
    )


@dataclass(frozen=True, slots=True)
class HealthKeys:
    """How to tell that the application is ready."""

    path: str = field(
        default=Health().path,
        metadata={
            "help": "The path that answers with a status of 2xx or 3xx when the application is ready; "
            "without one, any answer below 500 to / will do.",
            "example": "/healthz",
            "pattern": r"(?:/[!-~]*)?",
        },
    )
    timeout: float = field(
        default=Health().timeout,
        metadata={
            "help": "How long the application may take to become ready.",
            "unit": "seconds",
            "example": 60,
            "least": 1,
            "most": 3600,
        },
    )
    check: Literal["http", "tcp"] = field(
        default=Health().check,
        metadata={
            "help": "How it is asked: with `tcp`, for what speaks no HTTP, it is ready when it accepts a "
            "connection.",
            "example": "tcp",
        },
    )
    state_file: str = field(
        default=Health().state_file,
        metadata={
            "help": 'Instead of asking: a file in which the application says `{"state": "RUNNING"}` when it '
            "is ready; its path below `$STAGER_STATE`, in `run/`, `tmp/` (`$TMPDIR`) or `logs/`.",
            "example": "run/state.json",
            "pattern": r"(?:(?:logs|run|tmp)(?:/(?!\.{1,2}(?:/|$))[!-.0-~]+)+)?",
        },
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the core, as they are written."""

    runtime: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "The runtimes, in order; by default they are detected.",
            "example": ["php"],
            "pattern": r"[A-Za-z0-9_.-]+",
            "single": True,
            "flag": "--runtime",
        },
    )
    memory: int = field(
        default=Limits().memory,
        metadata={
            "help": "Memory of one instance; workers are counted from it.",
            "unit": "bytes",
            "example": "512M",
            "least": MIB,
            "most": 8 * TIB,
            "flag": "--memory",
        },
    )
    disk: int = field(
        default=Limits().disk,
        metadata={
            "help": "Disk space of one instance.",
            "unit": "bytes",
            "example": "1G",
            "least": MIB,
            "most": 1024 * TIB,
            "flag": "--disk",
        },
    )
    fds: int = field(
        default=Limits().fds,
        metadata={
            "help": "How many files one instance may have open.",
            "example": 1024,
            "least": 16,
            "most": 1 << 20,
            "flag": "--fds",
        },
    )
    processes: Mapping[str, Command] = field(
        default_factory=dict,
        metadata={
            "help": "What can be started, by type: shell text, or a list of words that no shell sees. "
            "A type that stands in the Procfile, too, is taken from here.",
            "example": {"worker": "php artisan queue:work"},
            "names": PROCESS_TYPE,
        },
    )
    env: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Environment of the running application; what is set when it is started wins.",
            "example": {"APP_ENV": "production"},
            "names": VARIABLE_NAME,
            "reserved": f"{_OF_STARTUP}|{_OF_BASH}",
            "reserved_because": "It is set when the droplet is started: remove it. A memory limit is "
            "set with `memory:`, and what stager itself reads with its own keys.",
            "secret": True,
            "flag": "--env",
        },
    )
    build_env: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Environment of build steps and hooks only; it never reaches the droplet.",
            "example": {"COMPOSER_NO_AUDIT": "1"},
            "names": VARIABLE_NAME,
            "secret": True,
            "flag": "--build-env",
        },
    )
    ignore: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "What is left out of the droplet, in the syntax of .gitignore, "
            "besides what .stagerignore names.",
            "example": ["docs/", "*.psd"],
            "single": True,
        },
    )
    health: HealthKeys = field(default_factory=HealthKeys, metadata={"help": "How to tell that it is ready."})
    hooks: Hooks = field(default_factory=Hooks, metadata={"help": "Shell commands of yours."})
    grace: float = field(
        default=10.0,
        metadata={
            "help": "How long requests in flight may take to finish when the application is stopped.",
            "unit": "seconds",
            "example": 10,
            "least": 0,
            "most": 3600,
        },
    )


@dataclass(frozen=True, slots=True)
class Definition:
    """All keys, and what else a runtime may be called."""

    root: Record
    runtimes: Mapping[str, type]
    aliases: Mapping[str, str]

    def canonical(self, section: Section) -> Section:
        """The same section with aliases of runtimes (``python:``) replaced by their names."""
        entries: dict[str, Value] = {}
        for name, value in section.entries.items():
            key = self.aliases.get(name, name)
            if key in entries:
                raise problem(
                    value.origin,
                    f"'{name}' and '{key}' are the same section.",
                    details=f"The other one is at {entries[key].origin}.",
                    resolution=f"Write one section '{key}'.",
                )
            entries[key] = value
        return Section(entries, section.origin)

    def walk(self) -> Iterator[tuple[str, Field]]:
        """Every key that has a place of its own, by its dotted path; sections themselves are left out."""
        yield from _walk(self.root, "")


def define(options_by_runtime: Mapping[str, type], aliases: Mapping[str, str] | None = None) -> Definition:
    """The definition for the installed runtimes.

    Parameters
    ----------
    options_by_runtime:
        The dataclass of options of each runtime.
    aliases:
        Other names of runtimes, each with the runtime that it means. None: a name is one where its
        dataclass is that of an earlier name, so two runtimes that share a dataclass need them given.
    """
    core = record_of(Keys)
    if aliases is None:
        aliases = _shared(options_by_runtime)
    usable = {alias: name for alias, name in aliases.items() if name in options_by_runtime}
    runtimes = {
        name: options
        for name, options in options_by_runtime.items()
        if name not in core.fields and name not in usable
    }
    sections = {name: _section(name, options) for name, options in runtimes.items()}
    return Definition(replace(core, fields={**core.fields, **sections}), runtimes, usable)


def _shared(options_by_runtime: Mapping[str, type]) -> dict[str, str]:
    """Each name whose dataclass stands under an earlier name already; one without keys says nothing."""
    first: dict[int, str] = {}
    aliases = {}
    for name, options in options_by_runtime.items():
        if getattr(options, "__dataclass_fields__", None) and first.setdefault(id(options), name) != name:
            aliases[name] = first[id(options)]
    return aliases


def _section(runtime: str, options: type) -> Field:
    about = About(help=f"Settings of the runtime {runtime}.")
    try:
        return Field(record_of(options, about))
    except PluginBroken as error:
        return Field(Broken(about, error))


def inner(kind: Kind) -> Kind:
    """A kind without the possibility that there is none."""
    return kind.kinds[0] if isinstance(kind, Either) and len(kind.kinds) == 1 else kind


def _walk(record: Record, path: str) -> Iterator[tuple[str, Field]]:
    for name, key in record.fields.items():
        kind = inner(key.kind)
        if isinstance(kind, Record):
            yield from _walk(kind, joined(path, name))
        elif not isinstance(kind, Broken):
            yield joined(path, name), key
