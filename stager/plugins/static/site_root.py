"""Which folder is served, and how it is known."""

from __future__ import annotations

import re

from stager.errors import ConfigurationError, PlanError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.static.bundlers import find_bundler
from stager.plugins.static.detection import BUILDING, INDEX, KNOWN, is_server
from stager.plugins.static.options import StaticOptions
from stager.plugins.static.output_folder import inside
from stager.plugins.static.package_json import read_package
from stager.plugins.static.staticfile import NAME, Staticfile

#: Where what a bundler copies into the site as it is lies in the source.
_BESIDE = ("public", "static", "src", "docs/public", "docs/.vitepress/public", "")
#: A page in which nothing stands but the element that a script fills.
_EMPTY_PAGE = re.compile(r"<app-root\b|<div[^>]*\bid=['\"]?(?:root|app|__next|__nuxt)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SiteRoot:
    """The folder that is served.

    Parameters
    ----------
    folder:
        Relative to the application; empty for all of it.
    why:
        For people.
    candidates:
        Where the site may lie after the build, the likeliest first; empty where nothing builds it.
    fallback:
        The page that answers for what is no file; empty for none.
    own:
        Folders of the source whose ``_headers`` and ``_redirects`` are the site's.
    """

    folder: str
    why: str
    candidates: tuple[str, ...] = ()
    fallback: str = ""
    own: tuple[str, ...] = ("",)


def find_root(source: SourceTree, options: StaticOptions, staticfile: Staticfile) -> SiteRoot:
    """Return what was asked for, else what a bundler makes, else what the tree looks like.

    Raises
    ------
    ConfigurationError, PlanError
        What was asked for, or what a bundler writes, lies outside or is not there; nothing looks like a site.
    """
    told, where = (options.root, "static.root") if options.root is not None else (staticfile.root, NAME)
    folder = _asked(told, where) if told else None
    package = read_package(source)
    found = find_bundler(source, package) if package and not is_server(source, package) else None
    builds = bool(package and not BUILDING.isdisjoint(package.scripts))
    if found and (builds or folder is None):
        bundler, output = found
        folders = (folder,) if folder is not None else output.folders
        why = f"{where} says so" if folder is not None else f"{bundler.name} writes it"
        return SiteRoot(folders[0], why, folders, output.fallback, _BESIDE)
    if folder is not None:
        if not folder or source.is_directory(folder):
            return SiteRoot(folder, f"{where} says so", (), _fallback(source, folder), (folder, ""))
        if builds:
            return SiteRoot(folder, f"{where} says so", (folder,), "", _BESIDE)
        raise _missing(source, folder, where)
    for name in ("", *KNOWN):
        if source.is_file(f"{name}/{INDEX}".lstrip("/")):
            why = f"{name}/{INDEX}".lstrip("/") + " is there"
            return SiteRoot(name, why, (), _fallback(source, name), tuple(dict.fromkeys((name, ""))))
    if builds:
        return SiteRoot(KNOWN[1], "the build script makes it", ("dist", "build", "out"), "", _BESIDE)
    if source.is_file(NAME):
        return SiteRoot("", f"{NAME} is there")
    raise PlanError(
        "There is no site to serve.",
        details=f"Neither the application nor {', '.join(KNOWN)} has an {INDEX}.",
        resolution="Add one, or name the folder that is the site: --set static.root=FOLDER.",
        slug="no-site",
    )


def _asked(told: str, where: str) -> str:
    if told.startswith("/") or ".." in told.split("/"):
        raise ConfigurationError(
            f"{where}: {told!r} is not inside the application.",
            details="The root is a folder relative to the application's root; .. cannot be in it.",
            resolution="Name such a folder, for example public.",
            slug="document-root-outside",
        )
    return inside(told, where)


def _missing(source: SourceTree, folder: str, where: str) -> ConfigurationError:
    seen = [name for name in source.children() if source.is_directory(name) and not name.startswith(".")]
    return ConfigurationError(
        f"{where}: the application has no folder {folder!r}.",
        details=f"Its folders: {', '.join(map(ascii, seen[:20])) or 'none'}.",
        resolution="Correct the name; it is relative to the application's root. "
        "Is the folder named in .stagerignore?",
        slug="document-root-missing",
    )


def _fallback(source: SourceTree, folder: str) -> str:
    """The page of a single-page application that was built before it was uploaded."""
    prefix = f"{folder}/" if folder else ""
    if source.is_file(f"{prefix}200.html"):
        return "200.html"
    pages = [name for name in source.children(folder) if name.lower().endswith((".html", ".htm"))]
    if pages != [INDEX]:
        return ""
    text = source.read_text(prefix + INDEX, limit=1 << 18)
    is_filled = _EMPTY_PAGE.search(text) and re.search(r"<script[^>]+\bsrc=", text, re.IGNORECASE)
    return INDEX if is_filled else ""
