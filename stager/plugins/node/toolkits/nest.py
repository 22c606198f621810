"""Where a Nest application's build puts the file that is started."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.configuration import folder_of, without_comments


def nest_entry(source: SourceTree, folder: str) -> tuple[str, str]:
    """Return the folder of the build and the file in it that starts, from nest-cli.json and tsconfig."""
    document = read_loosely(source, f"{folder}/nest-cli.json".lstrip("/"))
    entry = document.get("entryFile")
    name = entry if isinstance(entry, str) and entry else "main"
    output = "dist"
    for file in ("tsconfig.build.json", "tsconfig.json"):
        path = f"{folder}/{file}".lstrip("/")
        if source.is_file(path):
            found = folder_of(without_comments(source.read_text(path, limit=256 << 10)), "outDir", "")
            if found:
                output = found
                break
    root = document.get("root")
    if document.get("monorepo") is True and isinstance(root, str) and root:
        return output, f"{output}/{root.strip('/')}/{name}.js"
    return output, f"{output}/{name}.js"


def read_loosely(source: SourceTree, path: str) -> Mapping[str, Any]:
    """A tool's configuration in JSON, with comments or commas too many; empty where it cannot be read."""
    if not source.is_file(path):
        return {}
    text = without_comments(source.read_text(path, limit=1 << 20))
    try:
        document = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, Mapping) else {}
