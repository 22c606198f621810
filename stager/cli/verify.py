"""``stager verify``."""

from __future__ import annotations

from pathlib import Path

import click

from stager.cli.console import make_reporter
from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import PATH, json_option
from stager.model.finding import Verification


@click.command("verify", short_help="Check a droplet; with --boot, start it and ask it.")
@click.argument("droplet", type=PATH, metavar="DROPLET")
@click.option(
    "--boot", is_flag=True, help="Start it, ask it over HTTP, stop it, and prove that nothing is left."
)
@click.option("--timeout", type=click.FloatRange(min=0.001), metavar="SECONDS", help="For everything.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@json_option
def command(droplet: Path, boot: bool, timeout: float | None, quiet: bool, as_json: bool, debug: bool) -> int:
    """Check DROPLET (a tarball or an unpacked directory) and say what is wrong with it.

    Exits with 60 when a finding is an error, with 61 when it could not be verified, with 62 when it is
    no droplet, cut short, or not what its digests say.
    """
    from stager.cli.signals import orderly_end
    from stager.errors import VerificationFailed
    from stager.execution.workspace import Workspace
    from stager.phases.verify import verify_droplet

    reporter = make_reporter("plain", is_quiet=quiet or as_json)
    with orderly_end(timeout), Workspace() as workspace:
        verification = verify_droplet(droplet, workspace, reporter, is_booting=boot)
    if as_json:
        to_stdout(json_text({"schema": 1, **verification.as_document()}))
    else:
        to_stdout(_text(droplet, verification))
    return 0 if verification.is_ok else VerificationFailed.exit_code


def _text(droplet: Path, verification: Verification) -> str:
    from stager.cli.console import printable

    lines = []
    for finding in verification.findings:
        where = f" {printable(finding.path)}:" if finding.path else ""
        lines.append(f"{finding.level}: {finding.check}:{where} {finding.message}")
    boot = verification.boot
    if boot is not None and boot.log_tail and boot.status == "failed":
        lines += ["The end of its log:", *(f"  {printable(line)}" for line in boot.log_tail)]
    if boot is not None and boot.seconds_to_ready is not None:
        lines.append(
            f"Booted as {boot.user}: HTTP {boot.http_status} after {boot.seconds_to_ready:.2f} s, "
            f"{(boot.memory_bytes or 0) / 1e6:.1f} MB in all."
        )
    errors = sum(finding.level == "error" for finding in verification.findings)
    verdict = f"{errors} error{'s' if errors != 1 else ''}" if errors else "fine"
    lines.append(
        f"{droplet}: {verdict} ({len(verification.checks)} checks: {', '.join(verification.checks)})"
    )
    return "\n".join(lines)
