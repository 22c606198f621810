"""Composer's version constraints, for versions of PHP and of its extensions.

The grammar is that of https://getcomposer.org/doc/articles/versions.md. Branches (``dev-main``) never match:
no interpreter on a host is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne

#: Four numbers, how stable, and the number after that word: comparable as it is.
Version = tuple[int, int, int, int, int, int]
_Test = tuple[Callable[[Version, Version], bool], Version]

_WORDS = {"alpha": 1, "a": 1, "beta": 2, "b": 2, "rc": 3, "stable": 4, "patch": 5, "pl": 5, "p": 5}
_DEV, _STABLE = 0, 4
_FLAGS = {"dev", "alpha", "beta", "rc", "stable"}
_OPERATORS = {"<>": ne, "!=": ne, ">=": ge, "<=": le, "==": eq, "=": eq, "": eq, ">": gt, "<": lt}

_VERSION = re.compile(
    r"v?(?P<numbers>\d+(?:\.\d+){0,3})"
    r"(?:[._-]?(?P<word>stable|beta|b|RC|alpha|a|patch|pl|p)[.-]?(?P<number>\d*))?"
    r"(?P<dev>[.-]?dev)?(?:\+\S+)?",
    re.IGNORECASE,
)
_WILDCARD = re.compile(r"v?(?P<numbers>\d+(?:\.\d+){0,2})(?:\.[xX*])+")
_ANY = re.compile(r"v?[xX*](?:\.[xX*])*")
_HYPHEN = re.compile(r"([^\s,]+)\s+-\s+([^\s,]+)")
_COMPARISON = re.compile(r"(<>|!=|>=|<=|==|=|>|<|)(.*)")


class NotAConstraint(ValueError):
    """The text is no version constraint. Its message is the part that could not be read."""


def is_satisfied(version: str, constraint: str) -> bool:
    """Whether ``version`` (of an interpreter: ``8.2.36-1+deb12u1``) is what ``constraint`` asks for.

    Raises
    ------
    NotAConstraint
        ``constraint`` cannot be read.
    """
    # What a distribution appends says nothing about PHP.
    found = _VERSION.match(re.split(r"[-+~]", version, maxsplit=1)[0])
    have: Version = (*_numbers(found), _STABLE, 0) if found else (0, 0, 0, 0, _STABLE, 0)
    alternatives = [_tests(part) for part in re.split(r"\s*\|\|?\s*", constraint.strip())]
    return any(all(compare(have, wanted) for compare, wanted in tests) for tests in alternatives)


def _tests(text: str) -> list[_Test]:
    """All tests of one alternative: they are joined by spaces or commas."""
    if not text:
        raise NotAConstraint("nothing at all")
    tests = [test for low, high in _HYPHEN.findall(text) for test in _hyphen(low, high)]
    text = _HYPHEN.sub(" ", text)
    text = re.sub(r"\s+as\s+\S+", "", text)  # an alias: the first name counts
    text = re.sub(r"([<>=!~^])\s+", r"\1", text)
    return tests + [test for word in re.split(r"[\s,]+", text) if word for test in _one(word)]


def _one(text: str) -> list[_Test]:
    word, _, flag = text.partition("@")
    word = word.partition("#")[0] or "*"
    if flag and flag.lower() not in _FLAGS:
        raise NotAConstraint(text)
    if _ANY.fullmatch(word):
        return []
    wildcard = _WILDCARD.fullmatch(word)
    if wildcard:
        numbers = _numbers(wildcard)
        return [(ge, _first(numbers)), (lt, _next(numbers, _given(wildcard)))]
    if word[0] in "~^" and (found := _VERSION.fullmatch(word, 1)):
        return _tilde(found) if word[0] == "~" else _caret(found)
    return [_comparison(word)]


def _comparison(word: str) -> _Test:
    found = _COMPARISON.fullmatch(word)
    operator, rest = found.groups() if found else ("", word)
    if rest.startswith("dev-") or rest.lower().endswith(".x-dev"):
        return (lt, _first((0, 0, 0, 0)))
    version = _VERSION.fullmatch(rest)
    if not version:
        raise NotAConstraint(word)
    # <8.2 means "no 8.2 at all", not even its pre-releases; >=8.2 includes them.
    is_open = operator in {"<", ">="} and not _has_stability(version)
    return _OPERATORS[operator], _first(_numbers(version)) if is_open else _whole(version)


def _tilde(found: re.Match[str]) -> list[_Test]:
    """~1.2 is >=1.2 <2.0; ~1.2.3 is >=1.2.3 <1.3."""
    return [(ge, _lower(found)), (lt, _next(_numbers(found), max(1, _given(found) - 1)))]


def _caret(found: re.Match[str]) -> list[_Test]:
    """Up to the next change of the leftmost number that is not zero."""
    major, minor, _, _ = numbers = _numbers(found)
    if major or _given(found) == 1:
        position = 1
    elif minor or _given(found) == 2:  # noqa: PLR2004  0.x
        position = 2
    else:
        position = 3
    return [(ge, _lower(found)), (lt, _next(numbers, position))]


def _hyphen(low: str, high: str) -> list[_Test]:
    """1.0 - 2.0 is >=1.0 <2.1; an upper end with three numbers is itself included."""
    first, last = _VERSION.fullmatch(low), _VERSION.fullmatch(high)
    if not first or not last:
        raise NotAConstraint(f"{low} - {high}")
    if _given(last) > 2 or _has_stability(last):  # noqa: PLR2004  major.minor is a range, not a version
        return [(ge, _lower(first)), (le, _whole(last))]
    return [(ge, _lower(first)), (lt, _next(_numbers(last), _given(last)))]


def _numbers(found: re.Match[str]) -> tuple[int, int, int, int]:
    one, two, three, four = [*map(int, found["numbers"].split(".")), 0, 0, 0][:4]
    return one, two, three, four


def _given(found: re.Match[str]) -> int:
    return 1 + str(found["numbers"]).count(".")


def _has_stability(found: re.Match[str]) -> bool:
    return bool(found["word"] or found["dev"])


def _whole(found: re.Match[str]) -> Version:
    stability = _DEV if found["dev"] else _WORDS.get((found["word"] or "stable").lower(), _STABLE)
    return (*_numbers(found), stability, int(found["number"] or 0))


def _lower(found: re.Match[str]) -> Version:
    """A lower end without a stability includes that version's own pre-releases."""
    return _whole(found) if _has_stability(found) else _first(_numbers(found))


def _first(numbers: tuple[int, int, int, int]) -> Version:
    return (*numbers, _DEV, 0)


def _next(numbers: tuple[int, int, int, int], position: int) -> Version:
    """The first pre-release of the next version at ``position`` (1 is the major one)."""
    one, two, three, four = [*numbers[: position - 1], numbers[position - 1] + 1, 0, 0, 0][:4]
    return (one, two, three, four, _DEV, 0)
