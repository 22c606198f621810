"""Where an application may be: which files of a tree are read, and in which order."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.reading.django import SKIPPED
from stager.plugins.python_wsgi.reading.modules import is_dotted, joined

#: Files of the root, in order.
NAMED = ("wsgi.py", "asgi.py", "application.py", "app.py", "main.py", "server.py")
WSGI_FILES = ("wsgi/application", "wsgi/application.py")
FOLDERS = ("src", "app", "api", "backend")
INSIDE = ("__init__.py", "wsgi.py", "asgi.py", "app.py", "main.py")
#: Files that are never the application, whatever is in them.
NEVER = frozenset({"setup.py", "conftest.py", "manage.py", "fabfile.py", "tasks.py", "noxfile.py",
                  "conf.py", "gunicorn.conf.py", "gunicorn_config.py", "locustfile.py",
                  "celery.py"})  # fmt: skip


def candidates(source: SourceTree) -> Iterator[str]:
    """Yield the files in which an application is looked for, the likeliest first; some more than once."""
    names = source.children()
    yield from (name for name in NAMED if source.is_file(name))
    yield from (path for path in WSGI_FILES if source.is_file(path))
    scripts = [name for name in names if name.endswith(".wsgi") and source.is_file(name)]
    if len(scripts) == 1:
        yield scripts[0]
    folders = tuple(dict.fromkeys([*FOLDERS, *_named(source)]))
    for folder in (*folders, *(f"src/{one}" for one in folders[1:])):
        yield from (path for inside in INSIDE if source.is_file(path := f"{folder}/{inside}"))
    yield from (name for name in names if name.endswith(".py") and _may_be(name) and source.is_file(name))
    for folder in ("src", ""):
        yield from _packages(source, folder)


def _packages(source: SourceTree, top: str) -> Iterator[str]:
    """The modules of the packages in a folder, and of the packages in those."""
    for first in source.children(top):
        folder = joined(top, first)
        if not is_dotted(first) or first in SKIPPED or not source.is_directory(folder):
            continue
        inner = [
            joined(folder, name)
            for name in source.children(folder)
            if is_dotted(name) and name not in SKIPPED
        ]
        for place in (folder, *(one for one in inner if source.is_directory(one))):
            names = source.children(place)
            chosen = [name for name in INSIDE if name in names]
            chosen += [
                name for name in names if name.endswith(".py") and name not in INSIDE and _may_be(name)
            ]
            yield from (joined(place, name) for name in chosen if source.is_file(joined(place, name)))


def _may_be(name: str) -> bool:
    return name not in NEVER and not name.startswith("test_") and not name.endswith("_test.py")


def _named(source: SourceTree) -> tuple[str, ...]:
    """The folder that the project's name in pyproject.toml says."""
    if not source.is_file("pyproject.toml"):
        return ()
    try:
        document = tomllib.loads(source.read_text("pyproject.toml"))
    except (ValueError, RecursionError):
        return ()
    tool = document.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    found = []
    for section in (document.get("project"), poetry):
        name = section.get("name") if isinstance(section, dict) else None
        if isinstance(name, str):
            found.append(re.sub(r"[-.\s]+", "_", name.strip()).lower())
    return tuple(name for name in found if is_dotted(name))
