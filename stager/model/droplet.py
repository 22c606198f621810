"""The manifest of a droplet (``droplet.yaml``): all that starting and watching it needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, is_dataclass
from typing import Any, Literal

from stager.errors import DropletCorrupt
from stager.model.frozen import dataclass
from stager.model.host import HostTool
from stager.model.plan import Health, Limits, PrivateFile, Process, Shell
from stager.model.typed import WrongShape, read

SCHEMA = 1
WEB = "web"
#: How a process tells that it is ready: an HTTP answer, a connection, its state file, or that it still runs.
Sign = Literal["http", "tcp", "state-file", "life"]
#: The layers, from slow-changing to fast.
LAYERS = ("dependencies", "app", "launch")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its listing's digest, its files, their bytes, and its members (files, links, folders).

    The digest is the SHA-256 of the layer's listing: one ``<mode> <digest or -> target>  <path>`` line a
    member. ``droplet.yaml`` and ``droplet.sha256`` cannot be in it: they are made from it.
    """

    name: str
    digest: str
    files: int
    bytes: int
    members: int = 0


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime that the droplet was staged for, and the versions that were planned with."""

    name: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """``droplet.yaml``."""

    stager_version: str
    runtimes: tuple[Runtime, ...]
    processes: tuple[Process, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    health: Health = field(default_factory=Health)
    tools: tuple[HostTool, ...] = ()
    writable: tuple[str, ...] = ()
    private_files: tuple[PrivateFile, ...] = ()
    layers: tuple[Layer, ...] = ()
    measured: Mapping[str, int] = field(default_factory=dict)
    schema: int = SCHEMA

    def process(self, type_: str) -> Process | None:
        """The process of that type, or None."""
        return next((process for process in self.processes if process.type == type_), None)

    def sign_of(self, type_: str) -> Sign:
        """What tells that a process of that type is ready.

        A state file is the web process's, where there is one: it has to be written by whoever is waited for.
        """
        if self.health.state_file and (type_ == WEB or self.process(WEB) is None):
            return "state-file"
        return self.health.check if type_ == WEB else "life"

    def as_document(self) -> dict[str, Any]:
        """Plain data for YAML and JSON; processes keyed by their type."""
        document: dict[str, Any] = {"schema": self.schema, "stager_version": self.stager_version}
        document["runtimes"] = [plain(runtime) for runtime in self.runtimes]
        document["processes"] = {process.type: _process_document(process) for process in self.processes}
        for key in ("environment", "limits", "health", "tools", "writable", "private_files", "layers"):
            document[key] = plain(getattr(self, key))
        document["measured"] = plain(self.measured)
        return document

    @classmethod
    def from_document(cls, document: object) -> Manifest:
        """Read a parsed ``droplet.yaml``; raises DropletCorrupt naming the first thing that is wrong."""
        if not isinstance(document, Mapping):
            raise _corrupt("it is not a mapping")
        if document.get("schema") != SCHEMA:
            raise _corrupt(f"schema {document.get('schema')!r} is not {SCHEMA}")
        document = {**_LATER, **document}
        missing = [name for name in _KEYS if name not in document]
        if missing:
            raise _corrupt(f"the key '{missing[0]}' is missing")
        try:
            return cls(
                processes=_processes(document["processes"]),
                **{name: read(kind, document[name], name) for name, kind in _KEYS.items() if kind},
            )
        except WrongShape as error:
            raise _corrupt(str(error)) from error


#: The keys of the document, and what each is read as; processes have a way of their own.
_KEYS: dict[str, Any] = {
    "stager_version": str,
    "runtimes": tuple[Runtime, ...],
    "processes": None,
    "environment": Mapping[str, str],
    "limits": Limits,
    "health": Health,
    "tools": tuple[HostTool, ...],
    "writable": tuple[str, ...],
    "private_files": tuple[PrivateFile, ...],
    "layers": tuple[Layer, ...],
    "measured": Mapping[str, int],
}

#: Keys that droplets of 0.1.0 do not have, and what that means.
_LATER: dict[str, Any] = {"private_files": ()}


def plain(value: Any) -> Any:
    """Dataclasses as dicts and tuples as lists, all the way down; shell text as ``{shell: text}``."""
    if isinstance(value, Shell):
        return {"shell": value.text}
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(getattr(value, key)) for key in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _process_document(process: Process) -> dict[str, Any]:
    document: dict[str, Any] = plain(process)
    del document["type"]
    return document


def _processes(document: object) -> tuple[Process, ...]:
    processes = tuple(
        _process(type_, value) for type_, value in read(Mapping[str, object], document, "processes").items()
    )
    if not processes:
        raise WrongShape("processes is empty")
    return processes


def _process(type_: str, document: object) -> Process:
    where = f"processes.{type_}"
    given = read(Mapping[str, object], document, where)
    if "type" in given:
        raise WrongShape(f"{where}.type is not known")
    command = given.get("command")
    if isinstance(command, Mapping):
        given["command"] = Shell(read(str, command.get("shell"), f"{where}.command.shell"))
    process: Process = read(Process, {**given, "type": type_}, where)
    model = process.workers
    if model is not None and (
        model.worker_mib + model.overhead_mib < 1 or any(share.divisor < 1 for share in model.shares)
    ):
        raise WrongShape(f"{where}.workers divides by zero")
    return process


def _corrupt(what: str) -> DropletCorrupt:
    return DropletCorrupt(
        "The droplet's manifest cannot be read.",
        details=f"droplet.yaml: {what}",
        resolution="Build the droplet again with this version of stager.",
    )
