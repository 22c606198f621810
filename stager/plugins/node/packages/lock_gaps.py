"""A package-lock.json in which packages are missing that no manifest of the application asks for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.packages.locks import LARGEST, Lock
from stager.plugins.node.reading.names import printable


@dataclass(frozen=True, slots=True)
class Gap:
    """A package that another one asks for and that is not locked."""

    name: str
    owner: str


def find_gaps(source: SourceTree, lock: Lock) -> tuple[Gap, ...]:
    """Return what is missing.

    npm leaves out packages for other systems when it makes a lock beside a node_modules (npm/cli#4828) or
    with a registry that does not have them, and its ``ci`` refuses such a lock from version 11 on. ``npm
    install`` takes them as they are asked for, in exact versions as a rule, and the rest from the lock.
    """
    if lock.tool != "npm":
        return ()
    try:
        entries = json.loads(source.read_text(lock.path, limit=LARGEST)).get("packages")
    except (ValueError, AttributeError, RecursionError):
        return ()  # what compares it with package.json says so
    return tuple(_missing(entries)) if isinstance(entries, Mapping) else ()


def gap_warning(gaps: tuple[Gap, ...], path: str) -> str:
    """What people are told of them."""
    owners = ", ".join(dict.fromkeys(printable(one.owner) for one in gaps))
    what = f"{len(gaps)} packages" if len(gaps) > 1 else printable(gaps[0].name)
    return (
        f"{path} lacks {what} that {owners} may need, and npm ci refuses that; npm install takes them from "
        "the registry, and the others as they are locked. Make the lock anew: "
        f"rm -rf node_modules {path} && npm install"
    )


def _missing(entries: Mapping[str, Any]) -> Iterator[Gap]:
    for place, entry in entries.items():
        # What package.json itself asks for has been compared word for word.
        if not place.startswith("node_modules/") or not isinstance(entry, Mapping) or entry.get("inBundle"):
            continue
        for key in ("dependencies", "optionalDependencies"):
            asked = entry.get(key)
            for name in asked if isinstance(asked, Mapping) else ():
                if not _is_locked(entries, place, name):
                    yield Gap(name, place.rpartition("node_modules/")[2])


def _is_locked(entries: Mapping[str, Any], place: str, name: str) -> bool:
    """Whether Node would find it from there."""
    while True:
        if f"{place}/node_modules/{name}".lstrip("/") in entries:
            return True
        if not place:
            return False
        place = place.rpartition("node_modules")[0].rstrip("/")
