"""Is the droplet what it should be, and does it start?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from stager.archive.droplet_content import read_droplet
from stager.archive.needles import Hit
from stager.errors import VerificationFailed
from stager.execution.workspace import BOOT_DIRECTORY, Workspace
from stager.launch.account import unprivileged_account
from stager.launch.boot import BootResult, boot
from stager.model.droplet import Manifest
from stager.model.entry import Kind
from stager.model.finding import Finding, Level, Verification
from stager.model.reporter import Reporter
from stager.phases.assemble import Assembled
from stager.phases.content_checks import check_content
from stager.phases.pack import BUILD_PATH, SOURCE_PATH, PackedDroplet
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
    from stager.staging import Request

BUILD_CHECKS = ("build-path", "build-env", "scripts", "configuration", "syntax")
DROPLET_CHECKS = ("manifest", "digests", "layers", "names", "modes", "links", "scripts", "configuration")


def verify(
    packed: PackedDroplet,
    assembled: Assembled,
    workspace: Workspace,
    request: Request,
    reporter: Reporter,
) -> Verification | None:
    """Verify a droplet that was just packed; None where nobody asked for it.

    Its digests were computed from the bytes that went into it, so they are not computed again; what
    remains is what packing could not see. With ``boot`` the finished tarball is unpacked elsewhere and
    started, and what one of its workers took is recorded in the manifest.
    """
    if request.verify == "none":
        return None
    plan, registry = assembled.plan, load_registry()
    directory = _laid_out(assembled, workspace)
    findings = [
        *_leaks(packed.packed.hits),
        *check_scripts(directory),
        *check_configuration(directory, packed.manifest),
        *check_syntax(plan.build.syntax_checks, assembled.tree.root, plan.host),
        *check_drains(packed.manifest),
    ]
    if registry.checks:
        names = frozenset(entry.path for entry in assembled.all_entries())
        view = View(packed.manifest.as_document(), names, directory)
        findings += run_plugin_checks(registry.checks, view)
    checks = (*BUILD_CHECKS, *(check.name for check in registry.checks))
    result: BootResult | None = None
    if request.verify == "boot" and _is_fine(findings):
        result = _boot_packed(packed, workspace, request, reporter)
        findings += result.findings
        checks = (*checks, "boot")
    verification = Verification(tuple(findings), result.boot if result else None, checks)
    _tell(verification, reporter)
    return verification


def demand(verification: Verification | None) -> None:
    """Raise VerificationFailed, with the findings that are errors, if there is one."""
    errors = [finding for finding in (verification.findings if verification else ()) if finding.level == "error"]
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


def verify_droplet(
    path: Path, workspace: Workspace, reporter: Reporter, *, is_booting: bool
) -> Verification:
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
    findings = [
        *check_content(content),
        *check_scripts(directory),
        *check_configuration(directory, content.manifest),
        *check_drains(content.manifest),
    ]
    registry = load_registry()
    view = View(content.manifest.as_document(), frozenset(content.members), directory)
    findings += run_plugin_checks(registry.checks, view)
    checks = (*DROPLET_CHECKS, *(check.name for check in registry.checks))
    result: BootResult | None = None
    if is_booting and _is_fine(findings):
        reporter.detail("Starting it")
        result = _boot(directory, content.manifest, workspace, "", content.format == "dir", reporter)
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
    result = _boot(directory, packed.manifest, workspace, request.services, False, reporter)
    if result.boot.status == "served" and result.boot.worker_bytes:
        packed.record({"worker_bytes": result.boot.worker_bytes})
    return result


def _boot(
    directory: Path, manifest: Manifest, workspace: Workspace, services: str, is_theirs: bool, reporter: Reporter
) -> BootResult:
    """Start the first process; the state goes elsewhere when the directory is not ours to write to."""
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
        process=manifest.processes[0].type,
        state=state,
        environment=environment,
        on_line=reporter.output,
    )


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
    return directory


def _leaks(hits: Iterable[Hit]) -> list[Finding]:
    """What packing found of paths and values that are the build's alone."""
    findings = []
    for label, path in hits:
        if label == SOURCE_PATH:
            # In an application's own file, which nothing has touched, it is the author's own text.
            level: Level = "info" if path.startswith("app/") else "error"
            findings.append(Finding("build-path", level, "it names the directory that it was built from", path))
        elif label == BUILD_PATH:
            findings.append(Finding("build-path", "error", "it names the directory that it was built in", path))
        else:
            findings.append(Finding("build-env", "error", f"it holds the value of {label}", path))
    return findings


def _is_fine(findings: Iterable[Finding]) -> bool:
    return not any(finding.level == "error" for finding in findings)


def _where(finding: Finding) -> str:
    return f"{finding.path}: " if finding.path else ""


def _tell(verification: Verification, reporter: Reporter) -> None:
    for finding in verification.findings:
        if finding.level in ("warning", "skipped"):
            reporter.warning(f"{finding.check}: {_where(finding)}{finding.message}")
    reporter.detail(f"Checked: {', '.join(verification.checks)}")
