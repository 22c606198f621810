"""``stager stop``."""

from __future__ import annotations

from pathlib import Path

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import json_option
from stager.cli.state import state_directory, state_option, teller


@click.command("stop", short_help="Stop an application, or one instance.")
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@state_option
@json_option
def command(names: tuple[str, ...], quiet: bool, state_dir: Path | None, as_json: bool, debug: bool) -> int:
    """Stop applications by their names, or single instances by their ids (or the beginning of one).

    When it returns, nothing of them runs. What does not run (any more) is not an error: it may be said twice.
    """
    from stager.launch.agent import control
    from stager.launch.agent.overview import find

    state = state_directory(state_dir)
    say = teller(is_quiet=quiet)
    stopped = []
    for name in names:
        seen, instance = find(state, name)
        if seen is None:
            say(f"Nothing called {name} runs (in {state.path}).")
        elif instance is not None:
            control.stop_instance(seen, instance, say)
            stopped.append({"name": seen.record.name, "index": instance.index, "id": instance.id})
        else:
            control.stop_application(seen, say)
            stopped += [
                {"name": seen.record.name, "index": one.index, "id": one.id}
                for one in seen.instances
                if one.state != "crashed"
            ]
    if as_json:
        to_stdout(json_text({"schema": 1, "stopped": stopped}))
    return 0
