"""Staging: from a source tree to a droplet. Read :func:`stage`; it is the product."""

from __future__ import annotations

from stager.execution.host import Questions
from stager.execution.marked import end_marked
from stager.execution.workspace import Workspace
from stager.model.report import Record, Recording
from stager.model.reporter import Reporter, Silent
from stager.model.request import Request
from stager.phases.assemble import assemble
from stager.phases.detect import detect
from stager.phases.pack import pack
from stager.phases.plan import Plan, plan
from stager.phases.verify import demand, static_checks, verify
from stager.registry import Registry, load_registry
from stager.settings import Settings, load_settings
from stager.source.opening import locate_source
from stager.source.tree import Tree


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
    questions = Questions(workspace.marker)
    try:
        with reporter.phase("detect"):
            source, settings, registry = look(request, workspace, reporter, record, questions)
            detected = record.detected = detect(source, registry, settings.runtimes, reporter, record)
        with reporter.phase("plan"):
            planned = plan(source, detected.selected, settings, registry, questions, reporter)
            record.runtimes, record.processes = planned.runtimes, planned.build.processes
    except BaseException:
        end_marked(workspace.marker)
        raise
    return source, planned


def look(
    request: Request,
    workspace: Workspace,
    reporter: Reporter,
    record: Record,
    questions: Questions | None = None,
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
    if questions is not None:
        questions.ask_ahead(registry.tools_of(settings.runtimes))
    ahead = request.ahead() if request.ahead else None
    source = location.index(settings.ignore, request.left_out, request.max_size, ahead)
    for note in source.notes:
        reporter.detail(note)
    return source.tree, settings, registry
