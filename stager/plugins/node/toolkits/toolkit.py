"""A toolkit that makes an application: what its build leaves, and what serves that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from stager.model.frozen import dataclass
from stager.model.plan import Argv
from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.configuration import configuration
from stager.plugins.node.reading.manifest import Package

#: The address to listen on, for servers that take it from here rather than from PORT.
HOST, PORT = "${VCAP_APP_HOST}", "${PORT}"
LISTEN: Mapping[str, str] = {"HOST": HOST, "PORT": PORT}


@dataclass(frozen=True, slots=True)
class Toolkit:
    """What was found.

    Parameters
    ----------
    name:
        For people.
    outputs:
        Folders that the build makes, in the package's own folder; the first is what is served.
    is_static:
        The build leaves files and no server: the static runtime serves them.
    command:
        What serves it otherwise, in the package's folder; empty where that is the application's to say.
    environment:
        What its server wants to know and takes from nowhere else.
    build:
        The script that is expected to make the outputs.
    problem, resolution:
        Why what it builds cannot be served, and what to do; empty where it can.
    is_whole:
        The outputs hold all that the server needs, packages too.
    standalone:
        The folder in which Next leaves a server that lacks the files it is to send; else empty.
    leftovers:
        Folders that only builds read.
    wants:
        Variables that its server cannot do without: what to say where the user has not set one.
    """

    name: str
    outputs: tuple[str, ...] = ()
    is_static: bool = False
    command: Argv = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    build: str = "build"
    problem: str = ""
    resolution: str = ""
    is_whole: bool = False
    standalone: str = ""
    leftovers: tuple[str, ...] = ()
    wants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A package, in its folder."""

    source: SourceTree
    package: Package

    def config(self, *names: str) -> str:
        return configuration(self.source, self.package.folder, *names)

    def is_file(self, path: str) -> bool:
        return self.source.is_file(f"{self.package.folder}/{path}".lstrip("/"))

    def has(self, *names: str) -> bool:
        return self.package.has(*names)

    def script(self, name: str = "build") -> str:
        return self.package.scripts.get(name, "")
