"""Staging: from a source tree to a droplet. Read :func:`stage`; it is the product."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from stager.execution.host import ask
from stager.execution.workspace import Workspace
from stager.model.report import Record, Recording
from stager.model.reporter import Reporter, Silent
from stager.phases.assemble import assemble
from stager.phases.detect import detect
from stager.phases.pack import pack
from stager.phases.plan import Plan, plan
from stager.phases.unpublished import Format
from stager.phases.verify import demand, static_checks, verify
from stager.registry import Registry, load_registry
from stager.settings import Settings, load_settings
from stager.source.opening import locate_source
from stager.source.tree import Tree


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be staged, and how.

    Parameters
    ----------
    source:
        A directory, an archive, or ``-`` for a tar stream on ``stdin``.
    output:
        Where the droplet goes.
    format:
        ``tar.gz``, ``tar.zst`` or ``dir``.
    flags:
        Settings that win over everything, by dotted key: ``{"php.document_root": "public"}``.
    config:
        Read instead of the source's ``stager.yml``.
    environment:
        The caller's environment: ``STAGER_*`` settings are read from it.
    services:
        ``VCAP_SERVICES`` for hooks and for the boot; never put into the droplet.
    cache_directory:
        Where package managers keep what they fetched; None for none that outlives the build.
    verify:
        How much of the droplet is verified before it is published.
    max_size:
        Unpacked bytes of a source at most; None for the default.
    excluded:
        Host paths that are not part of the source although they lie in it (the output, the report).
    """

    source: str
    output: Path = Path("app.droplet.tar.gz")
    format: Format = "tar.gz"
    flags: Mapping[str, object] = field(default_factory=dict)
    config: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    services: str = ""
    cache_directory: Path | None = None
    offline: bool = False
    verify: Literal["none", "static", "boot"] = "static"
    max_size: int | None = None
    excluded: tuple[Path, ...] = ()
    stdin: BinaryIO | None = None


def stage(request: Request, reporter: Reporter | None = None, record: Record | None = None) -> Record:
    """Detect, plan, assemble, pack, verify; then, and only then, the droplet gets its name.

    Raises
    ------
    StagerError
        One of its subclasses. ``record`` then holds what was known, and no droplet is there.
    """
    record = record or Record()
    reporter = Recording(reporter or Silent(), record)
    with Workspace() as workspace:
        source, planned = prepare(request, workspace, reporter, record)
        with reporter.phase("assemble"):
            assembled = assemble(planned, source, workspace, request, reporter)
        with static_checks(assembled, workspace, request) as beside:
            with reporter.phase("pack"):
                packed = pack(assembled, request, workspace)
            with packed, reporter.phase("verify"):
                record.verification = verify(packed, assembled, beside, workspace, request, reporter)
                demand(record.verification)
                record.droplet = packed.publish()
    return record


def prepare(request: Request, workspace: Workspace, reporter: Reporter, record: Record) -> tuple[Tree, Plan]:
    """Open the source, then detect and plan: all that is decided before anything is done."""
    with reporter.phase("detect"):
        source, settings, registry = look(request, workspace, reporter, record)
        detected = record.detected = detect(source, registry, settings.runtimes, reporter)
    with reporter.phase("plan"):
        planned = plan(source, detected.selected, settings, registry, ask, reporter)
        record.runtimes, record.processes = planned.runtimes, planned.build.processes
    return source, planned


def look(
    request: Request, workspace: Workspace, reporter: Reporter, record: Record
) -> tuple[Tree, Settings, Registry]:
    """Open the source and read the settings; what they ignore is not there for anyone after this."""
    registry = load_registry()
    location = locate_source(
        request.source,
        workspace=lambda: workspace.directory("upload"),
        max_size=request.max_size,
        stdin=request.stdin,
    )
    settings, warnings = load_settings(
        location,
        options_by_runtime=registry.options,
        aliases=registry.aliases,
        flags=request.flags,
        environment=request.environment,
        config=request.config,
    )
    record.origins, record.limits = settings.origins, settings.limits
    for warning in warnings:
        reporter.warning(warning)
    excluded = [request.output, *request.excluded, *filter(None, (request.cache_directory,))]
    source = location.index(settings.ignore, excluded, request.max_size)
    for note in source.notes:
        reporter.detail(note)
    return source.tree, settings, registry
