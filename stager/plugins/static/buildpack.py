"""The buildpack for static sites; :mod:`stager.plugins.static.planning` makes its plan."""

from __future__ import annotations

from stager.buildpack import Buildpack, PlanContext
from stager.model.detection import Detection
from stager.model.host import HostTool
from stager.model.plan import BuildPlan
from stager.model.source_tree import SourceTree
from stager.plugins.static.detection import detect_static
from stager.plugins.static.options import StaticOptions
from stager.servers.apache import APACHE, MODULES

SH = HostTool(
    name="sh", purpose="looks where a build has put the site", package="dash", programs=("sh",), when="build"
)


class StaticBuildpack(Buildpack[StaticOptions]):
    """Serves folders of files, and what a bundler makes, with Apache."""

    runtime = "static"
    summary = "Static sites and single-page applications with Apache"
    options = StaticOptions
    host_tools = (APACHE, MODULES, SH)

    def detect(self, source: SourceTree) -> Detection:
        return detect_static(source)

    def plan(self, context: PlanContext[StaticOptions]) -> BuildPlan:
        # Every buildpack is asked in every build, and one plans.
        from stager.plugins.static.planning import plan_site

        return plan_site(context)
