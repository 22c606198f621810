"""Which version of Python an application asks for, wherever it says so."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from typing import Any

from stager.errors import ConfigurationError, SourceUnreadable, UnsupportedVersion
from stager.model.source_tree import SourceTree
from stager.model.wanted import Wanted
from stager.plugins.python_wsgi.packages.manifests import read_toml, table

_PLAIN = re.compile(r"(?:c?python-?)?(\d+(?:\.\d+){0,2})(?:\.[x*])?", re.IGNORECASE)
_OTHER = re.compile(r"(?i)(pypy|jython|ironpython|graalpy|micropython|stackless|anaconda|miniconda)")
_POETRY = re.compile(r"([~^]?)\s*(\d+(?:\.\d+)*)$")


def wanted_versions(source: SourceTree, option: str | None) -> tuple[Wanted, ...]:
    """Return every version that is asked for; ``option`` (``python_wsgi.version``) counts alone.

    Raises
    ------
    UnsupportedVersion
        Another implementation than CPython is asked for.
    ConfigurationError
        Something that is no version.
    """
    if option is not None:
        found = [Wanted(option.strip(), "python_wsgi.version")]
    else:
        found = [
            *_python_version(source),
            *_runtime_txt(source),
            *_tool_versions(source),
            *_mise(source),
            *_pyproject(source),
            *_pipfile(source),
            *_lock(source),
            *_setup(source),
        ]
    stripped = (Wanted(one.constraint.strip(), one.where) for one in found)
    kept = [one for one in stripped if one.constraint not in ("", "*")]
    for one in kept:
        _refuse_nonsense(one)
    return tuple(kept)


def exact_version(constraint: str) -> str:
    """The version that a plain one means (``3.11.4`` of ``python-3.11.4``); empty for a range."""
    found = _PLAIN.fullmatch(constraint.strip())
    return found[1] if found else ""


def is_allowed(version: str, wanted: Wanted) -> bool:
    """Whether Python ``version`` (``3.11.2``) is one that is asked for."""
    exact = exact_version(wanted.constraint)
    if exact:
        parts = exact.split(".")[:2]
        return version.split(".")[: len(parts)] == parts
    return any(alternative.contains(version, prereleases=True) for alternative in _ranges(wanted.constraint))


def _ranges(constraint: str) -> list[Any]:
    """The alternatives of a constraint as sets of PEP 440; Poetry's operators are translated."""
    from packaging.specifiers import SpecifierSet

    return [SpecifierSet(",".join(_standard(part))) for part in re.split(r"\|\|?", constraint)]


def _standard(text: str) -> Iterator[str]:
    # ">=3.8 <4" and ">= 3.8, < 4" are both written.
    joined = re.sub(r"([<>=!~^])\s+", r"\1", text.strip())
    for part in re.split(r"[\s,]+", joined):
        found = _POETRY.fullmatch(part)
        if not found:
            yield "" if part == "*" else re.sub(r"^(\d)", r"==\1", part)
            continue
        operator, numbers = found[1], [int(number) for number in found[2].split(".")]
        if not operator:
            yield f"=={found[2]}" if found[2].count(".") > 1 else f"=={found[2]}.*"
        else:
            # ^3.8 is below 4; ~3.8 below 3.9, ~3 below 4.
            keep = 1 if operator == "^" or len(numbers) == 1 else 2
            upper = [*numbers[: keep - 1], numbers[keep - 1] + 1]
            yield f">={found[2]},<{'.'.join(map(str, upper))}"


def _refuse_nonsense(wanted: Wanted) -> None:
    from packaging.specifiers import InvalidSpecifier

    if _OTHER.match(wanted.constraint):
        raise UnsupportedVersion(
            f"{wanted.where} asks for {wanted.constraint}, which is not CPython.",
            details="Droplets run on CPython: the packages that are installed are built for it.",
            resolution="Ask for a version of CPython, such as 3.11.",
            slug="unsupported-interpreter",
        )
    if exact_version(wanted.constraint):
        return
    try:
        _ranges(wanted.constraint)
    except InvalidSpecifier as error:
        raise ConfigurationError(
            f"{wanted.where}: {wanted.constraint!r} is no version of Python.",
            resolution="Write a version, such as 3.11, or a range, such as >=3.10,<4.",
        ) from error


def _lines(source: SourceTree, path: str) -> Iterator[tuple[int, str]]:
    if source.is_file(path):
        for number, line in enumerate(source.read_text(path, limit=64 << 10).splitlines(), 1):
            text = line.partition("#")[0].strip()
            if text:
                yield number, text


def _python_version(source: SourceTree) -> Iterator[Wanted]:
    # pyenv takes the first line as the default, and the others for `python3.N`; ours has one Python.
    for number, text in _lines(source, ".python-version"):
        if text == "system":
            return
        # An alias or a virtual environment of somebody's pyenv says nothing about a version.
        if re.match(r"[\d<>=!~^]", text) or _PLAIN.fullmatch(text) or _OTHER.match(text):
            yield Wanted(text, f".python-version line {number}")
            return


def _runtime_txt(source: SourceTree) -> Iterator[Wanted]:
    for number, text in _lines(source, "runtime.txt"):
        yield Wanted(text.removeprefix("python-"), f"runtime.txt line {number}")
        return


def _tool_versions(source: SourceTree) -> Iterator[Wanted]:
    for number, text in _lines(source, ".tool-versions"):
        name, *versions = text.split()
        if name == "python" and versions and versions[0] not in ("system", "latest"):
            yield Wanted(versions[0], f".tool-versions line {number}")


def _mise(source: SourceTree) -> Iterator[Wanted]:
    for path in ("mise.toml", ".mise.toml"):
        if source.is_file(path):
            value = table(read_toml(source, path), "tools").get("python")
            version = value[0] if isinstance(value, list) and value else value
            version = version.get("version") if isinstance(version, Mapping) else version
            if isinstance(version, str) and re.match(r"\d", version):
                yield Wanted(version, f"{path}: tools.python")


def _pyproject(source: SourceTree) -> Iterator[Wanted]:
    if not source.is_file("pyproject.toml"):
        return
    document = read_toml(source, "pyproject.toml")
    standard = table(document, "project").get("requires-python")
    if isinstance(standard, str):
        yield Wanted(standard, "pyproject.toml: requires-python")
    poetry = table(document, "tool", "poetry", "dependencies").get("python")
    poetry = poetry.get("version") if isinstance(poetry, Mapping) else poetry
    if isinstance(poetry, str):
        yield Wanted(poetry, "pyproject.toml: tool.poetry.dependencies.python")


def _pipfile(source: SourceTree) -> Iterator[Wanted]:
    if source.is_file("Pipfile"):
        yield from _pipenv(table(read_toml(source, "Pipfile"), "requires"), "Pipfile: requires")
    elif source.is_file("Pipfile.lock"):
        try:
            document = json.loads(source.read_text("Pipfile.lock", limit=64 << 20))
        except ValueError:
            return  # who reads the lock says so
        yield from _pipenv(table(document, "_meta", "requires"), "Pipfile.lock: _meta.requires")


def _pipenv(requires: Mapping[str, Any], where: str) -> Iterator[Wanted]:
    for key in ("python_full_version", "python_version"):
        if isinstance(requires.get(key), str):
            yield Wanted(requires[key], f"{where}.{key}")
            return


def _lock(source: SourceTree) -> Iterator[Wanted]:
    if source.is_file("uv.lock") and not source.is_file("pyproject.toml"):
        value = read_toml(source, "uv.lock").get("requires-python")
        if isinstance(value, str):
            yield Wanted(value, "uv.lock: requires-python")


def _setup(source: SourceTree) -> Iterator[Wanted]:
    if source.is_file("setup.cfg"):
        parser = ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(source.read_text("setup.cfg"))
            value = parser.get("options", "python_requires", fallback="")
        except (ConfigParserError, SourceUnreadable):
            value = ""
        if value:
            yield Wanted(value, "setup.cfg: python_requires")
    if source.is_file("setup.py"):
        try:
            tree = ast.parse(source.read_bytes("setup.py"))
        except (SyntaxError, ValueError, RecursionError):
            return
        value = _keyword(ast.walk(tree), "python_requires")
        if value:
            yield Wanted(value, "setup.py: python_requires")


def _keyword(nodes: Iterable[ast.AST], name: str) -> str:
    for node in nodes:
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == name and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return ""
