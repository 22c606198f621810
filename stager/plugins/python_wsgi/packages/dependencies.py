"""Where an application says what has to be installed, and what that is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import field
from typing import Any, Literal

from stager.errors import PlanError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.packages.locks import LOCKS, find_lock, locked_names
from stager.plugins.python_wsgi.packages.manifests import read_toml, table
from stager.plugins.python_wsgi.packages.requirements_file import (
    normalised,
    read_requirements,
    refuse_missing,
)

Source = Literal["requirements", "uv", "poetry", "pipenv", "pdm", "pylock", "pyproject", "setup", "none"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
#: Taken, in this order, where the root has neither requirements.txt nor another manifest.
_ELSEWHERE = ("requirements/production.txt", "requirements/prod.txt", "requirements/base.txt",
              "requirements/requirements.txt")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What is installed, and from where.

    Parameters
    ----------
    manager:
        Whose format it is.
    files:
        Paths in the application on which the installation depends; the first is what is installed from.
    names:
        Normalised names of what is required and locked, with the place: ``requirements.txt line 3``.
    installs_project:
        Whether the application is itself installed, as a package.
    source_folder:
        ``src`` where modules lie in it that are not installed: it belongs on ``PYTHONPATH``.
    warnings:
        What the user should know, and that ends nothing.
    folders:
        Local files and folders that are installed too; ``""`` is the application.
    """

    manager: Source
    files: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    installs_project: bool = False
    source_folder: str = ""
    warnings: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def installs_anything(self) -> bool:
        """Whether there is a package to be installed."""
        return bool(self.names or self.folders or self.installs_project)


def read_dependencies(source: SourceTree, requirements: str | None) -> Dependencies:
    """Find out what the application needs.

    ``requirements`` is the file that ``python_wsgi.requirements`` names.

    Raises
    ------
    ConflictingLockFiles
        Two lock files, or one without its manifest.
    PlanError
        A manifest that cannot be installed without its lock; an include that is missing.
    ConfigurationError
        ``requirements`` names no file; a file cannot be read.
    """
    if requirements is not None:
        path = requirements.removeprefix("./").strip("/")
        refuse_missing(source, path)
        if path in LOCKS:
            return _of_lock(source, path)
        if path == "pyproject.toml":
            return _of_manifest(source)
        return _of_requirements(source, path, _unused(source, path))
    lock = find_lock(source)
    if lock:
        return _of_lock(source, lock)
    if source.is_file("requirements.txt"):
        return _of_requirements(source, "requirements.txt", _unused(source, "requirements.txt"))
    return _of_manifest(source)


def _unused(source: SourceTree, used: str) -> tuple[str, ...]:
    """A sentence for each file that also lists requirements, and that is not read."""
    others = [name for name in ("requirements.txt", "Pipfile") if name != used and source.is_file(name)]
    if used == "Pipfile.lock" and "Pipfile" in others:
        others.remove("Pipfile")
    return tuple(f"{name} is not used: {used} says what is installed." for name in others)


def _of_requirements(source: SourceTree, path: str, warnings: tuple[str, ...]) -> Dependencies:
    listing = read_requirements(source, path)
    return Dependencies(
        "requirements",
        tuple(listing.files),
        listing.names,
        listing.installs_project,
        _source_folder(source, is_installed=listing.installs_project),
        warnings,
        tuple(listing.folders),
    )


def _of_lock(source: SourceTree, lock: str) -> Dependencies:
    tool, manifest, _ = LOCKS[lock]
    names = locked_names(source, lock)
    document = read_toml(source, "pyproject.toml") if source.is_file("pyproject.toml") else {}
    is_package = tool in {"uv", "poetry", "pdm"} and _is_package(source, document)
    return Dependencies(
        tool,  # type: ignore[arg-type]
        tuple(path for path in (lock, manifest, *_settings_files(source)) if path),
        names,
        is_package,
        _source_folder(source, is_installed=is_package),
        _unused(source, lock),
        ("",) if is_package else _local_folders(document),
    )


def _of_manifest(source: SourceTree) -> Dependencies:
    document = read_toml(source, "pyproject.toml") if source.is_file("pyproject.toml") else {}
    if "project" in document:
        return _of_pyproject(source, document)
    if "poetry" in table(document, "tool"):
        raise _without_lock("pyproject.toml", "poetry.lock", "poetry lock")
    if source.is_file("Pipfile"):
        raise _without_lock("Pipfile", "Pipfile.lock", "pipenv lock")
    if source.is_file("setup.py") or source.is_file("setup.cfg"):
        files = tuple(path for path in ("setup.py", "setup.cfg", "pyproject.toml") if source.is_file(path))
        return Dependencies("setup", files, dict(_setup_names(source)), installs_project=True, folders=("",))
    for path in _ELSEWHERE:
        if source.is_file(path):
            note = f"{path} says what is installed; `python_wsgi.requirements` names another file."
            return _of_requirements(source, path, (note,))
    return Dependencies("none", source_folder=_source_folder(source, is_installed=False))


def _of_pyproject(source: SourceTree, document: Mapping[str, Any]) -> Dependencies:
    is_package = _is_package(source, document)
    is_dynamic = "dependencies" in (table(document, "project").get("dynamic") or ())
    listed = table(document, "project").get("dependencies")
    text = source.read_text("pyproject.toml")
    names = _names(listed if isinstance(listed, list) else [], text, "pyproject.toml")
    return Dependencies(
        "pyproject",
        ("pyproject.toml", *_settings_files(source)),
        dict(names),
        is_package,
        _source_folder(source, is_installed=is_package),
        _unused(source, "pyproject.toml"),
        ("",) if is_package or is_dynamic else _local_folders(document),
    )


def _without_lock(manifest: str, lock: str, command: str) -> PlanError:
    return PlanError(
        f"{manifest} is there, and its {lock} is not.",
        details="Without the lock nobody knows which versions belong to the application.",
        resolution=f"Make it, and add it to the application: {command}",
        slug="lock-file-missing",
    )


def _is_package(source: SourceTree, document: Mapping[str, Any]) -> bool:
    """Whether the tool that wrote the manifest would install the application itself, too."""
    explicit = table(document, "tool", "uv").get("package")
    if isinstance(explicit, bool):
        return explicit
    if table(document, "tool", "pdm").get("distribution") is False:
        return False
    poetry = table(document, "tool", "poetry")
    if poetry:
        # Poetry installs the root by default, and says no more than a word where there is no package:
        # most applications that use it are none.
        return poetry.get("package-mode") is not False and _has_module(source, document)
    return "build-system" in document


def _has_module(source: SourceTree, document: Mapping[str, Any]) -> bool:
    poetry = table(document, "tool", "poetry")
    name = poetry.get("name") or table(document, "project").get("name")
    if poetry.get("packages") or not isinstance(name, str):
        return bool(poetry.get("packages"))
    module = normalised(name).replace("-", "_")
    return any(
        source.is_directory(f"{folder}{module}") or source.is_file(f"{folder}{module}.py")
        for folder in ("", "src/")
    )


def _source_folder(source: SourceTree, *, is_installed: bool) -> str:
    if is_installed or not source.is_directory("src") or source.is_file("src/__init__.py"):
        return ""
    has_modules = any(
        name.endswith(".py") or source.is_file(f"src/{name}/__init__.py") for name in source.children("src")
    )
    return "src" if has_modules else ""


def _settings_files(source: SourceTree) -> tuple[str, ...]:
    return tuple(path for path in ("uv.toml", "poetry.toml") if source.is_file(path))


def _local_folders(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Folders that a manifest takes packages from: all of the application, where there are any."""
    sources = table(document, "tool", "uv", "sources")
    poetry = table(document, "tool", "poetry", "dependencies")
    entries = [one for value in (*sources.values(), *poetry.values()) for one in _each(value)]
    is_local = any({"path", "workspace"} & table(one).keys() for one in entries)
    return ("",) if is_local or "workspace" in table(document, "tool", "uv") else ()


def _each(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _names(listed: Sequence[object], text: str, path: str) -> Iterator[tuple[str, str]]:
    for one in listed:
        found = _NAME.match(str(one).strip())
        if found:
            at = text.find(str(one))
            line = f" line {text.count(chr(10), 0, at) + 1}" if at >= 0 else ""
            yield normalised(found[0]), f"{path}{line}"


def _setup_names(source: SourceTree) -> Iterator[tuple[str, str]]:
    if source.is_file("setup.cfg"):
        text, parser = source.read_text("setup.cfg"), ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(text)
            listed = parser.get("options", "install_requires", fallback="").splitlines()
        except ConfigParserError:
            listed = []
        yield from _names([line for line in listed if line.strip()], text, "setup.cfg")
    if source.is_file("setup.py"):
        text = source.read_text("setup.py")
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "install_requires":
                constants = [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
                yield from _names([one for one in constants if isinstance(one, str)], text, "setup.py")
