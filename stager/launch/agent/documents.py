"""Records in files: read whatever is there, written all at once."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, TypeVar

from stager.launch.agent.records import from_document
from stager.model.typed import WrongShape

Record = TypeVar("Record")


def read_record(kind: type[Record], path: Path) -> Record | None:
    """The record in a file, or None where there is none, or none that makes sense."""
    try:
        return from_document(kind, json.loads(path.read_bytes()))
    except (OSError, ValueError, WrongShape):
        return None


def write_json(path: Path, document: dict[str, Any], *, mode: int = 0o600) -> None:
    """Replace a file atomically: a reader sees what was there before, or all of what is there now."""
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.write("\n")
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
