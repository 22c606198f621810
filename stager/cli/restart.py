"""``stager restart``."""

from __future__ import annotations

from pathlib import Path

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import json_option
from stager.cli.state import state_directory, state_option


@click.command("restart", short_help="Replace an application's instances by new ones.")
@click.argument("name", metavar="NAME|ID")
@state_option
@json_option
def command(name: str, state_dir: Path | None, as_json: bool, debug: bool) -> int:
    """Stop and start the instances of NAME one after the other, or the one with that ID.

    Behind a balancer (`stager run --balance`) no request to NAME is lost: new instances are started beside
    the old ones, and take over when all of them are healthy.

    Where the supervisor has died a new one is started, in the background, which adopts what still lives.
    """
    from stager.cli.signals import orderly_end
    from stager.launch.agent import control
    from stager.launch.agent.overview import find, unknown
    from stager.launch.agent.supervising import document_of, resume

    state = state_directory(state_dir)
    seen, instance = find(state, name)
    if seen is None:
        raise unknown(state, name)
    with orderly_end():
        control.restart(seen, instance, resume)
    document = document_of(seen.place)
    if as_json:
        to_stdout(json_text(document))
    else:
        to_stdout("\n".join(f"{one['name']}/{one['index']} {one['state']}" for one in document["instances"]))
    return 0
