"""What was written, before anyone knows what it means: scalars, lists and sections, each with its origin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Literal

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass

#: ``untyped`` is what comes from an environment variable or a flag: text that may stand for anything.
ScalarKind = Literal["text", "number", "boolean", "null", "untyped"]
LONGEST_QUOTE = 60


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written: ``0755`` stays ``0755``. It may be a secret, so it has no repr."""

    text: str = field(repr=False)
    kind: ScalarKind
    origin: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Value, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping; the origin of an entry is where its key stands."""

    entries: Mapping[str, Value]
    origin: str


Value = Scalar | Items | Section
EMPTY = Section({}, "")


def is_null(value: Value) -> bool:
    """Whether it is a key with nothing behind it."""
    return isinstance(value, Scalar) and value.kind == "null"


def merge(lower: Section, higher: Section) -> Section:
    """Lay ``higher`` over ``lower``, key by key; lists are replaced whole."""
    entries = dict(lower.entries)
    for name, value in higher.entries.items():
        below = entries.get(name)
        if isinstance(below, Section) and isinstance(value, Section):
            entries[name] = merge(below, value)
        elif not (isinstance(below, Section) and is_null(value)):
            entries[name] = value
    return Section(entries, higher.origin or lower.origin)


def origins(value: Value, path: str = "") -> Iterator[tuple[str, str]]:
    """Where each value that is set came from, by its dotted key."""
    if isinstance(value, Section):
        for name, entry in value.entries.items():
            yield from origins(entry, joined(path, name))
    elif not is_null(value):
        yield path, value.origin


def joined(path: str, name: str) -> str:
    """The dotted key of ``name`` under ``path``."""
    return f"{path}.{name}" if path else name


def described(value: Value, *, is_secret: bool = False) -> str:
    """What was seen, for an error; a secret's text is left out."""
    if isinstance(value, Section):
        return "a mapping"
    if isinstance(value, Items):
        return "a list"
    if value.kind == "null":
        return "empty"
    noun = {"number": "the number", "boolean": "the boolean"}.get(value.kind, "the text")
    if is_secret:
        return f"{noun} that stands there"
    if noun != "the text":
        return f"{noun} {value.text[:LONGEST_QUOTE]}"
    ellipsis = "…" if len(value.text) > LONGEST_QUOTE else ""
    return f"{noun} {value.text[:LONGEST_QUOTE]!r}{ellipsis}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` was probably meant to be, or ``""``."""
    import difflib

    plain = {candidate.lower().replace("-", "_"): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else ""


def problem(origin: str, brief: str, *, details: str = "", resolution: str = "") -> ConfigurationError:
    """An error about what stands at ``origin``; in flags and in the environment it is the caller's fault."""
    error = ConfigurationError(
        _visible(f"{origin}: {brief}"), details=_visible(details), resolution=resolution
    )
    if origin.startswith(("--", "environment ")):
        error.fault = "usage"
    return error


def _visible(text: str) -> str:
    """Names come from an upload: what would move a terminal's cursor is written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )
