"""Runs the plan's steps and renders its files: afterwards every byte of the droplet is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stager.errors import UsageError
from stager.execution.workspace import Workspace
from stager.model.droplet import Manifest
from stager.model.entry import Entry, Kind, file_of_bytes
from stager.model.frozen import dataclass
from stager.model.plan import BuildPlan, RunCommand
from stager.model.reporter import Reporter
from stager.model.request import Request
from stager.phases.launch_scripts import launch_scripts
from stager.phases.plan import Plan
from stager.phases.secrets import credentials
from stager.phases.steps import Surroundings, check_offline, check_tools, run_steps
from stager.rendering import Renderer
from stager.source.materialise import materialise
from stager.source.tree import Tree

#: Empty, and writable where the droplet runs (DESIGN section 6).
DIRECTORIES = ("logs", "run", "tmp")
#: Where the application lies in a droplet, what was installed for it, and, only while it is built, the rest.
APP, DEPS, BUILD = "app", "deps", "build"


@dataclass(frozen=True, slots=True)
class Assembled:
    """What is going to be packed.

    Parameters
    ----------
    plan:
        What it was assembled from.
    manifest:
        Complete but for the layers.
    tree:
        Where the application's files lie: in the source itself, or in the copy that steps worked on.
    deps:
        What steps made beside the application; None where they made nothing there.
    dependencies:
        Paths, relative to the droplet, that steps made.
    generated:
        The rendered files, ``startup``, ``stop``, and the empty directories; sorted.
    """

    plan: Plan
    manifest: Manifest
    tree: Tree
    deps: Tree | None
    dependencies: tuple[str, ...]
    generated: tuple[Entry, ...]

    def dependency_entries(self) -> Iterator[Entry]:
        """What the steps made, after the directories that it lies in."""
        for parent in self._parents:
            yield Entry(parent, Kind.DIRECTORY, 0o755, "")
        for path in self.dependencies:
            place, _, below = path.partition("/")
            tree = self.tree if place == APP else self.deps
            if tree is not None:
                yield from tree.entries(place, below=below)

    def app_entries(self) -> Iterator[Entry]:
        """The application without what the steps made; no directory comes twice."""
        before = set(self._parents)
        made = [path.removeprefix("app/") for path in self.dependencies if path.startswith("app/")]
        entries = self.tree.entries(APP, leave_out=(*made, *self.plan.build.left_out))
        return (entry for entry in entries if entry.path not in before) if before else entries

    def all_entries(self) -> Iterator[Entry]:
        """Everything but the manifest."""
        yield from self.dependency_entries()
        yield from self.app_entries()
        yield from self.generated

    @property
    def _parents(self) -> list[str]:
        paths = [path.split("/") for path in self.dependencies]
        return sorted({"/".join(parts[:end]) for parts in paths for end in range(1, len(parts))})


def assemble(
    planned: Plan, source: Tree, workspace: Workspace, request: Request, reporter: Reporter
) -> Assembled:
    """Run the steps, if there are any, on a copy of the source; render the files.

    Raises
    ------
    StepFailed, StepTimedOut, HostToolMissing, OfflineNotCached, TemplateFailed
        Before anything ran, where that can be known before.
    """
    build = planned.build
    if request.offline:
        check_offline(build, request.cache_directory)
    check_tools(build, planned.host)
    manifest = _manifest(planned)
    renderer = Renderer(planned.template_packages, request.cache_directory)
    generated = _generated(build, manifest, renderer)
    deps: Tree | None = None
    made: list[str] = []
    if build.steps:
        source, deps = _work(planned, source, workspace, request, reporter, renderer)
        outputs = {path for step in build.steps if isinstance(step, RunCommand) for path in step.outputs}
        trees = {APP: source, DEPS: deps}
        outputs -= {f"{APP}/{path}" for path in build.left_out}
        made = [path for path in sorted(outputs) if trees[path.split("/")[0]].has(path.partition("/")[2])]
    files, size = source.counted(build.left_out)
    reporter.detail(f"{files:,} files, {size:,} bytes of application")
    return Assembled(planned, manifest, source, deps, tuple(made), generated)


def _manifest(planned: Plan) -> Manifest:
    from stager import __version__

    build, settings = planned.build, planned.settings
    return Manifest(
        stager_version=__version__,
        runtimes=planned.runtimes,
        processes=build.processes,
        environment=dict(sorted(build.environment.items())),
        limits=settings.limits,
        health=settings.health,
        tools=build.tools,
        writable=build.writable,
        private_files=build.private_files,
    )


def _generated(build: BuildPlan, manifest: Manifest, renderer: Renderer) -> tuple[Entry, ...]:
    entries = {
        file.path: file_of_bytes(
            file.path,
            renderer.render(file.template, file.values).encode(errors="surrogateescape"),
            file.mode,
        )
        for file in build.files
    }
    startup, stop = launch_scripts(manifest, renderer)
    entries["startup"] = file_of_bytes("startup", startup.encode(errors="surrogateescape"), 0o755)
    entries["stop"] = file_of_bytes("stop", stop.encode(errors="surrogateescape"), 0o755)
    for path in (*DIRECTORIES, *build.directories):
        entries[path] = Entry(path, Kind.DIRECTORY, 0o755, b"")
    for path in list(entries):
        for parent in Path(path).parents:
            if str(parent) != ".":
                entries.setdefault(str(parent), Entry(str(parent), Kind.DIRECTORY, 0o755, b""))
    order = {entry.path + ("/" if entry.kind is Kind.DIRECTORY else ""): entry for entry in entries.values()}
    return tuple(order[key] for key in sorted(order))


def _make_cache(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The cache directory {path} cannot be made.",
            details=error.strerror or str(error),
            resolution="Name another one with --cache-dir, or none: --no-cache.",
        ) from error


def _work(
    planned: Plan,
    source: Tree,
    workspace: Workspace,
    request: Request,
    reporter: Reporter,
    renderer: Renderer,
) -> tuple[Tree, Tree]:
    """Materialise what the steps need, run them, and look at what is there afterwards: app/ and deps/."""
    settings, build = planned.settings, planned.build
    application, deps = workspace.directory(APP), workspace.directory(DEPS)
    workspace.directory(BUILD)
    needed = _confined_inputs(build)
    materialise(source, application, only=needed)
    cache = request.cache_directory
    if cache is None:
        cache = workspace.directory("cache")
    _make_cache(cache)
    environment = {**build.step_environment, **settings.environment, **settings.build_environment}
    if request.services:
        environment["VCAP_SERVICES"] = request.services
    where = Surroundings(
        application=application,
        home=workspace.directory("home"),
        temporary=workspace.directory("tmp"),
        cache=cache.resolve(),
        environment=environment,
        secrets=(*settings.build_environment.values(), *credentials(request.services)),
        marker=workspace.marker,
        is_offline=request.offline,
        path=tuple(application.parent / folder for folder in build.build_path),
        scripts=_scripts(build, workspace, renderer),
    )
    run_steps(build, planned.host, where, reporter)
    made = Tree.of_directory(deps, DEPS, max_size=request.max_size)
    if needed is not None:
        return source, made
    return Tree.of_directory(application, source.name, max_size=request.max_size), made


def _confined_inputs(build: BuildPlan) -> frozenset[str] | None:
    """What confined steps read; None where a step may read and change anything."""
    steps = [step for step in build.steps if isinstance(step, RunCommand) and step.is_confined]
    if len(steps) < len(build.steps):
        return None
    return frozenset(path for step in steps for path in step.inputs)


def _scripts(build: BuildPlan, workspace: Workspace, renderer: Renderer) -> dict[str, Path]:
    """The scripts of the steps, as files."""
    names = {step.script for step in build.steps if isinstance(step, RunCommand) and step.script}
    if not names:
        return {}
    folder = workspace.directory("scripts")
    paths = {
        name: folder / f"{number}.{name.rpartition('/')[2]}" for number, name in enumerate(sorted(names))
    }
    for name, path in paths.items():
        path.write_text(renderer.render(name, {}), encoding="utf-8", errors="surrogateescape")
    return paths
