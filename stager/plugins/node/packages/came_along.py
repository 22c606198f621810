"""Packages that came along with the application: what they match, and their native code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.packages.locks import LARGEST, Lock
from stager.plugins.node.reading.manifest import Package

MODULES = "node_modules"
_NPM, _YARN, _PNPM = ".package-lock.json", ".yarn-integrity", ".pnpm/lock.yaml"


@dataclass(frozen=True, slots=True)
class CameAlong:
    """What is known of a ``node_modules`` in the upload.

    Parameters
    ----------
    is_there:
        Whether there is one.
    is_used:
        Whether it holds what the lock says, and is used as it is.
    has_development:
        Whether it holds what only the build needs, too.
    native:
        The packages in it with native code, which was compiled for another host.
    why:
        For people.
    """

    is_there: bool = False
    is_used: bool = False
    has_development: bool = False
    native: tuple[str, ...] = ()
    why: str = ""


def read_came_along(source: SourceTree, lock: Lock, package: Package) -> CameAlong:
    """Look at the ``node_modules`` of the upload, if there is one."""
    if not source.is_directory(MODULES):
        return CameAlong()
    asked = [*package.dependencies, *package.dev_dependencies]
    missing = [name for name in package.dependencies if not source.is_directory(f"{MODULES}/{name}")]
    has_development = all(source.is_directory(f"{MODULES}/{name}") for name in asked)
    if missing:
        return CameAlong(is_there=True, why=f"{missing[0]} is missing in it")
    is_same, why = _matches(source, lock)
    if not is_same:
        return CameAlong(is_there=True, why=why)
    return CameAlong(
        is_there=True, is_used=True, has_development=has_development, native=_native(source), why=why
    )


def _matches(source: SourceTree, lock: Lock) -> tuple[bool, str]:
    if not lock.path:
        return True, "there is no lock file to compare it with"
    if lock.tool == "npm" and source.is_file(f"{MODULES}/{_NPM}"):
        return _compared(_npm(source, lock), f"{MODULES}/{_NPM}", lock.path)
    if lock.tool == "yarn" and not lock.is_berry and source.is_file(f"{MODULES}/{_YARN}"):
        return _compared(_yarn(source, lock), f"{MODULES}/{_YARN}", lock.path)
    if lock.tool == "pnpm" and source.is_file(f"{MODULES}/{_PNPM}"):
        same = source.read_text(f"{MODULES}/{_PNPM}", limit=LARGEST) == source.read_text(
            lock.path, limit=LARGEST
        )
        return _compared(same, f"{MODULES}/{_PNPM}", lock.path)
    return False, f"nothing in it says which {lock.path} it was installed from"


def _compared(is_same: bool, note: str, lock: str) -> tuple[bool, str]:  # noqa: FBT001
    return is_same, f"{note} agrees with {lock}" if is_same else f"{note} does not agree with {lock}"


def _npm(source: SourceTree, lock: Lock) -> bool:
    """All that is installed is locked so, and what is locked is installed, but for what may be missing."""
    wanted, there = _packages(source, lock.path), _packages(source, f"{MODULES}/{_NPM}")
    if not wanted or not there:
        return False
    for place, entry in wanted.items():
        if place not in there:
            if place and place.startswith(MODULES) and not _may_miss(entry):
                return False
        elif there[place].get("version") != entry.get("version"):
            return False
    return there.keys() <= wanted.keys()


def _may_miss(entry: Mapping[str, Any]) -> bool:
    return any(entry.get(key) for key in ("dev", "optional", "devOptional", "peer", "link"))


def _packages(source: SourceTree, path: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        found = json.loads(source.read_text(path, limit=LARGEST)).get("packages")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _yarn(source: SourceTree, lock: Lock) -> bool:
    try:
        document = json.loads(source.read_text(f"{MODULES}/{_YARN}", limit=LARGEST))
        noted = document["lockfileEntries"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    locked: dict[str, str] = {}
    text = source.read_text(lock.path, limit=LARGEST)
    for keys, resolved in re.findall(r'(?m)^(?!#)(\S.*):\n(?:  .*\n)*?  resolved "([^"\n]*)"', text):
        locked |= {key.strip('"'): resolved for key in keys.split(", ")}
    return isinstance(noted, Mapping) and noted == locked


def _native(source: SourceTree) -> tuple[str, ...]:
    """Packages that are compiled, or that have brought what was."""
    found: dict[str, None] = {}
    waiting = [(MODULES, "")]
    while waiting:
        folder, package = waiting.pop()
        for name in source.children(folder):
            path = f"{folder}/{name}"
            if name == "binding.gyp" or name.endswith(".node"):
                # Prebuilt for several systems and chosen at run time: no matter where it came from.
                if "/prebuilds/" not in path:
                    found[package] = None
            elif "." not in name[1:] or not source.is_file(path):
                is_package = folder.endswith(MODULES) and not name.startswith((".", "@"))
                scope = folder.rpartition("/")[2]
                is_scoped = scope.startswith("@")
                here = name if is_package else f"{scope}/{name}" if is_scoped else package
                if source.is_directory(path):
                    waiting.append((path, here))
    return tuple(sorted(found))
