"""Lock files: which there are, whether they contradict each other, which distributions they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stager.errors import ConfigurationError, ConflictingLockFiles
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.packages.manifests import read_toml, table
from stager.plugins.python_wsgi.packages.requirements_file import normalised

#: Lock file -> who writes it, the manifest that it belongs to, and the command that makes it anew.
LOCKS: Mapping[str, tuple[str, str, str]] = {
    "uv.lock": ("uv", "pyproject.toml", "uv lock"),
    "poetry.lock": ("poetry", "pyproject.toml", "poetry lock"),
    "Pipfile.lock": ("pipenv", "Pipfile", "pipenv lock"),
    "pdm.lock": ("pdm", "pyproject.toml", "pdm lock"),
    "pylock.toml": ("pylock", "", ""),
}


def find_lock(source: SourceTree) -> str:
    """The lock file of the application's root; empty where it has none.

    Raises
    ------
    ConflictingLockFiles
        There are several, or its manifest is missing.
    """
    found = [path for path in LOCKS if source.is_file(path)]
    if len(found) > 1:
        raise ConflictingLockFiles(
            f"{len(found)} lock files: {', '.join(found)}.",
            details="Each says which versions are installed, and only one can be right.",
            resolution="Keep the one that you work with, and remove the others:\n"
            + "\n".join(_removal(keep, [path for path in found if path != keep]) for keep in found),
        )
    if not found:
        return ""
    tool, manifest, _ = LOCKS[found[0]]
    if manifest and not source.is_file(manifest):
        raise ConflictingLockFiles(
            f"{found[0]} is there, and the {manifest} that it belongs to is not.",
            details=f"{tool} reads both.",
            resolution=f"Add {manifest}, or remove the lock: git rm {found[0]}",
        )
    return found[0]


def _removal(keep: str, others: Iterable[str]) -> str:
    return f"  git rm {' '.join(others)}    # keeps {keep}, of {LOCKS[keep][0]}"


def locked_names(source: SourceTree, path: str) -> dict[str, str]:
    """Normalised names of what an installation without development groups takes from the lock, with places.

    Raises
    ------
    ConfigurationError
        The lock cannot be read.
    """
    if path == "Pipfile.lock":
        document: Mapping[str, Any] = _read_json(source, path)
        names: Iterable[str] = table(document, "default")
    else:
        document = read_toml(source, path)
        names = _READERS[path](document)
    text = source.read_text(path, limit=64 << 20)
    return {normalised(name): f"{path}{_line(text, name)}" for name in names}


def _read_json(source: SourceTree, path: str) -> Mapping[str, Any]:
    try:
        return table(json.loads(source.read_text(path, limit=64 << 20)))
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not valid JSON.", details=str(error), resolution=f"Make it anew: {LOCKS[path][2]}"
        ) from error


def _line(text: str, name: str) -> str:
    found = re.search(rf'(?m)^(?:name = |\s*)"{re.escape(name)}"', text)
    return f" line {text.count(chr(10), 0, found.start()) + 1}" if found else ""


def _packages(document: Mapping[str, Any], key: str = "package") -> list[Mapping[str, Any]]:
    found = document.get(key)
    return [
        one for one in (found if isinstance(found, list) else []) if isinstance(table(one).get("name"), str)
    ]


def _uv(document: Mapping[str, Any]) -> list[str]:
    """What the workspace's own packages need: uv locks the development groups in the same list."""
    packages = _packages(document)
    own = [one for one in packages if {"virtual", "editable"} & table(one, "source").keys()]
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for one in packages:
        by_name.setdefault(one["name"], []).append(one)
    seen: dict[tuple[str, str], None] = {}
    waiting = [need for one in own for need in _needs(one)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) not in seen:
            seen[name, extra] = None
            waiting += [need for one in by_name.get(name, []) for need in _needs(one, extra)]
    return list(dict.fromkeys(name for name, _ in seen)) if own else [one["name"] for one in packages]


def _needs(package: Mapping[str, Any], extra: str = "") -> list[tuple[str, str]]:
    listed = table(package, "optional-dependencies").get(extra) if extra else package.get("dependencies")
    return [
        (str(need["name"]), wanted)
        for need in (listed if isinstance(listed, list) else [])
        if "name" in table(need)
        for wanted in ("", *(need.get("extra") or ()))
    ]


def _grouped(main: str) -> Callable[[Mapping[str, Any]], list[str]]:
    def names(document: Mapping[str, Any]) -> list[str]:
        return [
            one["name"]
            for one in _packages(document)
            # Poetry before 1.5 said `category`, and nothing until 2.0.
            if main in one.get("groups", [main]) and one.get("category", "main") == "main"
        ]

    return names


_READERS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "uv.lock": _uv,
    "poetry.lock": _grouped("main"),
    "pdm.lock": _grouped("default"),
    "pylock.toml": lambda document: [one["name"] for one in _packages(document, "packages")],
}
