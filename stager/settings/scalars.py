"""Kinds of single values: text, numbers with or without a unit, yes or no, one of a few."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from stager.model.frozen import dataclass
from stager.model.plan import Shell
from stager.settings import units
from stager.settings.kinds import About, Kind
from stager.settings.values import Scalar, Value, nearest, problem

_TRUTH = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
# 010 is eight in YAML 1.1 and ten in YAML 1.2: it is neither here.
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_REAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Text, kept as it was written: 8.10 does not become 8.1."""

    takes_booleans: bool = False
    wrap: Callable[[str], object] = str

    @property
    def expected(self) -> str:
        return "text"

    @property
    def sample(self) -> str:
        return "some text"

    def read(self, value: Value, path: str) -> Any:
        if not isinstance(value, Scalar):
            raise self.refuse(value, path)
        if value.kind == "null":
            raise self.refuse(value, path, 'Give it a value; the empty text is written "".')
        if value.kind == "boolean" and not self.takes_booleans:
            raise self.refuse(value, path, f'If it is meant as text, put it in quotes: "{value.text}".')
        if "\0" in value.text or any("\ud800" <= character <= "\udc7f" for character in value.text):
            raise problem(
                value.origin,
                f"'{path}' holds a character that no file and no environment variable can carry.",
                resolution="Remove the NUL character or the lone surrogate.",
            )
        if self.about.pattern and not re.fullmatch(self.about.pattern, value.text):
            brief = f"'{path}' cannot be {self.seen(value)}."
            raise problem(value.origin, brief, details=self.about.help, resolution=self.for_example)
        return self.wrap(value.text)

    def schema(self) -> dict[str, Any]:
        types = ["string", "number", "boolean"] if self.takes_booleans else ["string", "number"]
        return {"type": types} | ({"pattern": f"^(?:{self.about.pattern})$"} if self.about.pattern else {})


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number, a size in bytes or a duration in seconds."""

    is_whole: bool

    @property
    def expected(self) -> str:
        noun = {"bytes": "a size in bytes", "seconds": "a duration in seconds"}.get(self.about.unit)
        return noun or ("a whole number" if self.is_whole else "a number")

    @property
    def sample(self) -> str:
        return {"bytes": "64M", "seconds": "30s"}.get(self.about.unit) or ("5" if self.is_whole else "0.5")

    def read(self, value: Value, path: str) -> Any:
        kinds = ("number", "untyped", "text") if self.about.unit else ("number", "untyped")
        if not isinstance(value, Scalar) or value.kind not in kinds:
            text = value.text if isinstance(value, Scalar) and value.kind == "text" else ""
            raise self.refuse(value, path, "Remove the quotes." if self._parse(text) is not None else "")
        number = self._parse(value.text.strip())
        if number is None:
            raise self.refuse(value, path)
        self._check_bounds(number, value, path)
        return number

    def _parse(self, text: str) -> float | None:
        if self.about.unit == "bytes":
            return units.bytes_of(text)
        if self.about.unit == "seconds":
            seconds = units.seconds_of(text)
            if seconds is None or not self.is_whole:
                return seconds
            return int(seconds) if seconds.is_integer() else None
        if len(text) > units.LONGEST or not (_WHOLE if self.is_whole else _REAL).fullmatch(text):
            return None
        return int(text) if self.is_whole else float(text)

    def _check_bounds(self, number: float, value: Scalar, path: str) -> None:
        least, most = self.about.least, self.about.most
        if (least is None or number >= least) and (most is None or number <= most):
            return
        hint = ""
        if self.about.unit == "bytes" and value.text.strip().isdecimal():
            hint = f"A number without a unit counts bytes. Did you mean {value.text.strip()}M?"
        bounds = [f"at least {self._shown(least)}"] if least is not None else []
        bounds += [f"at most {self._shown(most)}"] if most is not None else []
        brief = f"'{path}' has to be {' and '.join(bounds)}, not {self.seen(value)}."
        raise problem(value.origin, brief, resolution=hint or self.for_example)

    def _shown(self, bound: float) -> str:
        return units.written_size(int(bound)) if self.about.unit == "bytes" else f"{bound:.12g}"

    def schema(self) -> dict[str, Any]:
        document: dict[str, Any] = {"type": "integer" if self.is_whole else "number"}
        if self.about.unit:
            document["type"] = [document["type"], "string"]
            document["pattern"] = units.SIZE_PATTERN if self.about.unit == "bytes" else units.DURATION_PATTERN
        bounds = {"minimum": self.about.least, "maximum": self.about.most}
        return document | {key: bound for key, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class Boolean(Kind):
    """Yes or no."""

    @property
    def expected(self) -> str:
        return "true or false"

    @property
    def sample(self) -> str:
        return "true"

    def read(self, value: Value, path: str) -> Any:
        if not isinstance(value, Scalar) or value.kind not in ("boolean", "untyped"):
            is_quoted = isinstance(value, Scalar) and value.kind == "text" and value.text.lower() in _TRUTH
            raise self.refuse(value, path, "Remove the quotes." if is_quoted else "")
        if value.text.lower() not in _TRUTH:
            raise self.refuse(value, path)
        return _TRUTH[value.text.lower()]

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few values, by their text."""

    choices: Mapping[str, object]

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(self.choices)

    @property
    def sample(self) -> str:
        return next(iter(self.choices))

    def read(self, value: Value, path: str) -> Any:
        if not isinstance(value, Scalar) or value.kind == "null":
            raise self.refuse(value, path, "Choose one of these, or remove the line.")
        if value.text not in self.choices:
            near = nearest(value.text, self.choices)
            raise self.refuse(value, path, f"Did you mean '{near}'?" if near else "Choose one of these.")
        return self.choices[value.text]

    def schema(self) -> dict[str, Any]:
        return {"enum": [getattr(choice, "value", choice) for choice in self.choices.values()]}


def shell_text(about: About) -> Text:
    """Shell text, which has to hold more than blanks."""
    return Text(About(help=about.help, example=about.example, pattern=r"[\s\S]*\S[\s\S]*"), wrap=Shell)
