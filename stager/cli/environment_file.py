"""``--env-file``: lines of ``NAME=value``."""

from __future__ import annotations

from pathlib import Path

from stager.errors import UsageError

_QUOTES = "\"'"


def read_environment_file(path: Path) -> list[tuple[str, str]]:
    """Names and values of a file; empty lines and those that begin with # say nothing.

    A value is what follows the first ``=``, as it stands; one in quotes is what these hold. Nothing is
    replaced in it.

    Raises
    ------
    UsageError
        It cannot be read, or a line is none of these. Values may be secrets: none is shown.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--env-file: cannot read {path}.",
            details=getattr(error, "strerror", None) or "It is not UTF-8.",
            resolution="Name a file with lines of NAME=value.",
        ) from error
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.removeprefix("export ").partition("=")
        if not sign or not name.strip() or "\0" in line:
            raise UsageError(
                f"--env-file: line {number} of {path} is not NAME=value.",
                resolution="Write one variable a line, and # before what is a comment.",
            )
        found.append((name.strip(), _unquoted(value.strip())))
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] in _QUOTES and value[-1] == value[0]:
        return value[1:-1]
    return value
