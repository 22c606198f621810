"""``STAGER_*`` variables: each key that is no mapping has one, derived from its path."""

from __future__ import annotations

from collections.abc import Mapping

from stager.settings.containers import Named
from stager.settings.definition import Definition, inner
from stager.settings.flags import nested
from stager.settings.values import EMPTY, Scalar, Section, merge, nearest

PREFIX = "STAGER_"
#: Read by the command line, or meant for droplets and set by their startup; they are no settings.
RESERVED = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "AS",
        "CACHE_DIR",
        "CGROUP_ROOT",
        "DEBUG",
        "DROPLET",
        "INSTANCE",
        "LOGS",
        "OFFLINE",
        "PROC_CGROUP",
        "ROOT",
        "RUN_DIR",
        "SERVER_USER",
        "SOCKETS",
        "STATE",
        "USER",
        "WORKERS",
    )
)


def variables(definition: Definition) -> dict[str, str]:
    """The dotted key of each variable: ``{"STAGER_PHP_DOCUMENT_ROOT": "php.document_root"}``."""
    found: dict[str, str] = {}
    for path, key in definition.walk():
        name = _variable(path)
        if not isinstance(inner(key.kind), Named) and name not in RESERVED:
            found.setdefault(name, path)
    for alias, runtime in definition.aliases.items():
        for path in list(found.values()):
            if path.startswith(f"{runtime}."):
                found.setdefault(_variable(alias + path.removeprefix(runtime)), path)
    return found


def read_environment(
    environment: Mapping[str, str], definition: Definition
) -> tuple[Section, tuple[str, ...]]:
    """The settings that variables make, and a warning for each ``STAGER_`` name that means nothing.

    A variable that is empty counts as not set.
    """
    known = variables(definition)
    section = EMPTY
    warnings = []
    for name in sorted(name for name in environment if name.startswith(PREFIX) and name not in RESERVED):
        if name not in known:
            warnings.append(_unknown(name, known, definition))
        elif environment[name]:
            value = Scalar(environment[name], "untyped", f"environment {name}")
            section = merge(section, nested(definition, known[name], value))
    return section, tuple(warnings)


def _variable(path: str) -> str:
    return PREFIX + path.replace(".", "_").replace("-", "_").upper()


def _unknown(name: str, known: Mapping[str, str], definition: Definition) -> str:
    for path, key in definition.walk():
        if name == _variable(path) and isinstance(inner(key.kind), Named):
            return f"{name} is ignored: '{path}' is a mapping and has no variable; set it in stager.yml."
    near = nearest(name.removeprefix(PREFIX), (key.removeprefix(PREFIX) for key in [*known, *RESERVED]))
    guess = f"; did you mean {PREFIX}{near}?" if near else "."
    return f"{name} is ignored: it is not a setting of stager{guess}"
