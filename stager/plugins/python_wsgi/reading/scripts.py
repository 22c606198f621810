"""Modules that are programs: that start a server of their own, or just run."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from stager.model.frozen import dataclass
from stager.plugins.python_wsgi.reading import libraries
from stager.plugins.python_wsgi.reading.libraries import names
from stager.plugins.python_wsgi.reading.modules import imports_of
from stager.plugins.python_wsgi.reading.places import printable
from stager.plugins.python_wsgi.reading.scopes import Scope, expressions, flatten
from stager.plugins.python_wsgi.reading.value import Value
from stager.plugins.python_wsgi.reading.values import Reading
from stager.servers.python_application import Interface

#: Calls, by their full names, that serve until they are stopped.
_SERVES = names(
    """
    uvicorn.run waitress.serve waitress.serve_paste hypercorn.serve bjoern.run aiohttp.run_app
    cherrypy.quickstart cherrypy.start cherrypy.block eventlet.server werkzeug.run_simple bottle.run
    nicegui.run meinheld.run fastwsgi.run paste.serve flet.app remi.start wsgiref.make_server
    tornado.start web.run_app sanic.serve granian.serve fasthtml.serve hupper.start_reloader twisted.run
    daphne.run gevent.serve_forever daphne.execute robyn.start mangum.run flask_script.run
    livereload.serve pywebio.start_server streamlit.main gunicorn.run twisted.task os.execv os.execve
    os.execvp os.execvpe os.execl os.execle os.execlp os.execlpe websockets.serve chainlit.run
    reactpy.run pywsgi.serve_forever uvloop.run_app
    """
)
#: Methods that do so, whatever they are called on.
_METHODS = frozenset({"serve_forever", "handle_request", "run_forever", "wait_for_termination", "run_server"})
#: Methods that do so when they are called on an application or on a server.
_RUNS = frozenset({"run", "launch", "serve", "start", "listen", "queue", "run_server", "run_debug"})
#: What a coroutine that serves calls.
_LISTENS = frozenset(
    {"start_server", "create_server", "serve_forever", "TCPSite", "SockSite", "UnixSite", "serve", "listen",
     "start_serving", "start_unix_server", "wait_for_termination", "create_datagram_endpoint"}
)  # fmt: skip
_SERVERS = names(
    """
    uvicorn.Server granian.Granian granian.Server gevent.WSGIServer cheroot.Server cheroot.WSGIServer
    hypercorn.Server gunicorn.BaseApplication gunicorn.Application gunicorn.WSGIApplication
    cherrypy.CherryPyWSGIServer daphne.Server tornado.IOLoop waitress.TcpWSGIServer flask_script.Manager
    flask_socketio.SocketIO geventwebsocket.WebSocketServer livereload.Server fastmcp.FastMCP
    mcp.FastMCP
    """
)
_PROGRAMS = ("gunicorn", "uvicorn", "waitress-serve", "uwsgi", "hypercorn", "daphne", "granian",
             "mod_wsgi-express", "runserver", "streamlit")  # fmt: skip
#: Calls that run a coroutine, and that start other programs.
_LOOPS = frozenset({"asyncio.run", "anyio.run", "trio.run", "uvloop.run"})
_SPAWNS = ("subprocess.", "os.system", "sh.")
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Start:
    """The statement that starts a server.

    ``target`` is the application that it names by a text, as ``uvicorn.run("shop:app")`` does.
    """

    path: str
    line: int
    text: str
    interface: Interface = "wsgi"
    target: str = ""

    @property
    def why(self) -> str:
        return f"{printable(self.path)} line {self.line}: {self.text}"


def starts_when_imported(reading: Reading, scope: Scope) -> Start | None:
    """The server that importing the module starts, and so would end the import."""
    return _search(reading, scope, scope.statements, _DEPTH, [])


def starts_under_guard(reading: Reading, scope: Scope) -> Start | None:
    """The server that the module starts only where it is run as a script."""
    return _search(reading, scope, flatten(scope.guarded), _DEPTH, [])


def is_program(scope: Scope) -> bool:
    """Whether running the module does something: it has a main guard, calls or loops."""
    if scope.guarded:
        return True
    return any(
        isinstance(node, ast.While | ast.For | ast.AsyncFor)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await))
        for node in scope.statements
    )


def command_for(scope: Scope) -> str:
    """The command with which a tool runs scripts like this one (Streamlit's), if it is for such a tool."""
    for name in imports_of(scope.module.tree)[0]:
        if name.split(".")[0] in libraries.COMMANDS:
            return libraries.COMMANDS[name.split(".")[0]].format(path=scope.module.path)
    return ""


def _search(
    reading: Reading, scope: Scope, statements: Iterable[ast.stmt], depth: int, seen: list[ast.AST]
) -> Start | None:
    for node in statements:
        for call in expressions(node):
            if not isinstance(call, ast.Call):
                continue
            callee = reading.expression(call.func, scope)
            text = _starts(reading, scope, call, callee)
            if text:
                line = scope.module.line(call.lineno)
                return Start(
                    scope.module.path,
                    call.lineno,
                    line,
                    _interface(reading, scope, call, text),
                    _target(call),
                )
            deeper = _follow(reading, callee, depth, seen)
            if deeper is not None:
                return Start(scope.module.path, call.lineno, scope.module.line(call.lineno), deeper.interface,
                             deeper.target)  # fmt: skip
    return None


def _follow(reading: Reading, callee: Value, depth: int, seen: list[ast.AST]) -> Start | None:
    """What a function of the tree starts when it is called."""
    node, parent = callee.node, callee.scope
    if callee.role != "function" or parent is None or depth == 0 or node in seen:
        return None
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    seen.append(node)
    inner = reading.inside(node, parent)
    return _search(reading, inner, inner.statements, depth - 1, seen)


def _starts(reading: Reading, scope: Scope, call: ast.Call, callee: Value) -> str:
    """The name of what a call starts, if it starts a server."""
    name = callee.text if callee.role == "symbol" else ""
    attribute = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in _LOOPS or attribute == "run_until_complete":
        return (name or attribute) if _is_serving(reading, scope, call) else ""
    if _short(name) in _SERVES or (name.startswith(_SPAWNS) and _names_program(call)):
        return name
    if attribute in _METHODS:
        return attribute
    return _runs(reading, scope, call, attribute)


def _runs(reading: Reading, scope: Scope, call: ast.Call, attribute: str) -> str:
    """The same, of a method that says it only on an application or a server."""
    if attribute in _RUNS and isinstance(call.func, ast.Attribute):
        base = reading.expression(call.func.value, scope)
        if base.is_application or base.role == "own":
            return base.text or attribute
        if _short(_origin(reading, scope, call.func.value)) in _SERVERS:
            return attribute
        if attribute == "run" and any(one.arg in {"port", "host"} for one in call.keywords):
            return attribute
    return ""


def _origin(reading: Reading, scope: Scope, node: ast.expr, depth: int = 6) -> str:
    """The full name of the library's class or function from which an object comes: ``uvicorn.Server``."""
    while isinstance(node, ast.Call | ast.Attribute) and depth:
        depth -= 1
        if isinstance(node, ast.Call):
            value = reading.expression(node.func, scope)
            if value.role == "symbol":
                if _short(value.text) in _SERVERS:
                    return value.text
                # IOLoop.current() is an IOLoop.
                owner = value.text.rpartition(".")[0]
                return owner if _short(owner) in _SERVERS else value.text
            if value.role == "class" and isinstance(value.node, ast.ClassDef) and value.scope:
                bases = [reading.expression(base, value.scope).text for base in value.node.bases]
                return next((base for base in bases if _short(base) in _SERVERS), "")
            node = node.func
        else:
            node = node.value
    if isinstance(node, ast.Name):
        for binding in scope.bindings(node.id) or (scope.parent.bindings(node.id) if scope.parent else []):
            if binding.kind == "value" and isinstance(binding.node, ast.Call):
                return _origin(reading, scope, binding.node, depth - 1) if depth > 0 else ""
        value = reading.expression(node, scope)
        return value.text if value.role == "symbol" else ""
    return ""


def _is_serving(reading: Reading, scope: Scope, call: ast.Call) -> bool:
    """Whether the coroutine that is run listens: by what it calls, where it can be read."""
    for argument in call.args[:1]:
        target = argument.func if isinstance(argument, ast.Call) else argument
        value = reading.expression(target, scope)
        node = value.node
        if value.role == "function" and isinstance(node, ast.AST):
            return _listens(reading, value, _DEPTH)
        return not (value.role == "symbol" and value.text.startswith("asyncio."))
    return False


def _listens(reading: Reading, function: Value, depth: int) -> bool:
    node, parent = function.node, function.scope
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or parent is None or depth == 0:
        return False
    inner = reading.inside(node, parent)
    for one in ast.walk(node):
        if not isinstance(one, ast.Call):
            continue
        name = one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")
        if name in _LISTENS or _starts(reading, inner, one, reading.expression(one.func, inner)):
            return True
        value = reading.expression(one.func, inner)
        if value.role == "function" and value.node is not node and _listens(reading, value, depth - 1):
            return True
    return False


def _names_program(call: ast.Call) -> bool:
    texts = [
        one.value for one in ast.walk(call) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    return any(
        program in text.split() or text.endswith(f"/{program}") for text in texts for program in _PROGRAMS
    )


def _interface(reading: Reading, scope: Scope, call: ast.Call, text: str) -> Interface:
    if text.partition(".")[0] in libraries.ASGI_PACKAGES | {
        "hypercorn",
        "aiohttp",
        "asyncio",
        "anyio",
        "granian",
    }:
        return "asgi"
    for argument in call.args[:2]:
        value = reading.expression(argument, scope)
        if value.is_application:
            return value.interface
    return "wsgi"


def _target(call: ast.Call) -> str:
    for argument in (*call.args[:1], *(one.value for one in call.keywords if one.arg in {"app", "target"})):
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and ":" in argument.value:
            return argument.value
    return ""


def _short(name: str) -> str:
    """Top-level package and last part."""
    return f"{name.partition('.')[0]}.{name.rpartition('.')[2]}" if "." in name else name
