"""Static sites: plain folders, and what a bundler has built, with Apache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stager.buildpack import Buildpack
from stager.hookspecs import hookimpl


@hookimpl
def stager_register_buildpacks() -> Sequence[Buildpack[Any]]:
    """Register the one buildpack of this plugin."""
    from stager.plugins.static.buildpack import StaticBuildpack

    return (StaticBuildpack(),)
