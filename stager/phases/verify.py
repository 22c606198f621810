"""Whether the droplet is what it should be, and whether it starts."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Self

from stager.archive.content_checks import check_content
from stager.archive.droplet_content import read_droplet
from stager.archive.needles import Hit
from stager.errors import VerificationFailed
from stager.execution.marked import end_marked
from stager.execution.workspace import BOOT_DIRECTORY, Workspace
from stager.model.droplet import Manifest
from stager.model.entry import Kind
from stager.model.finding import Finding, Verification, are_fine
from stager.model.reporter import Reporter
from stager.model.request import Request
from stager.phases.assemble import Assembled
from stager.phases.pack import BUILD_PATH, PackedDroplet
from stager.phases.static_checks import (
    View,
    check_configuration,
    check_drains,
    check_scripts,
    check_syntax,
    run_plugin_checks,
)
from stager.registry import load_registry

if TYPE_CHECKING:
    from types import TracebackType

    from stager.launch.boot import BootResult

#: What checks get to end by themselves when their build has failed.
PATIENCE_SECONDS = 1.0
BUILD_CHECKS = ("build-path", "build-env", "scripts", "configuration", "syntax")
DROPLET_CHECKS = ("manifest", "digests", "layers", "names", "modes", "links", "scripts", "configuration")


class Task(threading.Thread):
    """A function that runs beside the rest.

    concurrent.futures does the same, and imports logging for it: 11 ms of a build that takes 300.
    """

    def __init__(self, function: Callable[[], list[Finding]]) -> None:
        super().__init__()
        self._function = function
        self._findings: list[Finding] = []
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._findings = self._function()
        except BaseException as error:  # noqa: BLE001  (it is raised again by result)
            self._error = error

    def result(self) -> list[Finding]:
        """Wait for its findings, or for what it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._findings


class BesidePacking:
    """The static checks of a build, which need what was assembled, and run while it is packed.

    They are programs of the host; stager itself only waits for them. Left by an exception, it ends them.
    """

    def __init__(self, assembled: Assembled, workspace: Workspace) -> None:
        plan, marker = assembled.plan, workspace.marker
        self.directory = _laid_out(assembled, workspace)
        self._marker = marker
        # Facts are asked for here, not in a thread.
        facts = {check.tool: plan.host[check.tool] for check in plan.build.syntax_checks}
        self._tasks = [
            Task(lambda: check_scripts(self.directory, marker)),
            Task(lambda: check_configuration(self.directory, assembled.manifest, marker)),
            Task(lambda: check_syntax(plan.build.syntax_checks, assembled.tree.root, facts, marker)),
        ]

    def findings(self) -> list[Finding]:
        """Wait for them."""
        return [finding for task in self._tasks for finding in task.result()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # They are done within 0.1 s, and clean up behind themselves, which they could not if killed.
            for task in self._tasks:
                task.join(PATIENCE_SECONDS)
            end_marked(self._marker)
        for task in self._tasks:
            task.join()


def static_checks(
    assembled: Assembled, workspace: Workspace, request: Request
) -> AbstractContextManager[BesidePacking | None]:
    """Begin the static checks, unless nobody wants to know."""
    return nullcontext() if request.verify == "none" else BesidePacking(assembled, workspace)


def verify(
    packed: PackedDroplet,
    assembled: Assembled,
    beside: BesidePacking | None,
    workspace: Workspace,
    request: Request,
    reporter: Reporter,
) -> Verification | None:
    """Verify a droplet that was just packed; None where nobody asked for it.

    Its digests were computed from the bytes that went into it, so they are not computed again; what
    remains is what packing could not see. With ``boot`` the finished tarball is unpacked elsewhere and
    started, and what one of its workers took is recorded in the manifest.
    """
    if beside is None:
        return None
    findings = [
        *_leaks(packed.packed.hits),
        *_places(assembled, workspace, request),
        *beside.findings(),
        *check_drains(packed.manifest),
    ]
    extra = assembled.plan.checks
    if extra:
        names = frozenset(entry.path for entry in assembled.all_entries())
        findings += run_plugin_checks(extra, View(packed.manifest.as_document(), names, beside.directory))
    checks = (*BUILD_CHECKS, *(check.name for check in extra))
    result: BootResult | None = None
    if request.verify == "boot" and are_fine(findings):
        result = _boot_packed(packed, workspace, request, reporter)
        findings += result.findings
        checks = (*checks, "boot")
    verification = Verification(tuple(findings), result.boot if result else None, checks)
    _tell(verification, reporter)
    return verification


def demand(verification: Verification | None) -> None:
    """Raise VerificationFailed, with the findings that are errors, if there is one."""
    errors = [
        finding for finding in (verification.findings if verification else ()) if finding.level == "error"
    ]
    if not errors:
        return
    lines = [f"{finding.check}: {_where(finding)}{finding.message}" for finding in errors]
    boot_ = verification.boot if verification else None
    if boot_ is not None and boot_.log_tail:
        lines += ["The end of its log:", *(f"  {line}" for line in boot_.log_tail)]
    raise VerificationFailed(
        f"Verification found {len(errors)} error{'s' if len(errors) > 1 else ''}; no droplet was written.",
        details="\n".join(lines),
        resolution="Mend what it says and build again; --verify none writes the droplet as it is.",
    )


def verify_droplet(path: Path, workspace: Workspace, reporter: Reporter, *, is_booting: bool) -> Verification:
    """Verify a droplet that somebody hands in, and boot it if that is asked for.

    Raises
    ------
    DropletCorrupt
        It is no droplet, cut short, or holds what no droplet may hold.
    """
    reporter.detail("Reading it, and comparing every digest")
    directory = workspace.directory(BOOT_DIRECTORY)
    content = read_droplet(path, destination=directory)
    if content.format == "dir":
        directory = path.absolute()
    findings = [*check_content(content), *check_scripts(directory, workspace.marker)]
    if are_fine(findings):
        findings += check_configuration(directory, content.manifest, workspace.marker)
    else:
        # The check is a script of the droplet's own, and somebody else may have written it.
        message = "not checked: nothing of a droplet is run when it is not what it says"
        findings.append(Finding("configuration", "skipped", message))
    findings += check_drains(content.manifest)
    registry = load_registry()
    view = View(content.manifest.as_document(), frozenset(content.members), directory)
    findings += run_plugin_checks(registry.checks, view)
    checks = (*DROPLET_CHECKS, *(check.name for check in registry.checks))
    result: BootResult | None = None
    if is_booting and are_fine(findings):
        reporter.detail("Starting it")
        result = _boot(directory, content.manifest, workspace, "", is_theirs=content.format == "dir")
        findings += result.findings
    if is_booting:
        checks = (*checks, "boot")
    return Verification(tuple(findings), result.boot if result else None, checks)


def _boot_packed(
    packed: PackedDroplet, workspace: Workspace, request: Request, reporter: Reporter
) -> BootResult:
    """Unpack the finished droplet elsewhere, boot it, and record what a worker takes."""
    reporter.detail("Unpacking it elsewhere, and starting it")
    directory = workspace.directory(BOOT_DIRECTORY)
    packed.unpack(directory)
    result = _boot(directory, packed.manifest, workspace, request.services, is_theirs=False)
    if result.boot.status == "served" and result.boot.worker_bytes:
        packed.record({"worker_bytes": result.boot.worker_bytes})
    return result


def _boot(
    directory: Path, manifest: Manifest, workspace: Workspace, services: str, *, is_theirs: bool
) -> BootResult:
    """Start the first process; the state goes elsewhere when the directory is not ours to write to."""
    # 30 ms of http.client and its like, for those who boot.
    from stager.launch.account import unprivileged_account
    from stager.launch.boot import boot

    account = unprivileged_account()
    state = workspace.directory("state") if is_theirs else None
    if account is not None:
        owned = state or directory
        for folder, _, files in os.walk(owned):
            for name in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(name, account.uid, account.gid, follow_symlinks=False)
    name, _, value = workspace.marker.partition("=")
    environment = {name: value, **({"VCAP_SERVICES": services} if services else {})}
    return boot(
        directory,
        manifest,
        process=_first(manifest),
        state=state,
        environment=environment,
    )


def _first(manifest: Manifest) -> str:
    """The process that is booted: web where there is one; a release ends by itself."""
    types = [process.type for process in manifest.processes]
    return next((type_ for type_ in types if type_ != "release"), types[0])


def _laid_out(assembled: Assembled, workspace: Workspace) -> Path:
    """The generated files as they will lie in a droplet; the application's are linked, not copied."""
    directory = workspace.directory("check")
    for entry in assembled.generated:
        path = directory / entry.path
        if entry.kind is Kind.DIRECTORY:
            path.mkdir(exist_ok=True)
        elif isinstance(entry.source, bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.source)
            path.chmod(entry.mode)
    (directory / "app").symlink_to(assembled.tree.root.absolute())
    if assembled.deps is not None:
        (directory / "deps").symlink_to(assembled.deps.root.absolute())
    return directory


def _leaks(hits: Iterable[Hit]) -> list[Finding]:
    """What packing found of paths and values that are the build's alone."""
    findings = []
    for label, path in hits:
        if label == BUILD_PATH:
            findings.append(
                Finding("build-path", "error", "it names the directory that it was built in", path)
            )
        else:
            findings.append(Finding("build-env", "error", f"it holds the value of {label}", path))
    return findings


def _places(assembled: Assembled, workspace: Workspace, request: Request) -> list[Finding]:
    """Generated files that name the directory that was built from, or in."""
    places = [os.path.realpath(request.source)] if request.source != "-" else []
    places += [str(workspace.root)] if workspace.root is not None else []
    # /app or /tmp is no evidence: such a path stands in every startup, for other reasons.
    deep = [os.fsencode(place) for place in places if place.count("/") > 1]
    patterns = [re.compile(rb"(?<![\w.}-])" + re.escape(place) + rb"(?![\w.-])") for place in deep]
    return [
        Finding("build-path", "error", "it names a directory of the host that built it", entry.path)
        for entry in assembled.generated
        if isinstance(entry.source, bytes) and any(pattern.search(entry.source) for pattern in patterns)
    ]


def _where(finding: Finding) -> str:
    return f"{finding.path}: " if finding.path else ""


def _tell(verification: Verification, reporter: Reporter) -> None:
    for finding in verification.findings:
        if finding.level in ("warning", "skipped"):
            reporter.warning(f"{finding.check}: {_where(finding)}{finding.message}")
    reporter.detail(f"Checked: {', '.join(verification.checks)}")
