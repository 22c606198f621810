"""Scripts of package.json, taken apart as `sh` would: where one is plain, no shell has to run it."""

from __future__ import annotations

import re
import shlex

from stager.model.frozen import dataclass

#: What `sh` does something about, outside of quotes.
_SPECIAL = frozenset("|;<>`()*?[#!&\n$")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
#: The only variables that stay variables: they are always there, and hold no spaces.
_VARIABLE = re.compile(
    r"\$(?:\{(PORT|VCAP_APP_PORT|VCAP_APP_HOST)(?::-[\w.]*)?\}|(PORT|VCAP_APP_PORT|VCAP_APP_HOST)\b)"
)
_REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True)
class Line:
    """A simple command. ``words`` and the values of ``environment`` are as in an argv: ``$$`` is a dollar."""

    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


def parse(text: str) -> tuple[Line, ...] | None:
    """Return the simple commands that ``&&`` joins; None where something needs a shell."""
    lines = []
    split = _split(text)
    if split is None:
        return None
    for words in split:
        count = 0
        environment = []
        while count < len(words) and (found := _ASSIGNMENT.fullmatch(words[count])):
            environment.append((found[1], found[2]))
            count += 1
        if not words:
            return None
        lines.append(Line(tuple(words[count:]), tuple(environment)))
    return tuple(lines)


def assignment(word: str) -> tuple[str, str] | None:
    """A word of the form NAME=value."""
    found = _ASSIGNMENT.fullmatch(word)
    return (found[1], found[2]) if found else None


def as_shell(words: tuple[str, ...]) -> str:
    """Words of an argv as shell text."""
    return " ".join(_quoted(word) for word in words)


def plain(word: str) -> str:
    """A word of an argv as the user wrote it."""
    return word.replace("$$", "$")


def _quoted(word: str) -> str:
    parts, end = [], 0
    for found in _REFERENCE.finditer(word):
        if found[1]:
            literal = word[end : found.start()].replace("$$", "$")
            parts += [shlex.quote(literal) if literal else "", f'"${{{found[1]}}}"']
            end = found.end()
    rest = word[end:].replace("$$", "$")
    return "".join(parts) + (shlex.quote(rest) if rest or not parts else "")


class _NeedsShell(Exception):
    """It is more than words."""


def _split(text: str) -> list[list[str]] | None:
    try:
        return _Splitting(text.strip()).commands()
    except _NeedsShell:
        return None


class _Splitting:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def commands(self) -> list[list[str]]:
        commands: list[list[str]] = [[]]
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter in " \t":
                self._at += 1
            elif self._text.startswith("&&", self._at):
                self._at += 2
                commands.append([])
            else:
                commands[-1].append(self._word())
        return commands

    def _word(self) -> str:
        start, found = self._at, ""
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter in " \t" or self._text.startswith("&&", self._at):
                break
            if letter == "'":
                found += self._single()
            elif letter == '"':
                found += self._double()
            elif letter == "\\":
                found += self._escaped()
            elif letter == "$":
                found += self._variable()
            elif self._is_special(letter, start):
                raise _NeedsShell
            else:
                found += letter
                self._at += 1
        return found

    def _is_special(self, letter: str, start: int) -> bool:
        if letter in "#!~":
            # In the middle of a word they are letters.
            return self._at == start
        return letter in _SPECIAL

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise _NeedsShell
        content = self._text[self._at + 1 : end]
        self._at = end + 1
        return content.replace("$", "$$")

    def _double(self) -> str:
        self._at += 1
        found = ""
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == '"':
                self._at += 1
                return found
            if letter == "`":
                break
            if letter == "$":
                found += self._variable()
            elif letter == "\\" and self._text[self._at + 1 : self._at + 2] in ('"', "\\", "$", "`"):
                found += self._escaped()
            else:
                found += letter
                self._at += 1
        raise _NeedsShell

    def _escaped(self) -> str:
        letter = self._text[self._at + 1 : self._at + 2]
        if not letter or letter == "\n":
            raise _NeedsShell
        self._at += 2
        return "$$" if letter == "$" else letter

    def _variable(self) -> str:
        found = _VARIABLE.match(self._text, self._at)
        if not found:
            raise _NeedsShell
        self._at = found.end()
        return f"${{{found[1] or found[2]}}}"
