"""How sure we are that a tree is an application in Node; whether it serves, or builds for another runtime."""

from __future__ import annotations

from stager.model.detection import Detection, Strength
from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.entries import NAMES, SUFFIXES, serves
from stager.plugins.node.reading.manifest import MANIFEST
from stager.plugins.node.reading.near_misses import near_misses

#: Files by which other runtimes are known: beside one of them, a package.json may be there for assets alone.
OTHERS = (
    "composer.json", "artisan", "index.php", "manage.py", "requirements.txt", "pyproject.toml", "Pipfile",
    "setup.py", "wsgi.py", "asgi.py", "app.py", "Gemfile", "config.ru", "go.mod", "pom.xml", "build.gradle",
    "build.gradle.kts", "Cargo.toml", "mix.exs",
)  # fmt: skip
#: Files that are sent as they are.
PAGES = ("index.html", "public/index.html", "Staticfile")


def detect_node(source: SourceTree) -> Detection:
    """Return how sure it is, on which files, and what is nearly an application in Node."""
    other = next((name for name in OTHERS if source.is_file(name)), "")
    if not source.is_file(MANIFEST):
        return _of_files(source, other)
    # Most builds are of other runtimes, and have none.
    from stager.plugins.node.described import detect_package

    return detect_package(source, other)


def _of_files(source: SourceTree, other: str) -> Detection:
    names = (f"{name}{suffix}" for name in NAMES for suffix in SUFFIXES)
    there = [name for name in names if source.is_file(name)]
    near = near_misses(source, is_found=bool(there))
    page = next((name for name in PAGES if source.is_file(name)), "")
    if other or page:
        # Most likely a script of a page's, and not a server.
        there = [name for name in there if serves(source, name)]
    if not there:
        return Detection(Strength.NONE, (), near)
    return Detection(Strength.WEAK, (there[0],), near)
