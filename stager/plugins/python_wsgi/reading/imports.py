"""What an import means in one source tree."""

from __future__ import annotations

from stager.plugins.python_wsgi.reading.modules import FOLDERS, Modules, joined
from stager.plugins.python_wsgi.reading.scopes import Scope
from stager.plugins.python_wsgi.reading.value import Value


def module_value(modules: Modules, dotted: str, scope: Scope) -> Value:
    """What ``import dotted`` finds: a module of the tree, or of a library."""
    path = scope.module.path
    folders = tuple(dict.fromkeys([modules.folder_of(path), "", *FOLDERS]))
    for folder in folders:
        place = joined(folder, dotted.replace(".", "/"))
        if is_module(modules, place) and path not in {f"{place}.py", f"{place}/__init__.py"}:
            return Value("module", text=place)
    return Value("symbol", text=dotted)


def base_value(modules: Modules, module: str, scope: Scope) -> Value | None:
    """What ``from module import …`` looks into; None where its dots leave the tree."""
    dotted = module.lstrip(".")
    level = len(module) - len(dotted)
    if not level:
        return module_value(modules, dotted, scope)
    parts = scope.module.path.split("/")[:-1]
    if level - 1 > len(parts):
        return None
    parts = parts[: len(parts) - level + 1] + (dotted.split(".") if dotted else [])
    return Value("module", text="/".join(parts))


def file_of(modules: Modules, place: str) -> str | None:
    """The file of a module, or of a package."""
    source = modules.source
    return next(
        (path for path in (joined(place, "__init__.py"), f"{place}.py") if source.is_file(path)), None
    )


def is_module(modules: Modules, place: str) -> bool:
    """Whether it is a file, or a folder with modules in it."""
    if file_of(modules, place) is not None:
        return True
    return any(child.endswith(".py") for child in modules.source.children(place)) if place else False
