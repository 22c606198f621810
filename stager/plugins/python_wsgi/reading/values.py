"""What an expression is, as far as reading can tell: an application, a function that returns one, a class."""

from __future__ import annotations

import ast
import builtins
from dataclasses import replace

from stager.plugins.python_wsgi.reading import libraries, shapes
from stager.plugins.python_wsgi.reading.imports import base_value, file_of, is_module, module_value
from stager.plugins.python_wsgi.reading.modules import Modules, joined
from stager.plugins.python_wsgi.reading.scopes import Binding, Function, Scope, function_scope, module_scope
from stager.plugins.python_wsgi.reading.value import NOTHING, UNKNOWN, Role, Value, made_by

#: How deep an expression, and how far from file to file, is followed.
_EXPRESSION, _STEPS = 60, 24
#: Attributes under which objects keep the application that they wrap.
_KEPT = frozenset({"wsgi_app", "asgi_app", "wsgi", "app", "asgi", "sio_app", "other_asgi_app"})


class Reading:
    """Tells what names and expressions in one source tree are."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self._scopes: dict[str, Scope | None] = {}
        self._known: dict[tuple[Scope, Binding], Value] = {}
        self._inner: dict[ast.AST, Scope] = {}
        self._returns: dict[ast.AST, Value] = {}
        self._busy: list[object] = []

    def scope(self, path: str) -> Scope | None:
        """What a file binds; None where it is too large or too deep. Raises PlanError where it is broken."""
        if path not in self._scopes:
            module = self.modules.needed(path)
            self._scopes[path] = module_scope(module) if module else None
        return self._scopes[path]

    def name(self, name: str, scope: Scope, before: int | None = None) -> Value:
        """What a name is, at a statement of its scope or (``before`` is None) at the scope's end."""
        found = UNKNOWN
        for binding in scope.bindings(name, before):
            value = self.binding(binding, scope)
            if value.role not in {"unknown", "nothing"}:
                return value
            # `try: from x import app` … `except ImportError: app = None`: the other one may tell more.
            if found is UNKNOWN:
                found = value
        if name in scope.names and scope.bindings(name, before):
            return found
        if scope.parent is not None:
            return self.name(name, scope.parent)
        starred = self._starred(name, scope)
        if starred is not None:
            return starred
        return NOTHING if hasattr(builtins, name) else UNKNOWN

    def binding(self, binding: Binding, scope: Scope) -> Value:
        """What one statement gives its name."""
        key = (scope, binding)
        if key not in self._known:
            if binding in self._busy or len(self._busy) > _STEPS:
                return UNKNOWN
            self._busy.append(binding)
            try:
                self._known[key] = self._bound(binding, scope)
            finally:
                self._busy.pop()
        return self._known[key]

    def _bound(self, binding: Binding, scope: Scope) -> Value:  # noqa: PLR0911  one for each kind of statement
        node, path = binding.node, scope.module.path
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return self._function(node, binding, scope)
        if isinstance(node, ast.ClassDef):
            is_application = binding.name in shapes.NAMES and shapes.is_application_class(node)
            role: Role = "application" if is_application else "class"
            return Value(role, path=path, line=binding.line, node=node, scope=scope)
        if binding.kind == "import":
            return module_value(self.modules, binding.target, scope)
        if binding.kind == "from":
            return self._imported(binding.target, scope)
        if not isinstance(node, ast.expr):
            return UNKNOWN
        if binding.item is not None:
            return self._element(node, binding, scope)
        value = self.expression(node, scope, binding.order)
        return replace(value, path=path, line=binding.line) if not value.path else value

    def _function(self, node: Function, binding: Binding, scope: Scope) -> Value:
        interface = shapes.function(node, is_named=binding.name in shapes.NAMES)
        if interface is None and self._is_decorated(node, scope):
            interface = "wsgi"
        path, line = scope.module.path, binding.line
        if interface:
            return Value("application", interface, path=path, line=line)
        return Value("function", path=path, line=line, node=node, scope=scope)

    def expression(  # noqa: PLR0911  one return for each kind of node
        self, node: ast.expr, scope: Scope, before: int | None = None, depth: int = 0
    ) -> Value:
        """What an expression is, where it stands before a statement of the scope."""
        if depth > _EXPRESSION:
            return UNKNOWN
        match node:
            case ast.Name():
                return self.name(node.id, scope, before)
            case ast.Attribute():
                return self._attribute(self.expression(node.value, scope, before, depth + 1), node.attr)
            case ast.Call():
                return self._call(node, scope, before, depth)
            case ast.NamedExpr() | ast.Await():
                return self.expression(node.value, scope, before, depth + 1)
            case ast.IfExp(body=body, orelse=orelse):
                return self._first([body, orelse], scope, before, depth)
            case ast.BoolOp(values=values):
                return self._first(values, scope, before, depth)
            case ast.Lambda():
                interface = shapes.parameters(node.args, is_async=False, is_named=False)
                return Value("application", interface) if interface else NOTHING
            case ast.Subscript():
                return UNKNOWN
        return NOTHING

    def returned(self, value: Value) -> Value:
        """What a function returns: an application if any of its returns is one."""
        node, parent = value.node, value.scope
        if not isinstance(node, ast.FunctionDef) or parent is None or node in self._busy:
            return UNKNOWN
        if len(self._busy) > _STEPS:
            return UNKNOWN
        if node not in self._returns:
            self._busy.append(node)
            try:
                self._returns[node] = self._returned(node, parent)
            finally:
                self._busy.pop()
        return self._returns[node]

    def inside(self, node: Function, parent: Scope) -> Scope:
        """The scope of a function; always the same one, so that what is known of it is known once."""
        if node not in self._inner:
            self._inner[node] = function_scope(node, parent)
        return self._inner[node]

    def _returned(self, node: Function, parent: Scope) -> Value:
        scope = self.inside(node, parent)
        found = NOTHING if not any(shapes.is_yield(one) for one in ast.walk(node)) else UNKNOWN
        for order, statement in enumerate(scope.statements):
            if isinstance(statement, ast.Return) and statement.value is not None:
                value = self.expression(statement.value, scope, order)
                if value.role in {"application", "own"}:
                    return value if value.path else replace(value, path=parent.module.path, line=node.lineno)
                found = value if value.role != "nothing" else found
        if node.returns is not None:
            annotated = self.expression(node.returns, parent)
            if annotated.role in {"symbol", "class"}:
                made = self.called(annotated)
                if made.role in {"application", "own"}:
                    return replace(made, path=parent.module.path, line=node.lineno)
        return found

    def called(self, callee: Value) -> Value:
        """What calling a symbol, function or class returns."""
        if callee.role == "symbol":
            return made_by(callee.text)
        if callee.role == "function":
            made = self.returned(callee)
            return replace(made, is_weak=True) if made.role == "unknown" else made
        if callee.role == "class" and isinstance(callee.node, ast.ClassDef) and callee.scope is not None:
            return self._instance(callee.node, callee.scope)
        return NOTHING if callee.role == "nothing" else replace(UNKNOWN, is_weak=True)

    def _instance(self, node: ast.ClassDef, scope: Scope) -> Value:
        interface = shapes.instance(node)
        if interface:
            return Value("application", interface)
        is_unknown = False
        if node in self._busy:
            return UNKNOWN
        self._busy.append(node)
        try:
            for base in node.bases:
                made = self.called(self.expression(base, scope))
                if made.role in {"application", "own"}:
                    return made
                is_unknown = is_unknown or made.role == "unknown"
        finally:
            self._busy.pop()
        return replace(UNKNOWN, is_weak=True) if is_unknown else NOTHING

    def _call(self, node: ast.Call, scope: Scope, before: int | None, depth: int) -> Value:
        callee = self.expression(node.func, scope, before, depth + 1)
        if isinstance(node.func, ast.Attribute):
            made = libraries.METHODS.get(node.func.attr)
            if callee.role in {"unknown", "nothing"} and made in {"wsgi", "asgi"}:
                return Value("application", "wsgi" if made == "wsgi" else "asgi", text=node.func.attr)
        value = self.called(callee)
        name = callee.text if callee.role == "symbol" else ""
        if libraries.makes(name) == "keeps" or (value.role == "unknown" and not value.is_application):
            wrapped = self._wrapped(node, scope, before, depth)
            if wrapped is not None:
                keeps = libraries.makes(name) == "keeps"
                return replace(wrapped, path="", line=0, is_weak=not keeps, text=name or wrapped.text)
        return value

    def _wrapped(self, node: ast.Call, scope: Scope, before: int | None, depth: int) -> Value | None:
        """The first argument that is an application."""
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            value = self.expression(argument, scope, before, depth + 1)
            if value.is_application:
                return value
        return None

    def _first(self, nodes: list[ast.expr], scope: Scope, before: int | None, depth: int) -> Value:
        values = [self.expression(one, scope, before, depth + 1) for one in nodes[:_EXPRESSION]]
        for value in values:
            if value.role in {"application", "own", "function", "class", "symbol"}:
                return value
        return values[0] if values else UNKNOWN

    def _attribute(self, base: Value, name: str) -> Value:
        if base.role == "symbol":
            text = f"{base.text}.{name}"
            return Value("application", text=text) if text == "cherrypy.tree" else Value("symbol", text=text)
        if base.role == "module":
            return self._member(base.text, name)
        if base.role == "own" and base.text.endswith(("Dash", "JupyterDash")) and name == "server":
            return replace(base, role="application", interface="wsgi")
        if base.is_application and base.text.startswith("connexion.") and name == "app":
            return replace(base, interface="wsgi")
        if base.is_application and name in _KEPT:
            return base
        return NOTHING if base.role == "nothing" else UNKNOWN

    def _element(self, node: ast.expr, binding: Binding, scope: Scope) -> Value:
        """One of several names that are assigned at once."""
        place = binding.item or 0
        if isinstance(node, ast.Tuple | ast.List):
            if place < len(node.elts):
                return self.expression(node.elts[place], scope, binding.order)
            return UNKNOWN
        value = self.expression(node, scope, binding.order)
        # FastHTML's returns the application and a decorator.
        return value if value.text.endswith(".fast_app") and place == 0 else UNKNOWN

    def _is_decorated(self, node: Function, scope: Scope) -> bool:
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(target, ast.Attribute) and target.attr == "application":
                return self.expression(target.value, scope).text.startswith("werkzeug.")
            name = self.expression(target, scope).text
            if name and libraries.makes(name) == "wsgi" and name.endswith((".responder", ".wsgify")):
                return True
        return False

    # What imports find.

    def _imported(self, target: str, scope: Scope) -> Value:
        module, _, name = target.partition(":")
        base = base_value(self.modules, module, scope)
        if base is None:
            return UNKNOWN
        return self._attribute(base, name)

    def _member(self, place: str, name: str) -> Value:
        """A name in a module of the tree, or a module in a package of the tree."""
        path = file_of(self.modules, place)
        if path is not None:
            scope = self.scope(path)
            if scope is None:
                return UNKNOWN
            if name in scope.names or not is_module(self.modules, joined(place, name)):
                return self.name(name, scope)
        inner = joined(place, name)
        return Value("module", text=inner) if is_module(self.modules, inner) else UNKNOWN

    def _starred(self, name: str, scope: Scope) -> Value | None:
        for module in scope.stars:
            base = base_value(self.modules, module, scope)
            if base is not None and base.role == "symbol":
                symbol = f"{base.text}.{name}"
                if libraries.makes(symbol) is not None:
                    return Value("symbol", text=symbol)
            elif base is not None and ("*", base.text) not in self._busy and len(self._busy) < _STEPS:
                self._busy.append(("*", base.text))
                try:
                    found = self._member(base.text, name)
                finally:
                    self._busy.pop()
                if found.role not in {"unknown", "nothing"}:
                    return found
        return None
