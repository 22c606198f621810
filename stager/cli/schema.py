"""``stager schema``."""

from __future__ import annotations

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import json_option


@click.command("schema", short_help="Print the JSON Schema of stager.yml.")
@json_option
def command(as_json: bool, debug: bool) -> int:
    """Print the JSON Schema of stager.yml, for editors: it knows the keys of every installed runtime."""
    from stager.registry import load_registry
    from stager.settings import json_schema

    registry = load_registry()
    to_stdout(json_text(json_schema(registry.options, registry.aliases)))
    return 0
