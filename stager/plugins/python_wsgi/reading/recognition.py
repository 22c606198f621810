"""Whether a file looks like an application, from its syntax tree."""

from __future__ import annotations

import ast
import re

from stager.plugins.python_wsgi.reading import libraries
from stager.plugins.python_wsgi.reading.modules import Module, Modules, imports_of
from stager.plugins.python_wsgi.reading.scopes import module_scope
from stager.plugins.python_wsgi.reading.scripts import is_program


def web_package(modules: Modules, path: str) -> str:
    """The web library that a file imports, or what else makes it an application; empty for neither."""
    found = modules.read(path)
    if isinstance(found, Module):
        names = [name.split(".")[0] for name in imports_of(found.tree)[0]]
        named = next((name for name in names if name in libraries.WEB_PACKAGES), "")
        return named or next((one for one in _wsgi_functions(found)), "")
    # Broken, or for a newer Python: planning says so, and has to be reached.
    text = modules.source.read_text(path, limit=1 << 16)
    words = re.findall(r"^\s*(?:from|import)\s+(\w+)", text, re.MULTILINE)
    return next((word for word in words if word in libraries.WEB_PACKAGES), "")


def _wsgi_functions(module: Module) -> list[str]:
    """A bare WSGI or ASGI function needs no import."""
    return [
        "nothing, and has application()"
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and [one.arg for one in node.args.args]
        in (["environ", "start_response"], ["scope", "receive", "send"])
    ]


def is_runnable(modules: Modules, path: str) -> bool:
    """Whether running a file does something, as far as can be told."""
    found = modules.read(path)
    if not isinstance(found, Module):
        return True
    return is_program(module_scope(found)) or bool(web_package(modules, path))
