"""Which user a droplet is started as."""

from __future__ import annotations

import os
import pwd

from stager.errors import CouldNotVerify
from stager.execution.spawn import Account

#: ``nobody`` first: files of the host's own web server belong to www-data, and the application of an
#: upload has no business with them.
UNPRIVILEGED = ("nobody", "www-data", "daemon")


def unprivileged_account(user: str | None = None) -> Account | None:
    """The account to start a droplet as, or None to stay who we are (when we are not root).

    The caller makes the droplet's directory belong to it.

    Parameters
    ----------
    user:
        A user's name; None for the first of :data:`UNPRIVILEGED` that exists.

    Raises
    ------
    CouldNotVerify
        There is no such user, it is root, or we may not become it.
    """
    if os.geteuid() != 0:
        if user is None or user == current_user():
            return None
        raise CouldNotVerify(
            f"The droplet cannot be started as {user}.",
            details=f"stager runs as {current_user()}; only root can change the user.",
            resolution=f"Leave the user out, or run stager as root or as {user}.",
        )
    for name in (user,) if user else UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            break
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, (entry.pw_gid,))
    raise CouldNotVerify(
        "There is no unprivileged user to start the droplet as.",
        details=f"Looked for: {', '.join((user,) if user else UNPRIVILEGED)}. root itself is refused.",
        resolution="Name an existing user other than root, or run stager as an ordinary user.",
    )


def current_user() -> str:
    """The name of the user that we are, or its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
