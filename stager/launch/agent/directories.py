"""Directories of ours, as others may see them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: An account that is not root's has to get through to its droplet, and may not list what is beside it.
_PASSED_THROUGH = 0o711
_PRIVATE = 0o700


def make_directory(path: Path) -> None:
    """Make one directory of ours, whatever the umask is; one that is there stays as it is."""
    with contextlib.suppress(FileExistsError):
        path.mkdir()
        path.chmod(_PASSED_THROUGH if os.geteuid() == 0 else _PRIVATE)


def directories(path: Path) -> list[Path]:
    """Those in ``path``, links left out; none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
