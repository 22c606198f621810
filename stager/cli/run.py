"""``stager run``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import PATH, json_option, pairs, services_text
from stager.cli.state import state_directory, state_option, teller

if TYPE_CHECKING:
    from stager.launch.agent.declaring import Wanted

_PORT = "Of the first instance; the others get the next free ones. Default: free ones."
_BALANCE = "One port for all instances, through HAProxy; these get free ones."
_REPLACE = "Take the place of the application NAME, which serves until this is healthy."
_RESTART = "When an instance ends: start it again? Default: on-failure."
_PORTS = click.IntRange(1, 65535)


@click.command("run", short_help="Start a droplet under its limits, watch it, restart it.")
@click.argument("droplet", type=PATH, metavar="DROPLET")
@click.option("-p", "--port", type=_PORTS, metavar="PORT", help=_PORT)
@click.option(
    "--instances",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="How many. Default: 1. Of an application that runs: change it.",
)
@click.option("--balance", type=_PORTS, metavar="PORT", help=_BALANCE)
@click.option("--replace", "replaced", metavar="NAME", help=_REPLACE)
@click.option("-t", "--type", "type_", default="", metavar="TYPE", help="Process type. Default: web.")
@click.option("--name", default="", metavar="NAME", help="Of the application. Default: the droplet's.")
@click.option("--memory", metavar="SIZE", help="Of one instance, such as 512M. Default: the droplet's.")
@click.option("--disk", metavar="SIZE", help="Of one instance.")
@click.option("--fds", type=click.IntRange(16), metavar="N", help="Open files of one instance.")
@click.option("--env", "environment", multiple=True, metavar="K=V", help="Environment; repeatable.")
@click.option(
    "--env-file", "files", multiple=True, type=PATH, metavar="FILE", help="Lines of K=V; repeatable."
)
@click.option("--services", type=PATH, metavar="FILE", help="JSON in the shape of VCAP_SERVICES.")
@click.option("--user", default="", metavar="USER", help="Run as (root only). Default: nobody, when root.")
@click.option("--debug-port", metavar="PORT", help="VCAP_DEBUG_PORT; 0 for a free one.")
@click.option("--console-port", metavar="PORT", help="VCAP_CONSOLE_PORT; 0 for a free one.")
@click.option("--restart", type=click.Choice(["always", "on-failure", "never"]), default=None, help=_RESTART)
@click.option("--keep", is_flag=True, help="Keep the directories of instances that ended.")
@click.option("--detach", is_flag=True, help="Return when it is ready; it goes on.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@state_option
@json_option
def command(
    droplet: Path,
    port: int | None,
    instances: int | None,
    balance: int | None,
    replaced: str | None,
    type_: str,
    name: str,
    memory: str | None,
    disk: str | None,
    fds: int | None,
    environment: tuple[str, ...],
    files: tuple[Path, ...],
    services: Path | None,
    user: str,
    debug_port: str | None,
    console_port: str | None,
    restart: Any,
    keep: bool,
    detach: bool,
    quiet: bool,
    state_dir: Path | None,
    as_json: bool,
    debug: bool,
) -> int:
    """Start DROPLET, wait until it is ready, and keep it running until SIGTERM or SIGINT.

    Exits with 0 when it was stopped, with 60 when it did not start or has crashed for good, with 61 when the
    port is taken, with 62 when it is no droplet, cut short, or not what its digests say.

    With --replace, or where only another number of --instances is asked for of what runs, it returns when
    that is so: who keeps the application goes on keeping it.
    """
    from stager.cli.environment_file import read_environment_file
    from stager.launch.agent.declaring import Wanted
    from stager.settings import parse_size

    variables = {key: value for file in files for key, value in read_environment_file(file)}
    variables.update(pairs("--env", environment))
    wanted = Wanted(
        droplet,
        name=name,
        type=type_,
        instances=instances,
        ports=(port,) if port else (),
        balance=balance or 0,
        debug_port=_side_port("--debug-port", debug_port),
        console_port=_side_port("--console-port", console_port),
        memory=parse_size(memory, "--memory") if memory else None,
        disk=parse_size(disk, "--disk") if disk else None,
        fds=fds,
        variables=variables,
        services=services_text(services),
        user=user,
        restart=restart,
        is_keeping=keep,
    )
    if replaced is not None:
        _replace(wanted, replaced, state_dir, as_json=as_json)
        return 0
    _run(wanted, state_dir, is_detached=detach, is_quiet=quiet, as_json=as_json)
    return 0


def _run(wanted: Wanted, state_dir: Path | None, *, is_detached: bool, is_quiet: bool, as_json: bool) -> None:
    from stager.cli.signals import orderly_end
    from stager.launch.agent.control import wait_for_number
    from stager.launch.agent.declaring import declare
    from stager.launch.agent.inheriting import declare_number
    from stager.launch.agent.supervising import detach, document_of, supervise
    from stager.launch.agent.supervisor import RELOAD

    def tell_ready(document: dict[str, Any]) -> None:
        _tell(document, as_json=as_json)

    # Meant for who supervises, which we are from the first line written on.
    signal.signal(RELOAD, signal.SIG_IGN)
    with orderly_end():
        if (running := declare_number(state_directory(state_dir), wanted)) is not None:
            wait_for_number(running)
            tell_ready(document_of(running))
            return
        place = declare(state_directory(state_dir), wanted)
        if is_detached:
            tell_ready(detach(place))
        else:
            supervise(place, teller(is_quiet=is_quiet), tell_ready)


def _replace(wanted: Wanted, name: str, state_dir: Path | None, *, as_json: bool) -> None:
    from stager.cli.signals import orderly_end
    from stager.errors import UsageError
    from stager.launch.agent.inheriting import declare_replacement
    from stager.launch.agent.requesting import ask
    from stager.launch.agent.supervising import document_of, resume
    from stager.launch.agent.supervisor import RELOAD

    if wanted.name:
        raise UsageError("What replaces an application has its name.", resolution="Leave --name out.")
    with orderly_end():
        place, request = declare_replacement(state_directory(state_dir), name, wanted)
        outcome = ask(place, request, RELOAD, resume)
    _tell({**document_of(place), "replaced": outcome}, as_json=as_json)


def _tell(document: dict[str, Any], *, as_json: bool) -> None:
    to_stdout(json_text(document) if as_json else _text(document))


def _text(document: dict[str, Any]) -> str:
    """Where it can be reached; for what nobody asks, its process."""
    if balancer := document.get("balancer"):
        return f"http://127.0.0.1:{balancer['port']}/"
    lines = []
    for one in document["instances"]:
        if one["state"] == "running":
            is_web = one["type"] == "web"
            lines.append(f"http://127.0.0.1:{one['port']}/" if is_web else f"process {one['pid']}")
    return "\n".join(lines)


def _side_port(option: str, text: str | None) -> int | None:
    """-1 for a free one; None where it was not asked for."""
    from stager.errors import UsageError

    if text is None:
        return None
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004  (the last port)
        raise UsageError(f"{option} wants a port.", resolution="Give a number up to 65535, 0 for a free one.")
    return int(text) or -1
