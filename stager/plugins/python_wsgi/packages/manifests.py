"""Documents in TOML and what the standard ones among them say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stager.errors import ConfigurationError
from stager.model.source_tree import SourceTree


def read_toml(source: SourceTree, path: str) -> Mapping[str, Any]:
    """Parse a file. Raises ConfigurationError with the line where it is malformed."""
    import tomllib

    text = source.read_text(path, limit=64 << 20)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path} is not valid TOML.",
            details=str(error),
            resolution="Mend it; the line and column are where reading stopped.",
        ) from error


def table(document: object, *names: str) -> Mapping[str, Any]:
    """The table in a table in ``document``; an empty one where there is none."""
    for name in names:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}
