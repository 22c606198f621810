"""The values in a Django settings module, as far as reading can tell them."""

from __future__ import annotations

import ast
from dataclasses import field
from typing import Any

from stager.model.frozen import dataclass
from stager.plugins.python_wsgi.reading.modules import Module, Modules
from stager.plugins.python_wsgi.reading.places import printable
from stager.plugins.python_wsgi.reading.scopes import is_guard
from stager.plugins.python_wsgi.reading.settings_values import UNKNOWN, Expressions, Unknown, added, merged

_LEVELS = 8


@dataclass(slots=True)
class Settings:
    """Names and values; ``lines`` says where each was set, as "settings.py line 40"."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    files: list[Module] = field(default_factory=list)

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a list, less what cannot be told."""
        value = self.values.get(name)
        return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()

    def is_whole(self, name: str) -> bool:
        """Whether a list is known to its last element."""
        value = self.values.get(name)
        return isinstance(value, list) and not any(isinstance(one, Unknown) for one in value)


def read_settings(modules: Modules, path: str, folders: tuple[str, ...]) -> Settings:
    """The settings in a file, and in those that it imports from; raises PlanError where one is broken."""
    settings = Settings()
    _Evaluation(modules, folders, settings).module(path)
    return settings


@dataclass(slots=True)
class _Evaluation:
    modules: Modules
    folders: tuple[str, ...]
    settings: Settings
    level: int = 0

    def module(self, path: str) -> None:
        found = self.modules.needed(path)
        if found is None or self.level > _LEVELS or any(one.path == path for one in self.settings.files):
            return
        self.settings.files.append(found)
        self.level += 1
        self._body(found.tree.body, found)
        self.level -= 1

    def _body(self, body: list[ast.stmt], module: Module) -> None:
        waiting = list(reversed(body))
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.If):
                self._choose(node, module)
            elif isinstance(node, ast.Try | ast.TryStar):
                waiting.extend(reversed([*node.body, *node.orelse, *node.finalbody]))
            elif isinstance(node, ast.With):
                waiting.extend(reversed(node.body))
            else:
                self._statement(node, module)

    def _choose(self, node: ast.If, module: Module) -> None:
        """One branch where the test is known, else both: what they disagree on is not known."""
        test = self._value(node.test, module)
        if is_guard(node.test) is not None:
            return
        if isinstance(test, bool | str | list):
            self._body(node.body if test else node.orelse, module)
            return
        before, lines = dict(self.settings.values), dict(self.settings.lines)
        self._body(node.body, module)
        first, first_lines = self.settings.values, self.settings.lines
        self.settings.values, self.settings.lines = dict(before), dict(lines)
        self._body(node.orelse, module)
        second = self.settings.values
        self.settings.lines = {**first_lines, **self.settings.lines}
        for name in first.keys() | second.keys():
            second[name] = merged(first.get(name), second.get(name), before.get(name))

    def _statement(self, node: ast.stmt, module: Module) -> None:
        if isinstance(node, ast.ImportFrom):
            self._import(node, module)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, self._value(node.value, module), node, module)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, self._value(node.value, module), node, module)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            old = self.settings.values.get(node.target.id, UNKNOWN)
            self._assign(node.target, added(old, self._value(node.value, module)), node, module)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._mutate(node.value, module)

    def _assign(self, target: ast.expr, value: Any, node: ast.stmt, module: Module) -> None:
        if isinstance(target, ast.Name):
            self.settings.values[target.id] = value
            self.settings.lines[target.id] = f"{printable(module.path)} line {node.lineno}"

    def _mutate(self, call: ast.Call, module: Module) -> None:
        """``INSTALLED_APPS.append("x")`` and its like."""
        function = call.func
        if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
            return
        old = self.settings.values.get(function.value.id)
        if not isinstance(old, list) or not call.args:
            return
        value = self._value(call.args[-1], module)
        new = list(old)
        if function.attr in {"append", "insert"}:
            new.append(value)
        elif function.attr == "extend":
            new += value if isinstance(value, list) else [UNKNOWN]
        elif function.attr == "remove" and value in new:
            new.remove(value)
        self.settings.values[function.value.id] = new

    def _import(self, node: ast.ImportFrom, module: Module) -> None:
        path = self._imported(node, module)
        if path is None:
            return
        if any(alias.name == "*" for alias in node.names):
            self.module(path)
            return
        inner = Settings(files=list(self.settings.files))
        _Evaluation(self.modules, self.folders, inner, self.level).module(path)
        for alias in node.names:
            name = alias.asname or alias.name
            self.settings.values[name] = inner.values.get(alias.name, UNKNOWN)
            self.settings.lines[name] = inner.lines.get(
                alias.name, f"{printable(module.path)} line {node.lineno}"
            )

    def _imported(self, node: ast.ImportFrom, module: Module) -> str | None:
        name = node.module or ""
        if not node.level:
            return self.modules.find(name, self.folders)
        parts = module.path.split("/")[:-1]
        if node.level - 1 > len(parts):
            return None
        folder = "/".join(parts[: len(parts) - node.level + 1])
        if name:
            return self.modules.find(name, (folder,))
        whole = f"{folder}/__init__.py".lstrip("/")
        return whole if self.modules.source.is_file(whole) else None

    def _value(self, node: ast.expr, module: Module) -> Any:
        return Expressions(module.path, self.settings.values).value(node)
