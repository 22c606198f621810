"""PHP's ini language, as far as a plan has to understand it: names, plain values, sizes, error levels."""

from __future__ import annotations

import re

from stager.errors import ConfigurationError

MIB = 1 << 20
UNITS = {"": 1, "K": 1 << 10, "M": MIB, "G": 1 << 30}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*$")
_SIZE = re.compile(r"\s*([+-]?\d+)\s*([KMG]?)B?\s*", re.IGNORECASE)
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'")

#: PHP evaluates these words itself, but only where they stand without quotes; we quote everything.
_WORDS = {"on": "1", "yes": "1", "true": "1", "off": "0", "no": "0", "false": "0", "none": "0", "null": ""}
#: https://www.php.net/manual/en/errorfunc.constants.php, as of PHP 8: E_STRICT is still in E_ALL.
_LEVELS = {
    "E_ERROR": 1, "E_WARNING": 2, "E_PARSE": 4, "E_NOTICE": 8, "E_CORE_ERROR": 16, "E_CORE_WARNING": 32,
    "E_COMPILE_ERROR": 64, "E_COMPILE_WARNING": 128, "E_USER_ERROR": 256, "E_USER_WARNING": 512,
    "E_USER_NOTICE": 1024, "E_STRICT": 2048, "E_RECOVERABLE_ERROR": 4096, "E_DEPRECATED": 8192,
    "E_USER_DEPRECATED": 16384, "E_ALL": 32767,
}  # fmt: skip
_EXPRESSION = re.compile(r"\s*(E_[A-Z_]+|\d+|[()&|^~!])")


def parse_ini(text: str) -> dict[str, str]:
    """Return the settings of an ini file, the last one of a name, as plain strings.

    Sections, lists and lines that PHP would not understand either are passed over; so are values with
    ``${…}``, which nobody knows before the start.
    """
    settings = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found and "${" not in found[2]:
            settings[found[1]] = plain_value(found[2])
    return settings


def plain_value(raw: object) -> str:
    """Return what PHP would make of a value, so that it can stand in quotes: Off is 0, E_ALL is 32767."""
    if isinstance(raw, bool):  # YAML has read `on` and `off` before we could
        return "1" if raw else "0"
    text = "" if raw is None else str(raw).strip()
    quoted = _QUOTED.match(text)
    if quoted:
        return quoted[2] if quoted[1] is None else re.sub(r"\\([\"\\])", r"\1", quoted[1])
    text = text.partition(";")[0].strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.match(r"[(~!\s]*E_[A-Z]", text):
        return str(_error_level(text))
    return text


def size_bytes(value: object, where: str) -> int:
    """Return the bytes of a size as PHP writes it (``128M``, ``1G``, ``65536``, ``-1``).

    Raises
    ------
    ConfigurationError
        It is none; ``where`` says which setting of which file.
    """
    found = _SIZE.fullmatch(str(value))
    if not found:
        raise ConfigurationError(
            f"{where}: {str(value)!r} is not a size.",
            details="PHP writes sizes as a whole number of bytes, or with K, M or G: 134217728, 128M.",
            resolution="Write it like that.",
        )
    return int(found[1]) * UNITS[found[2].upper()]


def checked_name(name: str, where: str) -> str:
    """Return ``name`` if it can be the name of a setting; raises ConfigurationError otherwise."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{where}: {name!r} is not the name of a PHP setting.",
            details="Names have letters, digits, dots and underscores: opcache.enable.",
            resolution="Correct or remove it.",
        )
    return name


def _error_level(text: str) -> int:
    """Evaluate ``E_ALL & ~E_NOTICE``: PHP's ini parser knows | & ^ ~ ! without precedence, left to right."""
    tokens = _EXPRESSION.findall(text)
    value, _ = _operation(tokens, 0)
    return value


def _operation(tokens: list[str], at: int) -> tuple[int, int]:
    value, at = _operand(tokens, at)
    while at < len(tokens) and tokens[at] in "&|^":
        right, after = _operand(tokens, at + 1)
        value = {"&": value & right, "|": value | right, "^": value ^ right}[tokens[at]]
        at = after
    return value, at


def _operand(tokens: list[str], at: int) -> tuple[int, int]:
    if at >= len(tokens):
        return 0, at
    token = tokens[at]
    if token in "~!":  # noqa: S105  an operator, no password
        value, after = _operand(tokens, at + 1)
        return (~value if token == "~" else int(not value)), after  # noqa: S105  an operator, no password
    if token == "(":  # noqa: S105  as above
        value, after = _operation(tokens, at + 1)
        return value, after + 1
    return (int(token) if token.isdigit() else _LEVELS.get(token, 0)), at + 1
