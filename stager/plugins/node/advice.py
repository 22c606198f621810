"""What people are told of a plan: what was decided and why."""

from __future__ import annotations

from collections.abc import Iterator

from stager.plugins.node.packages.came_along import CameAlong
from stager.plugins.node.packages.install import Installation
from stager.plugins.node.packages.versions import Node, Wanted
from stager.plugins.node.reading.names import printable
from stager.plugins.node.starting.start import Start
from stager.plugins.node.toolkits.toolkit import Toolkit

Choice = tuple[str, str]


def of_node(node: Node, wanted: tuple[Wanted, ...]) -> Choice:
    """Which Node."""
    asked = "; ".join(f"{one.where} asks for {printable(one.constraint)}" for one in wanted)
    return ("node", f"{node.version}, {node.path}" + (f", because {asked}" if asked else ""))


def of_start(start: Start, toolkit: Toolkit | None) -> Iterator[Choice]:
    """What is started."""
    if toolkit is not None:
        yield ("made with", toolkit.name)
    yield ("started", start.why)
    if start.others:
        yield ("not started", "; ".join(start.others))


def of_installation(todo: Installation, came: CameAlong, why: str) -> Iterator[Choice]:
    """How packages are installed, what builds, and what stays. ``why`` is what builds."""
    manager = todo.manager
    if todo.is_installed:
        reason = manager.why if manager.why.startswith("there ") else f"of {manager.why}"
        yield ("package manager", f"{manager.shown}, because {reason}")
        yield ("packages", _packages(todo, came))
    if manager.release and todo.is_installed:
        yield ("yarn", f"the application's own, {printable(manager.release)}")
    yield ("build", why or "nothing: package.json has no script for it")
    if not todo.is_kept:
        yield ("node_modules", "left out of the droplet: only the build needs them")


def _packages(todo: Installation, came: CameAlong) -> str:
    if todo.came_along:
        rebuilt = f"; compiled anew: {', '.join(came.native)}" if todo.is_rebuilt else ""
        return f"node_modules of the application, used as they are: {came.why}{rebuilt}"
    again = f" (node_modules of the application are not used: {came.why})" if came.is_there else ""
    if not todo.has_development:
        return f"without devDependencies: nothing is built{again}"
    if not todo.is_kept:
        return f"with devDependencies{again}"
    if todo.is_pruned:
        return f"with devDependencies, which go after the build{again}"
    return f"with devDependencies{again}"
