"""Finds plugins and asks them for their buildpacks; a broken one is named, and hides nobody else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stager.errors import PluginBroken, StagerError, UnknownRuntime
from stager.model.frozen import dataclass

if TYPE_CHECKING:
    from stager.buildpack import Buildpack, Check
    from stager.model.host import HostTool

ENTRY_POINTS = "stager"
#: Named as strings: no import leads from the core to a plugin.
BUILT_IN = (
    "stager.plugins.php",
    "stager.plugins.python_wsgi",
    "stager.plugins.node",
    "stager.plugins.static",
    "stager.plugins.procfile",
)


@dataclass(frozen=True, slots=True)
class Registry:
    """What is installed.

    Parameters
    ----------
    buildpacks:
        By runtime, in order of registration (the built-in ones first).
    packages:
        By runtime, the package that brought it, with its version.
    checks:
        Extra checks on droplets, sorted by name.
    problems:
        Plugins that are broken; what they would have brought is missing.
    """

    buildpacks: Mapping[str, Buildpack[Any]]
    packages: Mapping[str, str]
    checks: tuple[Check, ...] = ()
    problems: tuple[PluginBroken, ...] = ()

    def resolve(self, name: str) -> str:
        """The runtime that ``name`` means, by alias too; raises UnknownRuntime, or PluginBroken."""
        for runtime, buildpack in self.buildpacks.items():
            if name == runtime or name in buildpack.aliases:
                return runtime
        if self.problems:
            raise self.problems[0]
        import difflib

        near = difflib.get_close_matches(name, self.buildpacks, n=1)
        raise UnknownRuntime(
            f"No installed plugin provides the runtime '{name}'.",
            details=f"Installed runtimes: {', '.join(self.buildpacks) or 'none'}.",
            resolution=(f"Did you mean '{near[0]}'? " if near else "")
            + "`stager runtimes` lists what is installed and from which package.",
        )

    def __getitem__(self, runtime: str) -> Buildpack[Any]:
        return self.buildpacks[runtime]

    def tools_of(self, wanted: tuple[str, ...]) -> tuple[HostTool, ...]:
        """The host tools of the runtimes that a build is sure to ask: those wanted, or the only one."""
        if not wanted and len(self.buildpacks) > 1:
            return ()
        known = [self.buildpacks[name] for name in wanted or self.buildpacks if name in self.buildpacks]
        return tuple(tool for buildpack in known for tool in buildpack.host_tools)

    @property
    def options(self) -> dict[str, type]:
        """The options dataclass of every runtime."""
        return {runtime: buildpack.options for runtime, buildpack in self.buildpacks.items()}

    @property
    def aliases(self) -> dict[str, str]:
        """Other names of runtimes, each with the runtime that it means."""
        return {
            alias: runtime for runtime, buildpack in self.buildpacks.items() for alias in buildpack.aliases
        }


@dataclass(slots=True)
class _Collector:
    buildpacks: dict[str, Buildpack[Any]] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    problems: list[PluginBroken] = field(default_factory=list)

    def broken(self, package: str, what: str, resolution: str = "") -> None:
        self.problems.append(
            PluginBroken(
                f"The plugin {package} is broken.",
                details=what,
                resolution=resolution
                or f"Ask its author, or uninstall it: pip uninstall {package.split(maxsplit=1)[0]}",
            )
        )


def load_registry() -> Registry:
    """Load the built-in plugins and every installed package with an entry point in the group ``stager``."""
    from stager import __version__

    collector = _Collector()
    for name in BUILT_IN:
        _collect(collector, f"stager {__version__}", name, _import(name))
    for package, entry_point in _entry_points():
        try:
            plugin = entry_point.load()
        except StagerError:
            raise  # a signal that arrived meanwhile
        except (Exception, SystemExit) as error:  # noqa: BLE001  (another's code)
            collector.broken(package, f"Importing {entry_point.value} failed: {_describe(error)}")
            continue
        _collect(collector, package, entry_point.name, plugin)
    return Registry(
        collector.buildpacks,
        collector.packages,
        tuple(sorted(collector.checks, key=lambda check: check.name)),
        tuple(collector.problems),
    )


def _import(name: str) -> object:
    from importlib import import_module

    return import_module(name)


def _entry_points() -> Iterable[tuple[str, Any]]:
    # To import it takes 20 ms, which is a tenth of building a small application.
    if not _may_have_entry_points():
        return []
    from importlib.metadata import entry_points

    found = []
    for entry_point in entry_points(group=ENTRY_POINTS):
        distribution = entry_point.dist
        package = f"{distribution.name} {distribution.version}" if distribution else entry_point.value
        found.append((package, entry_point))
    # By name, not by order of installation: the same packages give the same registry.
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def _may_have_entry_points() -> bool:
    """Whether an installed package could have entry points of ours; when in doubt, yes."""
    heading = f"[{ENTRY_POINTS}]".encode()
    for folder in sys.path:
        try:
            names = os.listdir(folder or os.curdir)
        except FileNotFoundError:
            continue
        except OSError:
            return True  # a zip file, or something else that has to be asked in another way
        for name in names:
            if name.endswith((".egg", ".egg-link")):
                return True
            with suppress(OSError):
                if (
                    name.endswith((".dist-info", ".egg-info"))
                    and heading in Path(folder, name, "entry_points.txt").read_bytes()
                ):
                    return True
    return False


def _collect(collector: _Collector, package: str, name: str, plugin: object) -> None:
    """Ask one plugin, in a manager of its own: whatever it raises concerns it alone."""
    from pluggy import PluginManager, PluginValidationError

    from stager import hookspecs

    manager = PluginManager("stager")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except PluginValidationError as error:
        collector.broken(package, _describe(error), _misspelt(plugin))
        return
    except Exception as error:  # noqa: BLE001  (another's code)
        collector.broken(package, f"Registering it raised {_describe(error)}")
        return
    if not manager.get_hookcallers(plugin):
        # A function of the right name without the marker is no hook, and pluggy says nothing of it.
        collector.broken(
            package, "It implements none of stager's hooks.", "Its author has to mark them with @hookimpl."
        )
        return
    try:
        buildpacks = [one for some in manager.hook.stager_register_buildpacks() for one in some]
        checks = [one for some in manager.hook.stager_register_checks() for one in some]
    except StagerError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  (another's code)
        collector.broken(package, f"A hook of it raised {_describe(error)}")
        return
    for buildpack in buildpacks:
        _add(collector, package, buildpack)
    for check in checks:
        if isinstance(getattr(check, "name", None), str) and callable(getattr(check, "run", None)):
            collector.checks.append(check)
        else:
            collector.broken(package, f"{check!r} is not a Check with a name and run().")


def _add(collector: _Collector, package: str, buildpack: Buildpack[Any]) -> None:
    from stager.buildpack import Buildpack

    if not isinstance(buildpack, Buildpack) or not _is_named(buildpack):
        collector.broken(package, f"{buildpack!r} is not a Buildpack with a runtime.")
        return
    for name in (buildpack.runtime, *buildpack.aliases):
        for runtime, known in collector.buildpacks.items():
            if name == runtime or name in known.aliases:
                collector.broken(
                    package, f"It claims the runtime '{name}', which {collector.packages[runtime]} provides."
                )
                return
    collector.buildpacks[buildpack.runtime] = buildpack
    collector.packages[buildpack.runtime] = package


def _is_named(buildpack: Buildpack[Any]) -> bool:
    runtime: object = getattr(buildpack, "runtime", "")
    aliases: object = buildpack.aliases
    names = [runtime, *aliases] if isinstance(aliases, tuple | list) else [None]
    return all(isinstance(name, str) and name for name in names)


def _misspelt(plugin: object) -> str:
    import difflib

    from stager import hookspecs

    # Not those of the manager: it knows the misspelt one by now, too.
    hooks = [name for name in vars(hookspecs) if name.startswith("stager_")]
    for name in dir(plugin):
        if name.startswith("stager_") and name not in hooks:
            near = difflib.get_close_matches(name, hooks, n=1)
            if near:
                return f"Its hook {name} is called by nobody. Did its author mean {near[0]}?"
    return ""


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
