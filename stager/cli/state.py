"""What the commands share that look at running applications: where these are, and how to name one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from stager.cli.options import PATH

if TYPE_CHECKING:
    from stager.launch.agent.places import StateDirectory

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_STATE = "Where running applications are kept. Default: ~/.local/state/stager."


def state_option(command: Decorated) -> Decorated:
    """``--state-dir``."""
    return click.option(
        "--state-dir", type=PATH, envvar="STAGER_STATE_DIR", metavar="DIR", help=_STATE, show_envvar=True
    )(command)


def state_directory(path: Path | None) -> StateDirectory:
    """The one that was named, or the default one; it need not be there."""
    from stager.launch.agent.places import StateDirectory

    return StateDirectory(path.absolute()) if path else StateDirectory.default()


def teller(*, is_quiet: bool) -> Callable[[str], None]:
    """Tells one line on stderr, whoever still reads it; a thread may call it."""
    from typing import TextIO

    from stager.cli.console import printable
    from stager.cli.streams import Enduring

    stream = cast("TextIO", Enduring(sys.stderr))

    def say(text: str) -> None:
        if not is_quiet:
            stream.write(f"{printable(text)}\n")
            stream.flush()

    return say
