"""package.json, read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Literal

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.json_text import JsonText, read_json
from stager.plugins.node.reading.names import printable

MANIFEST = "package.json"
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")


@dataclass(frozen=True, slots=True)
class Package:
    """What a package says of itself.

    Parameters
    ----------
    data:
        The whole document.
    path:
        Of the file, in the application.
    workspaces:
        The patterns of folders that are packages too.
    warnings:
        What is odd about it, and ends nothing.
    """

    data: Mapping[str, Any]
    path: str = MANIFEST
    name: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)
    dependencies: Mapping[str, str] = field(default_factory=dict)
    dev_dependencies: Mapping[str, str] = field(default_factory=dict)
    optional_dependencies: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
    package_manager: str = ""
    type: Literal["module", "commonjs"] = "commonjs"
    main: str = ""
    workspaces: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where it lies; empty for the root."""
        return self.path.rpartition("/")[0]

    def has(self, *names: str) -> bool:
        """Whether it asks for one of these packages, be it for development only."""
        return any(
            name in asked
            for name in names
            for asked in (self.dependencies, self.dev_dependencies, self.optional_dependencies)
        )

    def keeps(self, *names: str) -> bool:
        """Whether one of these is there at run time too."""
        return any(name in self.dependencies or name in self.optional_dependencies for name in names)

    def constraint(self, name: str) -> str:
        """Which version of a package it asks for; empty where it does not."""
        asked = {**self.optional_dependencies, **self.dev_dependencies, **self.dependencies}
        return asked.get(name, "")


def read_package(source: SourceTree, path: str = MANIFEST) -> Package | None:
    """Return what ``path`` says, or None where there is no such file.

    Raises
    ------
    ConfigurationError
        It is no JSON, or a part of it is of another type than npm wants; line, column and the line itself
        are named.
    """
    if not source.is_file(path):
        return None
    document = read_json(source, path)
    reading = _Reading(document)
    data = document.data
    return Package(
        data=data,
        path=path,
        name=reading.text("name"),
        scripts=reading.texts("scripts"),
        dependencies=reading.texts("dependencies"),
        dev_dependencies=reading.texts("devDependencies"),
        optional_dependencies=reading.texts("optionalDependencies"),
        engines=reading.engines(),
        package_manager=reading.text("packageManager"),
        type="module" if data.get("type") == "module" else "commonjs",
        main=reading.text("main"),
        workspaces=reading.workspaces(),
        warnings=(*document.warnings, *reading.warnings),
    )


class _Reading:
    """Takes the parts out of one document; what npm would pass over is a warning, the rest an error."""

    def __init__(self, document: JsonText) -> None:
        self._document, self._data = document, document.data
        self.warnings: list[str] = []

    def text(self, key: str) -> str:
        value = self._data.get(key)
        if value is None or isinstance(value, str):
            return (value or "").strip()
        self._warn(key, f"is {_word(value)}, not text; it is passed over")
        return ""

    def texts(self, key: str) -> dict[str, str]:
        value = self._data.get(key)
        # PHP's and Ruby's generators write an empty mapping as a list.
        if value is None or value == []:
            return {}
        if not isinstance(value, Mapping):
            raise self._wrong(key, f"{key} is {_word(value)}, not a mapping of names to texts.")
        for name, item in value.items():
            if not isinstance(item, str):
                raise self._wrong(name, f"{key}.{printable(name)} is {_word(item)}, not text.", within=key)
        return dict(value)

    def engines(self) -> dict[str, str]:
        value = self._data.get("engines")
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            # npm of 2011 wrote ["node >= 0.6"], and npm passes over it ever since.
            self._warn("engines", f'is {_word(value)}, not a mapping; write {{"node": ">=20"}}')
            return {}
        found = {}
        for name, item in value.items():
            if isinstance(item, str):
                found[name] = item
            elif isinstance(item, int | float) and not isinstance(item, bool):
                found[name] = str(item)
            else:
                self._warn("engines", f"says {_word(item)} of {printable(name)}; it is passed over")
        return found

    def workspaces(self) -> tuple[str, ...]:
        value = self._data.get("workspaces")
        if isinstance(value, Mapping):
            value = value.get("packages")
        if value is None:
            return ()
        if not isinstance(value, list):
            self._warn("workspaces", f"is {_word(value)}, not a list of folders; it is passed over")
            return ()
        return tuple(item for item in value if isinstance(item, str))

    def _warn(self, key: str, text: str) -> None:
        self.warnings.append(
            f"{printable(self._document.path)} line {self._document.line_of(key)}: {key} {text}."
        )

    def _wrong(self, key: str, brief: str, within: str = "") -> ConfigurationError:
        path = printable(self._document.path)
        return ConfigurationError(
            f"{path}: {brief}",
            details=self._document.show(self._document.position_of(key, within)),
            resolution='Write it as npm does: "name": "text".',
            slug="package-json",
        )


def _word(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "a mapping"


def names_in(value: object) -> Iterator[str]:
    """The texts of a list, or of a mapping's keys; nothing of anything else."""
    if isinstance(value, list | Mapping):
        yield from (item for item in value if isinstance(item, str))


def as_json(value: object) -> str:
    """``value`` as a reader would write it."""
    return json.dumps(value, ensure_ascii=False)
