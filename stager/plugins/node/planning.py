"""The plan for an application in Node. Read :func:`plan_node`."""

from __future__ import annotations

from collections.abc import Mapping

from stager.buildpack import PlanContext
from stager.model.plan import BuildPlan, Command, Process
from stager.plugins.node.advice import Choice, of_installation, of_node, of_start
from stager.plugins.node.application import Application, names_node, plan_installation, read_application
from stager.plugins.node.environment import files, heap_environment, private_files, process_environment
from stager.plugins.node.options import NodeOptions
from stager.plugins.node.packages.commands import MANAGERS, STEP_ENVIRONMENT
from stager.plugins.node.packages.host_programs import find_programs
from stager.plugins.node.packages.install import NODE_LINKS, Installation, install_steps
from stager.plugins.node.packages.npmrc import Secret, read_secrets, secret_advice
from stager.plugins.node.packages.versions import choose_node, wanted_versions
from stager.plugins.node.starting.memory import heap_model, uses_cluster

RUNTIME = "node"
#: What yarn's Plug'n'Play leaves in an application: node_modules take its place.
_PLUG_N_PLAY = (".pnp.cjs", ".pnp.loader.mjs", ".yarn/unplugged", ".yarn/install-state.gz",
                ".yarn/build-state.yml", ".yarn/cache")  # fmt: skip
#: It starts the inspector, on a port of its own: nobody who can only send signals is to have that.
_INSPECTOR = "USR1"


def plan_node(context: PlanContext[NodeOptions]) -> BuildPlan:
    """Return the plan; what it calls has a module each."""
    source, options = context.source, context.options
    application = read_application(context)
    wanted = wanted_versions(source, application.package, options.version)
    node = choose_node(context.host, wanted)
    todo = plan_installation(source, application, find_programs(context.host, node), options)
    secrets = read_secrets(source, tuple(one.folder for one in application.members))
    steps = install_steps(todo) if todo else ()
    processes = _processes(context, application)
    is_run = application.is_run
    return BuildPlan(
        runtime=RUNTIME,
        steps=steps,
        files=files() if is_run else (),
        processes=processes,
        process_environment=process_environment() if is_run else {},
        step_environment=STEP_ENVIRONMENT if steps else {},
        build_path=_build_path(todo) if steps else (),
        private_files=private_files() if is_run else (),
        tools=(node.run_tools(),) if is_run else (),
        left_out=_left_out(application, todo, secrets),
        choices=(of_node(node, wanted), *_choices(application, todo, secrets)),
        warnings=(
            *((node.note,) if node.note else ()),
            *_warnings(application, todo),
            *_wanted(application, context.environment),
            *secret_advice(secrets, context.environment),
        ),
        versions={"node": node.version},
    )


def _processes(context: PlanContext[NodeOptions], application: Application) -> tuple[Process, ...]:
    """The one for ``web``, and the user's others, each with a heap that fits.

    Where another runtime serves, those of the user's that Node runs.
    """
    found = []
    for type_, command in context.processes.items():
        if context.is_serving or (type_ != "web" and names_node(command)):
            found.append(_process(context, application, type_, command, {}))
    start = application.start
    if start is not None:
        found.append(_process(context, application, "web", start.command, start.environment))
    return tuple(found)


def _process(
    context: PlanContext[NodeOptions],
    application: Application,
    type_: str,
    command: Command,
    environment: Mapping[str, str],
) -> Process:
    is_clustered = type_ == "web" and uses_cluster(context.source, application.package, application.start)
    return Process(
        type_,
        command,
        stop_signal="TERM",
        grace=context.grace,
        # What is loaded first does, unless the application handles TERM itself: then it is its author's.
        drains=None,
        workers=heap_model(is_clustered=is_clustered),
        environment={**heap_environment(), **environment},
        ignored_signals=(_INSPECTOR,),
    )


def _build_path(todo: Installation | None) -> tuple[str, ...]:
    """The chosen Node, and the manager, for the scripts of the application and the user's hooks."""
    folders = []
    if todo and todo.link:
        folders.append(NODE_LINKS.removeprefix("../"))
    if todo and todo.manager.distribution:
        folders.append(f"{MANAGERS}/node_modules/.bin".removeprefix("../"))
    return tuple(folders)


def _left_out(
    application: Application, todo: Installation | None, secrets: tuple[Secret, ...]
) -> tuple[str, ...]:
    found = [secret.path for secret in secrets]
    found += application.toolkit.leftovers if application.toolkit else ()
    if todo and not todo.is_kept:
        found += ["node_modules", *todo.modules]
    if todo and todo.manager.is_berry:
        found += _PLUG_N_PLAY
    return tuple(dict.fromkeys(found))


def _choices(
    application: Application, todo: Installation | None, secrets: tuple[Secret, ...]
) -> tuple[Choice, ...]:
    found: list[Choice] = []
    if application.start is not None:
        found += of_start(application.start, application.toolkit)
    elif application.is_run:
        found.append(("started", "as the Procfile or `processes:` say"))
    if todo is not None:
        found += of_installation(todo, application.came_along, application.scripts.why)
    for path in dict.fromkeys(secret.path for secret in secrets):
        found.append((path, "left out of the droplet: there is a secret in it; the build has it"))
    return tuple(found)


def _wanted(application: Application, environment: Mapping[str, str]) -> tuple[str, ...]:
    if application.start is None or application.toolkit is None:
        return ()
    return tuple(text for name, text in application.toolkit.wants.items() if name not in environment)


def _warnings(application: Application, todo: Installation | None) -> tuple[str, ...]:
    notes: list[str] = []
    for package in (application.package, *application.members):
        notes += package.warnings if package else ()
    if application.start is not None:
        notes += application.start.warnings
    if todo is None:
        return tuple(dict.fromkeys(notes))
    manager = todo.manager
    if todo.is_installed:
        notes += manager.warnings
        if not manager.lock.path:
            notes.append(
                "There is no lock file: what is installed today is not what is installed tomorrow. "
                f"Make one, and add it to the application: {manager.tool} install"
            )
    needed = application.start.needed if application.start else ()
    if needed and todo.is_kept:
        notes.append(
            f"The start needs {', '.join(needed)} of devDependencies: they all stay in the droplet. "
            "Move it to dependencies, and the others go after the build."
        )
    if todo.is_pruned and manager.is_berry and manager.major < 4:  # noqa: PLR2004  (it has `workspaces focus`)
        notes.append("yarn before 4 cannot remove devDependencies: they stay in the droplet.")
    return tuple(dict.fromkeys(notes))
