"""JSON as people write it: what is wrong with it, where, and what it should have been."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.names import printable

#: Bytes. The largest package.json of the registry have some hundred kB.
LARGEST = 8 << 20
#: How much of a line is shown: minified files have one.
_SHOWN = 100
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)


#: What stands where JSON wants something else, and what people meant by it.
_LIKELY = (
    (r"//|/\*|#", "a comment: JSON has none"),
    ("['`\u201c\u201d\u2018\u2019]", 'JSON wants straight double quotes: "'),
)


@dataclass(frozen=True, slots=True)
class JsonText:
    """A document, with the text that it was read from."""

    path: str
    text: str
    data: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def position_of(self, key: str, within: str = "") -> int:
        """Where a key of the document stands, or one of the mapping that ``within`` names; 0 if nowhere."""
        return next((at for at, path in _keys(self.text) if path == ((within, key) if within else (key,))), 0)

    def line_of(self, key: str) -> int:
        """The line of a key of the document."""
        return self.text.count("\n", 0, self.position_of(key)) + 1

    def show(self, position: int) -> str:
        """The place, with its line and a mark below it."""
        return _show(self.path, self.text, position, "")


def read_json(source: SourceTree, path: str) -> JsonText:
    """Return the document of a file that has to hold a JSON object.

    Raises
    ------
    ConfigurationError
        It does not: the line, the column and the likely reason are named.
    """
    data = source.read_bytes(path, limit=LARGEST)
    text, warnings = _decoded(path, data)
    twice: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            names = [name for name, _ in items]
            twice.extend(name for name in found if names.count(name) > 1)
        return found

    try:
        document = json.loads(text, object_pairs_hook=pairs, parse_constant=_no_json)
    except json.JSONDecodeError as error:
        position, reason = _reason(text, error)
        raise _invalid(path, _show(path, text, position, reason)) from error
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _invalid(path, f"{printable(path)}: {what}") from error
    if not isinstance(document, dict):
        raise _invalid(path, _show(path, text, 0, "an object was expected, as in {…}"))
    if _SURROGATE.search(text):
        # Half a pair cannot be written to any file; what it stood for is lost anyway.
        document = json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    for name in dict.fromkeys(twice):
        lines = [str(text.count("\n", 0, at) + 1) for at, keys in _keys(text) if keys[-1] == name]
        where = f"lines {', '.join(lines)}" if lines else "twice"
        warnings.append(
            f"{printable(path)}: {printable(name)} is there more than once ({where}); the last counts."
        )
    return JsonText(path, text, document, tuple(warnings))


def _decoded(path: str, data: bytes) -> tuple[str, list[str]]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data[:4].count(0) > 1:
        raise _invalid(path, f"{printable(path)} line 1: it is UTF-16, as some Windows programs write it; "
                       "JSON is UTF-8.")  # fmt: skip
    warnings = []
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        warnings.append(
            f"{printable(path)} begins with a byte order mark, which some tools refuse; save it without."
        )
    try:
        return data.decode(), warnings
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "replace")
        position = len(data[: error.start].decode("utf-8", "replace"))
        raise _invalid(path, _show(path, text, position, "not UTF-8")) from error


def _reason(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Where the mistake is, and what it probably is."""
    conflict = _CONFLICT.search(text)
    if conflict:
        return conflict.start(), "a merge conflict that was not resolved"
    position = error.pos
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    here, before = text[position : position + 2], text[:position].rstrip()
    likely = next((reason for pattern, reason in _LIKELY if re.match(pattern, here)), "")
    if not before and not here:
        position, likely = 0, "the file is empty; {} is the least that it can be"
    elif here[:1] in ("}", "]") and before.endswith(","):
        position, likely = len(before) - 1, f"a comma before {here[0]}: JSON has none after the last item"
    elif not here:
        position, likely = len(before), "the file ends here, in the middle of it"
    elif "',' delimiter" in error.msg and not likely:
        position, likely = len(before), "a comma, or the closing bracket, is missing here"
    elif "control character" in error.msg:
        position, likely = error.pos, "a text that does not end on its line, or a control character in it"
    elif error.msg.startswith("Extra data"):
        likely = "after the closing bracket nothing may follow"
    if not likely:
        likely = "names and texts stand in double quotes" if re.match(r"[\w$]", here) else error.msg
    return position, likely


def _show(path: str, text: str, position: int, reason: str) -> str:
    line = text.count("\n", 0, position) + 1
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    whole = text[begin : end if end >= 0 else len(text)].rstrip("\r")
    column = position - begin
    left = max(0, column - _SHOWN + 20)
    shown = "".join(letter if letter.isprintable() else " " for letter in whole[left : left + _SHOWN])
    place = f"{printable(path)} line {line}, column {column + 1}"
    return f"{place}{': ' + reason if reason else ''}\n    {shown}\n    {' ' * (column - left)}^"


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every key of the objects in a valid document, with its path."""
    path: list[str] = []
    is_object: list[bool] = []
    wants_key, last = False, (0, "")
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            is_object.append(mark == "{")
            path.append("")
            wants_key = mark == "{"
        elif mark in "}]":
            is_object.pop()
            path.pop()
            wants_key = False
        elif mark == ",":
            wants_key = is_object[-1] if is_object else False
        elif mark != ":" and wants_key:
            last = (token.start(), str(json.loads(mark)))
            path[-1] = last[1]
            wants_key = False
            yield last[0], tuple(path)


def _no_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _invalid(path: str, details: str) -> ConfigurationError:
    return ConfigurationError(
        f"{printable(path)} is not valid JSON.",
        details=details,
        resolution=f"Correct it; `node -e \"require('./{printable(path)}')\"` shows the place too.",
        slug="invalid-json",
    )
