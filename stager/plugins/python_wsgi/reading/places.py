"""Paths of an upload: which count, and how they are shown."""

from __future__ import annotations

from stager.model.source_tree import SourceTree


def is_installed(source: SourceTree, path: str) -> bool:
    """Whether a path lies in a virtual environment, a hidden folder or among installed packages."""
    parts = path.split("/")[:-1]
    if any(
        part.startswith(".") or part in {"site-packages", "node_modules", "__pycache__"} for part in parts
    ):
        return True
    return any(source.is_file("/".join([*parts[:count], "pyvenv.cfg"])) for count in range(1, len(parts) + 1))


def printable(name: str) -> str:
    """A name from the upload as it can be shown."""
    return name if name.isprintable() else ascii(name)
