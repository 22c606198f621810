"""Where a bundler writes the site that it builds: as its configuration says, else as it does by default."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from stager.errors import PlanError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.static.package_json import Package


@dataclass(frozen=True, slots=True)
class Output:
    """What a bundler makes.

    Parameters
    ----------
    folders:
        Where the site may lie after the build, relative to the application; the likeliest first.
    is_configured:
        Whether the configuration says so.
    fallback:
        The page that answers for what is no file, where the site is one page with a router: ``index.html``.
    """

    folders: tuple[str, ...]
    is_configured: bool = False
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tool's folder is read from."""

    source: SourceTree
    package: Package


Read = Callable[[Seen], Output | None]


@dataclass(frozen=True, slots=True)
class Bundler:
    """A tool that makes static sites, known by a package; ``read`` returns None where it makes a server."""

    name: str
    packages: tuple[str, ...]
    read: Read


def inside(folder: str, where: str) -> str:
    """A folder of the application, in its shortest form.

    Raises
    ------
    PlanError
        It is absolute, or lies outside.
    """
    path = posixpath.normpath(folder)
    if path == ".." or path.startswith(("/", "../")):
        raise PlanError(
            f"{where}: the site would be built at {folder!r}, which is not inside the application.",
            details="A build works in a copy of the application; only what it leaves there is packed.",
            resolution="Let it write a folder of the application, such as dist.",
            slug="output-folder-outside",
        )
    return "" if path == "." else path
