"""``Procfile``: one ``type: command`` a line, and the command runs as written."""

from __future__ import annotations

import re

from stager.errors import ConfigurationError
from stager.settings.values import EMPTY, Scalar, Section, problem

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
_SHOWN = 60


def read_procfile(text: str, name: str = "Procfile") -> Section:
    """Read a Procfile as the ``processes`` of settings.

    Blank lines and lines that begin with ``#`` are skipped; lines may end with CR LF.
    Raises ConfigurationError naming the line: of one that is not ``type: command``, or that repeats a type.
    """
    commands: dict[str, Scalar] = {}
    lines: dict[str, int] = {}
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.match(line)
        origin = f"{name} line {number}"
        if not found or not found[2].strip():
            raise _not_a_process(line, origin)
        if found[1] in commands:
            raise problem(
                origin,
                f"the process type '{found[1]}' stands here for the second time.",
                details=f"The first one is in line {lines[found[1]]}.",
                resolution="Remove one of the two, or give it another type.",
            )
        lines[found[1]] = number
        commands[found[1]] = Scalar(found[2], "text", origin)
    return Section({"processes": Section(commands, name)}, name) if commands else EMPTY


def _not_a_process(line: str, origin: str) -> ConfigurationError:
    seen = line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
    details = f"The line is: {seen}"
    if re.match(r"^[A-Za-z0-9_-]+:\s*$", line):
        resolution = "Write `web: command` on one line."
        return problem(origin, "there is no command.", details=details, resolution=resolution)
    if line.lstrip().startswith("- "):
        details += "\nA Procfile is not YAML: it has no lists."
    elif line[0].isspace():
        details += "\nIt begins with a blank: a command cannot be continued on the next line."
    resolution = "Write `type: command`, for example `web: php -S 0.0.0.0:$PORT`."
    return problem(origin, "not a process.", details=details, resolution=resolution)
