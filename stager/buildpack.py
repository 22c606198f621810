"""The contract of a runtime: look at a source tree, say what it is, return a plan as data."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, Generic, Protocol, TypeVar

from stager.model.detection import Detection
from stager.model.finding import Finding
from stager.model.frozen import dataclass
from stager.model.host import HostFacts, HostTool
from stager.model.plan import BuildPlan, Command, Limits
from stager.model.source_tree import SourceTree

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True, slots=True)
class NoOptions:
    """For a runtime that has nothing to be set."""


@dataclass(frozen=True, slots=True)
class PlanContext(Generic[OptionsT]):
    """Everything that a plan may depend on.

    Parameters
    ----------
    source:
        The upload, read-only.
    options:
        The runtime's section of the settings, as its own dataclass.
    host:
        Facts about the tools that the buildpack declared.
    limits:
        Of one instance, in bytes.
    processes:
        What the user said is to be started (Procfile, ``processes:``), by type.
    grace:
        Seconds that a stopping process gets for the requests in flight.
    environment:
        What the user gave for the steps and for the run.
    is_serving:
        Whether this runtime is the last one, which serves. The others supply: they install and build, and
        say nothing of ``web``.
    """

    source: SourceTree
    options: OptionsT
    host: HostFacts
    limits: Limits = field(default_factory=Limits)
    processes: Mapping[str, Command] = field(default_factory=dict)
    grace: float = 10.0
    environment: Mapping[str, str] = field(default_factory=dict)
    is_serving: bool = True


class Buildpack(abc.ABC, Generic[OptionsT]):
    """Supports one runtime. It never writes, never starts a process and never prints.

    A subclass says ``class RubyBuildpack(Buildpack[RubyOptions])`` and sets ``runtime`` and ``options``,
    a frozen dataclass whose fields are the keys of its section in ``stager.yml``.
    """

    runtime: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = ""
    options: ClassVar[type] = NoOptions
    host_tools: ClassVar[tuple[HostTool, ...]] = ()

    @abc.abstractmethod
    def detect(self, source: SourceTree) -> Detection:
        """Say how sure it is, on what evidence, and what was nearly there."""

    @abc.abstractmethod
    def plan(self, context: PlanContext[OptionsT]) -> BuildPlan:
        """Return what has to be done. Equal contexts give equal plans."""


class DropletView(Protocol):
    """A droplet as a check sees it: its manifest, its names, and the bytes of small files."""

    @property
    def manifest(self) -> Mapping[str, object]:
        """``droplet.yaml``, parsed."""

    @property
    def names(self) -> frozenset[str]:
        """Every path in it."""

    def read(self, path: str) -> bytes:
        """A generated file's bytes (a file under ``app/`` or ``deps/`` only from an unpacked droplet)."""


class Check(Protocol):
    """An extra check on a finished droplet, registered by a plugin."""

    @property
    def name(self) -> str:
        """What findings carry as ``check``."""

    def run(self, droplet: DropletView) -> tuple[Finding, ...]:
        """Return what was found; never raise for a finding."""
