"""What ``python_wsgi.entrypoint`` says, found in the tree."""

from __future__ import annotations

import ast
import difflib
from dataclasses import replace

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.reading.callables import callables, describe
from stager.plugins.python_wsgi.reading.django import DjangoProject, find_projects
from stager.plugins.python_wsgi.reading.found import Found
from stager.plugins.python_wsgi.reading.modules import FOLDERS, Module, Modules, joined
from stager.plugins.python_wsgi.reading.mounting import mount_of
from stager.plugins.python_wsgi.reading.places import printable
from stager.plugins.python_wsgi.reading.scopes import Scope
from stager.plugins.python_wsgi.reading.scripts import is_program, starts_under_guard, starts_when_imported
from stager.plugins.python_wsgi.reading.values import Reading
from stager.servers.python_application import Mount

FORMS = "module:callable, module:factory(), folder/module:callable, or a file: app.py, hello.wsgi"
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class _Asked:
    """A text taken apart; ``path`` is the file that it names."""

    where: str
    text: str
    path: str
    folder: str | None
    callable: str
    is_factory: bool


def read_entrypoint(source: SourceTree, text: str, where: str = "python_wsgi.entrypoint") -> Found:
    """Return the application or script that a setting names.

    Parameters
    ----------
    text:
        ``module:callable``, ``module``, ``module:factory()``, ``folder/module:callable``, ``path/file.py``,
        ``path/file.py:callable``, ``x.wsgi``; a script that starts its own server, or a program; ``app.sh``.
    where:
        The setting, for errors.

    Raises
    ------
    ConfigurationError
        There is no such module or callable: it says what was found instead.
    PlanError
        The module is not Python.
    """
    modules = Modules(source)
    asked = _take_apart(modules, text, where)
    if asked.path.endswith(".sh"):
        return Found(None, "wsgi", asked.path, why=f"{where} says so")
    found = _found(modules, asked)
    return _with_project(modules, found)


def _take_apart(modules: Modules, text: str, where: str) -> _Asked:
    given = text.strip().removeprefix("./")
    head, _, name = given.partition(":")
    head, name = head.strip().rstrip("/"), name.strip()
    is_factory = name.endswith("()")
    name = name.removesuffix("()").strip()
    if not head or ".." in head.split("/") or head.startswith("/"):
        raise _malformed(where, text, "It is relative to the application's root, and has no .. in it.")
    if name and not name.isidentifier():
        raise _malformed(where, text, _about_name(name))
    if ":" in given and not name:
        raise _malformed(where, text, "Behind the colon stands no name.")
    folder, path = _locate(modules, head)
    if path is None:
        raise _no_module(modules, where, head, name)
    return _Asked(where, text, path, folder, name, is_factory)


def _about_name(name: str) -> str:
    if "(" in name:
        return "A factory is called without arguments; call one that needs some in a module: wsgi.py."
    if "." in name:
        variable = name.rpartition(".")[2]
        return f"An object's attribute cannot be named; write `{variable} = {name}` in the module."
    return f"{name!r} is not a name."


def _malformed(where: str, text: str, details: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {text!r} names no application.",
        details=details,
        resolution=f"Write {FORMS}.",
        slug="entrypoint-malformed",
    )


def _locate(modules: Modules, head: str) -> tuple[str | None, str | None]:
    """The folder that the text itself gives, and the file that it means."""
    source = modules.source
    if source.is_file(head):
        return None, head
    if "/" in head:
        folder, _, module = head.rpartition("/")
        return folder, modules.find(module, (folder,)) or (
            f"{head}.py" if source.is_file(f"{head}.py") else None
        )
    folders = tuple(dict.fromkeys(["", *FOLDERS, *(one.rpartition("/")[0] for one in _manages(source))]))
    for folder in folders:
        path = modules.find(head, (folder,))
        if path is not None:
            return folder, path
    return None, f"{head}.py" if source.is_file(f"{head}.py") else None


def _manages(source: SourceTree) -> list[str]:
    return list(source.files("manage.py", depth=3))


def _no_module(modules: Modules, where: str, head: str, name: str) -> ConfigurationError:
    tail = (
        head.rpartition("/")[2].rpartition(".")[2]
        if not head.endswith(".py")
        else head.rpartition("/")[2][:-3]
    )
    paths = [path for path in modules.source.files("*.py", depth=4) if "site-packages" not in path]
    same = [path for path in paths if path.rpartition("/")[2] == f"{tail}.py"]
    dotted = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): path for path in paths}
    near = difflib.get_close_matches(head.replace("/", "."), list(dotted), 3, 0.6)
    guesses = [*same, *(dotted[one] for one in near)]
    lines = (
        [f"Found instead: {', '.join(printable(one) for one in dict.fromkeys(guesses))}"] if guesses else []
    )
    if not guesses:
        names = [printable(path) for path in paths[:_SHOWN]]
        lines = [f"Its modules: {', '.join(names) or 'none'}."]
    hint = f" Did you mean {_spelled(modules, guesses[0])}{f':{name}' if name else ''}?" if guesses else ""
    return ConfigurationError(
        f"{where}: the application has no module {head!r}.",
        details="\n".join(lines),
        resolution=f"Write {FORMS}.{hint}",
        slug="entrypoint-missing",
    )


def _spelled(modules: Modules, path: str) -> str:
    folder = modules.folder_of(path)
    name = modules.name_of(path, folder)
    return joined(folder, name) if name else path


def _found(modules: Modules, asked: _Asked) -> Found:
    reading = Reading(modules)
    scope = reading.scope(asked.path)
    if scope is None:
        return _unread(modules, asked)
    start = starts_when_imported(reading, scope)
    if not asked.callable:
        choices = callables(reading, asked.path)
        start = start or (None if choices else starts_under_guard(reading, scope))
        if start is not None:
            return Found(None, start.interface, asked.path, why=f"{asked.where}: {start.why}")
        if not choices:
            return _script(reading, scope, asked)
        one = choices[0]
        others = tuple(f"{printable(asked.path)}: {other.name}" for other in choices[1:] if not other.is_weak)
    else:
        described = describe(reading, scope, asked.callable, is_asked=True)
        if described is None or not _is_bound(reading, scope, asked.callable):
            raise _no_callable(reading, scope, asked)
        one, others = described, ()
        if asked.is_factory and not one.is_factory:
            one = replace(one, is_factory=one.is_weak)
            if not one.is_factory:
                raise _called(asked)
    mount = mount_of(modules, one)
    if asked.folder is not None and not mount.is_file:
        name = modules.name_of(asked.path, asked.folder)
        mount = replace(mount, folder=asked.folder, module=name) if name else mount
    return Found(mount, one.interface, why=f"{asked.where}: {one.why}", others=others)


def _is_bound(reading: Reading, scope: Scope, name: str) -> bool:
    """Whether the module has the name; one that makes names as it runs may have any."""
    if name in scope.names or reading.name(name, scope).role not in {"unknown", "nothing"}:
        return True
    texts = ("__getattr__", "globals", "exec", "setattr")
    makes_names = any(isinstance(node, ast.Name) and node.id in texts for node in ast.walk(scope.module.tree))
    return bool(scope.stars) or "__getattr__" in scope.names or makes_names


def _unread(modules: Modules, asked: _Asked) -> Found:
    """A file too large or too deep to be read: what was said of it is believed."""
    why = f"{asked.where}: {modules.read(asked.path)}"
    if not asked.callable:
        return Found(None, "wsgi", asked.path, why=why)
    folder = asked.folder if asked.folder is not None else modules.folder_of(asked.path)
    name = modules.name_of(asked.path, folder)
    mount = Mount(module=name or asked.path, callable=asked.callable, is_factory=asked.is_factory,
                  is_file=name is None, folder=folder if name else "")  # fmt: skip
    return Found(mount, "wsgi", why=why)


def _script(reading: Reading, scope: Scope, asked: _Asked) -> Found:
    if is_program(scope):
        why = f"{asked.where}: {printable(asked.path)} is a program that starts no server"
        return Found(None, "wsgi", asked.path, is_web=False, why=why)
    raise _no_callable(reading, scope, asked)


def _called(asked: _Asked) -> ConfigurationError:
    return ConfigurationError(
        f"{asked.where}: {asked.callable} is an application, not a function that returns one.",
        details=f"{asked.text} would call it without arguments.",
        resolution=f"Write it without the parentheses: {asked.text.strip().removesuffix('()')}.",
        slug="entrypoint-not-a-factory",
    )


def _no_callable(reading: Reading, scope: Scope, asked: _Asked) -> ConfigurationError:
    path = printable(asked.path)
    choices = [f"{one.name}{'()' if one.is_factory else ''}" for one in callables(reading, asked.path)]
    names = [name for name in scope.names if not name.startswith("_")]
    near = difflib.get_close_matches(asked.callable, [*choices, *names], 1, 0.6) if asked.callable else []
    value = reading.name(asked.callable, scope) if asked.callable else None
    details = (
        f"Its applications: {', '.join(choices) or 'none'}. Its names: {', '.join(names[:20]) or 'none'}."
    )
    if asked.callable in scope.names and value is not None:
        brief = f"{asked.where}: {asked.callable} in {path} is not a WSGI or ASGI application."
        if value.role == "function":
            details = f"It is a function that cannot be called without arguments.\n{details}"
    elif asked.callable:
        brief = f"{asked.where}: {path} has no {asked.callable!r}."
    else:
        brief = f"{asked.where}: {path} has no application, and starts nothing."
    guess = (near or choices)[:1]
    module = asked.text.partition(":")[0].strip()
    hint = f" Did you mean {module}:{guess[0]}?" if guess else ""
    return ConfigurationError(
        brief, details=details, resolution=f"Write {FORMS}.{hint}", slug="entrypoint-missing"
    )


def _with_project(modules: Modules, found: Found) -> Found:
    """The same, with the Django project that it is the entry point of."""
    mount = found.mount
    if mount is None or mount.is_file:
        return found
    path = modules.find(mount.module, (mount.folder,))
    module = modules.read(path) if path else None
    if not isinstance(module, Module) or not (mount.is_django or _is_django(module)):
        return found
    for project in find_projects(modules.source, modules):
        if path in {_path(modules, project.wsgi), _path(modules, project.asgi)} or _is_inside(path, project):
            return replace(found, mount=replace(mount, is_django=True), project=project)
    return replace(found, mount=replace(mount, is_django=True))


def _is_django(module: Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and (node.module or "") in {"django.core.wsgi", "django.core.asgi"}
        for node in ast.walk(module.tree)
    )


def _path(modules: Modules, mount: Mount | None) -> str | None:
    return modules.find(mount.module, (mount.folder,)) if mount else None


def _is_inside(path: str | None, project: DjangoProject) -> bool:
    return bool(path) and (not project.folder or str(path).startswith(f"{project.folder}/"))
