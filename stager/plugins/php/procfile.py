"""The ``web`` line that PHP applications bring from Heroku: a server and a document root, not a program."""

from __future__ import annotations

import re
import shlex

from stager.model.frozen import dataclass
from stager.model.plan import Command, Shell

_LAUNCHER = re.compile(r"(?:\S*/)?heroku-php-(apache2|nginx)")
#: Options of the launcher that are followed by a value.
_WITH_VALUE = frozenset("CcFfiIlp")


@dataclass(frozen=True, slots=True)
class HerokuWeb:
    """``web: heroku-php-apache2 -C site.conf public/``, taken apart.

    ``document_root`` is empty where the line names none; ``ignored`` are options that mean nothing here.
    """

    launcher: str
    document_root: str = ""
    ignored: tuple[str, ...] = ()


def heroku_web(command: Command | None) -> HerokuWeb | None:
    """Return what the launcher's line says, or None where ``command`` is anything else."""
    try:
        words = shlex.split(command.text) if isinstance(command, Shell) else list(command or ())
    except ValueError:  # quotes that are not closed: for bash to judge
        return None
    while words and (words[0] == "exec" or re.fullmatch(r"[A-Za-z_]\w*=\S*", words[0])):
        words = words[1:]
    found = _LAUNCHER.fullmatch(words[0]) if words else None
    # Operators make it a script, and a script runs as written.
    if not found or (isinstance(command, Shell) and re.search(r"[;&|<>`$()\n]", command.text)):
        return None
    ignored: list[str] = []
    document_root = ""
    rest = iter(words[1:])
    for word in rest:
        if word.startswith("-") and word != "--":
            has_value = word[-1] in _WITH_VALUE and not word.startswith("--")
            ignored.append(f"{word} {next(rest, '')}".strip() if has_value else word)
        elif word != "--":
            document_root = word
    return HerokuWeb(f"heroku-php-{found[1]}", document_root, tuple(ignored))
