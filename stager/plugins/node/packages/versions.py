"""Which Node of this host an application is planned for, and what the droplet looks for when it starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from stager.errors import HostToolMissing, UnsupportedVersion
from stager.model.frozen import dataclass
from stager.model.host import HostFacts, HostTool
from stager.model.wanted import Wanted, as_numbers, asked_and_there, not_exactly, versions_there
from stager.plugins.node.host_tools import NODE_FOLDERS, NODE_HEADER, NODES
from stager.plugins.node.reading.asked import wanted_versions
from stager.plugins.node.reading.ranges import exact_version, is_allowed

__all__ = ["Node", "Wanted", "choose_node", "wanted_versions"]

#: The newest major version that has been released; only advice depends on it.
_NEWEST = 26


@dataclass(frozen=True, slots=True)
class Node:
    """The Node that a droplet is planned for.

    Parameters
    ----------
    path:
        Of the program on this host.
    version, major:
        ``20.11.1`` and 20.
    note:
        What people should know about the choice; empty where it is just what was asked for.
    """

    path: str
    version: str
    major: int
    note: str = ""

    def run_tools(self) -> HostTool:
        """What the droplet looks for when it starts: a Node of that major version, wherever it is.

        Native modules are built for one ABI (NODE_MODULE_VERSION), and a major version has one.
        """
        return HostTool(
            name=f"node {self.major}",
            purpose="runs the application",
            package="nodejs",
            programs=NODES.programs,
            # Not those of a user's home: a droplet is not started by who built it.
            files=tuple(path for path in NODES.files if path.startswith("/")),
            variable="STAGER_NODE",
            start_arguments=("--version",),
            start_pattern=f"v{self.major}.*",
            start_landmarks=(f"../{NODE_HEADER}",),
            start_landmark_line=f"#define NODE_MAJOR_VERSION {self.major}",
            when="run",
        )


def choose_node(host: HostFacts, wanted: Sequence[Wanted]) -> Node:
    """Return the Node that satisfies all who ask: the host's default one, else the newest.

    Parameters
    ----------
    host:
        Has the answer to :data:`~stager.plugins.node.host_tools.NODES`.
    wanted:
        From :func:`wanted_versions`.

    Raises
    ------
    UnsupportedVersion
        None does: it names what was asked, where, and what is there.
    HostToolMissing
        The host has no Node at all.
    """
    there = [
        Node(path, version, as_numbers(version)[0]) for path, version in versions_there(host[NODES.name])
    ]
    if not there:
        raise HostToolMissing(
            "This host has no Node.",
            details="Looked for node and nodejs on the PATH, and in " + ", ".join(NODE_FOLDERS) + ".",
            resolution="Install it: apt-get install -y --no-install-recommends nodejs npm",
        )
    fitting = [one for one in there if all(is_allowed(one.version, ask.constraint) for ask in wanted)]
    if not fitting:
        raise _unsupported(wanted, there)
    # Even majors are those with long-term support.
    newest = max(fitting, key=lambda one: (one.major % 2 == 0, as_numbers(one.version)))
    chosen = there[0] if there[0] in fitting else newest
    return replace(chosen, note=_note(chosen, wanted))


def _note(chosen: Node, wanted: Sequence[Wanted]) -> str:
    other = not_exactly(wanted, chosen.version, exact_version)
    if other is None:
        return ""
    where, exact = other
    return (
        f"{where} asks for Node {exact}; this host has {chosen.version}, "
        f"which runs what an earlier {chosen.major} does."
    )


def _unsupported(wanted: Sequence[Wanted], there: Sequence[Node]) -> UnsupportedVersion:
    details = asked_and_there(wanted, ((one.path, one.version) for one in there))
    possible = [major for major in range(_NEWEST, 3, -1) if _is_possible(major, wanted)]
    if not possible and len(wanted) > 1:
        return UnsupportedVersion(
            "No version of Node is all that this application asks for.",
            details=details,
            resolution="Make them agree, or say which one counts: `node: {version: …}` in stager.yml.",
            slug="contradicting-versions",
        )
    refusing = [
        ask for ask in wanted if not any(is_allowed(one.version, ask.constraint) for one in there)
    ] or list(wanted)
    what = (
        f"This host has no Node {refusing[0].constraint}, which {refusing[0].where} asks for."
        if len(refusing) == 1
        else "This host has no Node that the application's files would accept."
    )
    lasting = [major for major in possible if major % 2 == 0] or possible
    name = f"Node {lasting[0]}" if lasting else "it"
    return UnsupportedVersion(
        what,
        details=details,
        resolution=f"Install {name} on this host and where the droplet runs, or ask for one that is there.",
    )


def _is_possible(major: int, wanted: Sequence[Wanted]) -> bool:
    """Whether some release of ``major`` may do: a range may begin, or end, in the middle of one.

    The versions at which something can begin or end are those that are named.
    """
    candidates = {f"{major}.0.0", f"{major}.999.999"}
    for ask in wanted:
        candidates |= {one for one in _named(ask.constraint) if one.startswith(f"{major}.")}
    return any(all(is_allowed(one, ask.constraint) for ask in wanted) for one in candidates)


def _named(constraint: str) -> set[str]:
    found: set[str] = set()
    for major, minor, patch in re.findall(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", constraint):
        numbers = (int(major), int(minor or 0), int(patch or 0))
        found.add(".".join(map(str, numbers)))
        # What comes next after it, for `>` and for the end of `<=`.
        found.add(f"{numbers[0]}.{numbers[1]}.{numbers[2] + 1}")
    return found
