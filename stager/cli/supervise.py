"""``stager supervise``: what ``stager run --detach`` leaves behind; not for people."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import json_option
from stager.cli.state import state_directory, state_option


@click.command("supervise", hidden=True)
@click.argument("name")
@state_option
@json_option
def command(name: str, state_dir: Path | None, as_json: bool, debug: bool) -> int:
    """Keep the application NAME of a state directory, as it is written down there."""
    from stager.cli.signals import orderly_end
    from stager.errors import StagerError
    from stager.launch.agent.supervising import supervise
    from stager.launch.agent.supervisor import RELOAD
    from stager.model.report import error_document

    is_told = False

    def tell(document: dict[str, Any]) -> None:
        # Whoever waits for the answer reads to its end.
        nonlocal is_told
        to_stdout(json_text(document))
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
        is_told = True

    # No terminal that goes away, and no Ctrl-C meant for whoever started us, ends it.
    os.setsid()
    signal.signal(RELOAD, signal.SIG_IGN)
    try:
        with orderly_end():
            supervise(state_directory(state_dir).application(name), lambda _: None, tell)
    except StagerError as error:
        if is_told:
            raise
        to_stdout(json_text({"error": error_document(error), "exit_code": error.exit_code}))
        return error.exit_code
    return 0
