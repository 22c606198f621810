"""What looks almost like an application in Node: a misspelt name, a folder too high, another's tool."""

from __future__ import annotations

import difflib

from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.manifest import MANIFEST
from stager.plugins.node.reading.names import printable

#: Names whose misspellings are too far from it to be found by likeness.
_MISSPELT = frozenset({
    "package.json.txt", "package.js", "package.jsn", "package.json5", "package.yaml", "package.yml",
    "package", "package.json.bak", "package.json.example", "_package.json", "package (1).json",
    "package-json",
})  # fmt: skip
#: What else looks like it, and is something of its own.
_OWN = frozenset({"package-lock.json", "packages.config", MANIFEST})
_LIKENESS = 0.85
_LOCKS = (
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb",
)  # fmt: skip
_DENO = ("deno.json", "deno.jsonc", "deno.lock")
_TYPESCRIPT = ("server.ts", "app.ts", "index.ts", "main.ts", "src/index.ts", "src/server.ts", "src/main.ts")


def near_misses(source: SourceTree, *, is_found: bool) -> tuple[str, ...]:
    """Return what is nearly there in a tree without package.json; ``is_found``: there is a file to run."""
    names = source.children()
    texts = [
        f"{printable(name)}: did you mean {MANIFEST}?"
        for name in names
        if name not in _OWN and _is_like(name) and source.is_file(name)
    ]
    texts += [f"{name}: a lock without its {MANIFEST}" for name in _LOCKS if source.is_file(name)]
    if source.is_directory("node_modules"):
        texts.append(f"node_modules/: installed packages without a {MANIFEST} that asks for them")
    deno = next((name for name in _DENO if source.is_file(name)), "")
    if deno:
        texts.append(f"{deno}: Deno's, which droplets do not run; {MANIFEST} says what Node runs")
    if not is_found:
        typescript = next((name for name in _TYPESCRIPT if source.is_file(name)), "")
        if typescript and not deno:
            texts.append(f"{typescript}: TypeScript without a {MANIFEST} that says how it is compiled or run")
        texts += _one_down(source, names)
    return tuple(texts)


def _is_like(name: str) -> bool:
    lower = name.lower()
    if lower == MANIFEST or lower in _MISSPELT:
        return True
    return lower.endswith(".json") and bool(difflib.get_close_matches(lower, (MANIFEST,), 1, _LIKENESS))


def _one_down(source: SourceTree, names: tuple[str, ...]) -> list[str]:
    return [
        f"{printable(folder)}/{MANIFEST}: is {printable(folder)}/ the application's root?"
        for folder in names
        if not folder.startswith(".")
        and folder not in ("node_modules", "vendor")
        and source.is_file(f"{folder}/{MANIFEST}")
    ]
