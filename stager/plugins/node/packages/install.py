"""The steps that install an application's packages, build it, and leave what is needed at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stager.model.frozen import dataclass
from stager.model.plan import RunCommand
from stager.plugins.node.host_tools import NODES
from stager.plugins.node.packages.commands import (
    MANAGERS,
    OFFLINE,
    Commands,
    commands_of,
    compiler_environment,
    npm_environment,
)
from stager.plugins.node.packages.failures import BUILD_FAILURES, INSTALL_FAILURES, STANDALONE_FAILURES
from stager.plugins.node.packages.managers import PackageManager

#: Where the chosen Node is linked, where it is not the first on the PATH.
NODE_LINKS = "../build/node/bin"
#: Seconds. Scripts of packages that compile something big or fetch a browser take minutes; one that waits
#: for an answer never ends.
INSTALL_SECONDS = 900.0
BUILD_SECONDS = 1800.0
#: Since 10, pnpm runs scripts of those packages alone that the application names.
_PNPM_WITH_ALLOWANCES = 10
#: How the scripts of a package are allowed to run.
_ALLOW: Mapping[str, str] = {
    "npm": "is ignore-scripts set in .npmrc? npm 12 wants them allowed: npm install-scripts approve NAME",
    "yarn": "is enableScripts false in .yarnrc.yml? dependenciesMeta: {NAME: {built: true}} in package.json",
    "pnpm": "pnpm approve-builds, and add what it writes to the application",
    "bun": "bun pm trust NAME, and add what it writes to the application",
}
#: What npm prints when it failed: some of its versions end with 0 all the same.
NPM_SAYS = r"^npm (?:ERR!|error)(?: |$)"
#: npm 11 does not know the variable that older versions of node-gyp take the headers from, and says so.
NPM_MURMURS = r"^npm warn Unknown env config \"nodedir\""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is done, as decided before.

    Parameters
    ----------
    manager:
        Who installs.
    node, npm:
        The host tools, or what an earlier step has made.
    link:
        The path of the chosen Node, where another one comes first on the PATH; else empty.
    is_installed:
        Whether there are packages at all.
    came_along:
        Whether the ``node_modules`` of the upload are used as they are.
    is_rebuilt:
        Whether these hold native code, which has to be compiled for this host.
    has_development:
        Whether packages for development are installed too: something is built.
    is_pruned:
        Whether they are removed again.
    is_kept:
        Whether ``node_modules`` come into the droplet.
    before, build:
        The scripts of package.json that run before the installation, and after it.
    everywhere:
        Those that run in every workspace that has them.
    folders:
        Those of the workspaces.
    headers:
        The prefix below which the headers of Node lie; empty where they are not on this host.
    standalone:
        What Next builds, where its own server is completed; and whether that is all that is run.
    settings:
        The application's .npmrc, if it has one.
    inputs:
        The files of the application that say what is installed.
    """

    manager: PackageManager
    node: str
    npm: str
    link: str = ""
    is_installed: bool = True
    came_along: bool = False
    is_rebuilt: bool = False
    has_development: bool = True
    is_pruned: bool = True
    is_kept: bool = True
    before: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    headers: str = ""
    standalone: tuple[str, ...] = ()
    settings: str = ""
    inputs: tuple[str, ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        """The folders into which packages are installed, in the application."""
        if not self.is_installed:
            return ()
        return ("node_modules", *(f"{folder}/node_modules" for folder in self.folders))


def install_steps(todo: Installation) -> tuple[RunCommand, ...]:
    """Return the steps, in order: the manager, the packages, the build; and what only that needed goes."""
    if not (todo.is_installed or todo.build or todo.before or todo.everywhere):
        return ()
    steps = _Steps(todo)
    return (
        *steps.prepared(),
        *(steps.script(name) for name in todo.before),
        *steps.installed(),
        *(steps.script(name) for name in todo.build),
        *(steps.script(name, everywhere=True) for name in todo.everywhere),
        *steps.completed(),
        *steps.pruned(),
        *steps.settled(),
    )


class _Steps:
    """The steps of one installation."""

    def __init__(self, todo: Installation) -> None:
        self._todo = todo
        self._outputs = tuple(f"app/{path}" for path in todo.modules) if todo.is_kept else ()
        self._commands: Commands = commands_of(todo.manager, todo.npm, todo.node)

    def prepared(self) -> list[RunCommand]:
        """The chosen Node first on the PATH, and the manager."""
        todo, manager = self._todo, self._todo.manager
        steps = []
        if todo.link:
            link = self._made("link node", "node/link.js.j2", (todo.link, NODE_LINKS))
            steps.append(replace(link, tool=NODES.name))
        if not manager.distribution or not self._needs_package_manager:
            return steps
        steps.append(
            RunCommand(
                name=f"install {manager.shown}",
                tool=todo.npm,
                arguments=("install", "--prefix", MANAGERS, "--no-package-lock", manager.distribution),
                environment=npm_environment(settings=todo.settings),
                inputs=("package.json",),
                offline_environment=OFFLINE,
                failures=INSTALL_FAILURES,
                fails_on=NPM_SAYS,
            )
        )
        if manager.digest:
            arguments = (MANAGERS, manager.distribution, manager.algorithm, manager.digest)
            steps.append(self._made(f"check {manager.shown}", "node/digest.js.j2", arguments))
        return steps

    @property
    def _needs_package_manager(self) -> bool:
        todo = self._todo
        scripts = todo.build or todo.before or todo.everywhere
        installs = todo.is_installed and (not todo.came_along or todo.is_rebuilt)
        return bool(scripts or installs or todo.is_pruned)

    def installed(self) -> list[RunCommand]:
        """The packages."""
        todo, commands = self._todo, self._commands
        if not todo.is_installed:
            return []
        if todo.came_along:
            return [self._call("rebuild", commands.rebuild)] if todo.is_rebuilt else []
        what = commands.install if todo.has_development else commands.install_production
        steps = [self._call("install", what)]
        if todo.manager.tool == "pnpm" and todo.manager.major >= _PNPM_WITH_ALLOWANCES:
            steps.append(self._made("look for scripts that did not run", "node/ignored.js.j2", ()))
        return steps

    def script(self, name: str, *, everywhere: bool = False) -> RunCommand:
        """A script of package.json; what it prints is its own, so a word of npm's in it means nothing."""
        commands = self._commands
        tool, program, arguments = self._todo.manager.tool, commands.program, commands.run(name)
        if everywhere and commands.everywhere:
            arguments = (*commands.first, *commands.everywhere, name)
        elif everywhere:
            tool, program = "npm", self._todo.npm
            arguments = ("run", "--workspaces", "--if-present", name)
        return RunCommand(
            name=f"{tool} run {name}",
            tool=program,
            arguments=arguments,
            environment={**commands.environment, "NODE_ENV": "production"},
            inputs=self._todo.inputs,
            offline_environment=OFFLINE,
            timeout=BUILD_SECONDS,
            failures=BUILD_FAILURES,
        )

    def completed(self) -> list[RunCommand]:
        """The files that Next's own server sends are put beside it."""
        if not self._todo.standalone:
            return []
        step = self._made("complete Next's own server", "node/standalone.js.j2", self._todo.standalone)
        return [replace(step, failures=STANDALONE_FAILURES)]

    def pruned(self) -> list[RunCommand]:
        """What only the build needed goes."""
        todo, commands = self._todo, self._commands
        if not (todo.is_pruned and todo.is_kept and todo.is_installed and commands.prune):
            return []
        if todo.manager.tool == "npm":
            return []  # what settles them does it by the way
        if not commands.installs_to_prune:
            return [self._call("prune", commands.prune, environment="production")]
        # What an installation without scripts leaves out is taken from the one before.
        return [
            self._made("set packages aside", "node/aside.js.j2", ("aside", *todo.modules)),
            self._call("prune", commands.prune, environment="production"),
            self._made("take what was built", "node/aside.js.j2", ("back", *todo.modules)),
        ]

    def settled(self) -> list[RunCommand]:
        """What tells of the build goes, too."""
        todo = self._todo
        has_modules = todo.is_installed and todo.is_kept
        if not (has_modules or todo.build or todo.everywhere):
            return []
        modules = todo.modules if has_modules else ()
        if not modules:
            return [self._made("forget the build's directory", "node/settle.js.j2", ())]
        is_pruning = todo.is_pruned and todo.manager.tool == "npm"
        pruning = (f"--prune=npm {' '.join(self._commands.prune)}",) if is_pruning else ()
        name = "remove devDependencies, settle packages" if is_pruning else "settle packages"
        arguments = (*pruning, f"--allow={_ALLOW[todo.manager.tool]}", *modules)
        return [self._made(name, "node/settle.js.j2", arguments, self._outputs)]

    def _call(self, name: str, arguments: tuple[str, ...], environment: str = "development") -> RunCommand:
        todo, commands = self._todo, self._commands
        return RunCommand(
            name=f"{todo.manager.tool} {name}",
            tool=commands.program,
            arguments=(*commands.first, *arguments),
            environment={
                **commands.environment,
                **compiler_environment(todo.headers),
                "NODE_ENV": environment,
            },
            inputs=todo.inputs,
            outputs=self._outputs,
            offline_environment=OFFLINE,
            timeout=INSTALL_SECONDS,
            failures=INSTALL_FAILURES,
            fails_on=NPM_SAYS if todo.manager.tool == "npm" else "",
            hides=NPM_MURMURS,
        )

    def _made(
        self, name: str, script: str, arguments: tuple[str, ...], outputs: tuple[str, ...] = ()
    ) -> RunCommand:
        """A script of ours."""
        return RunCommand(
            name=name,
            tool=self._todo.node,
            script=script,
            arguments=arguments,
            environment=npm_environment(),
            outputs=outputs,
            offline_environment=OFFLINE,
        )
