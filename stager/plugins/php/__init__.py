"""The PHP runtime: Apache with mod_php, or with php-fpm behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stager.buildpack import Buildpack
from stager.hookspecs import hookimpl


@hookimpl
def stager_register_buildpacks() -> Sequence[Buildpack[Any]]:
    """Register the one buildpack of this plugin."""
    from stager.plugins.php.buildpack import PhpBuildpack

    return (PhpBuildpack(),)
