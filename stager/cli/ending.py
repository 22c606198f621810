"""The one place where a command ends: every error becomes a message, a report and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stager.cli.streams import has_lost_reader
from stager.errors import DiskFull, Interrupted, StagerError, UsageError

#: EFBIG is what a limit on the size of files gives (ulimit -f).
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
if TYPE_CHECKING:
    from stager.model.report import Record

_BUG = "This is a bug in stager, not in your application."


def run(group: click.Group, arguments: Sequence[str]) -> int:
    """Run ``group`` on ``arguments`` and return the exit code; never raises."""
    is_traced = "--debug" in arguments or is_debugging()
    problem: StagerError
    # What a command learns before it fails; filled by record_of_this_command.
    known: dict[str, Record] = {}
    try:
        outcome = group.main(list(arguments), prog_name="stager", standalone_mode=False, obj=known)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except SystemExit as end:
        if has_lost_reader():  # so click ends when it meets EPIPE: whoever read the help has seen enough
            return 0
        problem = as_bug(end, is_debugging=is_traced)
    except click.ClickException as error:
        problem = _usage(error)
    except (click.Abort, KeyboardInterrupt):
        problem = Interrupted("Interrupted.")
    except StagerError as error:
        problem = error
        if is_traced:
            problem.details += "\n" + "".join(traceback.format_exception(error))
    except Exception as error:  # noqa: BLE001  (a bug is reported like everything else)
        problem = as_bug(error, is_debugging=is_traced)
    return _end(arguments, problem, known)


def as_bug(error: BaseException, *, is_debugging: bool) -> StagerError:
    """Wrap an exception that nobody foresaw. A full disk can be met anywhere, and is no bug."""
    from stager import __version__

    if isinstance(error, OSError) and error.errno in FULL:
        return DiskFull(
            "No space is left on a disk that is needed.",
            details=str(error),
            resolution="Free some space (TMPDIR is needed, too) and try again.",
        )
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


def record_of_this_command() -> Record:
    """A record that is part of the report should the running command fail."""
    from stager.model.report import Record

    known: dict[str, Record] = click.get_current_context().obj
    return known.setdefault("record", Record())


def _end(arguments: Sequence[str], error: StagerError, known: Mapping[str, Record]) -> int:
    """An error outside a command's own reporting: the command line itself, or a bug in printing."""
    from stager import __version__
    from stager.cli.delivery import json_text, to_stdout, write_report
    from stager.model.report import Record

    show(error, as_events=_value(arguments, "--progress") == "json")
    document = (known.get("record") or Record()).document(__version__, error)
    try:
        report = _value(arguments, "--report")
        if report and "build" in arguments[:1]:
            write_report(Path(report), document)
        if "--json" in arguments:
            to_stdout(json_text(document))
    except StagerError as second:
        show(second)
    return error.exit_code


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
