"""What of a tree is started: found by reading its syntax, never by importing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stager.errors import NoStartCommand, PlanError
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.reading.asked import read_entrypoint
from stager.plugins.python_wsgi.reading.callables import Callable, callables, unusable_factories
from stager.plugins.python_wsgi.reading.candidates import NAMED, NEVER, WSGI_FILES, candidates
from stager.plugins.python_wsgi.reading.django import DjangoProject, find_projects
from stager.plugins.python_wsgi.reading.found import Found
from stager.plugins.python_wsgi.reading.modules import Module, Modules
from stager.plugins.python_wsgi.reading.mounting import mount_of
from stager.plugins.python_wsgi.reading.mounts import read_mounts
from stager.plugins.python_wsgi.reading.places import is_installed, printable
from stager.plugins.python_wsgi.reading.scripts import (
    command_for,
    is_program,
    starts_under_guard,
    starts_when_imported,
)
from stager.plugins.python_wsgi.reading.values import Reading

__all__ = ["Found", "find_application", "read_entrypoint", "read_mounts"]

#: Programs that listen nowhere, in order; other names of the root's come after them.
PROGRAMS = ("main.py", "app.py", "worker.py", "bot.py", "run.py", "start.py", "__main__.py")
#: How many files are parsed before the search ends, and how many are when something is found already.
_MOST, _MOST_OTHERS = 400, 60
_SHOWN = 12


def find_application(source: SourceTree) -> Found:
    """Return what the tree starts, as its author most probably means it.

    In this order: an executable ``app.sh``; a Django project (its manage.py down to the third level); in the
    root ``wsgi.py``, ``asgi.py``, ``application.py``, ``app.py``, ``main.py``, ``server.py``;
    ``wsgi/application`` and a lone ``*.wsgi``; ``__init__.py``, ``wsgi.py``, ``asgi.py``, ``app.py``,
    ``main.py`` in ``src``, ``app``, ``api``, ``backend`` and the folder that pyproject.toml's name says, each
    also below ``src``; any other module of the root; any package in ``src`` or the root, two levels deep; at
    last a program that listens nowhere.

    In one file ``application`` comes before ``app``, ``api``, other names, and factories. A file that starts
    a server when it is imported, or that has no application and starts one when it is run, is a script.

    Raises
    ------
    NoStartCommand
        Nothing is found: it lists what was looked at.
    PlanError
        A file on which the start depends is not Python.
    """
    return _Search(source).found()


class _Search:
    """One search: what was looked at, what was broken, what was found."""

    def __init__(self, source: SourceTree) -> None:
        self.source = source
        self.modules = Modules(source)
        self.reading = Reading(self.modules)
        self.seen: list[str] = []
        self.notes: list[str] = []
        self.broken: list[PlanError] = []
        self.weak: set[str] = set()

    def found(self) -> Found:
        if self.source.is_executable("app.sh"):
            return Found(None, "wsgi", "app.sh", why="app.sh is executable", others=self._others(()))
        projects = find_projects(self.source, self.modules)
        for project in projects:
            found = _of_project(self.modules, project)
            if found:
                return replace(found, others=self._others((found.why,), projects, found))
            self.notes.append(f"{printable(project.manage)}: a Django project without a wsgi.py or asgi.py")
        weak: Found | None = None
        for path in self._paths():
            found = self._file(path)
            if found is None:
                continue
            if path in self.weak and path not in {*NAMED[:3], *WSGI_FILES}:
                weak = weak or found
                continue
            return replace(found, others=self._others((found.why,), (), found))
        if weak:
            return weak
        if self.broken:
            raise self.broken[0]
        program = self._program()
        if program:
            return program
        raise self._nothing()

    def _paths(self) -> Iterator[str]:
        given: set[str] = set()
        for path in candidates(self.source):
            if path in given or is_installed(self.source, path) or len(given) >= _MOST:
                continue
            given.add(path)
            yield path

    def _file(self, path: str) -> Found | None:
        """What one file starts; remembers what was looked at."""
        self.seen.append(path)
        try:
            return self._look(path)
        except PlanError as error:
            if path in NAMED or path in WSGI_FILES:
                raise
            self.broken.append(error)
            self.notes.append(f"{error.details.splitlines()[0]}")
            return None

    def _look(self, path: str) -> Found | None:
        scope = self.reading.scope(path)
        if scope is None:
            self.notes.append(str(self.modules.read(path)))
            return None
        found = callables(self.reading, path)
        start = starts_when_imported(self.reading, scope)
        if start is None and not found:
            start = starts_under_guard(self.reading, scope)
            target = self._target(start.target) if start else None
            if start and target:
                return replace(target, why=f"{start.why}; {target.why}")
        if start:
            is_guarded = "" if not found else "; importing it starts a server, so that it is run as a script"
            return Found(None, start.interface, path, why=f"{start.why}{is_guarded}")
        if found:
            if found[0].is_weak:
                self.weak.add(path)
            others = tuple(
                f"{printable(one.path)}: {one.name}{'()' if one.is_factory else ''}"
                for one in found[1:]
                if not one.is_weak and one.origin != found[0].origin
            )
            return Found(
                mount_of(self.modules, found[0]), found[0].interface, why=found[0].why, others=others
            )
        self._note(path)
        return None

    def _target(self, text: str) -> Found | None:
        """The application that ``uvicorn.run("shop:app")`` names."""
        module, _, name = text.partition(":")
        path = self.modules.find(module, ("", "src")) if name.isidentifier() else None
        if path is None:
            return None
        for one in callables(self.reading, path):
            if one.name == name:
                return Found(mount_of(self.modules, one), one.interface, why=one.why)
        return None

    def _note(self, path: str) -> None:
        scope = self.reading.scope(path)
        command = command_for(scope) if scope else ""
        if command:
            self.notes.append(f"{printable(path)}: has a server of its own; Procfile: `web: {command}`")
        for text in unusable_factories(self.reading, path):
            self.notes.append(f"{printable(path)}: {text} needs arguments; a wsgi.py can call it with them")

    def _others(
        self, said: tuple[str, ...], projects: tuple[DjangoProject, ...] = (), found: Found | None = None
    ) -> tuple[str, ...]:
        """What else could have been meant: other projects, other names in the file, other files."""
        texts = [f"{printable(one.manage)}" for one in projects if found is None or one is not found.project]
        texts += found.others if found else ()
        for number, path in enumerate(self._paths()):
            if path in self.seen or number >= _MOST_OTHERS:
                continue
            try:
                one = next(iter(callables(self.reading, path)), None)
            except PlanError:
                continue
            if one is None or one.is_weak or one.why in said or self._is_same(one, found):
                continue
            texts.append(f"{printable(path)}: {one.name}{'()' if one.is_factory else ''}")
        return tuple(dict.fromkeys(texts))[:_SHOWN]

    def _is_same(self, one: Callable, found: Found | None) -> bool:
        """Whether it is what was found, under the name that another module gives it."""
        mount = found.mount if found else None
        if mount is None:
            return False
        path = mount.module if mount.is_file else self.modules.find(mount.module, (mount.folder,))
        if path is None:
            return False
        if path == one.path:
            return True
        return any(other.origin == one.origin for other in callables(self.reading, path)[:1])

    def _program(self) -> Found | None:
        rest = [path for path in self.source.children() if path.endswith(".py") and path not in PROGRAMS]
        main = [one for one in PROGRAMS if self.source.is_file(one)]
        for path in (*main, *rest):
            if path in NEVER or path.startswith("test_") or not self.source.is_file(path):
                continue
            found = self.modules.read(path)
            if not isinstance(found, Module) or (path in rest and len(rest) > 1 and main):
                continue
            scope = self.reading.scope(path)
            if scope is None or command_for(scope) or not is_program(scope):
                continue
            if path in rest and not (scope.guarded or len(rest) == 1):
                continue
            return Found(
                None, "wsgi", path, is_web=False, why=f"{printable(path)} is a program that starts no server"
            )
        return None

    def _nothing(self) -> NoStartCommand:
        looked = [f"  {printable(path)}" for path in self.seen[:_SHOWN]]
        if len(self.seen) > _SHOWN:
            looked.append(f"  … and {len(self.seen) - _SHOWN} more")
        if self.source.is_file("app.sh"):
            self.notes.append("app.sh: not executable (chmod +x app.sh)")
        lines = ["Looked for a WSGI or ASGI application, a Django project and a server's script in:", *looked]
        if not looked:
            lines = ["There is no Python module in the root, in src/ or in a package."]
        lines += ["Seen:", *(f"  {note}" for note in dict.fromkeys(self.notes))] if self.notes else []
        command = next(
            (note.partition("`")[2].rstrip("`") for note in self.notes if "; Procfile: `" in note), ""
        )
        return NoStartCommand(
            "Nothing says what starts this application.",
            details="\n".join(lines),
            resolution=f"Write a Procfile with the line `{command}`."
            if command
            else "Name the application in stager.yml, `python_wsgi: {entrypoint: 'module:callable'}`, "
            "or write a Procfile with `web: command`.",
        )


def _of_project(modules: Modules, project: DjangoProject) -> Found | None:
    mount, interface = project.wsgi, "wsgi"
    if project.asgi is not None and (mount is None or project.prefers_asgi):
        mount, interface = project.asgi, "asgi"
    if mount is None:
        return None
    path = modules.find(mount.module, (mount.folder,)) or ""
    why = f"{printable(project.manage)}: Django, {mount.module}:{mount.callable}"
    if project.settings:
        why += f", settings {project.settings}"
    reading = Reading(modules)
    for one in callables(reading, path) if path else ():
        if one.name == mount.callable:
            why = f"{one.why} (Django, {printable(project.manage)})"
    return Found(mount, "asgi" if interface == "asgi" else "wsgi", project=project, why=why)
