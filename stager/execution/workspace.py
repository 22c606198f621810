"""A directory for one build, gone when the build ends, however it ends.

Python cannot clean up after SIGKILL. So a small shell, in a session of its own, waits on a pipe for
stager to say "done"; when the pipe closes without that word, it ends what the build started and
removes the directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from stager.errors import DiskFull, OutputNotWritable, PackError

BOOT_DIRECTORY = "boot droplet"
_TRIES = 20
#: Seconds.
_PAUSE = 0.05

_JANITOR = r"""
trap '' INT TERM HUP QUIT
read -r verdict && [ "$verdict" = done ] && exit 0
end_marked() {
    for environ in $(grep -lzxF -- "$2" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${environ#/proc/}
        kill -KILL "${pid%/environ}" 2>/dev/null
    done
}
end_marked "$@"
[ -x "$1/boot droplet/stop" ] && "$1/boot droplet/stop" >/dev/null 2>&1
end_marked "$@"
chmod -R u+rwx -- "$1" 2>/dev/null
for attempt in 1 2 3; do
    rm -rf -- "$1" && break
    sleep 0.2  # who was just killed may have made one more file
done
"""


class Workspace:
    """A context in which temporary directories can be had. Nothing is made before it is asked for."""

    def __init__(self) -> None:
        self.marker = f"STAGER_BUILD={os.urandom(8).hex()}"
        self._root: Path | None = None
        self._janitor: subprocess.Popen[bytes] | None = None

    def directory(self, name: str) -> Path:
        """Make a new directory of that name and return it.

        Its parent can be passed through but not listed, so that a droplet is booted from it as
        another user.
        """
        if self._root is None:
            try:
                self._root = Path(tempfile.mkdtemp(prefix="stager-")).resolve()
            except OSError as error:
                raise _no_place(error) from error
            self._root.chmod(0o711)
            self._janitor = subprocess.Popen(
                ["/bin/sh", "-c", _JANITOR, "stager-janitor", str(self._root), self.marker],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        path = self._root / name
        path.mkdir()
        return path

    @property
    def root(self) -> Path | None:
        """Where it is, or None while nothing was asked for."""
        return self._root

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._root is not None:
            remove_tree(self._root)
            self._root = None
        if self._janitor is not None and self._janitor.stdin is not None:
            with contextlib.suppress(OSError):
                self._janitor.stdin.write(b"done\n")
                self._janitor.stdin.close()
            self._janitor.wait()
            self._janitor = None


def _no_place(error: OSError) -> PackError:
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputNotWritable
    return kind(
        "There is no place for temporary files.",
        details=str(error),
        resolution="Let TMPDIR name a directory that exists, can be written to, and has some space left.",
    )


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, also what was made read-only (an upload may hold that).

    Who has just been killed, or carries the last lines of somebody's output, may make or remove a file
    meanwhile: it is tried again for a second.
    """
    for _ in range(_TRIES):
        try:
            _remove(path)
        except FileNotFoundError:
            if not path.exists():
                return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return
        time.sleep(_PAUSE)
    _remove(path)


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _, _ in os.walk(path):
            os.chmod(folder, stat.S_IRWXU)
        shutil.rmtree(path)
