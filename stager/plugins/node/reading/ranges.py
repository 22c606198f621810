"""Versions as npm writes them: what a range means, and where the library reads it differently."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

#: v20, 20.11, =20.11.1, 20.x: such a one names a version rather than a range.
_PLAIN = re.compile(r"[v=\s]*(\d{1,9}(?:\.\d{1,9}){0,2})(?:\.[xX*]){0,2}")
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
_COMPARATOR = re.compile(
    r"(?P<operator>~>|[<>]=?|\^|~|=)?[v=]*"
    r"(?P<version>(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)"
)
#: nvm's names of the lines with long-term support (the `lts` of nodejs.org's release schedule).
CODENAMES = {
    "argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14, "gallium": 16,
    "hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24,
}  # fmt: skip
_ANY = frozenset({"", "*", "x", "X", "latest", "node", "stable", "current", "default", "system"})
_LTS = re.compile(r"lts(?:[/-](?P<name>\*|-\d+|[A-Za-z]+))?", re.IGNORECASE)
#: Even majors from 4 on are those with long-term support.
_EVEN = " || ".join(f"{major}.x" for major in range(4, 60, 2))


#: What no version is.
_NONE = "<0.0.0-0"


class NoRange(ValueError):
    """A text that is no range of versions."""


def exact_version(constraint: str) -> str:
    """The version that a plain one names (``20.11.1`` of ``v20.11.1``); empty for a range."""
    found = _PLAIN.fullmatch(constraint.strip())
    return found[1] if found else ""


def as_range(constraint: str) -> str:
    """Return the range of npm's that is meant: aliases resolved, a plain version one that may be newer.

    Node promises that a later minor version runs what an earlier one does, and hosts are updated: 20.11.1 is
    ^20.11.1, as every other release of 20 would be refused otherwise.

    Raises
    ------
    NoRange
        It is none.
    """
    text = constraint.strip()
    if text in _ANY:
        return "*"
    lts = _LTS.fullmatch(text)
    if lts:
        name = (lts["name"] or "*").lower()
        if name == "*" or name.startswith("-"):
            return _EVEN
        if name not in CODENAMES:
            raise NoRange(f"{name!r} is no line with long-term support: {', '.join(CODENAMES)}")
        return f"{CODENAMES[name]}.x"
    exact = exact_version(text)
    if exact:
        return f"^{exact}"
    return " || ".join(_alternative(part) for part in text.split("||"))


def is_allowed(version: str, constraint: str) -> bool:
    """Whether Node ``version`` (``20.11.1``) is one that is asked for; raises NoRange."""
    from semantic_version import Version  # type: ignore[import-untyped]

    return any(Version(version) in part for part in _specification(as_range(constraint)))


@lru_cache(maxsize=64)
def _specification(text: str) -> tuple[Any, ...]:
    from semantic_version import NpmSpec

    try:
        return tuple(NpmSpec(part) for part in text.split(" || "))
    except ValueError as error:
        raise NoRange(str(error)) from error


def _alternative(text: str) -> str:
    """One side of a ``||``, in the spelling that the library reads."""
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen:
        text = f">={hyphen[1]} <={hyphen[2]}"
    # ">= 18 , < 21" and ">=18 && <21" are meant as ">=18 <21".
    joined = re.sub(r"\s*(?:,|&&)\s*", " ", text.strip())
    joined = re.sub(r"(~>|[<>]=?+|[\^~=])[\s=v]+(?=[\dxX*])", r"\1", joined)
    parts = [_comparator(part) for part in joined.split()]
    # The library takes "* >=18" for nothing at all.
    return " ".join(part for part in parts if part != "*") or "*"


def _comparator(text: str) -> str:
    found = _COMPARATOR.fullmatch(text)
    if not found:
        raise NoRange(f"{text!r} is no version")
    operator = {"~>": "~", "=": ""}.get(found["operator"] or "", found["operator"] or "")
    version = _version(found["version"])
    if version[0] in "xX*":
        # Everything is at least any version, and nothing is more or less than any.
        return _NONE if operator in ("<", ">") else "*"
    if "-" in found["version"].partition("+")[0]:
        # Only releases are asked about: what comes before one is below it, and is none itself.
        operator = {"<=": "<", ">": ">=", "": "="}.get(operator, operator)
        return _NONE if operator == "=" else f"{operator}{version}"
    return f"{operator}{version}"


def _version(text: str) -> str:
    """The numbers of a version, without what comes before or after a release."""
    found = _COMPARATOR.fullmatch(text)
    if not found or found["operator"]:
        raise NoRange(f"{text!r} is no version")
    numbers = re.split(r"[-+]", found["version"])[0]
    parts = [str(int(part)) if part.isdecimal() else "x" for part in numbers.split(".")]
    # What follows an x says nothing: 18.x.2 is 18.x.
    return ".".join(parts[: parts.index("x") + 1] if "x" in parts else parts)
