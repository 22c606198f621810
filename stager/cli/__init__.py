"""The command line: one module a command, and the only part of stager that prints."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

COMMANDS = {
    "build": "Turn a source tree into a droplet.",
    "detect": "Say which runtimes a source tree needs, and on what evidence.",
    "plan": "Show everything that a build would do, without doing it.",
    "verify": "Check a droplet; with --boot, start it and ask it.",
    "inspect": "Show what is inside a droplet.",
    "run": "Start a droplet under its limits, watch it, restart it.",
    "ps": "List running applications and their instances.",
    "stop": "Stop an application, or one instance.",
    "restart": "Replace an application's instances by new ones.",
    "stats": "Show what applications take, in the terminal or as a page.",
    "logs": "Show what applications print; -f follows.",
    "export": "Write systemd units, a Procfile or a Compose file for a droplet.",
    "runtimes": "List the installed runtimes and where they come from.",
    "doctor": "Say what this host lacks for which runtime.",
    "schema": "Print the JSON Schema of stager.yml.",
}

#: Called by stager itself.
HIDDEN = frozenset({"supervise"})

_ALLOCATIONS = 50_000


class Commands(click.Group):
    """Imports a command's module when it is called, so that --version and --help stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        command: click.Command = import_module(f"stager.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in {*COMMANDS, *HIDDEN}:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_version(ctx: click.Context, _parameter: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from stager import __version__

        click.echo(f"stager {__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def stager() -> None:
    r"""Turn an uploaded source tree into a droplet: one tarball that starts on any Linux host.

    \b
    stager build ./app                    detects the runtime, writes app.droplet.tar.gz
    stager build ./app --verify boot      the same, and starts the droplet to prove it
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status (DESIGN section 5, README)."""
    from stager.cli.ending import run
    from stager.cli.streams import open_closed_streams, settle_stdout

    # A command makes objects and keeps them; to look for cycles among them every 700 takes 10 ms of a build.
    gc.set_threshold(_ALLOCATIONS)
    open_closed_streams()
    exit_code = run(stager, list(sys.argv[1:] if arguments is None else arguments))
    settle_stdout()
    # Not sys.exit: to free 20,000 names one by one takes 20 ms, and the process ends anyway.
    os._exit(exit_code)
