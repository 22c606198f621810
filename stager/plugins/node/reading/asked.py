"""Which version of Node an application asks for, wherever it says so."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping

from stager.errors import ConfigurationError, UnsupportedVersion
from stager.model.source_tree import SourceTree
from stager.model.wanted import Wanted
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.reading.names import printable
from stager.plugins.node.reading.ranges import CODENAMES, NoRange, as_range

#: What stands for no version in particular.
_NOTHING = frozenset({"", "*", "x", "X", "system", "default"})
_OTHER = re.compile(r"(?i)(iojs|io\.js|unstable|nightly|rc|v8-canary|deno|bun)\b")


def wanted_versions(
    source: SourceTree, package: Package | None, option: str | None = None
) -> tuple[Wanted, ...]:
    """Return every version that is asked for; ``option`` (``node.version``) counts alone.

    Raises
    ------
    UnsupportedVersion
        Something else than a release of Node is asked for.
    ConfigurationError
        Something that is no version.
    """
    if option is not None:
        found = [Wanted(str(option), "node.version")]
    else:
        found = [
            *_package(package),
            *_first_line(source, ".nvmrc"),
            *_first_line(source, ".node-version"),
            *_tool_versions(source),
            *_mise(source),
        ]
    kept = [
        Wanted(one.constraint.strip(), one.where) for one in found if one.constraint.strip() not in _NOTHING
    ]
    for one in kept:
        _refuse_nonsense(one)
    return tuple(kept)


def _refuse_nonsense(wanted: Wanted) -> None:
    shown = printable(wanted.constraint)[:80]
    if _OTHER.match(wanted.constraint):
        raise UnsupportedVersion(
            f"{wanted.where} asks for {shown}, which is no release of Node.",
            resolution="Ask for a release with long-term support, such as 20 or lts/*.",
            slug="unsupported-interpreter",
        )
    try:
        as_range(wanted.constraint)
    except NoRange as error:
        raise ConfigurationError(
            f"{wanted.where}: {shown!r} is no version of Node.",
            details=str(error)[:300],
            resolution="Write a version, such as 20, a range, such as >=18 <23, or one of lts/* and "
            f"{', '.join(f'lts/{name}' for name in list(CODENAMES)[-3:])}.",
        ) from error


def _package(package: Package | None) -> Iterator[Wanted]:
    if package is None:
        return
    where = printable(package.path)
    # Yeoman's generators and old guides wrote it so.
    for name in ("node", "nodejs", "Node"):
        if name in package.engines:
            yield Wanted(package.engines[name], f"{where}: engines.{name}")
            break
    volta = package.data.get("volta")
    if isinstance(volta, Mapping) and isinstance(volta.get("node"), str):
        yield Wanted(volta["node"], f"{where}: volta.node")
    development = package.data.get("devEngines")
    runtimes = development.get("runtime") if isinstance(development, Mapping) else None
    for one in runtimes if isinstance(runtimes, list) else [runtimes]:
        # npm install fails where that is not there, unless it says otherwise.
        if isinstance(one, Mapping) and one.get("name") == "node" and one.get("onFail", "error") == "error":
            version = one.get("version")
            if isinstance(version, str):
                yield Wanted(version, f"{where}: devEngines.runtime")


def _lines(source: SourceTree, path: str) -> Iterator[tuple[int, str]]:
    if source.is_file(path):
        text = source.read_bytes(path, limit=64 << 10)
        # `node --version > .nvmrc` of PowerShell writes UTF-16.
        encoding = "utf-16" if text.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        for number, line in enumerate(text.decode(encoding, "replace").splitlines(), 1):
            content = line.partition("#")[0].strip()
            if content:
                yield number, content


def _first_line(source: SourceTree, path: str) -> Iterator[Wanted]:
    for number, text in _lines(source, path):
        # nvm reads key=value lines as something for later; fnm and volta as well.
        if re.match(r"[A-Za-z_]\w*=", text):
            continue
        yield Wanted(text.removeprefix("node/").removeprefix("node-"), f"{path} line {number}")
        return


def _tool_versions(source: SourceTree) -> Iterator[Wanted]:
    for number, text in _lines(source, ".tool-versions"):
        name, *versions = text.split()
        if name not in ("nodejs", "node") or not versions:
            continue
        version = versions[0]
        # asdf: latest, latest:20, ref:…, path:…
        version = version.removeprefix("latest:") if version.startswith("latest:") else version
        if not version.startswith(("ref:", "path:", "prefix:")):
            yield Wanted(version, f".tool-versions line {number}")


def _mise(source: SourceTree) -> Iterator[Wanted]:
    for path in ("mise.toml", ".mise.toml"):
        if not source.is_file(path):
            continue
        try:
            tools = tomllib.loads(source.read_text(path)).get("tools")
        except (ValueError, RecursionError):
            continue  # a file of another tool's, which says so itself
        for name in ("node", "nodejs"):
            value = tools.get(name) if isinstance(tools, Mapping) else None
            value = value[0] if isinstance(value, list) and value else value
            value = value.get("version") if isinstance(value, Mapping) else value
            if isinstance(value, str) and re.match(r"\d|lts|latest", value):
                yield Wanted(value, f"{path}: tools.{name}")
