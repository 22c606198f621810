"""``stager export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stager.cli.delivery import json_text, to_stdout
from stager.cli.options import PATH, json_option

if TYPE_CHECKING:
    from stager.launch.agent.export import Exported

_NAME = "Of the application. Default: the droplet's."
_DIRECTORY = "Where the unpacked droplet lies there. Default: /srv/NAME; for compose ./NAME."
_SOCKET = "systemd: let it hold this port in front, so that nobody is refused while the droplet starts."


@click.command("export", short_help="Write units, a Procfile or a Compose file for a droplet.")
@click.argument("kind", type=click.Choice(["systemd", "procfile", "compose"]), metavar="KIND")
@click.argument("droplet", type=PATH, metavar="DROPLET")
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Write files there. Default: to stdout.")
@click.option("--name", default="", metavar="NAME", help=_NAME)
@click.option("--directory", default="", metavar="PATH", help=_DIRECTORY)
@click.option("-p", "--port", type=int, default=8080, metavar="PORT", help="Of the first. Default: 8080.")
@click.option("--instances", type=int, default=1, metavar="N", help="Instances of web. Default: 1.")
@click.option("--user", default="", metavar="USER", help="Who it runs as there.")
@click.option("--socket", type=int, default=0, metavar="PORT", help=_SOCKET)
@json_option
def command(
    kind: str,
    droplet: Path,
    output: Path | None,
    name: str,
    directory: str,
    port: int,
    instances: int,
    user: str,
    socket: int,
    as_json: bool,
    debug: bool,
) -> int:
    """Write what makes systemd, a Procfile's runner or Compose (KIND) keep DROPLET running."""
    from stager.archive.droplet_content import read_droplet
    from stager.errors import UsageError
    from stager.launch.agent.export import KINDS, Target, completed

    if socket and kind != "systemd":
        raise UsageError("--socket is for systemd.", resolution="Leave it out.")
    manifest = read_droplet(droplet, is_hashing=False).manifest
    given = Target(name, manifest, directory, port, instances, user, socket)
    target = completed(given, droplet)
    exported = KINDS[kind](target)
    paths = [] if output is None else _write(exported, output)
    if as_json:
        to_stdout(json_text(_document(kind, target.name, exported, paths)))
        return 0
    to_stdout("\n".join(map(str, paths)) if output else _text(exported))
    for step in exported.next_steps:
        click.echo(step, err=True)
    return 0


def _document(kind: str, name: str, exported: Exported, paths: list[Path]) -> dict[str, Any]:
    return {
        "schema": 1,
        "kind": kind,
        "name": name,
        "files": [{"name": file.name, "text": file.text} for file in exported.files],
        "written": [str(path) for path in paths],
        "next": list(exported.next_steps),
    }


def _text(exported: Exported) -> str:
    if len(exported.files) == 1:
        return exported.files[0].text
    return "\n".join(f"#### {file.name}\n{file.text}" for file in exported.files)


def _write(exported: Exported, directory: Path) -> list[Path]:
    """Each file whole or not at all, under a temporary name first."""
    import os

    from stager.errors import OutputNotWritable

    try:
        directory.mkdir(parents=True, exist_ok=True)
        paths = []
        for file in exported.files:
            temporary = directory / f".{file.name}.{os.urandom(4).hex()}"
            try:
                temporary.write_text(file.text, encoding="utf-8")
                temporary.chmod(0o644)
                temporary.replace(directory / file.name)
            finally:
                temporary.unlink(missing_ok=True)
            paths.append(directory / file.name)
    except OSError as error:
        raise OutputNotWritable(
            f"Cannot write to {directory}.",
            details=error.strerror or str(error),
            resolution="Name a directory that you can write to.",
        ) from error
    return paths
