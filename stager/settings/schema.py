"""The JSON Schema of ``stager.yml``, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stager.settings.containers import key_schema
from stager.settings.definition import define


def json_schema(
    options_by_runtime: Mapping[str, type], aliases: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A schema (draft 2020-12) that knows the sections of the given runtimes.

    Parameters
    ----------
    options_by_runtime:
        The dataclass of options of each runtime.
    aliases:
        Other names of runtimes, each with the runtime that it means.
    """
    definition = define(options_by_runtime, aliases)
    properties = {name: {"title": name, **key_schema(key)} for name, key in definition.root.fields.items()}
    for alias, runtime in definition.aliases.items():
        properties[alias] = {"title": alias, "$ref": f"#/properties/{runtime}"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stager.yml",
        "description": "How an application is turned into a droplet. Every key may be left out.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
