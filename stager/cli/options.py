"""The options that several commands share, and the request that they make up."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stager.errors import UsageError

if TYPE_CHECKING:
    from stager.model.request import Request

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)

_RUNTIME = "Runtime; repeatable, in order. Default: detected."
_BUILD_ENV = "Environment of build steps only; never reaches the droplet."
_SERVICES = "JSON in the shape of VCAP_SERVICES, for hooks and the boot."
_SET = "A setting, such as php.document_root=public; repeatable."
_CACHE = "What package managers keep. Default: ~/.cache/stager."
_SHARED = (
    click.option("--runtime", "runtimes", multiple=True, metavar="NAME", help=_RUNTIME),
    click.option("--memory", metavar="SIZE", help="Memory of one instance, such as 512M."),
    click.option("--disk", metavar="SIZE", help="Disk of one instance."),
    click.option("--fds", metavar="N", help="Open files of one instance."),
    click.option("--env", "environment", multiple=True, metavar="K=V", help="Environment at run time."),
    click.option("--build-env", "build_environment", multiple=True, metavar="K=V", help=_BUILD_ENV),
    click.option("--services", type=PATH, metavar="FILE", help=_SERVICES),
    click.option("--config", type=PATH, metavar="FILE", help="Read instead of the source's stager.yml."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=_SET),
    click.option("--max-size", metavar="SIZE", help="Unpacked size of a source at most. Default: 2G."),
    click.option("--cache-dir", type=PATH, envvar="STAGER_CACHE_DIR", metavar="DIR", help=_CACHE),
    click.option("--no-cache", is_flag=True, help="Neither use nor fill the cache."),
    click.option("--offline", is_flag=True, envvar="STAGER_OFFLINE", help="What is not cached is an error."),
)


def source_options(command: Decorated) -> Decorated:
    """SOURCE and the options that say how it is to be understood."""
    for option in reversed(_SHARED):
        command = option(command)
    return click.argument("source", metavar="SOURCE")(command)


def json_option(command: Decorated) -> Decorated:
    """``--json`` and ``--debug``, which every command takes."""
    command = click.option("--debug", is_flag=True, help="Show tracebacks.")(command)
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)


def make_request(
    *,
    source: str,
    runtimes: tuple[str, ...],
    memory: str | None,
    disk: str | None,
    fds: str | None,
    environment: tuple[str, ...],
    build_environment: tuple[str, ...],
    services: Path | None,
    config: Path | None,
    settings: tuple[str, ...],
    max_size: str | None,
    cache_dir: Path | None,
    no_cache: bool,
    offline: bool,
    **others: Any,
) -> Request:
    """The request that the shared options ask for; ``others`` are fields of Request."""
    from stager.model.request import Request

    flags: dict[str, object] = {"runtime": runtimes, "memory": memory, "disk": disk, "fds": fds}
    flags.update(pairs("--set", settings))
    flags.update({f"env.{key}": value for key, value in pairs("--env", environment)})
    flags.update({f"build_env.{key}": value for key, value in pairs("--build-env", build_environment)})
    return Request(
        source=source,
        flags=flags,
        config=config,
        services=services_text(services),
        cache_directory=None if no_cache else cache_dir or _default_cache(),
        offline=offline,
        max_size=_size(max_size),
        stdin=sys.stdin.buffer if source == "-" else None,
        **others,
    )


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    from stager.settings import parse_size

    return parse_size(text, "--max-size")


def pairs(option: str, items: Iterable[str]) -> list[tuple[str, str]]:
    """Each KEY=VALUE that was given with an option; raises UsageError."""
    return [_pair(option, item) for item in items]


def _pair(option: str, item: str) -> tuple[str, str]:
    key, sign, value = item.partition("=")
    if not sign or not key:
        # The value may be a secret: it is not shown.
        raise UsageError(f"{option} wants KEY=VALUE.", resolution=f"Write {option} {key or 'KEY'}=VALUE.")
    return key, value


def services_text(path: Path | None) -> str:
    """The file of ``--services``, to the byte, or nothing; raises UsageError where it is no JSON object."""
    if path is None:
        return ""
    import json

    text = problem = ""
    try:
        text = path.read_text(encoding="utf-8")
        if not isinstance(json.loads(text), dict):
            problem = "it is not a JSON object"
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem:
        raise UsageError(
            f"--services: cannot read {path}.",
            details=problem,
            resolution='It has to be a JSON object such as {"mysql": [{"name": "db", "credentials": {}}]}.',
        )
    return text


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "stager"
