"""What expressions in a Django settings module are: texts, lists, paths below the application's root."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from stager.model.frozen import dataclass

_DEPTH = 60
#: Calls that pass their first argument through.
_SAME = frozenset(
    {"str", "Path", "abspath", "realpath", "normpath", "fspath", "resolve", "absolute", "list", "tuple",
     "PosixPath", "PurePath", "expanduser", "as_posix", "force_str", "dict"}
)  # fmt: skip
#: Calls that read the environment, where a default may stand.
_READS = frozenset(
    {"get", "getenv", "config", "env", "str", "path", "environ", "list", "bool", "url", "get_env"}
)


class Unknown:
    """A value that cannot be told by reading."""


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class Place:
    """A path in the application; ``parts`` are relative to its root."""

    parts: tuple[str, ...]

    def up(self, count: int = 1) -> Place | Unknown:
        return Place(self.parts[: len(self.parts) - count]) if count <= len(self.parts) else UNKNOWN

    def down(self, text: str) -> Place | str | Unknown:
        if text.startswith("/"):
            return text
        parts = list(self.parts)
        for part in text.split("/"):
            if part == ".." and not parts:
                return UNKNOWN
            if part == "..":
                parts.pop()
            elif part not in {"", "."}:
                parts.append(part)
        return Place(tuple(parts))

    def __str__(self) -> str:
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class Expressions:
    """Evaluates expressions of one module, as far as they can be told.

    Parameters
    ----------
    path:
        The module's own, which ``__file__`` is.
    known:
        The names that are set so far.
    """

    path: str
    known: Mapping[str, Any]

    def value(  # noqa: PLR0911  one return for each kind of node
        self, node: ast.expr | None, depth: int = 0
    ) -> Any:
        """A text, number, bool, None, list, dict or Place; else UNKNOWN."""
        if node is None or depth > _DEPTH:
            return UNKNOWN
        below = depth + 1
        match node:
            case ast.Constant():
                return node.value
            case ast.Name(id="__file__"):
                return Place(tuple(self.path.split("/")))
            case ast.Name():
                return self.known.get(node.id, UNKNOWN)
            case ast.List() | ast.Tuple() | ast.Set():
                return list(self._elements(node.elts, below))
            case ast.Call():
                return self._call(node, below)
        return self._combined(node, below)

    def _combined(self, node: ast.expr, depth: int) -> Any:
        match node:
            case ast.BinOp():
                return self._operation(node, depth)
            case ast.BoolOp(op=ast.Or()):
                found = [self.value(one, depth) for one in node.values]
                return next((one for one in found if one and not isinstance(one, Unknown)), UNKNOWN)
            case ast.UnaryOp(op=ast.Not()):
                inner = self.value(node.operand, depth)
                return not inner if isinstance(inner, bool) else UNKNOWN
            case ast.Dict():
                keys = [one.value if isinstance(one, ast.Constant) else UNKNOWN for one in node.keys]
                return dict(zip(keys, (self.value(one, depth) for one in node.values), strict=True))
        return self._part(node, depth)

    def _part(self, node: ast.expr, depth: int) -> Any:
        match node:
            case ast.Attribute():
                return _attribute(self.value(node.value, depth), node.attr)
            case ast.Subscript():
                return _item(self.value(node.value, depth), self.value(node.slice, depth))
            case ast.JoinedStr():
                return _joined([self._formatted(one, depth) for one in node.values])
        return UNKNOWN

    def _elements(self, nodes: list[ast.expr], depth: int) -> Iterator[Any]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                inner = self.value(node.value, depth)
                yield from inner if isinstance(inner, list) else [UNKNOWN]
            else:
                yield self.value(node, depth)

    def _formatted(self, node: ast.expr, depth: int) -> Any:
        if isinstance(node, ast.FormattedValue):
            return self.value(node.value, depth) if node.format_spec is None else UNKNOWN
        return self.value(node, depth)

    def _operation(self, node: ast.BinOp, depth: int) -> Any:
        left, right = self.value(node.left, depth), self.value(node.right, depth)
        if isinstance(node.op, ast.Div) and isinstance(left, Place) and isinstance(right, str):
            return left.down(right)
        # django-environ's Path(__file__) - 2
        if isinstance(node.op, ast.Sub) and isinstance(left, Place) and isinstance(right, int):
            return left.up(right)
        return added(left, right) if isinstance(node.op, ast.Add) else UNKNOWN

    def _call(self, node: ast.Call, depth: int) -> Any:
        function = node.func
        values = [self.value(one, depth) for one in node.args]
        if isinstance(function, ast.Attribute):
            name, owner = function.attr, self.value(function.value, depth)
        else:
            name, owner = getattr(function, "id", ""), self.value(function, depth)
            name = name if isinstance(owner, Unknown) else ""
        if isinstance(owner, Place):
            return _walked(owner, name, values)
        if values and isinstance(values[0], Place):
            return _of_path(name, values)
        defaults = [self.value(one.value, depth) for one in node.keywords if one.arg == "default"]
        defaults += values[1:]
        if name in _READS and node.args and isinstance(node.args[0], ast.Constant) and defaults:
            return UNKNOWN if defaults[0] is None else defaults[0]
        if name in _SAME and values:
            return values[0]
        return owner if name in _SAME and isinstance(owner, str) else UNKNOWN


def _of_path(name: str, values: list[Any]) -> Any:
    """What a function returns for a path: os.path.dirname, join, abspath; Path."""
    if name == "dirname":
        return values[0].up()
    if name in {"join", "safe_join", "Path"} and len(values) > 1:
        return _walked(values[0], "joinpath", values[1:])
    return values[0] if name in _SAME or name == "join" else UNKNOWN


def _attribute(base: Any, name: str) -> Any:
    if not isinstance(base, Place):
        return UNKNOWN
    if name == "parents":
        return [base.up(count) for count in range(1, len(base.parts) + 1)]
    return base.up() if name == "parent" else base


def _item(base: Any, key: Any) -> Any:
    if isinstance(base, list) and isinstance(key, int) and -len(base) <= key < len(base):
        return base[key]
    return base.get(key, UNKNOWN) if isinstance(base, dict) and isinstance(key, str | int) else UNKNOWN


def _joined(values: list[Any]) -> Any:
    found: Any = ""
    for value in values:
        found = value if found == "" else added(found, value)
    return found


def _walked(place: Place, method: str, values: list[Any]) -> Any:
    """What a method of a path returns: joinpath("x"), django-environ's path("x") and call."""
    if method in {"joinpath", "path", "child", "file", ""} and values:
        found: Any = place
        for value in values:
            if not isinstance(value, str) or not isinstance(found, Place):
                return UNKNOWN
            found = found.down(value)
        return found
    return place if method in _SAME or not values else UNKNOWN


def added(left: Any, right: Any) -> Any:
    """``left + right``; a list whose other part is unknown keeps what is known."""
    if isinstance(left, list) or isinstance(right, list):
        return (left if isinstance(left, list) else [UNKNOWN]) + (
            right if isinstance(right, list) else [UNKNOWN]
        )
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, Place) and isinstance(right, str) and right.startswith("/"):
        return left.down(right.lstrip("/"))
    return UNKNOWN


def merged(first: Any, second: Any, before: Any) -> Any:
    """A value after a test that cannot be told."""
    if first is second or (type(first) is type(second) and first == second):
        return first
    if isinstance(first, list) and isinstance(second, list):
        return first + [one for one in second if one not in first]
    if before is None:
        return first if second is None else second if first is None else UNKNOWN
    return UNKNOWN
