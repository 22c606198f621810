"""What ``python_wsgi.mounts`` says, found in the tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from stager.errors import ConfigurationError
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.reading.asked import read_entrypoint
from stager.plugins.python_wsgi.reading.found import Found


def read_mounts(source: SourceTree, mounts: Mapping[str, str]) -> tuple[Found, ...]:
    """Return the application of each URL, the longest URL first.

    Raises
    ------
    ConfigurationError
        An URL is no path or stands twice, an entry is no application, or WSGI and ASGI are mixed.
    PlanError
        A module is not Python.
    """
    found: dict[str, Found] = {}
    written: dict[str, str] = {}
    for url, text in mounts.items():
        where = f"python_wsgi.mounts, {url}"
        path = _normalised(url, where)
        if path in written:
            raise ConfigurationError(
                f"python_wsgi.mounts: {written[path]} and {url} are the same URL.",
                details=f"{written[path]}: {mounts[written[path]]}\n{url}: {text}",
                resolution="Remove one of the two, or give it another URL.",
                slug="mounts-same-url",
            )
        one = read_entrypoint(source, text, where)
        if one.mount is None:
            raise ConfigurationError(
                f"{where}: {text} is a script, not an application that can be mounted.",
                details=one.why,
                resolution="Name a WSGI application, module:callable; a script goes into the Procfile.",
                slug="mounts-script",
            )
        written[path] = url
        found[path] = replace(one, mount=replace(one.mount, url=path))
    _same_interface(found)
    return tuple(found[url] for url in sorted(found, key=lambda url: (-len(url), url)))


def _same_interface(found: dict[str, Found]) -> None:
    if len({one.interface for one in found.values()}) > 1:
        raise ConfigurationError(
            "python_wsgi.mounts: WSGI and ASGI applications cannot be mounted side by side.",
            details="\n".join(f"{url}: {one.interface.upper()}, {one.why}" for url, one in found.items()),
            resolution="Put those of each interface into a droplet of their own; or wrap WSGI applications, "
            "for example with a2wsgi.WSGIMiddleware.",
            slug="mounts-mixed",
        )


def _normalised(url: str, where: str) -> str:
    parts = [part for part in url.split("/") if part]
    if (
        not url.startswith("/")
        or any(part in {".", ".."} for part in parts)
        or re.search(r"[\s?#\"'\\]", url)
    ):
        raise ConfigurationError(
            f"{where}: {url!r} is not the path of a URL.",
            details="It begins with /, and has no blanks, quotes, ?, # or .. in it.",
            resolution="Write it like /api.",
            slug="mounts-url",
        )
    return "/" + "/".join(parts)
