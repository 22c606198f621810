"""Which names a module or a function binds, and by which statement: what happens when it is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from stager.model.frozen import dataclass
from stager.plugins.python_wsgi.reading.modules import Module

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One statement that gives a name a value.

    ``order`` is the statement's place among all of its scope. ``item`` says which element of a tuple it is;
    ``target`` is what an import names: a module, or ``module:attribute`` with leading dots where relative.
    """

    kind: Literal["value", "function", "class", "import", "from"]
    name: str
    order: int
    line: int
    node: ast.AST
    target: str = ""
    item: int | None = None


@dataclass(slots=True, eq=False)
class Scope:
    """The names of one module, or of one function in it."""

    module: Module
    parent: Scope | None = None
    names: dict[str, list[Binding]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    statements: list[ast.stmt] = field(default_factory=list)
    guarded: list[ast.stmt] = field(default_factory=list)

    def bindings(self, name: str, before: int | None = None) -> list[Binding]:
        """Those of a name, the last first; those only that come before a statement."""
        found = self.names.get(name, [])
        return [one for one in reversed(found) if before is None or one.order < before]


def module_scope(module: Module) -> Scope:
    """What importing the module runs and binds; what runs only as a script is in ``guarded``."""
    scope = Scope(module)
    _fill(scope, module.tree.body)
    return scope


def function_scope(node: Function, parent: Scope) -> Scope:
    """What calling the function runs and binds; its parameters hide names of the module."""
    scope = Scope(parent.module, parent)
    _fill(scope, node.body)
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    for argument in (*every, node.args.vararg, node.args.kwarg):
        if argument is not None:
            parameter = Binding("value", argument.arg, -1, argument.lineno, argument)
            scope.names.setdefault(argument.arg, []).insert(0, parameter)
    return scope


def is_guard(test: ast.expr) -> bool | None:
    """Whether a test is true (False: untrue) only where the module runs as a script; None: neither."""
    for node in ast.walk(test):
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            continue
        sides = [node.left, *node.comparators]
        names = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
        mains = any(
            isinstance(one, ast.Constant) and one.value == "__main__"
            for side in sides
            for one in ast.walk(side)
        )
        if names and mains and isinstance(node.ops[0], ast.Eq | ast.In):
            return True
        if names and mains and isinstance(node.ops[0], ast.NotEq | ast.NotIn):
            return False
    return None


def flatten(body: list[ast.stmt], guarded: list[ast.stmt] | None = None) -> Iterator[ast.stmt]:
    """Every statement that runs, in order, also inside if, try, with and loops.

    What is under a main guard goes into ``guarded`` instead.
    """
    waiting = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if guarded is not None and isinstance(node, ast.If) and (guard := is_guard(node.test)) is not None:
            alone, kept = (node.body, node.orelse) if guard else (node.orelse, node.body)
            guarded.extend(alone)
            waiting.extend(reversed(kept))
            continue
        yield node
        waiting.extend(reversed(_below(node)))


def _below(node: ast.stmt) -> list[ast.stmt]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return []
    below: list[ast.stmt] = []
    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        for one in getattr(node, name, ()):
            below += one.body if isinstance(one, ast.ExceptHandler | ast.match_case) else [one]
    return below


def expressions(node: ast.stmt) -> Iterator[ast.expr]:
    """The expressions that the statement itself evaluates, but not what is inside functions and lambdas."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        waiting: list[ast.AST] = list(node.decorator_list)
    else:
        waiting = [child for child in ast.iter_child_nodes(node) if not _holds_statements(child)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.expr):
            yield one
        if not isinstance(one, ast.Lambda):
            waiting.extend(ast.iter_child_nodes(one))


def _holds_statements(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)


def _fill(scope: Scope, body: list[ast.stmt]) -> None:
    is_module = scope.parent is None
    for order, node in enumerate(flatten(body, scope.guarded if is_module else None)):
        scope.statements.append(node)
        for binding in _bindings(node, order):
            scope.names.setdefault(binding.name, []).append(binding)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            scope.stars.append("." * node.level + (node.module or ""))


def _bindings(node: ast.stmt, order: int) -> Iterator[Binding]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield Binding("function", node.name, order, node.lineno, node)
    elif isinstance(node, ast.ClassDef):
        yield Binding("class", node.name, order, node.lineno, node)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            yield Binding("import", name, order, node.lineno, node, alias.name if alias.asname else name)
    elif isinstance(node, ast.ImportFrom):
        start = "." * node.level + (node.module or "")
        for alias in node.names:
            target = f"{start}:{alias.name}"
            yield Binding("from", alias.asname or alias.name, order, node.lineno, node, target)
    else:
        yield from _assigned(node, order)


def _assigned(node: ast.stmt, order: int) -> Iterator[Binding]:
    pairs: list[tuple[ast.expr, ast.expr | None]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign):
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.With | ast.AsyncWith):
        pairs = [(item.optional_vars, item.context_expr) for item in node.items if item.optional_vars]
    if isinstance(node, ast.If | ast.While | ast.Expr):
        pairs += [(one.target, one.value) for one in expressions(node) if isinstance(one, ast.NamedExpr)]
    for target, value in pairs:
        if isinstance(target, ast.Name) and value is not None:
            yield Binding("value", target.id, order, node.lineno, value)
        elif isinstance(target, ast.Tuple | ast.List) and value is not None:
            for place, one in enumerate(target.elts):
                if isinstance(one, ast.Name):
                    yield Binding("value", one.id, order, node.lineno, value, item=place)
