"""The little that a static site has to know of ``package.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree

#: What stands before the program of a script: variables, and programs that run another one.
_BEFORE = re.compile(
    r"^(?:(?:[A-Za-z_]\w*=(?:'[^']*'|\"[^\"]*\"|\S*)"
    r"|cross-env(?:-shell)?|npx|bunx|(?:pnpm|yarn|bun|npm) exec|pnpm dlx|dotenv(?: -e \S+)* --)\s+)+"
)


@dataclass(frozen=True, slots=True)
class Package:
    """``package.json``: the names of what it depends on, and its scripts. Empty where it is broken."""

    needs: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    scripts: Mapping[str, str] = field(default_factory=dict)
    main: str = ""

    def commands(self, *names: str) -> list[str]:
        """The commands of some scripts, without what only runs them; `npm run x` is followed."""
        found: list[str] = []
        waiting, seen = list(names), set[str]()
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            for text in re.split(r"&&|\|\||;|\n|(?<!&)&(?!&)", self.scripts.get(name, "")):
                command = _BEFORE.sub("", text.strip())
                follows = re.match(r"(?:npm|pnpm|yarn|bun)\s+(?:run(?:-script)?\s+)?([\w:.-]+)", command)
                if follows and follows[1] in self.scripts:
                    waiting.append(follows[1])
                elif command:
                    found.append(command)
        return found


def read_package(source: SourceTree) -> Package | None:
    """Return what ``package.json`` says; None where there is none. What is wrong in it is node's to say."""
    if not source.is_file("package.json"):
        return None
    try:
        document = json.loads(source.read_text("package.json"))
    except (ValueError, RecursionError):
        return Package()
    if not isinstance(document, dict):
        return Package()
    runs = _mapping(document, "dependencies").keys()
    needs = runs | _mapping(document, "devDependencies").keys()
    scripts = {name: text for name, text in _mapping(document, "scripts").items() if isinstance(text, str)}
    main = document.get("main")
    return Package(frozenset(needs), frozenset(runs), scripts, main if isinstance(main, str) else "")


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}
