"""What would a build do? Asks each selected buildpack for its plan and merges them into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from stager.buildpack import Check, PlanContext
from stager.errors import ConfigurationError, NoStartCommand, PlanError, PluginBroken, StagerError
from stager.model.droplet import Runtime
from stager.model.frozen import dataclass
from stager.model.host import HostFacts, HostTool, ToolFact
from stager.model.plan import BuildPlan, Process, RunHook
from stager.model.reporter import Reporter
from stager.model.source_tree import SourceTree
from stager.registry import Registry
from stager.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """The merged plan, its runtimes, its facts, whose templates it names, and the checks of plugins."""

    runtimes: tuple[Runtime, ...]
    build: BuildPlan
    settings: Settings
    host: HostFacts
    template_packages: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


def plan(
    source: SourceTree,
    runtimes: tuple[str, ...],
    settings: Settings,
    registry: Registry,
    ask: Callable[[HostTool], ToolFact],
    reporter: Reporter,
) -> Plan:
    """Plan every runtime in order and merge: the first ones supply, the last one serves.

    Raises
    ------
    PlanError
        A buildpack cannot plan this application, or two plans contradict each other.
    """
    tools = {tool.name: tool for name in runtimes for tool in registry[name].host_tools}
    host = HostFacts(tools, ask)
    last = runtimes[-1]
    plans = [_plan_one(source, name, settings, registry, host, is_serving=name == last) for name in runtimes]
    merged = _with_processes(merge(plans), settings)
    for what, why in merged.choices:
        reporter.detail(f"{what}: {why}")
    for warning in merged.warnings:
        reporter.warning(warning)
    described = tuple(Runtime(one.runtime, dict(one.versions)) for one in plans)
    packages = tuple(type(registry[name]).__module__ for name in runtimes)
    return Plan(described, merged, settings, host, packages, registry.checks)


def _plan_one(
    source: SourceTree,
    name: str,
    settings: Settings,
    registry: Registry,
    host: HostFacts,
    *,
    is_serving: bool,
) -> BuildPlan:
    buildpack = registry[name]
    context: PlanContext[Any] = PlanContext(
        source=source,
        options=settings.options_for(name),
        host=host,
        limits=settings.limits,
        processes=settings.processes,
        grace=settings.grace,
        environment={**settings.environment, **settings.build_environment},
        is_serving=is_serving,
    )
    try:
        made: object = buildpack.plan(context)
    except StagerError:
        raise
    except (Exception, SystemExit) as error:  # another's code
        raise PluginBroken(
            f"The plugin {registry.packages[name]} is broken.",
            details=f"Its plan() raised {type(error).__name__}: {error}",
            resolution="Ask its author; --debug shows where.",
        ) from error
    if not isinstance(made, BuildPlan):
        raise PluginBroken(
            f"The plugin {registry.packages[name]} is broken.",
            details=f"Its plan() returned {made!r}, not a BuildPlan.",
            resolution="Ask its author, or name another runtime with --runtime.",
        )
    for path in (*(file.path for file in made.files), *made.directories):
        # Below app/ is what the user uploaded, and nothing of it is replaced.
        if not path or path.split("/")[0] == "app" or not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise PluginBroken(
                f"The plugin {registry.packages[name]} is broken.",
                details=f"Its plan generates {path!r}, which is no place for generated files.",
                resolution="Ask its author, or name another runtime with --runtime.",
            )
    return made


def merge(plans: list[BuildPlan]) -> BuildPlan:
    """One plan of many. The last ``web`` counts; a file or variable of two is an error."""
    merged = plans[0]
    for one in plans[1:]:
        clash = {file.path for file in merged.files} & {file.path for file in one.files}
        if clash:
            raise PlanError(
                f"{merged.runtime} and {one.runtime} both generate {min(clash)}.",
                resolution="Name fewer runtimes with --runtime.",
            )
        before = merged.environment
        twice = [name for name, value in one.environment.items() if before.get(name, value) != value]
        if twice:
            raise PlanError(
                f"{merged.runtime} and {one.runtime} both set the variable {min(twice)}.",
                resolution="Name fewer runtimes with --runtime.",
            )
        later = {process.type for process in one.processes}
        kept = tuple(process for process in merged.processes if process.type not in later)
        merged = replace(
            one,
            steps=merged.steps + one.steps,
            files=merged.files + one.files,
            processes=kept + one.processes,
            environment={**merged.environment, **one.environment},
            process_environment=_both(merged.process_environment, one.process_environment),
            step_environment={**merged.step_environment, **one.step_environment},
            build_path=(*merged.build_path, *one.build_path),
            private_files=(*merged.private_files, *one.private_files),
            tools=tuple(dict.fromkeys(merged.tools + one.tools)),
            writable=tuple(dict.fromkeys(merged.writable + one.writable)),
            left_out=tuple(dict.fromkeys(merged.left_out + one.left_out)),
            directories=tuple(dict.fromkeys(merged.directories + one.directories)),
            choices=merged.choices + one.choices,
            warnings=merged.warnings + one.warnings,
            syntax_checks=merged.syntax_checks + one.syntax_checks,
        )
    return merged


def _both(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """The variables of both; where both put something before what was there (PATH), both do."""
    merged = {**first, **second}
    for name in first.keys() & second.keys():
        merged[name] = first[name].replace(f"${{{name}}}", second[name])
    return merged


def _with_processes(build: BuildPlan, settings: Settings) -> BuildPlan:
    """Add what the user wants started, the user's hooks and the user's environment."""
    planned = {process.type for process in build.processes}
    wanted = tuple(
        Process(type_, command, grace=settings.grace, drains=None)
        for type_, command in settings.processes.items()
        if type_ not in planned
    )
    processes = build.processes + wanted
    if not processes:
        raise NoStartCommand(
            "Nothing says how this application is started.",
            details=f"The {build.runtime} plan has no process, and there is no Procfile.",
            resolution="Add a Procfile with a line such as `web: ./serve --port $PORT`.",
        )
    for name, value in settings.environment.items():
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise ConfigurationError(
                f"The value of the variable {name} is not UTF-8.",
                details="It goes into droplet.yaml, which is text.",
                resolution="Set it where the droplet is started: there it may hold any bytes.",
            )
    hooks = settings.hooks
    before = (RunHook("before_build", hooks.before_build),) if hooks.before_build else ()
    after = (RunHook("after_build", hooks.after_build),) if hooks.after_build else ()
    return replace(
        build,
        steps=(*before, *build.steps, *after),
        processes=tuple(
            replace(one, environment={**build.process_environment, **one.environment})
            for one in sorted(processes, key=lambda process: (process.type != "web", process.type))
        ),
        environment={**build.environment, **settings.environment},
    )
