"""The packages of a monorepo."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.manifest import MANIFEST, Package, read_package

#: More folders than that are none that a person keeps packages in.
_DEPTH = 6


def workspace_packages(source: SourceTree, package: Package | None) -> tuple[Package, ...]:
    """Return the packages in folders that package.json or pnpm-workspace.yaml name, by folder."""
    patterns = _patterns(source, package)
    if not patterns:
        return ()
    found = []
    for path in sorted(source.files(MANIFEST, depth=_DEPTH)):
        folder = path.rpartition("/")[0]
        if folder and _is_named(folder, patterns):
            one = read_package(source, path)
            if one is not None:
                found.append(one)
    return tuple(found)


def find_workspace(packages: tuple[Package, ...], wanted: str) -> Package | None:
    """Return the package of that name or folder (pnpm's filters may end or begin with dots)."""
    name = wanted.removesuffix("...").removeprefix("...").removeprefix("./").strip("{}/") or wanted
    for package in packages:
        if name in (package.name, package.folder):
            return package
    # pnpm and turbo find @shop/web by web, too.
    short = [one for one in packages if one.name.rpartition("/")[2] == name]
    return short[0] if len(short) == 1 else None


def _patterns(source: SourceTree, package: Package | None) -> tuple[str, ...]:
    if source.is_file("pnpm-workspace.yaml"):
        return _pnpm(source.read_text("pnpm-workspace.yaml", limit=256 << 10))
    return package.workspaces if package else ()


def _pnpm(text: str) -> tuple[str, ...]:
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return ()  # pnpm says so itself
    listed = document.get("packages") if isinstance(document, dict) else None
    return tuple(item for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()


def _is_named(folder: str, patterns: tuple[str, ...]) -> bool:
    is_named = False
    for text in patterns:
        pattern = text.removeprefix("!").removeprefix("./").strip("/")
        if _matches(folder.split("/"), pattern.split("/")):
            is_named = not text.startswith("!")
    return is_named


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[count:], pattern[1:]) for count in range(len(parts) + 1))
    if not parts:
        return False
    return any(fnmatchcase(parts[0], one) for one in _braces(pattern[0])) and _matches(parts[1:], pattern[1:])


def _braces(pattern: str) -> list[str]:
    found = re.fullmatch(r"(.*)\{([^{}]*)\}(.*)", pattern)
    return [f"{found[1]}{one}{found[3]}" for one in found[2].split(",")] if found else [pattern]
