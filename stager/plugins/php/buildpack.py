"""The buildpack for applications in PHP; :mod:`stager.plugins.php.planning` makes its plan."""

from __future__ import annotations

from stager.buildpack import Buildpack, PlanContext
from stager.model.detection import Detection
from stager.model.plan import BuildPlan
from stager.model.source_tree import SourceTree
from stager.plugins.php.detection import detect_php
from stager.plugins.php.host import TOOLS
from stager.plugins.php.options import PhpOptions


class PhpBuildpack(Buildpack[PhpOptions]):
    """Serves applications in PHP with Apache, in a process with PHP or with php-fpm behind it."""

    runtime = "php"
    summary = "PHP with Apache (mod_php or php-fpm), Composer"
    options = PhpOptions
    host_tools = TOOLS

    def detect(self, source: SourceTree) -> Detection:
        return detect_php(source)

    def plan(self, context: PlanContext[PhpOptions]) -> BuildPlan:
        # Every buildpack is asked in every build, and one plans.
        from stager.plugins.php.planning import plan_php

        return plan_php(context)
