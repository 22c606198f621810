"""The one place where a command ends: every error becomes a message, a report and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stager.errors import Interrupted, StagerError, UsageError

_BUG = "This is a bug in stager, not in your application."


def run(group: click.Group, arguments: Sequence[str]) -> int:
    """Run ``group`` on ``arguments`` and return the exit code; never raises."""
    try:
        outcome = group.main(list(arguments), prog_name="stager", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return _end(arguments, _usage(error))
    except (click.Abort, KeyboardInterrupt):
        return _end(arguments, Interrupted("Interrupted."))
    except StagerError as error:
        if "--debug" in arguments or is_debugging():
            error.details += "\n" + "".join(traceback.format_exception(error))
        return _end(arguments, error)
    except Exception as error:  # noqa: BLE001  (a bug is reported like everything else)
        return _end(arguments, as_bug(error, is_debugging="--debug" in arguments))


def as_bug(error: Exception, *, is_debugging: bool) -> StagerError:
    """Wrap an exception that nobody foresaw."""
    from stager import __version__

    details = (
        "".join(traceback.format_exception(error)) if is_debugging else f"{type(error).__name__}: {error}"
    )
    return StagerError(
        _BUG,
        details=details,
        resolution=f"Please report it with the version ({__version__})"
        + ("." if is_debugging else " and what --debug prints."),
    )


def show(error: StagerError, *, as_events: bool = False) -> None:
    """Print an error on stderr, as lines or as one JSON event."""
    from stager.cli.console import JsonReporter, QuietReporter

    (JsonReporter(sys.stderr) if as_events else QuietReporter(sys.stderr)).error(error)


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    resolution = f"`{context.command_path} --help` shows what there is." if context else ""
    return UsageError(error.format_message(), resolution=resolution)


def _end(arguments: Sequence[str], error: StagerError) -> int:
    """An error outside a command's own reporting: the command line itself, or a bug in printing."""
    from stager.cli.delivery import json_text, to_stdout, write_report

    show(error, as_events=_value(arguments, "--progress") == "json")
    document = failure_document(error)
    try:
        report = _value(arguments, "--report")
        if report and "build" in arguments[:1]:
            write_report(Path(report), document)
        if "--json" in arguments:
            to_stdout(json_text(document))
    except StagerError as second:
        show(second)
    return error.exit_code


def failure_document(error: StagerError) -> dict[str, Any]:
    """The report of a run that came to nothing before it knew anything."""
    from stager import __version__
    from stager.model.report import Record

    return Record().document(__version__, error)


def _value(arguments: Sequence[str], option: str) -> str | None:
    for place, argument in enumerate(arguments):
        if argument == option and place + 1 < len(arguments):
            return arguments[place + 1]
        if argument.startswith(option + "="):
            return argument.partition("=")[2]
    return None


def is_debugging() -> bool:
    """Whether ``STAGER_DEBUG`` asks for tracebacks, as ``--debug`` does."""
    return bool(os.environ.get("STAGER_DEBUG"))
