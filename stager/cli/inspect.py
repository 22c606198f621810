"""``stager inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import PATH, json_option


@click.command("inspect", short_help="Show what is inside a droplet.")
@click.argument("droplet", type=PATH, metavar="DROPLET")
@click.option(
    "--memory", metavar="SIZE", help="Say how many workers fit into this much. Default: its own limit."
)
@json_option
def command(droplet: Path, memory: str | None, as_json: bool, debug: bool) -> int:
    """Show the manifest of DROPLET, its processes, its sizes, and how many workers fit into its memory."""
    from stager.archive.droplet_content import read_droplet
    from stager.settings import parse_size

    found = read_droplet(droplet, is_hashing=False)
    budget = parse_size(memory, "--memory") if memory else found.manifest.limits.memory
    document = _document(found, budget)
    to_stdout(json_text(document) if as_json else _text(document))
    return 0


def _document(found: Any, budget: int) -> dict[str, Any]:
    from stager.model.memory import MIB, size_workers

    manifest = found.manifest
    sizing = {}
    for process in manifest.processes:
        if process.workers is None:
            continue
        cores = {
            str(count): size_workers(process.workers, budget // MIB, count * 100).workers
            for count in (1, 2, 4, 8)
        }
        sizing[process.type] = {
            "memory_bytes": budget,
            "promised_per_worker_mib": process.workers.worker_mib + process.workers.overhead_mib,
            "workers_by_cores": cores,
            "measured_worker_bytes": manifest.measured.get("worker_bytes"),
            "measured_fit": _measured_fit(process.workers, manifest.measured, budget),
        }
    return {
        "schema": 1,
        "manifest": manifest.as_document(),
        "droplet": {"path": str(found.path), "format": found.format, "size_bytes": found.size_bytes},
        "sizes": {"files": found.files, "bytes": found.bytes, "by_folder": found.by_folder},
        "workers": sizing,
        "drains": {process.type: process.drains for process in manifest.processes},
    }


def _measured_fit(model: Any, measured: Any, budget: int) -> int | None:
    from stager.model.memory import MIB, size_workers

    each = measured.get("worker_bytes")
    if not each:
        return None
    once = size_workers(model, budget // MIB).shares
    free = budget - (model.base_mib + sum(mib for _, mib in once)) * MIB
    fit: int = max(0, free // int(each))
    return fit


def _text(document: dict[str, Any]) -> str:
    manifest, sizes = document["manifest"], document["sizes"]
    runtimes = ", ".join(
        " ".join([item["name"], *(f"({name} {version})" for name, version in item["versions"].items())])
        for item in manifest["runtimes"]
    )
    droplet = document["droplet"]
    lines = [
        f"{droplet['path']}: {droplet['format']}, {droplet['size_bytes']:,} bytes",
        f"Staged for {runtimes} by stager {manifest['stager_version']}",
        f"{sizes['files']:,} files, {sizes['bytes']:,} bytes:",
    ]
    lines += [f"  {size:>14,}  {name}" for name, size in sizes["by_folder"].items()]
    lines.append("Processes:")
    for type_, process in manifest["processes"].items():
        command_ = process["command"]
        lines.append(f"  {type_}: {command_['shell'] if isinstance(command_, dict) else ' '.join(command_)}")
        drain = {
            True: "requests in flight finish",
            False: "it CANNOT drain requests in flight",
            None: "whether requests in flight finish is up to it",
        }[process["drains"]]
        lines.append(f"    stop: {process['stop_signal']}, TERM after {process['grace']:g} s; {drain}")
    for type_, fit in document["workers"].items():
        cores = ", ".join(
            f"{count} with {number} core{'s' * (number != '1')}"
            for number, count in fit["workers_by_cores"].items()
        )
        lines.append(
            f"Workers of {type_} within {fit['memory_bytes'] // (1 << 20)} MiB: {cores}; "
            f"{fit['promised_per_worker_mib']} MiB promised to each"
        )
        if fit["measured_worker_bytes"]:
            lines.append(
                f"    measured: one takes up to {fit['measured_worker_bytes'] // (1 << 20)} MiB; "
                f"{fit['measured_fit']} of that size would fit"
            )
    lines.append("Layers:")
    lines += [
        f"  {layer['name']}: {layer['files']:,} files, {layer['bytes']:,} bytes, {layer['digest'][:16]}…"
        for layer in manifest["layers"]
    ]
    lines.append(
        "Needs on the host: " + (", ".join(tool["name"] for tool in manifest["tools"]) or "bash alone")
    )
    return "\n".join(lines)
