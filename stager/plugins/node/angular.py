"""Where Angular's build puts what is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stager.model.source_tree import SourceTree
from stager.plugins.node.manifest import Package
from stager.plugins.node.nest import read_loosely


def angular_output(source: SourceTree, package: Package) -> tuple[str, bool]:
    """Return the folder of the build, and whether there is a server in it (``@angular/ssr``)."""
    document = read_loosely(source, f"{package.folder}/angular.json".lstrip("/"))
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
