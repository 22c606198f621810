"""``stager plan``."""

from __future__ import annotations

from typing import Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.detect import Warnings
from stager.cli.ending import record_of_this_command
from stager.cli.options import json_option, make_request, source_options


@click.command("plan", short_help="Show everything that a build would do, without doing it.")
@source_options
@json_option
def command(as_json: bool, debug: bool, **options: Any) -> int:
    """Show everything that a build of SOURCE would do, without doing it.

    The JSON is complete: steps, files with the values that they are rendered from, processes, tools.
    """
    from stager.cli.signals import orderly_end
    from stager.execution.workspace import Workspace
    from stager.model.report import Recording
    from stager.staging import prepare

    record = record_of_this_command()
    with orderly_end(), Workspace() as workspace:
        reporter = Recording(Warnings(), record)
        _, planned = prepare(make_request(**options), workspace, reporter, record)
    document = plan_document(planned)
    to_stdout(json_text(document) if as_json else _text(document))
    return 0


def plan_document(planned: Any) -> dict[str, Any]:
    """The plan as one JSON document; values of the build environment are left out, their names are not."""
    from stager.model.droplet import plain

    build = plain(planned.build)
    del build["runtime"]
    build["processes"] = {process.pop("type"): process for process in build["processes"]}
    settings = planned.settings
    return {
        "schema": 1,
        "runtimes": [plain(runtime) for runtime in planned.runtimes],
        **build,
        "limits": plain(settings.limits),
        "health": plain(settings.health),
        "build_environment": sorted(settings.build_environment),
        "settings_from": dict(settings.origins),
    }


def _text(document: dict[str, Any]) -> str:
    lines = [f"Runtimes: {', '.join(_runtime(item) for item in document['runtimes'])}"]
    lines += [f"  {what}: {why}" for what, why in document["choices"]]
    lines.append("Steps:" if document["steps"] else "Steps: none")
    for step in document["steps"]:
        text = step.get("script") or " ".join([step["tool"], *step["arguments"]])
        lines.append(f"  {step['name']}: {text}  (at most {step['timeout']:g} s)")
    lines.append(
        "Generated files, beside startup and stop:" if document["files"] else "Generated files: startup, stop"
    )
    lines += [f"  {file['path']}  from {file['template']}" for file in document["files"]]
    lines.append("Processes:")
    for type_, process in document["processes"].items():
        command_ = process["command"]
        text = command_["shell"] if isinstance(command_, dict) else " ".join(command_)
        lines.append(f"  {type_}: {text}")
        lines += [f"    beside it {one['name']}: {' '.join(one['command'])}" for one in process["companions"]]
        insists = "KILL" if process["stop_signal"] == "TERM" else "TERM"
        lines.append(
            f"    stop: {process['stop_signal']}, and {insists} to what is left after {process['grace']:g} s"
        )
        lines += _workers(process["workers"], document["limits"]["memory"])
    lines.append(
        "Needs on the host that runs it: "
        + (", ".join(tool["name"] for tool in document["tools"]) or "bash alone")
    )
    if document["settings_from"]:
        lines.append("Settings:")
        lines += [f"  {key}: {origin}" for key, origin in document["settings_from"].items()]
    return "\n".join(lines)


def _runtime(item: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in item["versions"].items())
    return f"{item['name']} ({versions})" if versions else str(item["name"])


def _workers(model: dict[str, Any] | None, memory: int) -> list[str]:
    if model is None:
        return []
    from stager.model.memory import MIB, Share, WorkerModel, size_workers

    shares = tuple(Share(**share) for share in model["shares"])
    sizing = size_workers(WorkerModel(**{**model, "shares": shares}), memory // MIB, 200)
    budget = f"within {memory // MIB} MiB (promised: {sizing.promised_mib} MiB)"
    text = f"    workers: {sizing.workers} of {sizing.worker_mib} MiB on 2 cores {budget}"
    return [f"{text}; counted again at every start"]
