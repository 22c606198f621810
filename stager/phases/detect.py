"""Which runtimes the source needs, and on what evidence."""

from __future__ import annotations

from stager.errors import AmbiguousRuntime, NothingDetected, PluginBroken, StagerError
from stager.model.detection import Detected, Detection, Strength
from stager.model.report import Record
from stager.model.reporter import Reporter
from stager.model.source_tree import SourceTree
from stager.registry import Registry

#: How many names of the top level an error shows.
SHOWN = 20


def detect(
    source: SourceTree,
    registry: Registry,
    wanted: tuple[str, ...],
    reporter: Reporter,
    record: Record | None = None,
) -> Detected:
    """Ask every buildpack, keep every answer, and select: what was asked for, else the strongest evidence.

    The answers are in ``record`` also where nothing can be selected.

    Raises
    ------
    NothingDetected, AmbiguousRuntime, UnknownRuntime
        None, several of the same strength, or one that nobody provides.
    PluginBroken
        Nothing was detected, and a plugin could not be asked.
    """
    chosen = tuple(dict.fromkeys(registry.resolve(name) for name in wanted))
    answers, broken = _ask_all(source, registry)
    if record is not None:
        record.detected = Detected(answers, ())
    for runtime in chosen:
        if runtime in broken:
            raise broken[runtime]
    problems = [*registry.problems, *broken.values()]
    for problem in problems:
        reporter.warning(f"{problem.brief} {problem.details}")
    if chosen:
        detected = Detected(answers, chosen)
    else:
        detected = Detected(answers, _strongest(source, registry, answers, problems))
    for runtime in detected.selected:
        evidence = next(answer.evidence for name, answer in answers if name == runtime)
        reporter.detail(f"{runtime}: {', '.join(evidence) or 'asked for'}")
        for text in next((answer.near_misses for name, answer in answers if name == runtime), ()):
            reporter.warning(text)
    return detected


def _ask_all(
    source: SourceTree, registry: Registry
) -> tuple[tuple[tuple[str, Detection], ...], dict[str, PluginBroken]]:
    """Every answer, and by runtime what was wrong with those that could not be asked."""
    answers, broken = [], {}
    for runtime, buildpack in registry.buildpacks.items():
        answer, problem = Detection(Strength.NONE), ""
        try:
            given: object = buildpack.detect(source)
            if isinstance(given, Detection):
                answer = given
            else:
                problem = f"Its detect() returned {given!r}, not a Detection."
        except StagerError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  (another's code)
            problem = f"Its detect() raised {type(error).__name__}: {error}"
        if problem:
            broken[runtime] = PluginBroken(
                f"The plugin {registry.packages[runtime]} is broken.",
                details=problem,
                resolution="Ask its author, uninstall it, or name another runtime with --runtime.",
            )
        answers.append((runtime, answer))
    return tuple(answers), broken


def _strongest(
    source: SourceTree,
    registry: Registry,
    answers: tuple[tuple[str, Detection], ...],
    problems: list[PluginBroken],
) -> tuple[str, ...]:
    serving = [(runtime, answer) for runtime, answer in answers if not answer.supplies]
    supplying = tuple(runtime for runtime, answer in answers if answer.supplies and answer.strength)
    best = max((answer.strength for _, answer in serving), default=Strength.NONE)
    found = [(runtime, answer) for runtime, answer in serving if answer.strength == best]
    found = [(runtime, answer) for runtime, answer in found if not answer.gives_way] or found
    if best == Strength.NONE and supplying:
        # It makes something that nobody here serves: its own plan says what to do about that.
        return supplying
    if best == Strength.NONE:
        if problems:
            raise problems[0]
        raise NothingDetected(
            "No runtime recognises this application.",
            details=_seen(source, registry, answers),
            resolution="Is this the application's root folder? If it is, name the runtime: --runtime NAME.",
        )
    if len(found) > 1:
        raise AmbiguousRuntime(
            "More than one runtime recognises this application.",
            details="\n".join(f"{runtime}: {', '.join(answer.evidence)}" for runtime, answer in found),
            resolution=f"Choose one, for example --runtime {found[0][0]}, or `runtime: {found[0][0]}` "
            "in stager.yml.",
        )
    return (*supplying, found[0][0])


def _seen(source: SourceTree, registry: Registry, answers: tuple[tuple[str, Detection], ...]) -> str:
    """What the reader needs to see the mistake: the top level, the near misses, the runtimes there are."""
    names = [f"  {_printable(name)}{'/' if source.is_directory(name) else ''}" for name in source.children()]
    shown = names[:SHOWN] + ([f"  … and {len(names) - SHOWN} more"] if len(names) > SHOWN else [])
    lines = [f"{source.name} holds:", *shown] if names else [f"{source.name} is empty."]
    near = [f"  {runtime}: {text}" for runtime, answer in answers for text in answer.near_misses]
    if near:
        lines += ["Nearly:", *near]
    lines.append(f"Installed runtimes: {', '.join(registry.buildpacks) or 'none'}.")
    return "\n".join(lines)


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)
