"""``stager detect``."""

from __future__ import annotations

from typing import Any

import click

from stager.cli.console import QuietReporter, printable
from stager.cli.delivery import json_text, to_stdout
from stager.cli.ending import record_of_this_command
from stager.cli.options import json_option, make_request, source_options
from stager.model.detection import Detected


@click.command("detect", short_help="Say which runtimes a source tree needs, and on what evidence.")
@source_options
@json_option
def command(as_json: bool, debug: bool, **options: Any) -> int:
    """Say which runtimes SOURCE needs, on what evidence, and what is nearly right.

    Exits with 21 when nothing is detected and with 22 when it is ambiguous.
    """
    from stager.cli.signals import orderly_end
    from stager.execution.workspace import Workspace
    from stager.model.report import Recording, detections_document
    from stager.phases.detect import detect
    from stager.staging import look

    record = record_of_this_command()
    reporter = Recording(Warnings(), record)
    with orderly_end(), Workspace() as workspace:
        source, settings, registry = look(make_request(**options), workspace, reporter, record)
        detected = detect(source, registry, settings.runtimes, reporter, record)
    document = detections_document(detected)
    to_stdout(json_text(document) if as_json else _text(detected))
    return 0


class Warnings(QuietReporter):
    """Says nothing but warnings, on stderr."""

    def __init__(self) -> None:
        import sys

        super().__init__(sys.stderr)

    def warning(self, text: str) -> None:
        self.write(f"Warning: {printable(text)}")


def _text(detected: Detected) -> str:
    lines = []
    for runtime, answer in detected.detections:
        if answer.strength:
            mark = "→" if runtime in detected.selected else " "
            does = f"{answer.strength.name.lower()}{', builds for another' if answer.supplies else ''}"
            lines.append(f"{mark} {runtime} ({does}): {', '.join(answer.evidence)}")
    lines += [f"  nearly: {text}" for text in detected.near_misses]
    return "\n".join(lines)
