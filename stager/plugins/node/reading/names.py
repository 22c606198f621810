"""Names from an upload, as they can be shown and as paths."""

from __future__ import annotations

import posixpath


def printable(name: str) -> str:
    """A name from the upload as it can be shown."""
    return name if name.isprintable() else ascii(name)


def literal(text: str) -> str:
    """``text`` for an argv or an environment, where ``$`` begins a variable."""
    return text.replace("$", "$$")


def inside(folder: str, path: str) -> str | None:
    """``path``, as something in ``folder`` names it, from the root; None where it leaves the application."""
    if path.startswith("/"):
        return None
    joined = posixpath.normpath(posixpath.join(folder, path))
    if joined == "..":
        return None
    return None if joined.startswith("../") else "" if joined == "." else joined
