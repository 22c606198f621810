"""The buildpack for applications in Node; :mod:`stager.plugins.node.planning` makes its plan."""

from __future__ import annotations

from stager.buildpack import Buildpack, PlanContext
from stager.model.detection import Detection
from stager.model.plan import BuildPlan
from stager.model.source_tree import SourceTree
from stager.plugins.node.detection import detect_node
from stager.plugins.node.host_tools import HEADERS, NODES, NPM
from stager.plugins.node.options import NodeOptions


class NodeBuildpack(Buildpack[NodeOptions]):
    """Serves applications in Node, and builds the assets of others."""

    runtime = "node"
    aliases = ("nodejs",)
    summary = "Node with npm, yarn, pnpm or bun; Next, Nuxt, Remix, SvelteKit, Astro"
    options = NodeOptions
    host_tools = (NODES, NPM, HEADERS)

    def detect(self, source: SourceTree) -> Detection:
        return detect_node(source)

    def plan(self, context: PlanContext[NodeOptions]) -> BuildPlan:
        # Every buildpack is asked in every build, and one plans.
        from stager.plugins.node.planning import plan_node

        return plan_node(context)
