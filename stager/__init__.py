"""stager turns an uploaded source tree into a droplet: one tarball that starts on any Linux host.

Library use::

    from stager import Request, stage

    record = stage(Request("./app", output=Path("app.droplet.tar.gz"), verify="boot"))
    print(record.droplet.sha256)

Everything named here is public; what is not may change. Names are imported when they are first used,
so that ``import stager`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stager.buildpack import Buildpack, Check, DropletView, NoOptions, PlanContext
    from stager.errors import StagerError
    from stager.hookspecs import hookimpl
    from stager.model.detection import Detection, Strength
    from stager.model.finding import Finding, Verification
    from stager.model.host import HostFacts, HostTool, ToolFact
    from stager.model.memory import Share, WorkerModel
    from stager.model.plan import (
        BuildPlan,
        CacheItem,
        Companion,
        Process,
        RenderedFile,
        RunCommand,
        RunHook,
        Shell,
        SyntaxCheck,
    )
    from stager.model.report import Record
    from stager.model.reporter import Reporter
    from stager.model.request import Request
    from stager.model.source_tree import SourceTree
    from stager.staging import stage

__version__ = "0.1.0"

_HOMES = {
    "stager.buildpack": ("Buildpack", "Check", "DropletView", "NoOptions", "PlanContext"),
    "stager.errors": ("StagerError",),
    "stager.hookspecs": ("hookimpl",),
    "stager.model.detection": ("Detection", "Strength"),
    "stager.model.finding": ("Finding", "Verification"),
    "stager.model.host": ("HostFacts", "HostTool", "ToolFact"),
    "stager.model.memory": ("Share", "WorkerModel"),
    "stager.model.plan": (
        "BuildPlan",
        "CacheItem",
        "Companion",
        "Process",
        "RenderedFile",
        "RunCommand",
        "RunHook",
        "Shell",
        "SyntaxCheck",
    ),
    "stager.model.report": ("Record",),
    "stager.model.reporter": ("Reporter",),
    "stager.model.source_tree": ("SourceTree",),
    "stager.model.request": ("Request",),
    "stager.staging": ("stage",),
}

__all__ = [
    "BuildPlan",
    "Buildpack",
    "CacheItem",
    "Check",
    "Companion",
    "Detection",
    "DropletView",
    "Finding",
    "HostFacts",
    "HostTool",
    "NoOptions",
    "PlanContext",
    "Process",
    "Record",
    "RenderedFile",
    "Reporter",
    "Request",
    "RunCommand",
    "RunHook",
    "Share",
    "Shell",
    "SourceTree",
    "StagerError",
    "Strength",
    "SyntaxCheck",
    "ToolFact",
    "Verification",
    "WorkerModel",
    "__version__",
    "hookimpl",
    "stage",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'stager' has no attribute {name!r}")
