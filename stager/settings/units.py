"""Sizes and durations as people write them."""

from __future__ import annotations

import re

from stager.errors import ConfigurationError
from stager.settings.values import Scalar, described, problem

# M, MB and MiB all mean 1024 * 1024, as in php.ini, in Cloud Foundry and in Docker: a limit that came
# out five per cent smaller than the same text elsewhere would be a surprise.
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([KMGT])(?:i?B)?|B)?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)? ?(?:ms|s|m|h) ?)+", re.IGNORECASE | re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h)", re.IGNORECASE | re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
#: No longer text is a number: int() refuses 4301 digits with an exception of its own, float() makes them inf.
LONGEST = 40

#: The same grammars for JSON Schema, whose patterns have no flags.
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)? ?([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)? ?([Mm][Ss]|[SsMmHh]) ?)+)$"


def bytes_of(text: str) -> int | None:
    """``512M``, ``1.5G``, ``512MiB`` or ``536870912`` in bytes; None where it is no size."""
    found = _SIZE.fullmatch(text) if len(text) <= LONGEST else None
    if not found:
        return None
    factor: int = 1024 ** _POWERS[(found[2] or "").upper()]
    return int(float(found[1]) * factor) if "." in found[1] else int(found[1]) * factor


def seconds_of(text: str) -> float | None:
    """``60``, ``60s``, ``1m30s`` or ``500ms`` in seconds; None where it is no duration."""
    if len(text) > LONGEST:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(amount) * _SECONDS[unit.lower()] for amount, unit in _PART.findall(text))


def written_size(size: int) -> str:
    """The shortest exact way to write a number of bytes: ``512M``."""
    for unit in "TGMK":
        if size and size % 1024 ** _POWERS[unit] == 0:
            return f"{size // 1024 ** _POWERS[unit]}{unit}"
    return str(size)


def parse_size(text: str, origin: str) -> int:
    """Read the size that ``origin`` (``--max-size``) gives, in bytes.

    Raises ConfigurationError naming the origin.
    """
    size = bytes_of(text.strip())
    if size is None:
        raise not_a_size(Scalar(text, "untyped", origin))
    return size


def not_a_size(value: Scalar) -> ConfigurationError:
    """The error for a text that is no size."""
    return problem(
        value.origin,
        f"a size in bytes is expected, not {described(value)}.",
        resolution="Write for example 512M, 1.5G or 536870912.",
    )
