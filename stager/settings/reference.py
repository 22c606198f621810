"""The tables of ``docs/stager.yml.md``: a row for each key."""

from __future__ import annotations

from collections.abc import Mapping

from stager.settings.containers import Field, default_of
from stager.settings.definition import define
from stager.settings.environment import variables
from stager.settings.kinds import written


def reference_table(options_by_runtime: Mapping[str, type], section: str = "") -> str:
    """A table in Markdown: the keys of the core, or those of one runtime's section.

    Parameters
    ----------
    options_by_runtime:
        The dataclass of options of each runtime.
    section:
        The runtime; empty for the core.
    """
    definition = define(options_by_runtime)
    names = {path: name for name, path in variables(definition).items()}
    rows = ["| key | value | default | variable | meaning |", "|---|---|---|---|---|"]
    for path, key in definition.walk():
        owner = path.partition(".")[0]
        if (owner if owner in definition.runtimes else "") == section:
            variable = _code(names.get(path, ""))
            cells = (_code(path), key.kind.expected, _default(key), variable, key.about.help)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(key: Field) -> str:
    default = default_of(key)
    return "" if default in (None, "", [], {}) else _code(written(default))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
