"""``stager stats``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stager.cli.delivery import json_text, to_stdout, write_text
from stager.cli.options import PATH, json_option

if TYPE_CHECKING:
    from stager.launch.agent.overview import Seen
    from stager.launch.agent.page import Shown

_PERIOD = 2.0
#: What --json tells of each instance; --html has an hour.
_LATEST = 30


@click.command("stats", short_help="Show what applications take, in the terminal or as a page.")
@click.argument("name", required=False, metavar="[NAME|ID]")
@click.option("--watch", is_flag=True, help="Again every two seconds, until interrupted.")
@click.option("--html", type=PATH, metavar="FILE", help="Write a page with plots that needs nothing else.")
@click.option(
    "--state-dir",
    type=PATH,
    envvar="STAGER_STATE_DIR",
    metavar="DIR",
    help="Where applications are kept. Default: ~/.local/state/stager.",
)
@json_option
def command(
    name: str | None,
    watch: bool,
    html: Path | None,
    state_dir: Path | None,
    as_json: bool,
    debug: bool,
) -> int:
    """Show processor, memory, disk, processes and open files of every instance, now and lately.

    NAME is an application, ID an instance or the beginning of its id; without it all are shown. What is
    shown was measured by the supervisor: nothing is started by looking, and instances that have ended are
    shown as they were.
    """
    from stager.cli.signals import orderly_end

    with orderly_end(None):
        while True:
            shown, balancers = _look(name, state_dir)
            if html is not None:
                _write_page(html, shown)
            if as_json:
                # One document a line, so that a reader knows where it ends.
                document = {**_document(shown), "balancers": balancers}
                to_stdout(json.dumps(document) if watch else json_text(document))
            elif html is None or watch:
                _show(shown, balancers, is_again=watch)
            else:
                to_stdout(str(html))
            if not watch:
                return 0
            time.sleep(_PERIOD)


def _look(name: str | None, state_dir: Path | None) -> tuple[list[Shown], list[dict[str, Any]]]:
    """The instances that are asked for, with what was measured of them; and who is in front of them."""
    from stager.launch.agent.history import read_history
    from stager.launch.agent.overview import find, look, unknown
    from stager.launch.agent.page import Shown
    from stager.launch.agent.places import StateDirectory

    state = StateDirectory(state_dir.absolute()) if state_dir else StateDirectory.default()
    only = None
    if name is None:
        applications = look(state)
    else:
        seen, only = find(state, name)
        if seen is None:
            raise unknown(state, name)
        applications = [seen]
    shown = [
        Shown(one, read_history(seen.place.instance(one.index, one.id).history_file))
        for seen in applications
        for one in seen.instances
        if only is None or one.id == only.id
    ]
    return shown, [found for seen in applications if (found := _balancer(seen)) is not None]


def _balancer(seen: Seen) -> dict[str, Any] | None:
    from stager.launch.agent.census import read_family

    document = seen.balancer_document()
    if document is None:
        return None
    family = read_family(seen.balancer) if seen.balancer else []
    return {
        "name": seen.record.name,
        **document,
        "memory": sum(one.resident for one in family),
        "cpu_seconds": round(sum(one.cpu_seconds for one in family), 2),
    }


def _show(shown: list[Shown], balancers: list[dict[str, Any]], *, is_again: bool) -> None:
    import shutil
    import sys

    from stager.launch.agent.board import board

    width = shutil.get_terminal_size().columns
    is_plain = "utf" not in (sys.stdout.encoding or "").lower()
    lines = board(shown, width, is_plain=is_plain)
    for one in balancers:
        what = f"HAProxy, {one['memory'] >> 20} MiB" if one["pid"] else "a balancer that is down"
        lines.append(f"{one['name']}: port {one['port']}, by {what}"[:width])
    # To the top, and clear what is below: a terminal that is cleared first would flicker.
    is_terminal = is_again and sys.stdout.isatty()
    to_stdout(("\x1b[H\x1b[J" if is_terminal else "") + "\n".join(lines) + ("\n" if is_again else ""))


def _write_page(path: Path, shown: list[Shown]) -> None:
    from stager.launch.agent.page import usage_page

    write_text(path, usage_page(shown), f"the page {path}")


def _document(shown: list[Shown]) -> dict[str, Any]:
    from dataclasses import asdict

    from stager.launch.agent.history import cpu_shares

    instances = []
    for one in shown:
        record, samples = one.record, one.samples
        shares = cpu_shares(samples)
        latest = asdict(samples[-1]) if samples else None
        if latest is not None:
            latest["cpu_share"] = round(shares[-1], 4) if shares else None
        instances.append(
            {
                "name": record.name,
                "index": record.index,
                "id": record.id,
                "state": record.state,
                "reason": record.reason,
                "means": record.means or None,
                "limits": asdict(record.limits),
                "now": latest,
                "peak": {
                    "memory": max((sample.memory for sample in samples), default=0),
                    "disk": max((sample.disk for sample in samples), default=0),
                    "tasks": max((sample.tasks for sample in samples), default=0),
                    "fds": max((sample.fds or 0 for sample in samples), default=0),
                    "cpu_share": round(max(shares, default=0.0), 4),
                },
                "samples": [asdict(sample) for sample in samples[-_LATEST:]],
            }
        )
    return {"schema": 1, "instances": instances}
