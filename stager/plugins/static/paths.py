"""Paths as ``_redirects`` and ``_headers`` write them, as patterns of Apache's."""

from __future__ import annotations

import re
from urllib.parse import unquote

from stager.model.frozen import dataclass

#: What no pattern between Apache's quotes can mean: mod_rewrite knows no escape for a quote, takes a
#: backslash as it is where other modules take it for an escape, and ^ means something in brackets.
_UNWRITABLE = frozenset('"\\^')
#: mod_rewrite has $1 to $9.
_MOST_GROUPS = 9


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression for decoded paths, and its groups by name (``splat`` is the asterisk)."""

    expression: str
    groups: tuple[str, ...] = ()


def pattern_of(path: str) -> Pattern | str:
    """Return the pattern of a path with ``:placeholders`` and a last ``*``, or why there is none."""
    if "*" in path[:-1]:
        return "* may only stand at the end"
    if path.endswith("*") and not path.endswith("/*"):
        return "* stands for a whole part of the path: write /*"
    body = path.removesuffix("/*") if path.endswith("/*") else path.rstrip("/")
    groups: list[str] = []
    pieces: list[str] = []
    for part in body.split("/")[1:]:
        placeholder = re.fullmatch(r":([A-Za-z_]\w*)", part)
        if placeholder:
            groups.append(placeholder[1])
            pieces.append("/([^/]+)")
            continue
        text = unquote(part)
        if any(char in _UNWRITABLE or not char.isprintable() for char in text) or "/" in text:
            return "it holds a character that no rule of Apache's can hold"
        pieces.append("/" + literal(text))
    if path.endswith("/*"):
        groups.append("splat")
        pieces.append("(?:/(.*))?")
    else:
        pieces.append("/?")
    if len(groups) > _MOST_GROUPS:
        return f"it has more than {_MOST_GROUPS} placeholders"
    if len(set(groups)) < len(groups):
        return "a placeholder stands in it twice"
    return Pattern(f"^{''.join(pieces)}$", tuple(groups))


def literal(text: str) -> str:
    """A text as a pattern that means that text, without a backslash."""
    return "".join(
        char if char.isalnum() or char in "/_-" or not char.isascii() else f"[{char}]" for char in text
    )
