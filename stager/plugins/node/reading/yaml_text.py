"""Documents in YAML: pnpm's lock and settings, yarn's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stager.errors import ConfigurationError
from stager.model.source_tree import SourceTree


def parse_yaml(path: str, text: str) -> Mapping[str, Any]:
    """Return a document that is a mapping; an empty one is one, too.

    Raises
    ------
    ConfigurationError
        It is none; line and column are named.
    """
    import yaml

    # In C it is ten times as fast; some builds of the library do not have it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(text, Loader=loader)  # noqa: S506  (it is the safe one)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _invalid(path, str(error)) from error
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise _invalid(path, "A mapping of names to values was expected.")
    return document


def read_yaml(source: SourceTree, path: str) -> Mapping[str, Any]:
    """The document of a file; raises ConfigurationError."""
    return parse_yaml(path, source.read_text(path))


def _invalid(path: str, details: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not valid YAML.",
        details=details,
        resolution="Mend it; the line and column are where reading stopped.",
    )
