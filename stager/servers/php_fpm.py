"""php-fpm behind Apache: the tool, the files, the companion, the check."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stager.model.host import HostTool
from stager.model.plan import Argv, Companion, RenderedFile

PHP_FPM = HostTool(
    name="php-fpm",
    purpose="runs PHP in processes of its own, behind Apache",
    package="php-fpm",
    programs=("php-fpm[0-9]*", "php-fpm"),
    version_pattern=r"php-fpm(\d+\.\d+)",
    variable="STAGER_PHP_FPM",
    optional=True,
)
#: Short, because a socket's path may have 107 characters and a droplet's own path may be longer.
SOCKET = "${STAGER_SOCKETS}/fpm.sock"

Settings = Sequence[tuple[str, str]]


def fpm_files(
    grace: float,
    user_settings: Sequence[tuple[str, Settings]] = (),
    *,
    is_extended: bool = False,
) -> tuple[RenderedFile, ...]:
    """Return php-fpm's configuration, in ``php-fpm/``.

    Parameters
    ----------
    grace:
        Seconds that requests in flight get after QUIT.
    user_settings:
        (where they are from, (name, value) pairs): PHP settings that php-fpm would not find itself.
    is_extended:
        Whether ``app/.stager/php-fpm/*.conf`` is there; php-fpm warns of an include that matches nothing.
    """
    values = {
        "grace": max(1, math.ceil(grace)),
        "user_settings": user_settings,
        "is_extended": is_extended,
    }
    names = ("php-fpm.conf", "as-root.conf", "as-user.conf")
    return tuple(RenderedFile(f"php-fpm/{name}", f"php_fpm/{name}.j2", values) for name in names)


def fpm_companion() -> Companion:
    """Return php-fpm as the second program of a web process."""
    return Companion("php-fpm", (*_fpm(), "--nodaemonize"), stop_signal="QUIT", ready_socket=SOCKET)


def fpm_check() -> Argv:
    """Return the argv of php-fpm's own configuration check."""
    return (*_fpm(), "--test")


def _fpm() -> Argv:
    return ("${STAGER_PHP_FPM}", "--fpm-config", "${STAGER_ROOT}/php-fpm/php-fpm.conf")
