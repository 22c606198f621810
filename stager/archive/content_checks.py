"""Whether a droplet holds what its manifest and its list of digests say, and nothing else."""

from __future__ import annotations

from stager.archive.digest_list import NAME
from stager.archive.droplet_content import Content
from stager.archive.writer import MANIFEST_FILE
from stager.model.entry import Kind
from stager.model.finding import Finding

#: What startup makes where it runs; in an unpacked droplet that has run it is no surprise.
_RUN_TIME = ("logs/", "run/", "tmp/", "run.pid")
_SCRIPTS = ("startup", "stop")


def check_content(content: Content) -> list[Finding]:
    """Compare digests, names, modes, links and layers."""
    return [*_digests(content), *_names(content), *_modes(content), *_layers(content)]


def _digests(content: Content) -> list[Finding]:
    findings = []
    for path, digest in content.listed.items():
        seen = content.members.get(path)
        if seen is not None and seen.kind is Kind.FILE and seen.digest != digest:
            findings.append(Finding("digests", "error", f"its digest is not the one in {NAME}", path))
    return findings


def _names(content: Content) -> list[Finding]:
    findings = []
    if NAME not in content.members:
        findings.append(Finding("names", "error", "it is missing", NAME))
    for path in content.listed:
        seen = content.members.get(path)
        if seen is None or seen.kind is not Kind.FILE:
            findings.append(Finding("names", "error", f"it is in {NAME}, and missing", path))
    for path, seen in content.members.items():
        is_ours = path == NAME or (content.format == "dir" and path.startswith(_RUN_TIME))
        if seen.kind is Kind.FILE and path not in content.listed and not is_ours:
            findings.append(Finding("names", "error", f"it is not in {NAME}", path))
    findings += [
        Finding("names", "error", "every droplet has it, and this one does not", path)
        for path in (*_SCRIPTS, MANIFEST_FILE, "app")
        if path not in content.members
    ]
    return findings


def _modes(content: Content) -> list[Finding]:
    findings = []
    for path, seen in content.members.items():
        if seen.kind is Kind.LINK:
            continue
        if seen.mode & 0o7000:
            findings.append(
                Finding(
                    "modes", "error", f"its mode {seen.mode:o} has set-user-id, set-group-id or sticky", path
                )
            )
        elif content.format != "dir" and seen.mode not in (0o644, 0o755):
            findings.append(Finding("modes", "error", f"its mode {seen.mode:o} is neither 644 nor 755", path))
    for path in _SCRIPTS:
        script = content.members.get(path)
        if script is not None and not script.mode & 0o100:
            findings.append(Finding("modes", "error", "it cannot be executed", path))
    return findings


def _layers(content: Content) -> list[Finding]:
    """The layers' digests cover what droplet.sha256 does not: modes, links and directories."""
    return [
        Finding("layers", "error", f"the layer {said.name} is not what the manifest says", MANIFEST_FILE)
        for said, found in zip(content.manifest.layers, content.layers, strict=False)
        if said != found
    ]
