"""Whether another account gets to a directory at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stager.errors import OutputNotWritable
from stager.execution.spawn import Account


def demand_passage(path: Path, account: Account | None) -> None:
    """Every directory above has to let that account through; None is ourselves, who are there already.

    Raises
    ------
    OutputNotWritable
        One does not; it is named.
    """
    if account is None:
        return
    for directory in reversed((path, *path.resolve().parents)):
        if not _lets_through(os.stat(directory), account):
            raise OutputNotWritable(
                f"{account.name} cannot get to the state directory {path}.",
                details=f"{directory} does not let other users through.",
                resolution="Name another place with --state-dir, such as /var/lib/stager, or another --user.",
                slug="state-not-reachable",
            )


def _lets_through(found: os.stat_result, account: Account) -> bool:
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid in {account.gid, *account.groups}:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
