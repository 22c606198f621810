"""What buildpacks need of a host, as data: tools to look for, and what the core found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from stager.model.frozen import dataclass

When = Literal["build", "run", "both"]


@dataclass(frozen=True, slots=True)
class HostTool:
    """A program or file that has to be on a host, at build time, at run time, or both.

    Parameters
    ----------
    name:
        What people call it: ``apache2``, ``mod_php``.
    purpose:
        One clause for ``stager doctor``.
    package:
        The Debian package that has it.
    programs:
        Names to look for on the PATH (and in the sbin folders), the best first; ``*`` is a glob.
    files:
        Glob patterns of absolute paths, the best first; for what is no program (a module, a folder).
    version_arguments:
        What the program is asked; its whole output becomes :attr:`ToolFact.output`.
    version_pattern:
        A regular expression with one group: the version in that output, or, for a file, in its path.
    variable:
        The environment variable in which ``startup`` hands over the path that it found.
    when:
        On which host it is needed.
    optional:
        A missing optional tool is mentioned, and ends nothing.
    is_each_asked:
        Ask every program that matches, not the first alone: :attr:`ToolFact.versions`.
    start_arguments:
        What ``startup`` asks a candidate before it takes it. One that ends with 0 and prints a path is
        taken, and the path is what ``variable`` gets; what another one prints is the reason against it.
    start_pattern:
        A pattern of bash's that the answer has to match instead (``v20.*``): then the candidate is taken.
    start_landmarks:
        What lies around the right program, relative to its folder. A binary (no link, no script) of the name
        that the first of ``programs`` has is taken without being asked where all of it is there, and before
        any other.
    start_landmark_line:
        A line that the first of these has to have in it.
    folder_variable:
        The environment variable in which ``startup`` hands over the folder of that path.
    """

    name: str
    purpose: str
    package: str
    programs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    version_arguments: tuple[str, ...] = ()
    version_pattern: str = ""
    variable: str = ""
    when: When = "both"
    optional: bool = False
    is_each_asked: bool = False
    start_arguments: tuple[str, ...] = ()
    start_pattern: str = ""
    start_landmarks: tuple[str, ...] = ()
    start_landmark_line: str = ""
    folder_variable: str = ""


@dataclass(frozen=True, slots=True)
class ToolFact:
    """What the host answered. ``path`` is empty where the tool is missing.

    ``matches`` holds every path that a glob matched, sorted; ``output`` what the program printed.
    ``versions`` has the version of each of ``matches``, where every one was asked: empty for one that did
    not say.
    """

    name: str
    path: str = ""
    version: str = ""
    output: str = ""
    matches: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def is_present(self) -> bool:
        return bool(self.path)


class HostFacts(Mapping[str, ToolFact]):
    """The facts about the tools that a buildpack declared, each asked for once, when first looked at.

    A plan is still pure: what it reads here is data, and a test hands in its own answers.
    """

    def __init__(self, tools: Mapping[str, HostTool], ask: Callable[[HostTool], ToolFact]) -> None:
        self._tools = dict(tools)
        self._ask = ask
        self._facts: dict[str, ToolFact] = {}

    @classmethod
    def of(cls, *facts: ToolFact) -> HostFacts:
        """Facts that are known already, for tests and for plans made elsewhere."""
        known = {fact.name: fact for fact in facts}
        tools = {name: HostTool(name, "", "") for name in known}
        return cls(tools, lambda tool: known[tool.name])

    def __getitem__(self, name: str) -> ToolFact:
        if name not in self._facts:
            self._facts[name] = self._ask(self._tools[name])
        return self._facts[name]

    def tool(self, name: str) -> HostTool:
        """The declaration of the tool."""
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)
