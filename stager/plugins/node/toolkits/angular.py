"""Where Angular's build puts what is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.toolkits.nest import read_loosely

#: Since 21.2 its template names no host, and later versions answer 400.
HOSTS = (
    "Angular renders pages for the hosts that it is told, and angular.json tells it none: everybody gets the "
    "empty page. Name them in security.allowedHosts, or with --env NG_ALLOWED_HOSTS=shop.example.com"
)


def is_for_nobody(source: SourceTree, package: Package) -> bool:
    """Whether the server's list of hosts is there, and empty."""
    for _, target in _applications(_document(source, package)):
        security = _mapping(_mapping(target.get("options")).get("security"))
        return security.get("allowedHosts") == []
    return False


def _document(source: SourceTree, package: Package) -> Mapping[str, Any]:
    return read_loosely(source, f"{package.folder}/angular.json".lstrip("/"))


def angular_output(source: SourceTree, package: Package) -> tuple[str, bool]:
    """Return the folder of the build, and whether there is a server in it (``@angular/ssr``)."""
    document = _document(source, package)
    for name, target in _applications(document):
        options = _mapping(target.get("options"))
        place = options.get("outputPath")
        builder = str(target.get("builder", ""))
        base = place if isinstance(place, str) else _mapping(place).get("base")
        folder = str(base or f"dist/{name}").removeprefix("./").strip("/")
        is_served = bool(options.get("ssr")) and options.get("outputMode") != "static"
        if is_served:
            return folder, True
        if builder.endswith((":application", ":browser-esbuild")) and builder.endswith(":application"):
            browser = _mapping(place).get("browser", "browser")
            return f"{folder}/{browser}".rstrip("/"), False
        return folder, False
    return f"dist/{package.name.rpartition('/')[2] or source.name}/browser", False


def _applications(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The build target of each application, the default project first."""
    projects = _mapping(document.get("projects"))
    default = document.get("defaultProject")
    for name in sorted(projects, key=lambda name: name != default):
        project = _mapping(projects[name])
        targets = _mapping(project.get("architect") or project.get("targets"))
        if project.get("projectType", "application") == "application" and targets.get("build"):
            yield name, _mapping(targets["build"])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
