"""Kinds of values that hold others: lists, mappings, alternatives, and sections that become dataclasses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from stager.errors import ConfigurationError, StagerError
from stager.model.droplet import plain
from stager.model.frozen import dataclass
from stager.settings import units
from stager.settings.kinds import About, Kind
from stager.settings.values import Items, Scalar, Section, Value, is_null, joined, nearest, problem


@dataclass(frozen=True, slots=True)
class Sequence(Kind):
    """A list of values of one kind; in a variable or a flag its items are separated by commas."""

    item: Kind
    make: Callable[[list[Any]], object] = tuple
    may_be_empty: bool = True

    @property
    def expected(self) -> str:
        return "a list"

    @property
    def sample(self) -> str:
        return f"[{self.item.sample}]"

    def read(self, value: Value, path: str) -> Any:
        if is_null(value) and self.may_be_empty:
            return self.make([])
        if isinstance(value, Scalar) and (self.about.single or value.kind == "untyped"):
            value = Items((value,), value.origin)
        if not isinstance(value, Items):
            raise self.refuse(value, path)
        if not (value.items or self.may_be_empty):
            raise problem(value.origin, f"'{path}' is an empty list.", resolution=self.for_example)
        return self.make([self.item.read(item, path) for raw in value.items for item in _split(raw)])

    def schema(self) -> dict[str, Any]:
        document: dict[str, Any] = {"items": self.item.schema()}
        document |= {"type": ["array", "null"]} if self.may_be_empty else {"type": "array", "minItems": 1}
        return {"anyOf": [document, self.item.schema()]} if self.about.single else document


def _split(value: Value) -> list[Value]:
    if not isinstance(value, Scalar) or value.kind != "untyped":
        return [value]
    return [Scalar(part.strip(), "untyped", value.origin) for part in value.text.split(",") if part.strip()]


@dataclass(frozen=True, slots=True)
class Named(Kind):
    """A mapping from names of the user's to values of one kind."""

    item: Kind

    @property
    def expected(self) -> str:
        return "a mapping"

    @property
    def sample(self) -> str:
        return f"{{name: {self.item.sample}}}"

    def read(self, value: Value, path: str) -> Any:
        if is_null(value):
            return {}
        if not isinstance(value, Section):
            raise self.refuse(value, path)
        for name, entry in value.entries.items():
            self._check_name(name, entry, path)
        return {name: self.item.read(entry, joined(path, name)) for name, entry in value.entries.items()}

    def check(self, value: Value, path: str) -> None:
        if not isinstance(value, Section):
            self.read(value, path)
            return
        for name, entry in value.entries.items():
            self._check_name(name, entry, path)
            self.item.check(entry, joined(path, name))

    def _check_name(self, name: str, entry: Value, path: str) -> None:
        if self.about.names and not re.fullmatch(self.about.names, name):
            brief = f"'{name}' cannot be a name in '{path}'."
            example = next(iter(self.about.example)) if isinstance(self.about.example, Mapping) else "name"
            raise problem(entry.origin, brief, resolution=f"For example: {example}")
        if self.about.reserved and re.fullmatch(self.about.reserved, name):
            brief = f"'{joined(path, name)}' is not for you to set."
            raise problem(entry.origin, brief, resolution=self.about.reserved_because)

    def schema(self) -> dict[str, Any]:
        names: dict[str, Any] = {"pattern": f"^(?:{self.about.names})$"} if self.about.names else {}
        if self.about.reserved:
            names["not"] = {"pattern": f"^(?:{self.about.reserved})$"}
        document = {"type": ["object", "null"], "additionalProperties": self.item.schema()}
        return document | ({"propertyNames": names} if names else {})


@dataclass(frozen=True, slots=True)
class Either(Kind):
    """One of several kinds, told apart by how the value is written; ``None`` where it may be empty."""

    kinds: tuple[Kind, ...]
    may_be_null: bool = False

    @property
    def expected(self) -> str:
        return " or ".join(kind.expected for kind in self.kinds)

    @property
    def sample(self) -> str:
        return self.kinds[0].sample

    def read(self, value: Value, path: str) -> Any:
        if is_null(value) and self.may_be_null:
            return None
        fitting = self.kinds if len(self.kinds) == 1 else [kind for kind in self.kinds if _fits(kind, value)]
        for kind in fitting[:-1]:
            try:
                return kind.read(value, path)
            except ConfigurationError:
                continue
        if not fitting:
            raise self.refuse(value, path)
        return fitting[-1].read(value, path)

    def check(self, value: Value, path: str) -> None:
        if len(self.kinds) == 1 and not is_null(value):
            self.kinds[0].check(value, path)
        else:
            self.read(value, path)

    def schema(self) -> dict[str, Any]:
        schemas = [kind.schema() for kind in self.kinds]
        schemas += [{"type": "null"}] if self.may_be_null else []
        return {"anyOf": schemas} if len(schemas) > 1 else schemas[0]


def _fits(kind: Kind, value: Value) -> bool:
    shape = {Sequence: Items, Named: Section, Record: Section}.get(type(kind), Scalar)
    return isinstance(value, shape)


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a section: its kind, and what it is where it is not set."""

    kind: Kind
    default: object = None
    is_required: bool = False

    @property
    def about(self) -> About:
        return self.kind.about


@dataclass(frozen=True, slots=True)
class Record(Kind):
    """A section with keys of its own, read into a dataclass."""

    fields: Mapping[str, Field]
    make: Callable[..., object] = field(repr=False)

    @property
    def expected(self) -> str:
        return "a section with keys"

    @property
    def sample(self) -> str:
        return "{}"

    def read(self, value: Value, path: str) -> Any:
        values = self.read_fields(value, path)
        missing = [name for name, key in self.fields.items() if key.is_required and name not in values]
        if missing:
            brief = f"'{joined(path, missing[0])}' is missing."
            raise problem(value.origin or "settings", brief, resolution="It has no default: set it.")
        try:
            return self.make(**values)
        except ValueError as error:  # a __post_init__ that looks at several fields at once
            raise problem(value.origin or "settings", f"'{path}': {error}") from error

    def read_fields(self, value: Value, path: str) -> dict[str, Any]:
        """The keys that are set, read, without making anything of them."""
        return {
            name: self.fields[name].kind.read(entry, joined(path, name))
            for name, entry in self._known(value, path)
        }

    def check(self, value: Value, path: str) -> None:
        for name, entry in self._known(value, path):
            self.fields[name].kind.check(entry, joined(path, name))

    def _known(self, value: Value, path: str) -> list[tuple[str, Value]]:
        if is_null(value):
            return []
        if not isinstance(value, Section):
            raise self.refuse(value, path, f"Its keys are {', '.join(self.fields) or 'none'}.")
        for name, entry in value.entries.items():
            if name not in self.fields:
                raise self._unknown(name, entry, path)
        return list(value.entries.items())

    def _unknown(self, name: str, entry: Value, path: str) -> ConfigurationError:
        near = nearest(name, self.fields)
        homes = [
            joined(section, name)
            for section, key in self.fields.items()
            if isinstance(key.kind, Record) and name in key.kind.fields
        ]
        guesses = [joined(path, near)] if near else homes
        guess = f"Did you mean {' or '.join(repr(guess) for guess in guesses)}? " if guesses else ""
        where = f"in '{path}' " if path else ""
        resolution = f"{guess}Known keys {where}are {', '.join(self.fields)}."
        return problem(entry.origin, f"unknown key '{joined(path, name)}'.", resolution=resolution)

    def schema(self) -> dict[str, Any]:
        properties = {name: key_schema(key) for name, key in self.fields.items()}
        document: dict[str, Any] = {"type": ["object", "null"], "additionalProperties": False}
        document["properties"] = properties
        required = [name for name, key in self.fields.items() if key.is_required]
        return document | ({"required": required} if required else {})


@dataclass(frozen=True, slots=True)
class Broken(Kind):
    """A section whose definition cannot be understood; only who uses it hears of that."""

    error: StagerError

    @property
    def expected(self) -> str:
        return "a section with keys"

    @property
    def sample(self) -> str:
        return "{}"

    def read(self, value: Value, path: str) -> Any:
        raise self.error

    def schema(self) -> dict[str, Any]:
        return {"description": self.error.brief}


def key_schema(key: Field) -> dict[str, Any]:
    """The JSON Schema of a key, with what people want to read about it."""
    document = key.kind.schema()
    if key.about.help:
        document.setdefault("description", key.about.help)
    if not key.is_required and not isinstance(key.kind, Record) and key.default not in (None, "", (), {}):
        document["default"] = default_of(key)
    if key.about.example is not None:
        document["examples"] = [key.about.example]
    return document


def default_of(key: Field) -> Any:
    """A key's default as one would write it: ``512M``."""
    if key.about.unit == "bytes" and isinstance(key.default, int):
        return units.written_size(key.default)
    if isinstance(key.default, float) and key.default.is_integer():
        return int(key.default)
    return plain(key.default)
