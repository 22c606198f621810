"""The applications in one module, the likeliest first."""

from __future__ import annotations

import ast

from stager.model.frozen import dataclass
from stager.plugins.python_wsgi.reading import libraries, shapes
from stager.plugins.python_wsgi.reading.modules import imports_of
from stager.plugins.python_wsgi.reading.places import printable
from stager.plugins.python_wsgi.reading.scopes import Binding, Scope
from stager.plugins.python_wsgi.reading.value import Value
from stager.plugins.python_wsgi.reading.values import Reading
from stager.servers.python_application import Interface

#: What functions that return the application are called, the first one first.
FACTORIES = (
    "create_app", "make_app", "create_application", "make_application", "get_app", "get_application",
    "build_app", "app_factory", "application_factory", "create_wsgi_app", "create_asgi_app", "init_app",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Callable:
    """A name in a module under which an application can be had."""

    path: str
    name: str
    interface: Interface
    why: str
    origin: tuple[str, int]
    is_factory: bool = False
    is_weak: bool = False


def callables(reading: Reading, path: str) -> list[Callable]:
    """The applications of a module: ``application``, ``app``, ``api``, other names, then factories.

    What only might be one comes last. Raises PlanError where the file, or one that it needs, is broken.
    """
    scope = reading.scope(path)
    if scope is None:
        return []
    found = []
    for name in _names(scope):
        one = describe(reading, scope, name)
        if one is not None and not (one.is_factory and name not in FACTORIES):
            found.append(one)
    return sorted(found, key=_rank)


def describe(reading: Reading, scope: Scope, name: str, *, is_asked: bool = False) -> Callable | None:
    """What a name of a module is, if it is an application or returns one.

    ``is_asked``: somebody says that it is one, so what cannot be told is believed.
    """
    value = reading.name(name, scope)
    path = scope.module.path
    line, text = _said(scope, name, value)
    why = f"{printable(path)} line {line}: {text}" if line else f"{printable(path)}: {name}"
    origin = (value.path or path, value.line or line)
    is_main = name in shapes.NAMES[:2]
    if value.is_application and (not value.is_weak or is_main or is_asked):
        return Callable(path, name, value.interface, why, origin)
    if value.role == "function":
        return _factory(reading, scope, name, value, why, is_asked=is_asked)
    if value.role == "unknown" and ((value.is_weak and is_main) or is_asked):
        why += " (what it returns cannot be told by reading; taken for an application by its name)"
        return Callable(path, name, _guess(scope, name), why, origin, is_weak=True)
    return None


def unusable_factories(reading: Reading, path: str) -> list[str]:
    """Functions that look like factories and cannot be called without arguments."""
    scope = reading.scope(path)
    found = []
    for name in FACTORIES if scope else ():
        value = reading.name(name, scope) if scope else None
        node = value.node if value else None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and shapes.needs_arguments(node):
            names = ", ".join(one.arg for one in (*node.args.posonlyargs, *node.args.args))
            found.append(f"{name}({names})")
    return found


def _factory(
    reading: Reading, scope: Scope, name: str, value: Value, why: str, *, is_asked: bool
) -> Callable | None:
    node = value.node
    if not isinstance(node, ast.FunctionDef) or shapes.needs_arguments(node):
        return None
    made = reading.returned(value)
    # What a call of it returned elsewhere has the same origin.
    origin = (made.path, made.line) if made.path else (value.path, value.line)
    if made.is_application:
        return Callable(scope.module.path, name, made.interface, why, origin, is_factory=True)
    if made.role in {"unknown", "own"} or is_asked:
        owner = value.scope or scope
        if not is_asked and (made.role == "own" or not _packages(owner)):
            return None
        why += " (what it returns cannot be told by reading)"
        return Callable(
            scope.module.path, name, _guess(owner, name), why, origin, is_factory=True, is_weak=True
        )
    return None


def _names(scope: Scope) -> list[str]:
    names = [name for name in scope.names if not name.startswith("_")]
    if scope.stars:
        names += [name for name in (*shapes.NAMES, *FACTORIES[:3]) if name not in scope.names]
    return names


def _rank(one: Callable) -> tuple[bool, bool, int]:
    names = FACTORIES if one.is_factory else shapes.NAMES
    return one.is_weak, one.is_factory, names.index(one.name) if one.name in names else len(names)


def _said(scope: Scope, name: str, value: Value) -> tuple[int, str]:
    """The line of the module that gives the name its value."""
    bindings: list[Binding] = scope.bindings(name)
    own = [one for one in bindings if (scope.module.path, one.line) == (value.path, value.line)]
    chosen = (own or bindings)[:1]
    if not chosen:
        return 0, ""
    line = chosen[0].line
    if chosen[0].kind in {"function", "class"} and isinstance(chosen[0].node, ast.stmt):
        line = chosen[0].node.lineno
    return line, scope.module.line(line)


def _packages(scope: Scope) -> frozenset[str]:
    names, _ = imports_of(scope.module.tree)
    return libraries.WEB_PACKAGES & {name.split(".")[0] for name in names}


def _guess(scope: Scope, name: str) -> Interface:
    """The interface of what cannot be told: by names, then by what the module imports."""
    if "asgi" in f"{scope.module.path.rpartition('/')[2]} {name}".lower():
        return "asgi"
    packages = _packages(scope)
    if packages & libraries.ASGI_PACKAGES and not packages & libraries.WSGI_PACKAGES:
        return "asgi"
    return "wsgi"
