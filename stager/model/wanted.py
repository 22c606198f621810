"""Versions of a language that an application's files ask for, against those that a host has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from stager.model.frozen import dataclass
from stager.model.host import ToolFact


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that is asked for, and who asks.

    Parameters
    ----------
    constraint:
        A range, or a version, as that language writes them.
    where:
        ``.nvmrc line 1``.
    """

    constraint: str
    where: str


def versions_there(fact: ToolFact) -> Iterator[tuple[str, str]]:
    """Yield path and version of what a host has, as it was found: of each version the first."""
    seen = set()
    matches, versions = fact.matches or (fact.path,), fact.versions or (fact.version,)
    for path, version in zip(matches, versions, strict=False):
        if path and version and version not in seen:
            seen.add(version)
            yield path, version


def as_numbers(version: str) -> list[int]:
    """``3.11.2`` in a form that compares: 3.9 is older than 3.11."""
    return [int(part) for part in version.split(".")]


def not_exactly(
    wanted: Iterable[Wanted], version: str, exact_version: Callable[[str], str]
) -> tuple[str, str] | None:
    """Return who asks for another patch version than the chosen one, and for which; None for nobody.

    ``exact_version`` is the language's own: the version that a constraint names, empty for a range.
    """
    for ask in wanted:
        exact = exact_version(ask.constraint)
        if exact.count(".") > 1 and exact != version:
            return ask.where, exact
    return None


def asked_and_there(wanted: Sequence[Wanted], there: Iterable[tuple[str, str]]) -> str:
    """Return the details of an error: what was asked where, and the paths and versions that are there."""
    asked = [f"  {ask.where}: {ask.constraint}" for ask in wanted]
    here = [f"  {version}  {path}" for path, version in there]
    return "\n".join(["Asked for:", *asked, "This host has:", *here])
