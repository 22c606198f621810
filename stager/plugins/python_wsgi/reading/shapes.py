"""Which functions and classes are applications by the parameters that they take."""

from __future__ import annotations

import ast

from stager.plugins.python_wsgi.reading.scopes import Function
from stager.servers.python_application import Interface

#: What applications are called, the first one first.
NAMES = ("application", "app", "api")
_WSGI = (
    ("environ", "start_response"),
    ("env", "start_response"),
    ("environ", "start_resp"),
    ("env", "start"),
)
_ASGI = ("scope", "receive", "send")


def function(node: Function, *, is_named: bool) -> Interface | None:
    """What a function speaks; ``is_named`` where it is called like an application."""
    if any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list):
        return None
    return parameters(node.args, is_async=isinstance(node, ast.AsyncFunctionDef), is_named=is_named)


def parameters(arguments: ast.arguments, *, is_async: bool, is_named: bool) -> Interface | None:
    """What a callable with these parameters speaks; None where it is no application."""
    names = tuple(one.arg for one in (*arguments.posonlyargs, *arguments.args))
    required = names[: len(names) - len(arguments.defaults)]
    if any(default is None for default in arguments.kw_defaults):
        return None
    if is_async:
        return "asgi" if required == _ASGI or (is_named and len(required) == len(_ASGI)) else None
    if required in _WSGI or (is_named and len(required) == len(_WSGI[0]) and len(names) == len(required)):
        return "wsgi"
    return None


def instance(node: ast.ClassDef) -> Interface | None:
    """What instances of a class speak, by its __call__."""
    method = _method(node, "__call__")
    if method is None:
        return None
    args = method.args
    bound = ast.arguments(args.posonlyargs[1:], args.args if args.posonlyargs else args.args[1:], args.vararg,
                          args.kwonlyargs, args.kw_defaults, args.kwarg, args.defaults)  # fmt: skip
    return parameters(bound, is_async=isinstance(method, ast.AsyncFunctionDef), is_named=True)


def is_application_class(node: ast.ClassDef) -> bool:
    """Whether the class itself is a WSGI application: made with (environ, start_response), then iterated."""
    made, iterated = _method(node, "__init__"), _method(node, "__iter__")
    return made is not None and iterated is not None and len(made.args.args) == len(_WSGI[0]) + 1


def needs_arguments(node: Function) -> bool:
    """Whether the function cannot be called without arguments."""
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional > len(arguments.defaults) or any(default is None for default in arguments.kw_defaults)


def is_yield(node: ast.AST) -> bool:
    """Whether it makes a generator of the function that it stands in."""
    return isinstance(node, ast.Yield | ast.YieldFrom)


def _method(node: ast.ClassDef, name: str) -> Function | None:
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name:
            return one
    return None
