"""The Node runtime: servers in JavaScript and TypeScript, and what builds the assets of other runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stager.buildpack import Buildpack
from stager.hookspecs import hookimpl


@hookimpl
def stager_register_buildpacks() -> Sequence[Buildpack[Any]]:
    """Register the one buildpack of this plugin."""
    from stager.plugins.node.buildpack import NodeBuildpack

    return (NodeBuildpack(),)
