"""``stager runtimes``."""

from __future__ import annotations

from typing import Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.ending import show
from stager.cli.options import json_option
from stager.registry import Registry


@click.command("runtimes", short_help="List the installed runtimes and where they come from.")
@json_option
def command(as_json: bool, debug: bool) -> int:
    """List the installed runtimes, the package that each comes from, and the host tools that it uses.

    Exits with 70 when a plugin is broken; the others are listed all the same.
    """
    from stager.registry import load_registry

    registry = load_registry()
    document = _document(registry)
    to_stdout(json_text(document) if as_json else _text(document))
    for problem in registry.problems:
        show(problem)
    return registry.problems[0].exit_code if registry.problems else 0


def _document(registry: Registry) -> dict[str, Any]:
    from stager.model.report import error_document

    return {
        "schema": 1,
        "runtimes": [
            {
                "runtime": runtime,
                "aliases": list(buildpack.aliases),
                "package": registry.packages[runtime],
                "summary": buildpack.summary,
                "host_tools": [tool.name for tool in buildpack.host_tools],
            }
            for runtime, buildpack in registry.buildpacks.items()
        ],
        "problems": [error_document(problem) for problem in registry.problems],
    }


def _text(document: dict[str, Any]) -> str:
    lines = []
    for item in document["runtimes"]:
        also = f" (also {', '.join(item['aliases'])})" if item["aliases"] else ""
        lines.append(f"{item['runtime']}{also}  from {item['package']}")
        if item["summary"]:
            lines.append(f"    {item['summary']}")
        lines.append(f"    host tools: {', '.join(item['host_tools']) or 'none'}")
    return "\n".join(lines) or "No runtime is installed."
