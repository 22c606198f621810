"""What the build looks for on its host: Node, npm, and the headers for native code."""

from __future__ import annotations

import posixpath

from stager.model.host import HostTool

#: Where Nodes live that are not on the PATH: of the system, of nvm, fnm, volta, asdf, mise, n, nodenv.
NODE_FOLDERS = (
    "/usr/local/bin",
    "/usr/bin",
    "/opt/node*/bin",
    "/opt/nodejs/*/bin",
    "/usr/local/lib/nodejs/*/bin",
    "/usr/local/n/versions/node/*/bin",
    "~/.nvm/versions/node/*/bin",
    "~/.local/share/fnm/node-versions/*/installation/bin",
    "~/.volta/tools/image/node/*/bin",
    "~/.asdf/installs/nodejs/*/bin",
    "~/.local/share/mise/installs/node/*/bin",
    "~/.nodenv/versions/*/bin",
)
NODES = HostTool(
    name="node",
    purpose="runs Node applications",
    package="nodejs",
    programs=("node", "nodejs"),
    files=tuple(f"{folder}/node" for folder in NODE_FOLDERS),
    version_arguments=("--version",),
    # A nightly (v23.0.0-nightly…) is no release, and nobody asks for one by accident.
    version_pattern=r"(?m)^v(\d+\.\d+\.\d+)\s*$",
    when="build",
    is_each_asked=True,
)
NPM = HostTool(
    name="npm",
    purpose="installs packages for Node, and the other package managers",
    package="npm",
    programs=("npm",),
    # Beside each Node that may be chosen.
    files=tuple(f"{folder}/npm" for folder in NODE_FOLDERS),
    when="build",
)
NODE_HEADER = "include/node/node_version.h"
HEADERS = HostTool(
    name="headers of node",
    purpose="compile native modules without a download from nodejs.org",
    package="libnode-dev",
    files=tuple(f"{posixpath.dirname(folder)}/{NODE_HEADER}" for folder in NODE_FOLDERS),
    when="build",
    optional=True,
)
