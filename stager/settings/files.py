"""The bytes of a settings file as text."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Protocol

from stager.errors import ConfigurationError

#: Nobody writes this much by hand; a file that is larger is not what its name says.
MAX_BYTES = 1 << 20


class RootFiles(Protocol):
    """What is read of a source: a :class:`stager.model.source_tree.SourceTree`, or less than one."""

    def children(self, path: str = "") -> tuple[str, ...]:
        """The names in the root."""

    def is_file(self, path: str) -> bool:
        """Whether it is a regular file, or a link to one inside the tree."""

    def read_bytes(self, path: str, *, limit: int = ...) -> bytes:
        """At most ``limit`` bytes of a file."""


def text_in_source(source: RootFiles, name: str) -> str | None:
    """The text of a file in the application's root; None where there is none of that name.

    Raises ConfigurationError where it is no regular file, too large, or not UTF-8.
    """
    if name not in source.children():
        return None
    if not source.is_file(name):
        raise ConfigurationError(
            f"{name} is not a regular file.",
            details="A directory, or a link that leads out of the application, cannot be read as settings.",
            resolution="Replace it with a file, or remove it.",
        )
    return decoded(source.read_bytes(name, limit=MAX_BYTES + 1), name)


def text_at(path: Path) -> str:
    """The text of the file that ``--config`` names; raises ConfigurationError naming it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        problem = ConfigurationError(
            f"--config {path}: it cannot be read.",
            details=reason,
            resolution="Name a file that exists and that this user may read.",
        )
        problem.fault = "usage"
        raise problem from error
    return decoded(content, str(path))


def decoded(content: bytes, name: str) -> str:
    """UTF-8 text without its byte order mark."""
    if len(content) > MAX_BYTES:
        raise ConfigurationError(
            f"{name} is larger than {MAX_BYTES >> 20} MiB.",
            details="Settings are written by hand; this is not a settings file.",
            resolution="Keep only settings in it.",
        )
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start + (len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0)
        line = content[:start].count(b"\n") + 1
        raise ConfigurationError(
            f"{name} line {line}: not UTF-8 at byte offset {start}.",
            details=f"The byte there is 0x{content[start]:02x}.",
            resolution="Save the file as UTF-8.",
        ) from error
