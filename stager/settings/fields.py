"""From a dataclass to the kind of section that reads it: type hints become kinds, metadata says the rest."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, replace
from typing import Any

from stager.errors import PluginBroken
from stager.model.plan import Shell
from stager.settings.containers import Either, Field, Named, Record, Sequence
from stager.settings.kinds import About, Kind
from stager.settings.scalars import Boolean, Choice, Number, Text, shell_text

_LISTS: Mapping[object, Callable[[list[Any]], object]] = {
    tuple: tuple,
    list: list,
    frozenset: frozenset,
    collections.abc.Sequence: tuple,
}
_MAPPINGS = (dict, collections.abc.Mapping)


def record_of(section: type, about: About | None = None) -> Record:
    """The kind that reads a section into the dataclass ``section``.

    Raises PluginBroken where it is no dataclass, or has a field of a type that nobody can write in YAML.
    """
    if not (isinstance(section, type) and dataclasses.is_dataclass(section)):
        raise _broken(section, "it is not a dataclass")
    try:
        hints = typing.get_type_hints(section, include_extras=True)
    except Exception as error:  # an annotation is code: it may raise anything
        raise _broken(section, f"its annotations cannot be evaluated: {error}") from error
    own = [field for field in dataclasses.fields(section) if field.init]
    fields = {field.name: _field(section, field, hints[field.name]) for field in own}
    return Record(about or About(), fields, section)


def _field(section: type, field: dataclasses.Field[Any], hint: Any) -> Field:
    kind = _kind(hint, About.of(field.metadata))
    if kind is None:
        raise _broken(section, f"a setting cannot have the type of '{field.name}': {hint}")
    default = field.default
    if default is MISSING and field.default_factory is not MISSING:
        default = field.default_factory()
    return Field(kind, None if default is MISSING else default, is_required=default is MISSING)


def _kind(hint: Any, about: About) -> Kind | None:
    """The kind of a type hint; None for a type that is not supported."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        unit = next((extra for extra in arguments[1:] if extra in ("bytes", "seconds")), about.unit)
        return _kind(arguments[0], replace(about, unit=unit))
    if origin is typing.Literal:
        return Choice(about, {str(choice): choice for choice in arguments})
    if origin in (typing.Union, types.UnionType):
        return _either(arguments, about)
    if origin in _LISTS:
        return _sequence(origin, arguments, about)
    if origin in _MAPPINGS:
        return _named(arguments, about)
    return _plain(hint, about)


def _plain(hint: Any, about: About) -> Kind | None:
    makers: dict[object, Callable[[], Kind]] = {
        str: lambda: Text(about),
        bool: lambda: Boolean(about),
        int: lambda: Number(about, is_whole=True),
        float: lambda: Number(about, is_whole=False),
        Shell: lambda: shell_text(about),
    }
    if isinstance(hint, type) and hint in makers:
        return makers[hint]()
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Choice(about, {str(member.value): member for member in hint})
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return record_of(hint, about)
    return None


def _either(arguments: tuple[Any, ...], about: About) -> Kind | None:
    kinds = [_kind(hint, about) for hint in arguments if hint is not types.NoneType]
    known = [kind for kind in kinds if kind is not None]
    if len(known) < len(kinds):
        return None
    may_be_null = types.NoneType in arguments
    if len(known) == 1 and not may_be_null:
        return known[0]
    if Shell in arguments:  # a command: no words are none
        known = [replace(kind, may_be_empty=False) if isinstance(kind, Sequence) else kind for kind in known]
    # Everything can be read as text, so text is tried last.
    return Either(about, tuple(sorted(known, key=lambda kind: isinstance(kind, Text))), may_be_null)


def _sequence(origin: Any, arguments: tuple[Any, ...], about: About) -> Kind | None:
    if origin is tuple and arguments[1:] != (Ellipsis,):
        return None
    item = _kind(arguments[0], replace(about, single=False))
    return item and Sequence(about, item, _LISTS[origin])


def _named(arguments: tuple[Any, ...], about: About) -> Kind | None:
    if arguments[0] is not str:
        return None
    example = next(iter(about.example.values()), None) if isinstance(about.example, Mapping) else None
    inner = About(unit=about.unit, example=example, pattern=about.pattern, secret=about.secret)
    item = _kind(arguments[1], inner)
    # ``display_errors: off`` and ``DEBUG: yes`` mean these very letters.
    if isinstance(item, Text):
        item = replace(item, takes_booleans=True)
    return item and Named(about, item)


def _broken(section: object, why: str) -> PluginBroken:
    name = getattr(section, "__qualname__", repr(section))
    module = getattr(section, "__module__", "")
    return PluginBroken(
        f"The options {name} of {module} cannot be read from stager.yml.",
        details=why,
        resolution="Tell the plugin's author: options are a dataclass of str, int, float, bool, Literal, "
        "Enum, tuple[…, ...], Mapping[str, …], dataclasses, and these with None.",
    )
