"""Settings from the command line: dotted keys, and where each of them belongs."""

from __future__ import annotations

from collections.abc import Mapping

from stager.settings.containers import Named, Record
from stager.settings.definition import Definition, inner
from stager.settings.kinds import Kind
from stager.settings.values import EMPTY, Items, Scalar, Section, Value, merge


def read_flags(flags: Mapping[str, object], definition: Definition) -> Section:
    """The settings that flags make.

    Parameters
    ----------
    flags:
        Values by dotted key: a text, several texts (an option that was repeated), or a mapping
        (``{"env": {"APP_ENV": "test"}}``, the same as ``{"env.APP_ENV": "test"}``). None, and an empty
        sequence, stand for a flag that was not given.
    definition:
        Decides how a key is split: below a mapping, the rest of it is one name (``php.ini.date.timezone``).
    """
    section = EMPTY
    for path, given in flags.items():
        if isinstance(given, Mapping):
            several = {f"{path}.{name}": item for name, item in given.items()}
            section = merge(section, read_flags(several, definition))
            continue
        value = _value(given, _spelled(path, definition))
        if value is not None:
            section = merge(section, nested(definition, path, value))
    return section


def nested(definition: Definition, path: str, value: Value) -> Section:
    """``value`` at its dotted path."""
    first, dot, rest = path.partition(".")
    names = [definition.aliases.get(first, first)]
    kind: Kind | None = _below(definition.root, names[0])
    while dot:
        if isinstance(kind, Named):
            names.append(rest)
            break
        name, dot, rest = rest.partition(".")
        names.append(name)
        kind = _below(kind, name)
    for name in reversed(names):
        value = Section({name: value}, value.origin)
    return value if isinstance(value, Section) else EMPTY


def _below(kind: Kind | None, name: str) -> Kind | None:
    if not isinstance(kind, Record) or name not in kind.fields:
        return None
    return inner(kind.fields[name].kind)


def _value(given: object, origin: str) -> Value | None:
    if given is None:
        return None
    if isinstance(given, list | tuple):
        items = tuple(Scalar(str(item), "untyped", origin) for item in given)
        return Items(items, origin) if items else None
    return Scalar(str(given), "untyped", origin)


def _spelled(path: str, definition: Definition) -> str:
    """The flag as it was typed: ``--memory``, ``--env APP_ENV``, ``--set php.document_root``."""
    first, _, rest = path.partition(".")
    key = definition.root.fields.get(first)
    if key is None or not key.about.flag or (rest and not isinstance(key.kind, Named)):
        return f"--set {path}"
    return f"{key.about.flag} {rest}".rstrip()
