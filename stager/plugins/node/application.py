"""Everything that is known of an application in Node before its plan is made, read once."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stager.buildpack import PlanContext
from stager.errors import NoStartCommand
from stager.model.frozen import dataclass
from stager.model.plan import Command, Shell
from stager.model.source_tree import SourceTree
from stager.plugins.node.options import NodeOptions
from stager.plugins.node.packages.build_scripts import BuildScripts, read_build_scripts, runs_on_install
from stager.plugins.node.packages.came_along import CameAlong, read_came_along
from stager.plugins.node.packages.host_programs import Programs
from stager.plugins.node.packages.install import Installation
from stager.plugins.node.packages.lock_differences import refuse_outdated
from stager.plugins.node.packages.managers import PackageManager, choose_package_manager
from stager.plugins.node.packages.npmrc import NPMRC
from stager.plugins.node.reading.manifest import Package, read_package
from stager.plugins.node.reading.workspaces import workspace_packages
from stager.plugins.node.starting.start import Start, find_start
from stager.plugins.node.toolkits.recognition import find_toolkit
from stager.plugins.node.toolkits.toolkit import Toolkit

#: Programs of the user's processes that need Node, or what is installed for it, at run time. Inertia's server
#: is started by Laravel, and is one of Node's.
_NODE = re.compile(
    r"(?<![\w./-])(?:node|nodejs|npm|npx|yarn|pnpm|bun|bunx|pm2-runtime)(?![\w./-])|inertia:start-ssr|node_modules/"
)
#: Settings on which an installation depends.
_SETTINGS = (NPMRC, ".yarnrc.yml", ".yarnrc", "pnpm-workspace.yaml", "bunfig.toml", ".pnpmfile.cjs")


@dataclass(frozen=True, slots=True)
class Application:
    """What was found.

    Parameters
    ----------
    package, members:
        The root's package.json, if there is one, and those of the workspaces.
    toolkit:
        What makes it.
    start:
        How it is started; None where that is not Node's to say, or the user has said it.
    manager:
        What installs its packages; None without a package.json.
    scripts:
        What builds it.
    came_along:
        The ``node_modules`` of the upload.
    is_run:
        Whether Node runs something of it.
    is_whole:
        Whether what is built holds all that is run, so that nothing needs ``node_modules`` any more.
    """

    package: Package | None
    members: tuple[Package, ...]
    toolkit: Toolkit | None
    start: Start | None
    manager: PackageManager | None
    scripts: BuildScripts
    came_along: CameAlong
    is_run: bool
    is_whole: bool = False


def read_application(context: PlanContext[NodeOptions]) -> Application:
    """Read all of it.

    Raises
    ------
    ConfigurationError, ConflictingLockFiles, NoStartCommand
        With the file and the line.
    """
    source, options = context.source, context.options
    package = read_package(source)
    toolkit = find_toolkit(source, package)
    members = workspace_packages(source, package)
    manager, scripts, came = None, BuildScripts(), CameAlong()
    if package is not None:
        manager = choose_package_manager(source, package)
        scripts = read_build_scripts(package, members, options.build, toolkit)
        came = read_came_along(source, manager.lock, package)
        refuse_outdated(source, manager.lock, package, members)
    start = None
    if context.is_serving and "web" not in context.processes:
        start = _start(source, package, toolkit, options, context.processes)
    is_asked = options.keep_dev_dependencies or any(map(names_node, context.processes.values()))
    is_run = context.is_serving or is_asked
    is_whole = not (is_asked or context.processes) and _is_whole(toolkit, start)
    return Application(package, members, toolkit, start, manager, scripts, came, is_run, is_whole)


def _is_whole(toolkit: Toolkit | None, start: Start | None) -> bool:
    if toolkit is None or start is None or start.folder:
        return False
    return toolkit.is_whole and start.command == toolkit.command


def _start(
    source: SourceTree,
    package: Package | None,
    toolkit: Toolkit | None,
    options: NodeOptions,
    processes: Mapping[str, Command],
) -> Start | None:
    try:
        return find_start(
            source, package, toolkit, entrypoint=options.entrypoint, workspace=options.workspace
        )
    except NoStartCommand:
        if processes and not options.entrypoint:
            return None  # a droplet with workers alone is one, too
        raise


def names_node(command: Command) -> bool:
    """Whether a command of the user's runs Node, or what is installed for it."""
    return bool(_NODE.search(command.text if isinstance(command, Shell) else " ".join(command)))


def plan_installation(
    source: SourceTree, application: Application, programs: Programs, options: NodeOptions
) -> Installation | None:
    """Return what has to be done; None without a package.json."""
    package, manager, scripts = application.package, application.manager, application.scripts
    if package is None or manager is None:
        return None
    packages = (package, *application.members)
    is_installed = any(
        one.dependencies or one.dev_dependencies or one.optional_dependencies for one in packages
    ) or runs_on_install(package, application.members)
    keeps = options.keep_dev_dependencies or bool(application.start and application.start.needed)
    # Without a build nothing needs them; a script that runs when packages are installed may.
    has_development = scripts.is_any or keeps or runs_on_install(package, application.members)
    came = application.came_along
    came_along = came.is_used and (came.has_development or not has_development)
    is_pruned = any(one.dev_dependencies for one in packages) and not keeps
    folders = tuple(one.folder for one in application.members)
    settings = tuple(path for path in _SETTINGS if source.is_file(path))
    return Installation(
        manager=manager,
        node=programs.node,
        npm=programs.npm,
        link=programs.link,
        is_installed=is_installed,
        came_along=came_along,
        is_rebuilt=came_along and bool(came.native),
        has_development=has_development,
        # yarn 4 installs everything, and then removes.
        is_pruned=is_pruned
        and (has_development or came_along or manager.is_berry)
        and _has_some(application),
        is_kept=application.is_run and not application.is_whole,
        standalone=_standalone(application),
        before=scripts.before,
        build=scripts.build,
        everywhere=scripts.everywhere,
        folders=folders,
        headers=programs.headers,
        settings=NPMRC if NPMRC in settings else "",
        inputs=tuple(path for path in ("package.json", manager.lock.path, *settings) if path),
    )


def _standalone(application: Application) -> tuple[str, ...]:
    toolkit = application.toolkit
    if (
        application.start is None
        or toolkit is None
        or not toolkit.standalone
        or not application.scripts.is_any
    ):
        return ()
    return (toolkit.standalone, "--whole") if application.is_whole else (toolkit.standalone,)


def _has_some(application: Application) -> bool:
    """Whether anything can be pruned: of packages that came along, where some are for development."""
    came = application.came_along
    return not came.is_used or came.has_development or application.scripts.is_any
