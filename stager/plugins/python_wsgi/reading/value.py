"""What is known of a value: the answer of reading, as data."""

from __future__ import annotations

import ast
import sys
from typing import Literal

from stager.model.frozen import dataclass
from stager.plugins.python_wsgi.reading import libraries
from stager.plugins.python_wsgi.reading.scopes import Scope
from stager.servers.python_application import Interface

Role = Literal["application", "own", "function", "class", "symbol", "module", "nothing", "unknown"]


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a value.

    Parameters
    ----------
    role:
        ``symbol`` is a name of a library's, ``own`` an object that its own server serves.
    interface:
        Of an application.
    text:
        The full name of a symbol, or the place of a module: its path without ``.py``.
    path, line:
        Where the value itself is made; two names with the same are one application.
    is_weak:
        Nothing contradicts that it is an application, that is all.
    node, scope:
        Of a function or class: its definition, and where that stands.
    """

    role: Role
    interface: Interface = "wsgi"
    text: str = ""
    path: str = ""
    line: int = 0
    is_weak: bool = False
    node: ast.AST | None = None
    scope: Scope | None = None

    @property
    def is_application(self) -> bool:
        return self.role == "application"


NOTHING = Value("nothing")
UNKNOWN = Value("unknown")


def made_by(name: str) -> Value:
    """What calling something of a library returns, by its full name."""
    made = libraries.makes(name)
    if made == "wsgi" or made == "asgi":  # noqa: PLR1714  narrows the type
        return Value("application", made, text=name)
    if made == "own":
        return Value("own", text=name)
    if made == "nothing" or (made is None and name.partition(".")[0] in sys.stdlib_module_names):
        return NOTHING
    return Value("unknown", text=name, is_weak=True)
