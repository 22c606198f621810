"""The hooks that a plugin may implement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from stager.buildpack import Buildpack, Check

hookspec = pluggy.HookspecMarker("stager")
hookimpl = pluggy.HookimplMarker("stager")


@hookspec
def stager_register_buildpacks() -> Sequence[Buildpack[Any]]:  # type: ignore[empty-body]
    """Return the buildpacks of this plugin. All are asked; none can hide another."""


@hookspec
def stager_register_checks() -> Sequence[Check]:  # type: ignore[empty-body]
    """Return extra checks for finished droplets. All run, in order of their names."""
