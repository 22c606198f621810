"""Which scripts of package.json build the application."""

from __future__ import annotations

from collections.abc import Sequence

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.reading.names import printable
from stager.plugins.node.toolkits.toolkit import Toolkit

#: Run before the installation, as Heroku does; its build replaces `build`. Google's is only taken where there
#: is no other: applications have it, empty, so that nothing is built there.
_BEFORE, _REPLACES, _LAST = "heroku-prebuild", "heroku-postbuild", "gcp-build"
BUILD = "build"
#: What managers run of themselves when they install; packages for development may be needed for it.
LIFECYCLE = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")


@dataclass(frozen=True, slots=True)
class BuildScripts:
    """What is run.

    Parameters
    ----------
    before, build:
        Scripts of the root, before the installation and after it.
    everywhere:
        Scripts of the workspaces, where the root has none.
    why:
        For people; empty where nothing is built.
    """

    before: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_any(self) -> bool:
        return bool(self.before or self.build or self.everywhere)


def read_build_scripts(
    package: Package,
    members: Sequence[Package],
    wanted: str | bool,  # noqa: FBT001  (it is what the settings say)
    toolkit: Toolkit | None,
) -> BuildScripts:
    """Return the scripts that build.

    Parameters
    ----------
    members:
        The packages of the workspaces.
    wanted:
        ``node.build`` of the settings.

    Raises
    ------
    ConfigurationError
        The settings name a script that is not there.
    """
    if wanted is False or wanted == "false":
        return BuildScripts(why="no script is run, because node.build is false")
    before = tuple(name for name in (_BEFORE,) if _says(package, name))
    if isinstance(wanted, str) and wanted != "true":
        return _named(package, members, wanted, before)
    expected = toolkit.build if toolkit else BUILD
    for name in dict.fromkeys((_REPLACES, expected, BUILD, _LAST)):
        if _says(package, name):
            others = [one for one in (BUILD, _LAST) if one != name and _says(package, one)]
            instead = f", instead of scripts.{others[0]}" if others else ""
            return BuildScripts(before, (name,), (), f"scripts.{name} of package.json{instead}")
    having = [one for one in members if _says(one, BUILD)]
    if having:
        folders = ", ".join(printable(one.folder) for one in having)
        return BuildScripts(before, (), (BUILD,), f"scripts.build of {folders}")
    return BuildScripts(before)


def _named(
    package: Package, members: Sequence[Package], wanted: str, before: tuple[str, ...]
) -> BuildScripts:
    if wanted in package.scripts:
        return BuildScripts(before, (wanted,), (), f"scripts.{printable(wanted)}, because node.build says so")
    if any(wanted in one.scripts for one in members):
        why = f"scripts.{printable(wanted)} of the workspaces, because node.build says so"
        return BuildScripts(before, (), (wanted,), why)
    raise ConfigurationError(
        f"node.build: package.json has no script {printable(wanted)}.",
        details=f"Its scripts: {', '.join(map(printable, package.scripts)) or 'none'}.",
        resolution="Name one of them; or write false, so that nothing is built.",
    )


def _says(package: Package, name: str) -> bool:
    return bool(package.scripts.get(name, "").strip())


def runs_on_install(package: Package, members: Sequence[Package]) -> bool:
    """Whether the application's own packages do something when they are installed."""
    return any(_says(one, name) for one in (package, *members) for name in LIFECYCLE)
