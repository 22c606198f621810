"""Anything that says itself how it is started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stager.buildpack import Buildpack
from stager.hookspecs import hookimpl


@hookimpl
def stager_register_buildpacks() -> Sequence[Buildpack[Any]]:
    """Register the one buildpack of this plugin."""
    from stager.plugins.procfile.buildpack import ProcfileBuildpack

    return (ProcfileBuildpack(),)
