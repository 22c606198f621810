"""Runs the steps of a plan in a materialised copy of the application."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from stager.errors import HostToolMissing, OfflineNotCached, StepFailed, StepTimedOut
from stager.execution.host import SBIN
from stager.execution.run import Outcome, run
from stager.model.frozen import dataclass
from stager.model.host import HostFacts
from stager.model.plan import BuildPlan, RunCommand, RunHook, Step
from stager.model.reporter import Reporter
from stager.phases.secrets import SECRET_LENGTH

#: What a step inherits of the caller's environment: how to reach the network, and nothing else.
INHERITED = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "SOURCE_DATE_EPOCH",
)

#: How many of the last lines of a failed step are shown.
SHOWN_LINES = 30
#: What a script of a plugin's puts before what the user should know.
WARNING = "stager: warning: "
#: Some tools print colours whatever NO_COLOR says.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where steps run.

    Parameters
    ----------
    application:
        The materialised application. ``deps`` and ``build`` lie beside it.
    home, temporary, cache:
        Directories, all existing.
    environment:
        What the user gave for run time and build time.
    secrets:
        Values that must not be shown.
    marker:
        Marks the processes of this build.
    path:
        Folders that come first on the PATH.
    scripts:
        Where the scripts of steps lie, by the name of their template.
    """

    application: Path
    home: Path
    temporary: Path
    cache: Path
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    marker: str
    is_offline: bool
    path: tuple[Path, ...] = ()
    scripts: Mapping[str, Path] = field(default_factory=dict)


def run_steps(build: BuildPlan, host: HostFacts, where: Surroundings, reporter: Reporter) -> None:
    """Run every step in order.

    Raises
    ------
    HostToolMissing, StepFailed, StepTimedOut
        Naming the step, with its last lines.
    """
    for step in build.steps:
        argv = _argv(step, host, where)
        reporter.step(_hidden(_shown(step), where))
        said = _Said(step, where, reporter)
        try:
            outcome = run(
                argv,
                directory=where.application,
                environment=_environment(step, where),
                timeout=step.timeout,
                marker=where.marker,
                on_line=said.take,
            )
        except OSError as error:
            raise _not_started(step, argv[0], error) from error
        if outcome.is_timed_out or outcome.status or said.is_complaint:
            raise _failure(step, outcome, where)


class _Said:
    """What a step prints, as people see it; and whether it means that it failed, whatever its status says."""

    def __init__(self, step: Step, where: Surroundings, reporter: Reporter) -> None:
        self._where, self._reporter = where, reporter
        self._warns = isinstance(step, RunCommand) and bool(step.script)
        self._fails_on = _pattern(step.fails_on) if isinstance(step, RunCommand) else None
        self._hides = _hides(step)
        self.is_complaint = False

    def take(self, line: str) -> None:
        if self._fails_on is not None and self._fails_on.search(line):
            self.is_complaint = True
        if self._hides is not None and self._hides.search(line):
            return
        text = _hidden(line, self._where)
        if self._warns and text.startswith(WARNING):
            self._reporter.warning(text.removeprefix(WARNING))
        else:
            self._reporter.output(text)


def _pattern(text: str) -> re.Pattern[str] | None:
    return re.compile(text) if text else None


def _hides(step: Step) -> re.Pattern[str] | None:
    return _pattern(step.hides) if isinstance(step, RunCommand) else None


def check_offline(build: BuildPlan, cache: Path | None) -> None:
    """Before anything runs: is all that the steps need in the cache? Raises OfflineNotCached naming all."""
    missing = [
        item.name
        for step in build.steps
        if isinstance(step, RunCommand)
        for item in step.offline_needs
        if cache is None or not (cache / item.path).exists()
    ]
    if missing:
        raise OfflineNotCached(
            "Offline, and not everything that this build needs is in the cache.",
            details="Missing:\n" + "\n".join(f"  {name}" for name in missing),
            resolution=f"Build it once without --offline with the same --cache-dir ({cache})."
            if cache
            else "Leave out --no-cache, and build it once without --offline.",
        )


def check_tools(build: BuildPlan, host: HostFacts) -> None:
    """Before anything runs: are the tools of all steps there? Raises HostToolMissing."""
    for step in build.steps:
        if isinstance(step, RunCommand):
            _program(step, host)


def _argv(step: Step, host: HostFacts, where: Surroundings) -> list[str]:
    if isinstance(step, RunHook):
        # The user wrote it as shell text; it runs as written, and stops at the first command that fails.
        return ["bash", "-e", "-o", "pipefail", "-c", step.script]
    program = _program(step, host)
    if program.startswith("../"):
        # Not resolved: a virtual environment is known by where its link to the interpreter lies.
        program = os.path.normpath(where.application / program)
    script = (str(where.scripts[step.script]),) if step.script else ()
    return [program, *script, *step.arguments]


def _shown(step: Step) -> str:
    """What people see: no path of this host, so that it is what they would type."""
    if isinstance(step, RunHook):
        return step.script
    program = step.tool.rpartition("/")[2]
    return f"{program} {' '.join(step.arguments)}" if not step.script else step.name


def _program(step: RunCommand, host: HostFacts) -> str:
    if step.tool.startswith("../"):
        return step.tool
    fact = host[step.tool]
    if not fact.is_present:
        tool = host.tool(step.tool)
        raise HostToolMissing(
            f"{step.name} needs {tool.name}, and this host does not have it.",
            details=f"{tool.name}: {tool.purpose}",
            resolution=f"Install it: apt-get install -y --no-install-recommends {tool.package}",
        )
    return fact.path


def _environment(step: Step, where: Surroundings) -> dict[str, str]:
    folders = [*map(str, where.path), *os.environ.get("PATH", os.defpath).split(os.pathsep), *SBIN]
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {
        "PATH": os.pathsep.join(dict.fromkeys(filter(None, folders))),
        "HOME": str(where.home),
        "TMPDIR": str(where.temporary),
        "LANG": "C.UTF-8",
        **where.environment,
    }
    if isinstance(step, RunCommand):
        added = {**step.environment, **(step.offline_environment if where.is_offline else {})}
        environment |= {key: value.replace("{cache}", str(where.cache)) for key, value in added.items()}
    return environment


def _not_started(step: Step, program: str, error: OSError) -> StepFailed | HostToolMissing:
    if isinstance(error, FileNotFoundError):
        return HostToolMissing(
            f"{step.name} needs {program}, and it is not on the PATH of the build.",
            resolution="Does `env:` or `build_env:` set a PATH? It has to hold the system's folders, too.",
        )
    return StepFailed(
        f"{step.name} could not be started.",
        details=str(error),
        resolution="Too long a list means that the environment is too large: one variable may have 128 KiB.",
    )


def _failure(
    step: Step, outcome: Outcome, where: Surroundings
) -> StepFailed | StepTimedOut | OfflineNotCached:
    hides = _hides(step)
    lines = [line for line in outcome.tail if hides is None or not hides.search(line)]
    said = "\n".join(_hidden(line, where) for line in lines[-SHOWN_LINES:])
    last = f"Its last lines:\n{said}" if said else "It printed nothing."
    if outcome.is_timed_out:
        return StepTimedOut(
            f"{step.name} took longer than {step.timeout:g} seconds.",
            details=last,
            resolution="Does it wait for input, or for a host that does not answer?",
        )
    if outcome.status == -signal.SIGKILL:
        return StepFailed(
            f"{step.name} was killed.",
            details=last,
            resolution="SIGKILL from outside usually means that the host ran out of memory.",
        )
    known = _known_failure(step, outcome, where, last)
    if known is not None:
        return known
    how = f"signal {-outcome.status}" if outcome.status < 0 else f"status {outcome.status}"
    if not outcome.status:
        how += ", and it printed an error"
    return StepFailed(
        f"{step.name} ended with {how}.",
        details=last,
        resolution="Run the same command in the application's folder and mend what it says.",
    )


def _known_failure(
    step: Step, outcome: Outcome, where: Surroundings, last: str
) -> StepFailed | OfflineNotCached | None:
    """What the plan says of such a failure; None where it says nothing."""
    if isinstance(step, RunHook):
        return None
    text = "\n".join(outcome.tail)
    for known in step.failures:
        found = re.search(known.pattern, text)
        if found is None or (known.is_offline and not where.is_offline):
            continue
        groups = {key: _hidden(value or "", where) for key, value in found.groupdict().items()}
        groups["where"] = _place(step, groups.get("name", ""), where)
        kind = OfflineNotCached if known.is_offline else StepFailed
        return kind(
            known.brief.format_map(groups),
            details=last,
            resolution=known.resolution.format_map(groups),
        )
    return None


def _place(step: RunCommand, name: str, where: Surroundings) -> str:
    """The first of the step's inputs in which a name stands, with its line; else the first input."""
    # Package indexes take - _ . for the same, and no notice of case.
    parts = map(re.escape, re.split(r"[-_.]+", name))
    word = re.compile(rf"(?i)(?<![\w.-]){'[-_.]+'.join(parts)}(?!\w|[.-]\w)")
    files = [path for path in step.inputs if (where.application / path).is_file()]
    for path in files if name else ():
        text = (where.application / path).read_bytes()
        encoding = "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        for number, line in enumerate(text.decode(encoding, "replace").splitlines(), 1):
            if word.search(line):
                return f"{path} line {number}"
    return files[0] if files else "the application"


def _hidden(text: str, where: Surroundings) -> str:
    # Where it is built is nobody's concern: paths are shown as the step would write them.
    root = str(where.application.parent)
    text = _COLOUR.sub("", text) if "\x1b" in text else text
    text = text.replace(f"{where.application}/", "").replace(f"{root}/", "../")
    # A secret of several lines is printed line by line. The longest first: one may begin with another.
    parts = {part for secret in where.secrets for part in (secret, *secret.splitlines())}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= SECRET_LENGTH:
            text = text.replace(part, "***")
    return text
