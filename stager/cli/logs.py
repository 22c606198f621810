"""``stager logs``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import PATH, json_option

if TYPE_CHECKING:
    from stager.launch.agent.log_reading import Follower, Line, Source
    from stager.launch.agent.places import StateDirectory

#: Seconds between two looks; and between two looks for instances that are new.
_PAUSE = 0.2
_LOOK_AROUND = 1.0
_BATCH = 1000
_STATE = "Where applications are kept. Default: $STAGER_STATE_DIR, else ~/.local/state/stager."


@click.command("logs", short_help="Show what applications print; -f follows.")
@click.argument("wanted", default="", metavar="[NAME|ID]")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, metavar="N", help="Of each. Default: 50.")
@click.option("--state-dir", type=PATH, metavar="DIR", help=_STATE)
@json_option
def command(wanted: str, follow: bool, lines: int, state_dir: Path | None, as_json: bool, debug: bool) -> int:
    """Show the last lines of an application's or an instance's logs; of all where none is named.

    NAME.INDEX | is what it printed to stdout, NAME.INDEX ! what to stderr. With --json there is one document;
    with -f one a line.
    """
    from stager.launch.agent.log_reading import Line, sources, tail
    from stager.launch.agent.places import StateDirectory

    state = StateDirectory(state_dir.absolute()) if state_dir else StateDirectory.default()
    found = sources(state, wanted)
    followers = _followers(found) if follow else []
    last = [Line(source, text) for source in found for text in tail(source.path, lines)]
    if not follow:
        to_stdout(
            json_text({"schema": 1, "lines": [_plain(line) for line in last]}) if as_json else _text(last)
        )
        return 0
    _print(last, as_json)
    _follow(state, wanted, followers, as_json)
    return 0


def _followers(found: Iterable[Source], *, is_from_start: bool = False) -> list[Follower]:
    from stager.launch.agent.log_reading import Follower

    followers = [Follower(source, is_from_start) for source in found]
    for follower in followers:
        follower.open_at_end()
    return followers


def _follow(state: StateDirectory, wanted: str, followers: list[Follower], as_json: bool) -> None:
    """Until nobody reads any more, or an interrupt."""
    from stager.cli.streams import has_lost_reader
    from stager.errors import UsageError
    from stager.launch.agent.log_reading import Line, sources

    looked = time.monotonic()
    while not has_lost_reader():
        for follower in followers:
            _print((Line(follower.source, text) for text in follower.lines()), as_json)
        if time.monotonic() - looked > _LOOK_AROUND:
            looked = time.monotonic()
            known = {follower.source for follower in followers}
            try:
                found = sources(state, wanted)
            except UsageError:  # gone, and perhaps to come again
                found = ()
            for follower in followers:
                if follower.source not in found:
                    follower.close()
            followers[:] = [follower for follower in followers if follower.source in found]
            followers += _followers((one for one in found if one not in known), is_from_start=True)
        time.sleep(_PAUSE)


def _print(lines: Iterable[Line], as_json: bool) -> None:
    """In batches: a line each would cost a system call."""
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _BATCH:
            to_stdout(_text(batch, as_json=as_json))
            batch.clear()
    if batch:
        to_stdout(_text(batch, as_json=as_json))


def _text(lines: Iterable[Line], *, as_json: bool = False) -> str:
    return "".join(_rows(lines, as_json))


def _rows(lines: Iterable[Line], as_json: bool) -> Iterator[str]:
    for line in lines:
        if as_json:
            yield json.dumps(_plain(line)) + "\n"
        else:
            source = line.source
            sign = "|" if source.stream == "out" else "!"
            text = line.text.decode(errors="surrogateescape")
            yield f"{source.application}.{source.index} {sign} {text}\n"


def _plain(line: Line) -> dict[str, Any]:
    source = line.source
    return {
        "application": source.application,
        "index": source.index,
        "id": source.id,
        "stream": source.stream,
        "line": line.text.decode(errors="replace"),
    }
