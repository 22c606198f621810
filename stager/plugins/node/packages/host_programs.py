"""The programs of the Node that was chosen: what steps run."""

from __future__ import annotations

import posixpath

from stager.model.frozen import dataclass
from stager.model.host import HostFacts
from stager.plugins.node.host_tools import HEADERS, NODE_HEADER, NODES, NPM
from stager.plugins.node.packages.install import NODE_LINKS
from stager.plugins.node.packages.versions import Node


@dataclass(frozen=True, slots=True)
class Programs:
    """What steps run.

    Parameters
    ----------
    node, npm:
        Host tools, or what a step has made.
    link:
        The chosen Node, where another one may come first on the PATH; else empty.
    headers:
        The prefix below which its headers lie; empty where they are not there.
    """

    node: str
    npm: str
    link: str
    headers: str


def find_programs(host: HostFacts, node: Node) -> Programs:
    """Return the programs of the chosen Node."""
    folder = posixpath.dirname(node.path)
    prefix = posixpath.dirname(folder)
    headers = prefix if f"{prefix}/{NODE_HEADER}" in host[HEADERS.name].matches else ""
    fact = host[NODES.name]
    if len(set(fact.matches)) < 2 and posixpath.basename(node.path) == "node":  # noqa: PLR2004  (the only one)
        return Programs(NODES.name, NPM.name, "", headers)
    has_npm = f"{folder}/npm" in host[NPM.name].matches
    npm = f"{NODE_LINKS}/npm" if has_npm else NPM.name
    return Programs(f"{NODE_LINKS}/node", npm, node.path, headers)
