"""What is to be staged, and how: what a caller hands in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import BinaryIO, Literal

from stager.model.frozen import dataclass

Format = Literal["tar.gz", "tar.zst", "dir"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be staged, and how.

    Parameters
    ----------
    source:
        A directory, an archive, or ``-`` for a tar stream on ``stdin``.
    output:
        Where the droplet goes.
    format:
        ``tar.gz``, ``tar.zst`` or ``dir``.
    flags:
        Settings that win over everything, by dotted key: ``{"php.document_root": "public"}``.
    config:
        Read instead of the source's ``stager.yml``.
    environment:
        The caller's environment: ``STAGER_*`` settings are read from it.
    services:
        ``VCAP_SERVICES`` for hooks and for the boot; never put into the droplet.
    cache_directory:
        Where package managers keep what they fetched; None for none that outlives the build.
    verify:
        How much of the droplet is verified before it is published.
    max_size:
        Unpacked bytes of a source at most; None for the default.
    excluded:
        Host paths that are not part of the source although they lie in it, beside output and cache.
    ahead:
        Waits for an index of the source that is being made already; it may have come to nothing.
    """

    source: str
    output: Path = Path("app.droplet.tar.gz")
    format: Format = "tar.gz"
    flags: Mapping[str, object] = field(default_factory=dict)
    config: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    services: str = ""
    cache_directory: Path | None = None
    offline: bool = False
    verify: Literal["none", "static", "boot"] = "static"
    max_size: int | None = None
    excluded: tuple[Path, ...] = ()
    stdin: BinaryIO | None = None
    ahead: Callable[[], bytes | None] | None = None

    @property
    def left_out(self) -> tuple[Path, ...]:
        """Host paths that are no part of the source, wherever they lie."""
        cache = () if self.cache_directory is None else (self.cache_directory,)
        return (self.output, *self.excluded, *cache)
