"""What a package.json says of an application: whether it serves, builds for another runtime, or neither."""

from __future__ import annotations

from stager.errors import ConfigurationError, NoStartCommand
from stager.model.detection import Detection, Strength
from stager.model.source_tree import SourceTree
from stager.plugins.node.detection import PAGES
from stager.plugins.node.reading.entries import find_entry
from stager.plugins.node.reading.manifest import MANIFEST, Package, read_package
from stager.plugins.node.reading.workspaces import workspace_packages
from stager.plugins.node.starting.programs import sends_files
from stager.plugins.node.starting.start import find_start
from stager.plugins.node.toolkits.recognition import find_toolkit
from stager.plugins.node.toolkits.toolkit import Toolkit

_BUILDING = ("build", "production", "prod", "build:prod", "build:production", "heroku-postbuild")


def detect_package(source: SourceTree, other: str) -> Detection:
    """Return the verdict on a tree with a package.json; ``other`` is another runtime's manifest beside it."""
    try:
        package = read_package(source)
        toolkit = find_toolkit(source, package)
        does_serve = package is not None and _serves(source, package, toolkit, other)
    except ConfigurationError as error:
        # Planning says what is wrong with it, and has to be reached.
        return Detection(Strength.STRONG, (f"{MANIFEST} ({error.brief})",), supplies=bool(other))
    if package is None:
        return Detection(Strength.NONE)
    if does_serve:
        name = f" ({toolkit.name})" if toolkit else ""
        return Detection(Strength.STRONG, (f"{MANIFEST}{name}",))
    return _not_serving(source, package, toolkit, other)


def _serves(source: SourceTree, package: Package, toolkit: Toolkit | None, other: str) -> bool:
    if not other:
        return _starts(source, package, toolkit)
    if package.scripts.get("start", "").strip():
        return _starts(source, package, toolkit)
    if toolkit is not None and toolkit.command:
        return True
    try:
        return find_entry(source, package, only_servers=True) is not None
    except NoStartCommand:
        return False


def _starts(source: SourceTree, package: Package, toolkit: Toolkit | None) -> bool:
    try:
        start = find_start(source, package, toolkit)
    except NoStartCommand:
        return False
    # `serve -s build` sends files; the static runtime does that with less memory, and with caching.
    is_static = toolkit is not None and toolkit.is_static
    return not (is_static and isinstance(start.command, tuple) and sends_files(start.command))


def _not_serving(source: SourceTree, package: Package, toolkit: Toolkit | None, other: str) -> Detection:
    """It builds pages or assets, or is there for tools, or lacks something that planning can name."""
    script = next((name for name in _BUILDING if package.scripts.get(name, "").strip()), "")
    if other:
        if toolkit is None and not script:
            return Detection(Strength.NONE, (), (f"{MANIFEST}: neither starts nor builds anything",))
        what = toolkit.name if toolkit else f"scripts.{script}"
        return Detection(Strength.STRONG, (f"{MANIFEST} ({what}, for {other})",), supplies=True)
    pages = toolkit if toolkit and toolkit.is_static else _page_below(source, package)
    if pages is not None:
        return Detection(Strength.STRONG, (f"{MANIFEST} ({pages.name} builds pages)",), supplies=True)
    # Where a Procfile starts it, what follows from package.json is the rest of the application.
    if source.is_file("Procfile") and (package.dependencies or script):
        return Detection(Strength.STRONG, (MANIFEST, "Procfile"))
    if script:
        # Where it lacks something, planning says what, and has to be reached.
        is_lacking = toolkit is not None and bool(toolkit.problem)
        what = toolkit.name if toolkit and is_lacking else f"scripts.{script}"
        return Detection(Strength.STRONG, (f"{MANIFEST} ({what})",), supplies=not is_lacking)
    return _of_tools(source, package)


def _of_tools(source: SourceTree, package: Package) -> Detection:
    page = next((name for name in PAGES if source.is_file(name)), "")
    if page:
        near = f"{MANIFEST}: neither starts nor builds anything, beside {page}"
        return Detection(Strength.NONE, (), (near,))
    if package.dependencies or package.scripts.get("start") or workspace_packages(source, package):
        return Detection(Strength.STRONG, (MANIFEST,))
    return Detection(Strength.WEAK, (f"{MANIFEST}, which starts nothing",))


def _page_below(source: SourceTree, package: Package) -> Toolkit | None:
    """What builds pages in the one package of a monorepo that builds any."""
    found = [find_toolkit(source, one) for one in workspace_packages(source, package)]
    static = [one for one in found if one is not None and one.is_static]
    return static[0] if len(static) == 1 else None
