"""``stager build``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import click

from stager.cli.console import ConsoleReporter, Manner, make_reporter
from stager.cli.delivery import demand_report_place, json_text, to_stdout, write_report
from stager.cli.ending import as_bug, is_debugging
from stager.cli.options import PATH, json_option, make_request, source_options
from stager.errors import StagerError, UsageError

FORMATS = ("tar.gz", "tar.zst", "dir")
_STEP = 1000


@click.command("build", short_help="Turn a source tree into a droplet.")
@source_options
@click.option(
    "-o", "--output", type=PATH, metavar="DROPLET", help="Default: <source name>.droplet.tar.gz here."
)
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Default: by the suffix of --output.")
@click.option("--timeout", type=click.FloatRange(min=0.001), metavar="SECONDS", help="For the whole build.")
@click.option("--verify", type=click.Choice(["none", "static", "boot"]), default="static", show_default=True)
@click.option("--report", type=PATH, metavar="FILE", help="Write the report here, on success and on failure.")
@click.option("--progress", type=click.Choice(list(get_args(Manner))), default="auto", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say also where each setting came from, and times.")
@json_option
def command(
    output: Path | None,
    format_: str | None,
    timeout: float | None,
    report: Path | None,
    progress: Manner,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Turn SOURCE into a droplet.

    SOURCE is a directory, a .zip, a .tar (also .gz, .zst, .xz), or - for a tar stream on stdin.
    The droplet's path is printed on stdout; with --json, the report.
    """
    from stager import __version__
    from stager.model.report import Record

    record = Record()
    reporter = make_reporter(progress, is_quiet=quiet, is_verbose=verbose)
    failure: StagerError | None = None
    report_place: Path | None = None
    try:
        if report:
            demand_report_place(report, output)
            report_place = report
        _build(record, reporter, output, format_, timeout, report, options)
    except StagerError as error:
        failure = error
        if debug or is_debugging():
            failure.details += "\n" + _trace(error)
    except Exception as error:  # noqa: BLE001  (a bug is reported like everything else)
        failure = as_bug(error, is_debugging=debug or is_debugging())
    document = record.document(__version__, failure)
    if failure:
        reporter.error(failure)
    else:
        _summary(reporter, document, is_verbose=verbose)
    if report_place:
        failure = _deliver(lambda: write_report(report_place, document), reporter, failure)
    text = json_text(document) if as_json else "" if failure else document["droplet"]["path"]
    if text:
        failure = _deliver(lambda: to_stdout(text), reporter, failure)
    return failure.exit_code if failure else 0


def _build(
    record: Any,
    reporter: ConsoleReporter,
    output: Path | None,
    format_: str | None,
    timeout: float | None,
    report: Path | None,
    options: dict[str, Any],
) -> None:
    from contextlib import nullcontext
    from dataclasses import replace
    from functools import partial

    from stager.cli.heap import steady_heap
    from stager.cli.signals import orderly_end
    from stager.execution.ahead import begun_ahead
    from stager.source.ahead import index_as_bytes

    with orderly_end(timeout, lambda: record.doing):
        steady_heap()
        output, format_ = _output(options["source"], output, format_)
        request = make_request(
            **options, output=output, format=format_, excluded=tuple(filter(None, (report,)))
        )
        index = partial(index_as_bytes, request.source, request.left_out)
        with begun_ahead(index) if os.path.isdir(request.source) else nullcontext() as ahead:
            # Needed later on by every build; now the index is not ready yet.
            import jinja2  # noqa: F401
            import yaml  # noqa: F401

            from stager.staging import stage

            stage(replace(request, ahead=ahead.result if ahead else None), reporter, record)


def _output(source: str, output: Path | None, format_: str | None) -> tuple[Path, str]:
    """Where the droplet goes and in which format, each from the other where only one is given."""
    if output is None:
        suffix = "" if format_ == "dir" else f".{format_ or 'tar.gz'}"
        name = "app" if source == "-" else _stem(Path(source).resolve().name)
        return Path(f"{name}.droplet{suffix}"), format_ or "tar.gz"
    if format_ is None:
        suffixes = {".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar.zst": "tar.zst", ".tzst": "tar.zst"}
        format_ = next((value for key, value in suffixes.items() if output.name.endswith(key)), None)
        if format_ is None:
            raise UsageError(
                f"The name {output} does not say which format the droplet should have.",
                resolution="End it in .tar.gz or .tar.zst, or say --format tar.gz, tar.zst or dir.",
            )
    return output, format_


def _stem(name: str) -> str:
    for suffix in (".zip", ".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2"):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name or "app"


def _deliver(write: Any, reporter: ConsoleReporter, failure: StagerError | None) -> StagerError | None:
    try:
        write()
    except StagerError as error:
        reporter.error(error)
        return failure or error
    return failure


def _summary(reporter: ConsoleReporter, document: dict[str, Any], *, is_verbose: bool) -> None:
    droplet, verification = document["droplet"], document["verification"] or {}
    skipped = [item for item in verification.get("findings", ()) if item["level"] == "skipped"]
    boot = verification.get("boot") or {}
    reporter.result(
        f"Droplet {droplet['path']}: {_size(droplet['size_bytes'])}, sha256 {droplet['sha256'][:16]}…"
    )
    if boot.get("status") == "served":
        memory = _size(boot["memory_bytes"]) if boot["memory_bytes"] else "unknown"
        ready = boot["seconds_to_ready"]
        what = (
            "it kept running"
            if ready is None
            else f"first answer ({boot['http_status']}) after {ready:.2f} s"
        )
        reporter.result(
            f"Booted as {boot['user']}: {what}, memory {memory}, "
            f"stopped in {boot['seconds_to_stop'] or 0:.2f} s."
        )
    for finding in skipped:
        reporter.result(f"Not checked: {finding['message']}")
    seconds = sum(phase["seconds"] for phase in document["phases"])
    times = ", ".join(f"{phase['name']} {phase['seconds']:.2f}" for phase in document["phases"])
    reporter.result(f"Done in {seconds:.2f} s ({times}).")
    if is_verbose:
        for key, origin in document["settings_from"].items():
            reporter.result(f"Setting {key}: {origin}")


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < _STEP:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= _STEP
    return f"{count:.2f} GB"


def _trace(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))
