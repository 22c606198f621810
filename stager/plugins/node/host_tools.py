"""What the build looks for on its host besides Node: npm, and the headers for native code."""

from __future__ import annotations

import posixpath

from stager.model.frozen import dataclass
from stager.model.host import HostFacts, HostTool
from stager.plugins.node.versions import NODES, Node

NPM = HostTool(
    name="npm",
    purpose="installs packages for Node, and the other package managers",
    package="npm",
    programs=("npm",),
    # Beside each Node that may be chosen.
    files=tuple(f"{path}/npm" for path in dict.fromkeys(posixpath.dirname(one) for one in NODES.files)),
    when="build",
)
_HEADERS = "include/node/node_version.h"
HEADERS = HostTool(
    name="headers of node",
    purpose="compile native modules without a download from nodejs.org",
    package="libnode-dev",
    files=tuple(
        f"{posixpath.dirname(path)}/{_HEADERS}"
        for path in dict.fromkeys(posixpath.dirname(one) for one in NODES.files)
    ),
    when="build",
    optional=True,
)


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
    from stager.plugins.node.install import NODE_LINKS  # for plans alone

    folder = posixpath.dirname(node.path)
    prefix = posixpath.dirname(folder)
    headers = prefix if f"{prefix}/{_HEADERS}" in host[HEADERS.name].matches else ""
    fact = host[NODES.name]
    if len(set(fact.matches)) < 2 and posixpath.basename(node.path) == "node":  # noqa: PLR2004  (the only one)
        return Programs(NODES.name, NPM.name, "", headers)
    has_npm = f"{folder}/npm" in host[NPM.name].matches
    npm = f"{NODE_LINKS}/npm" if has_npm else NPM.name
    return Programs(f"{NODE_LINKS}/node", npm, node.path, headers)
