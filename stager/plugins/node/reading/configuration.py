"""What a toolkit's configuration says, read as text: it is a program, and is not run."""

from __future__ import annotations

import re

from stager.model.source_tree import SourceTree

_SUFFIXES = ("js", "mjs", "cjs", "ts", "mts", "cts")
#: A text in quotes is kept; a comment is not. `//` in a URL stands in quotes.
_TOKENS = re.compile(
    r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|//[^\n]*|/\*.*?\*/""", re.DOTALL
)
_LIMIT = 256 << 10


def configuration(source: SourceTree, folder: str, *names: str) -> str:
    """The text of the first of ``NAME.{js,mjs,cjs,ts,…}`` in a folder, without comments; empty if none."""
    found = configuration_file(source, folder, *names)
    return without_comments(source.read_text(found, limit=_LIMIT)) if found else ""


def configuration_file(source: SourceTree, folder: str, *names: str) -> str:
    """The path of that file; empty if there is none."""
    for name in names:
        for suffix in _SUFFIXES:
            path = f"{folder}/{name}.{suffix}".lstrip("/")
            if source.is_file(path):
                return path
    return ""


def without_comments(text: str) -> str:
    """JavaScript (or JSON with comments) without its comments."""
    return _TOKENS.sub(lambda found: found[1] or " ", text)


def setting(text: str, name: str) -> str:
    """The text that a setting has (``outDir: 'x'``); empty where it has none, or one that is computed."""
    found = re.search(rf"""(?<![\w$.])["']?{re.escape(name)}["']?\s*:\s*(["'`])((?:(?!\1)[^\n$])*)\1""", text)
    return found[2] if found else ""


def is_set(text: str, name: str, value: str) -> bool:
    """Whether a setting has a value that is a word: ``ssr: false``."""
    return bool(re.search(rf"""(?<![\w$.])["']?{re.escape(name)}["']?\s*:\s*{re.escape(value)}\b""", text))


def folder_of(text: str, name: str, default: str) -> str:
    """The folder that a setting names, inside the application; else ``default``."""
    folder = setting(text, name).removeprefix("./").strip("/")
    return folder if folder and ".." not in folder.split("/") else default
