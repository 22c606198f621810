"""``stager ps``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import json_option
from stager.cli.state import state_directory, state_option

if TYPE_CHECKING:
    from stager.launch.agent.overview import Seen
    from stager.launch.agent.records import InstanceRecord

_HEAD = ("NAME", "INDEX", "ID", "STATE", "PORT", "PID", "RESTARTS", "SINCE", "")


@click.command("ps", short_help="List running applications and their instances.")
@click.argument("name", required=False)
@state_option
@json_option
def command(name: str | None, state_dir: Path | None, as_json: bool, debug: bool) -> int:
    """List applications (or NAME alone) and their instances, also where the supervisor has died."""
    from stager.launch.agent.overview import look, unknown

    state = state_directory(state_dir)
    found = [seen for seen in look(state) if name in (None, seen.record.name)]
    if name is not None and not found:
        raise unknown(state, name)
    if as_json:
        documents = [seen.as_document() for seen in found]
        to_stdout(json_text({"schema": 1, "state_directory": str(state.path), "applications": documents}))
    else:
        to_stdout(_text(found) if found else f"Nothing runs (in {state.path}).")
    return 0


def _text(found: list[Seen]) -> str:
    rows = [_HEAD, *(row for seen in found for row in _rows(seen))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _rows(seen: Seen) -> list[tuple[str, ...]]:
    note = "" if seen.supervisor or seen.record.is_stopped else "nobody watches it: its supervisor has died"
    rows = [_row(seen.record.name, one, note) for one in seen.instances]
    if seen.record.balance:
        state, pid = ("running", str(seen.balancer)) if seen.balancer else ("down", "-")
        rows.append((seen.record.name, "-", "balancer", state, str(seen.record.balance), pid, "-", "-", ""))
    return rows or [(seen.record.name, "-", "-", "-", "-", "-", "-", "-", note)]


def _row(name: str, one: InstanceRecord, note: str) -> tuple[str, ...]:
    from stager.launch.agent.overview import age

    since = one.ended_at or one.ready_at or one.started_at
    notes = [note, _why(one)]
    return (
        name,
        str(one.index),
        one.id,
        one.state,
        str(one.port),
        str(one.pid),
        str(one.restarts),
        age(since),
        "; ".join(filter(None, notes)),
    )


def _why(one: InstanceRecord) -> str:
    import signal
    import time

    words = [one.reason]
    if one.exit_code is not None:
        words.append(f"exit code {one.exit_code}")
    if one.signal is not None:
        try:
            words.append(signal.Signals(one.signal).name)
        except ValueError:
            words.append(f"signal {one.signal}")
    if one.state == "backoff" and one.next_start is not None:
        words.append(f"again in {max(0.0, one.next_start - time.time()):.0f} s")
    return ", ".join(filter(None, words))
