"""Plain data back into dataclasses, each value checked against the type that its field is declared with."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


class WrongShape(ValueError):
    """A value is missing, unknown or of another type; the text says where and which."""


def read(kind: Any, value: object, where: str) -> Any:
    """``value`` as ``kind``: a dataclass, a tuple, a mapping with text as keys, a union, or a plain type.

    Raises
    ------
    WrongShape
        It is not one; ``where`` is the dotted path that the text begins with.
    """
    origin = get_origin(kind)
    if kind is object or (is_dataclass(kind) and isinstance(value, kind)):  # type: ignore[arg-type]
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if origin is tuple:
        return _tuple(get_args(kind)[0], value, where)
    if origin is Mapping:
        return _mapping(get_args(kind)[1], value, where)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), value, where)
    return _plain(kind, value, where)


def _plain(kind: Any, value: object, where: str) -> Any:
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise _wrong(where, value, " or ".join(map(str, get_args(kind))))
    # True is an int for Python, and none for anybody else; 10 is a fine number of seconds.
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(where, value, _WORDS.get(kind, str(kind)))
    return value


def _dataclass(kind: Any, value: object, where: str) -> Any:
    given = _mapping(object, value, where)
    hints = _hints(kind)
    known = {field.name: field for field in fields(kind)}
    for name in given:
        if name not in known:
            raise WrongShape(f"{where}.{name} is not known")
    for name, field in known.items():
        if name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise WrongShape(f"{where}.{name} is missing")
    return kind(**{name: read(hints[name], item, f"{where}.{name}") for name, item in given.items()})


def _hints(kind: Any) -> dict[str, Any]:
    if kind not in _KNOWN_HINTS:
        _KNOWN_HINTS[kind] = get_type_hints(kind)
    return _KNOWN_HINTS[kind]


def _tuple(kind: Any, value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(where, value, "a list")
    return tuple(read(kind, item, f"{where}[{number}]") for number, item in enumerate(value))


def _mapping(kind: Any, value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(where, value, "a mapping")
    for name in value:
        if not isinstance(name, str):
            raise WrongShape(f"{where} has the key {name!r}, which is not text")
    return {name: read(kind, item, f"{where}.{name}") for name, item in value.items()}


def _union(kinds: tuple[Any, ...], value: object, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    for kind in rest[:-1]:
        try:
            return read(kind, value, where)
        except WrongShape:
            continue
    return read(rest[-1], value, where)


def _wrong(where: str, value: object, wanted: str) -> WrongShape:
    return WrongShape(f"{where} is {_WORDS.get(type(value), type(value).__name__)}, not {wanted}")


_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    tuple: "a list",
    type(None): "nothing",
}
_KNOWN_HINTS: dict[Any, dict[str, Any]] = {}
