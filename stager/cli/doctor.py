"""``stager doctor``."""

from __future__ import annotations

from typing import Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import json_option
from stager.model.host import HostTool, ToolFact


@click.command("doctor", short_help="Say what this host lacks for which runtime.")
@click.option("--runtime", "runtimes", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@json_option
def command(runtimes: tuple[str, ...], as_json: bool, debug: bool) -> int:
    """Say which host tools are there, in which version, what is missing, and what installs it.

    Exits with 41 when a runtime that was named lacks something that it cannot do without.
    """
    from stager.errors import HostToolMissing
    from stager.registry import load_registry

    registry = load_registry()
    named = [registry.resolve(name) for name in runtimes]
    document = _document({name: registry[name].host_tools for name in named or registry.buildpacks})
    to_stdout(json_text(document) if as_json else _text(document))
    is_lacking = any(not item["ok"] for item in document["runtimes"])
    return HostToolMissing.exit_code if named and is_lacking else 0


def _document(tools: dict[str, tuple[HostTool, ...]]) -> dict[str, Any]:
    from stager.execution.host import ask

    runtimes, missing = [], []
    for runtime, declared in tools.items():
        facts = [(tool, ask(tool)) for tool in declared]
        lacking = [tool for tool, fact in facts if not fact.is_present]
        missing += [tool.package for tool in lacking]
        runtimes.append(
            {
                "runtime": runtime,
                "ok": all(tool.optional for tool in lacking),
                "tools": [_tool(tool, fact) for tool, fact in facts],
                "missing": [tool.name for tool in lacking],
                "install": _install(tool.package for tool in lacking),
            }
        )
    return {"schema": 1, "runtimes": runtimes, "install": _install(missing)}


def _tool(tool: HostTool, fact: ToolFact) -> dict[str, Any]:
    return {
        "name": tool.name,
        "purpose": tool.purpose,
        "when": tool.when,
        "optional": tool.optional,
        "package": tool.package,
        "path": fact.path or None,
        "version": fact.version or None,
    }


def _install(packages: Any) -> str:
    names = sorted(set(packages))
    return f"apt-get install -y --no-install-recommends {' '.join(names)}" if names else ""


def _text(document: dict[str, Any]) -> str:
    lines = []
    for item in document["runtimes"]:
        state = (
            "ready"
            if not item["missing"]
            else "ready, without what is marked -"
            if item["ok"]
            else "not ready"
        )
        lines.append(f"{item['runtime']}: {state}")
        for tool in item["tools"]:
            if tool["path"]:
                lines.append(
                    f"  ✓ {tool['name']} {tool['version'] or ''} ({tool['path']})".replace("  (", " (")
                )
            else:
                mark = "-" if tool["optional"] else "✗"
                lines.append(
                    f"  {mark} {tool['name']} is missing: {tool['purpose']} (package {tool['package']})"
                )
    if document["install"]:
        lines += ["", "This installs what is missing:", f"  {document['install']}"]
    else:
        lines += ["", "Nothing is missing."]
    return "\n".join(lines)
