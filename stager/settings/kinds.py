"""What a kind of value is: it reads what was written, and has a JSON Schema."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.settings.values import Scalar, Value, described, problem


@dataclass(frozen=True, slots=True)
class About:
    """What a field's ``metadata`` says of it; every key may be left out.

    Parameters
    ----------
    help:
        One sentence for the reference and the schema.
    unit:
        ``bytes`` (a size may be written 512M) or ``seconds`` (a duration may be written 2m).
    example:
        A value as one writes it in the file.
    least, most:
        Bounds of a number, both included.
    pattern:
        A regular expression that a whole text, or each text of a list, has to match.
    names:
        The same for the keys of a mapping.
    reserved:
        A regular expression for keys that are not the user's to set; ``reserved_because`` is the reason.
    secret:
        Its values are never shown.
    single:
        A list with one item may be written without brackets.
    flag:
        The option of the command line that sets it, where it has one of its own.
    """

    help: str = ""
    unit: str = ""
    example: object = None
    least: float | None = None
    most: float | None = None
    pattern: str = ""
    names: str = ""
    reserved: str = ""
    reserved_because: str = ""
    secret: bool = False
    single: bool = False
    flag: str = ""

    @classmethod
    def of(cls, metadata: Mapping[Any, Any]) -> About:
        """Read a field's metadata; keys of other libraries are left alone."""
        return cls(**{name: metadata[name] for name in cls.__dataclass_fields__ if name in metadata})


@dataclass(frozen=True, slots=True)
class Kind(abc.ABC):
    """One kind of value."""

    about: About

    @property
    @abc.abstractmethod
    def expected(self) -> str:
        """What people call it, with its article."""

    @abc.abstractmethod
    def read(self, value: Value, path: str) -> Any:
        """Return the value; raises ConfigurationError that says where ``path`` was set to what."""

    def check(self, value: Value, path: str) -> None:
        """Raise as :meth:`read` does, for a part of the settings: what is missing may stand elsewhere."""
        self.read(value, path)

    @abc.abstractmethod
    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""

    def refuse(self, value: Value, path: str, hint: str = "") -> ConfigurationError:
        """The error for a value that is not of this kind."""
        if not hint and isinstance(value, Scalar) and value.kind == "null":
            hint = "Give it a value, or remove the line."
        brief = f"'{path}' has to be {self.expected}, not {self.seen(value)}."
        return problem(value.origin, brief, resolution=hint or self.for_example)

    def seen(self, value: Value) -> str:
        """What was written, unless it is a secret."""
        return described(value, is_secret=self.about.secret)

    @property
    def for_example(self) -> str:
        """A sentence with the field's example, or with one of its kind."""
        return f"For example: {written(self.sample if self.about.example is None else self.about.example)}"

    @property
    @abc.abstractmethod
    def sample(self) -> str:
        """Any value of this kind, as one writes it."""


def written(value: object) -> str:
    """A value on one line of YAML; JSON is YAML too."""
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
