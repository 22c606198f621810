"""YAML text as values that know their lines. Imported only when there is a file: PyYAML takes its time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from stager.errors import ConfigurationError
from stager.settings.values import Items, Scalar, ScalarKind, Section, Value, problem

_PREFIX = "tag:yaml.org,2002:"
_KINDS: dict[str, ScalarKind] = {
    f"{_PREFIX}str": "text",
    f"{_PREFIX}timestamp": "text",
    f"{_PREFIX}value": "text",
    f"{_PREFIX}int": "number",
    f"{_PREFIX}float": "number",
    f"{_PREFIX}bool": "boolean",
    f"{_PREFIX}null": "null",
}
_MERGE = f"{_PREFIX}merge"
# Aliases may stand for themselves, or for ten of ten of ten …: depth and number are bounded. Parsing is
# stopped at the depth, too: libyaml takes 15 s for 100,000 opening brackets.
MAX_DEPTH = 20
MAX_NODES = 20_000


def read_yaml(text: str, name: str) -> Section:
    """Read a settings file.

    Parameters
    ----------
    text:
        What is in it.
    name:
        What errors call it.

    Raises ConfigurationError naming the line: of a syntax error (with its column), of a key that stands
    there twice, of a top level that is no mapping.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_size(yaml.parse(text, Loader=loader), name)
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        raise _syntax_error(error, text, name) from None  # its text quotes the file, which may hold secrets
    if node is None or node.tag == f"{_PREFIX}null":
        return Section({}, name)
    value = _Reading(name).value(node, _line(node), 0)
    if not isinstance(value, Section):
        brief = "the settings have to be a mapping of keys to values."
        raise problem(value.origin, brief, resolution="Write `key: value`, for example `memory: 512M`.")
    return value


class _Reading:
    """One pass over composed nodes; it counts them, because an alias is visited each time it is used."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def value(self, node: yaml.Node, line: int, depth: int) -> Value:
        origin = f"{self._name} line {line}"
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise _too_much(origin)
        if isinstance(node, yaml.ScalarNode) and node.tag in _KINDS:
            return Scalar(node.value, _KINDS[node.tag], origin)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
            return Items(tuple(self.value(item, _line(item), depth + 1) for item in node.value), origin)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
            return Section(self._entries(node, depth), origin)
        resolution = "Write plain values, without `!tags`."
        raise problem(origin, f"the tag {_short(node.tag)} has no meaning here.", resolution=resolution)

    def _entries(self, node: yaml.Node, depth: int) -> dict[str, Value]:
        entries: dict[str, Value] = {}
        inherited: dict[str, Value] = {}
        lines: dict[str, int] = {}
        for key, item in node.value:
            line = _line(key)
            if not isinstance(key, yaml.ScalarNode):
                resolution = "Write `key: value`."
                raise problem(f"{self._name} line {line}", "a key has to be text.", resolution=resolution)
            if key.tag == _MERGE:
                for name, value in self._merged(item, line, depth).items():
                    inherited.setdefault(name, value)
                continue
            if key.value in lines:
                raise self._twice(key.value, line, lines[key.value])
            lines[key.value] = line
            entries[key.value] = self.value(item, line, depth + 1)
        return inherited | entries

    def _merged(self, node: yaml.Node, line: int, depth: int) -> dict[str, Value]:
        """What ``<<: *base`` or ``<<: [*one, *two]`` brings in; the first one of a name counts."""
        value = self.value(node, line, depth + 1)
        entries: dict[str, Value] = {}
        for section in value.items if isinstance(value, Items) else (value,):
            if not isinstance(section, Section):
                resolution = "Write `<<: *name`, where &name marks a mapping."
                raise problem(section.origin, "`<<` takes a mapping.", resolution=resolution)
            entries = {**section.entries, **entries}
        return entries

    def _twice(self, key: str, line: int, first: int) -> ConfigurationError:
        return problem(
            f"{self._name} line {line}",
            f"the key '{key}' stands here for the second time.",
            details=f"The first one is in line {first}.",
            resolution="Remove one of the two.",
        )


def _check_size(events: Iterator[yaml.Event], name: str) -> None:
    depth = 0
    for count, event in enumerate(events):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise _too_much(f"{name} line {_line(event)}")


def _too_much(origin: str) -> ConfigurationError:
    return problem(
        origin,
        "the file is too large or too deeply nested to be settings.",
        details=f"At most {MAX_NODES} values, and {MAX_DEPTH} levels; an alias counts each time it is used.",
        resolution="Keep only settings in it.",
    )


def _syntax_error(error: yaml.YAMLError, text: str, name: str) -> ConfigurationError:
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not YAML"
    if mark is None:  # a character that YAML forbids: only its position is known
        before = text[: getattr(error, "position", 0)]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    else:
        line, column = mark.line + 1, mark.column + 1
        if line > 1 and line > len(
            text.splitlines()
        ):  # the end of the file: its last line is what is unfinished
            line, column = len(text.splitlines()), len(text.splitlines()[-1]) + 1
    # libyaml reports a tab where the token before it began, at times one line up.
    near = "\n".join(text.splitlines()[max(0, line - 2) : line + 1])
    has_tab = re.search(r"^ *\t", near, re.MULTILINE)
    resolution = "YAML is indented with spaces: replace the tabs." if has_tab else ""
    if "another document" in reason:
        resolution = "Keep one document: remove the line `---`."
    return problem(
        f"{name} line {line}",
        f"not valid YAML, at column {column}.",
        details=f"{reason[0].upper()}{reason[1:]}.",
        resolution=resolution or "Mend that line; text that holds `: `, `#`, `*` or `&` has to be quoted.",
    )


def _line(node: yaml.Node | yaml.Event) -> int:
    mark: Any = node.start_mark
    return int(mark.line) + 1


def _short(tag: str) -> str:
    return tag.replace(_PREFIX, "!!")[:40]
