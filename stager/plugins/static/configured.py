"""Values in JavaScript configuration, read as text: nothing of the application is ever executed."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from stager.model.source_tree import SourceTree

#: A configuration is written by hand; what is larger is something else.
_LIMIT = 1 << 18
_STRING = r"""(?:'[^'\n]*'|"[^"\n]*"|`[^`$\n]*`)"""
#: `path.resolve(__dirname, "a", "b")`, `new URL("./a", import.meta.url)`, `"a"`.
_VALUE = (
    r"(?:(?:[\w.]+\(\s*)?(?:[\w.]+\(\s*(?:(?:__dirname|process\.cwd\(\)|import\.meta\.\w+)\s*,\s*)?)"
    rf"|new URL\(\s*|fileURLToPath\(\s*new URL\(\s*)?({_STRING}(?:\s*,\s*{_STRING})*)"
)
_COMMENT = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)


def javascript(source: SourceTree, stem: str, folder: str = "") -> str:
    """Text of ``<stem>.js`` or its like, without comments; empty where there is none."""
    for suffix in ("ts", "mts", "cts", "js", "mjs", "cjs"):
        path = posixpath.join(folder, f"{stem}.{suffix}")
        if source.is_file(path):
            text = source.read_text(path, limit=_LIMIT)
            return _COMMENT.sub(lambda found: found[1] or "", text)
    return ""


def value_of(text: str, key: str) -> str:
    """The path behind ``key:`` or ``key =``, joined where it is put together; empty for no literal."""
    found = re.search(rf"(?<![\w.$-])['\"]?{key}['\"]?\s*[:=]\s*{_VALUE}", text)
    if not found:
        return ""
    parts = [part[1:-1] for part in re.findall(_STRING, found[1])]
    return posixpath.join(*parts) if parts else ""


def has_word(text: str, key: str, value: str) -> bool:
    """Whether ``key`` is set to a word in quotes: ``output: "export"``."""
    return bool(re.search(rf"(?<![\w.$-])['\"]?{key}['\"]?\s*[:=]\s*['\"`]{value}['\"`]", text))


def json_of(source: SourceTree, path: str) -> Mapping[str, Any]:
    """A JSON file that may have comments and commas too many; empty where it is something else."""
    if not source.is_file(path):
        return {}
    text = _COMMENT.sub(lambda found: found[1] or "", source.read_text(path, limit=_LIMIT))
    try:
        document = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
