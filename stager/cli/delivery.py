"""Where results go: stdout carries the result alone, and the report is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stager.errors import DiskFull, OutputNotWritable, StagerError, UsageError


def to_stdout(text: str) -> None:
    """Write the result to stdout.

    Raises
    ------
    DiskFull, OutputNotWritable
        It could not be written. A reader that went away is not an error: the result exists all the same.
    """
    data = (text if text.endswith("\n") else text + "\n").encode(errors="surrogateescape")
    try:
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        return
    except OSError as error:
        if error.errno == errno.EBADF:  # started with stdout closed: nobody wants it
            return
        raise _cannot_write("stdout", error) from error


def json_text(document: Mapping[str, Any]) -> str:
    """One document, as people and programs read it."""
    return json.dumps(document, indent=2, ensure_ascii=True)


def demand_report_place(path: Path, output: Path | None) -> None:
    """Before any work: could a report be written to ``path``? A build without its report would have failed.

    Raises
    ------
    OutputNotWritable, UsageError
        It could not; or it would replace the droplet.
    """
    if output is not None and os.path.realpath(path) == os.path.realpath(output):
        raise UsageError(
            f"--report and --output both name {path}.", resolution="Give the report a name of its own."
        )
    if os.path.isdir(path):
        raise _cannot_write(f"the report {path}", IsADirectoryError(errno.EISDIR, "It is a directory"))
    if not os.path.isdir(path.parent):
        raise _cannot_write(
            f"the report {path}", FileNotFoundError(errno.ENOENT, f"There is no {path.parent}")
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _cannot_write(f"the report {path}", PermissionError(errno.EACCES, "Permission denied"))


def write_report(path: Path, document: Mapping[str, Any]) -> None:
    """Write ``document`` to ``path``, as :func:`write_text` does."""
    write_text(path, json_text(document) + "\n", f"the report {path}")


def write_text(path: Path, text: str, what: str) -> None:
    """Write ``text`` to ``path``, atomically: to a temporary name beside it, synced, renamed.

    ``what`` is what an error calls it.

    Raises
    ------
    DiskFull, OutputNotWritable
        Then nothing of it is left.
    """
    # 50 characters are 200 bytes at most, of the 255 that a name may have.
    temporary = path.parent / f".{path.name[:50]}.{os.urandom(4).hex()}"
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(what, error) from error
        raise


def _cannot_write(what: str, error: OSError) -> StagerError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(
            f"No space is left for {what}.",
            details=error.strerror or str(error),
            resolution="Free some space and try again.",
        )
    return OutputNotWritable(
        f"Cannot write {what}.",
        details=error.strerror or str(error),
        resolution="Name a place that you can write to.",
    )
