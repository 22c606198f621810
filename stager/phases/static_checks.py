"""What can be said of a droplet without starting it. Every function returns findings and raises for none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from stager.buildpack import Check, DropletView
from stager.execution.host import SBIN
from stager.execution.probe import probe
from stager.model.droplet import Manifest
from stager.model.finding import Finding
from stager.model.frozen import dataclass
from stager.model.host import ToolFact
from stager.model.plan import SyntaxCheck

SCRIPTS = ("startup", "stop")
#: startup says so when a host tool is missing, before anything runs.
TOOL_MISSING = 4
CHECK_SECONDS = 60.0
#: How Apache, php-fpm and PHP mark what is not quite right, and no error.
_WARNING = re.compile(r"\bAH\d{5}\b|\bwarning\b|\[(?:\w+:)?(?:warn|error|crit|alert|emerg)\]", re.IGNORECASE)


def clean_environment(marker: str) -> dict[str, str]:
    """What a checking program gets: nothing of the caller's but the PATH; and the mark of this run."""
    path = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *SBIN]
    name, _, value = marker.partition("=")
    return {"PATH": os.pathsep.join(dict.fromkeys(path)), "LANG": "C.UTF-8", name: value}


def check_scripts(directory: Path, marker: str) -> list[Finding]:
    """Ask ``bash -n`` whether startup and stop parse."""
    findings = []
    for name in SCRIPTS:
        answer = probe(["bash", "-n", name], directory=str(directory), environment=clean_environment(marker))
        if answer.status is None:
            findings.append(Finding("scripts", "skipped", f"bash is not on this host: {answer.output}", name))
        elif answer.status:
            findings.append(Finding("scripts", "error", answer.output.strip(), name))
    return findings


def check_configuration(directory: Path, manifest: Manifest, marker: str) -> list[Finding]:
    """``./startup --check``: the servers' own configuration checks, in the environment of a start."""
    findings = []
    for process in manifest.processes:
        if not process.checks:
            continue
        answer = probe(
            [str(directory / "startup"), "--check", "-t", process.type],
            timeout=CHECK_SECONDS,
            environment={**clean_environment(marker), "VCAP_APP_HOST": "127.0.0.1"},
            directory="/",
        )
        said = answer.output.strip()
        if answer.status == TOOL_MISSING:
            message = f"the configuration of {process.type} was not checked: {_last_line(said)}"
            findings.append(Finding("configuration", "skipped", message))
        elif answer.status != 0:
            findings.append(Finding("configuration", "error", said or f"exit status {answer.status}"))
        else:
            findings += [
                Finding("configuration", "warning", line)
                for line in said.splitlines()
                if _WARNING.search(line)
            ]
    return findings


def check_syntax(
    checks: Iterable[SyntaxCheck], root: Path, host: Mapping[str, ToolFact], marker: str
) -> list[Finding]:
    """Ask the runtime's own parser whether the application's entry files parse."""
    findings = []
    for check in checks:
        fact = host[check.tool]
        if not fact.is_present:
            findings.append(
                Finding("syntax", "skipped", f"{check.tool} is not on this host: not parsed", check.path)
            )
            continue
        # Absolute: a source that is called -app would be an option.
        file = root.absolute() / check.path.removeprefix("app/")
        answer = probe(
            [fact.path, *check.arguments, str(file)],
            timeout=CHECK_SECONDS,
            environment=clean_environment(marker),
        )
        if answer.status != 0:
            said = answer.output.replace(str(file), check.path).strip()
            findings.append(Finding("syntax", "error", said, check.path))
    return findings


def check_drains(manifest: Manifest) -> list[Finding]:
    """Say of which process requests in flight are lost when it is stopped."""
    return [
        Finding("drain", "info", f"{process.type} cannot finish requests in flight when it is stopped")
        for process in manifest.processes
        if process.drains is False
    ]


@dataclass(frozen=True, slots=True)
class View:
    """A droplet as plugins' checks see it."""

    manifest: Mapping[str, object]
    names: frozenset[str]
    directory: Path

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        return (self.directory / path).read_bytes()


def run_plugin_checks(checks: Iterable[Check], droplet: DropletView) -> list[Finding]:
    """Run every registered check; one that raises is a finding that names it."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check.run(droplet)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (another's code)
            findings.append(
                Finding(check.name, "error", f"the check itself failed: {type(error).__name__}: {error}")
            )
    return findings


def _last_line(text: str) -> str:
    return text.splitlines()[-1] if text else "a host tool is missing"
