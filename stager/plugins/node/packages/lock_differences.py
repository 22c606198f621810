"""A lock that is out of step with package.json: what differs, before anything runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stager.errors import ConfigurationError, ConflictingLockFiles
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.packages.locks import LARGEST, REMEDIES, Lock
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.reading.names import printable
from stager.plugins.node.reading.yaml_text import parse_yaml

#: What is asked for in package.json, by the words that say so. Peers are others' to install.
_ASKED = ("dependencies", "devDependencies", "optionalDependencies")
#: Shown of many.
_SHOWN = 12
#: What names no version of the registry: that only the manager itself can compare.
_OTHER = re.compile(r"^(?:[a-z+.-]+:|git@|[./~]|[\w.-]+/[\w.-]+)", re.IGNORECASE)
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')

Specifiers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One package: what package.json says of it, and what the lock says; empty for nothing."""

    name: str
    path: str
    asked: str
    locked: str


def refuse_outdated(source: SourceTree, lock: Lock, package: Package, members: Iterable[Package]) -> None:
    """Compare the lock with what the application's packages ask for.

    What npm, yarn, pnpm and bun would refuse themselves is refused here, a minute earlier and with the
    difference. What cannot be told by reading (overrides, patches, peers) is left to them.

    Raises
    ------
    ConflictingLockFiles
        They differ.
    ConfigurationError
        The lock cannot be read.
    """
    reader = {
        "npm": _npm,
        "yarn": _yarn_berry if lock.is_berry else _yarn,
        "pnpm": _pnpm,
        "bun": _bun,
    }.get(lock.tool)
    if reader is None or lock.path == "bun.lockb":
        return
    text = source.read_text(lock.path, limit=LARGEST)
    packages = (package, *members)
    differences = sorted(reader(lock, text, packages), key=lambda one: (one.path, one.name))
    if differences:
        raise _outdated(source, lock, differences)


def _outdated(source: SourceTree, lock: Lock, differences: list[Difference]) -> ConflictingLockFiles:
    lines = []
    for one in differences[:_SHOWN]:
        where = f"{one.path}{_line(source, one.path, one.name)}"
        asked = (
            f"asks for {printable(one.name)} {printable(one.asked)}" if one.asked else "does not ask for it"
        )
        locked = f"has {printable(one.name)} {printable(one.locked)}" if one.locked else "has none"
        lines.append(f"  {where} {asked}; {lock.path} {locked}")
    if len(differences) > _SHOWN:
        lines.append(f"  and {len(differences) - _SHOWN} more")
    return ConflictingLockFiles(
        f"{lock.path} is not up to date with package.json.",
        details="\n".join(lines),
        resolution=f"Bring it up to date, and add it to the application: {REMEDIES[lock.tool]}",
        slug="lock-file-outdated",
    )


def _line(source: SourceTree, path: str, name: str) -> str:
    text = source.read_text(path)
    found = re.search(rf'"{re.escape(name)}"\s*:', text)
    return f" line {text.count(chr(10), 0, found.start()) + 1}" if found else ""


def _asked(package: Package) -> dict[str, str]:
    """What a package asks for; what is optional counts as such wherever else it stands."""
    found: dict[str, str] = {}
    for key in reversed(_ASKED):
        value = package.data.get(key)
        for name, text in (value if isinstance(value, Mapping) else {}).items():
            if isinstance(text, str):
                found.setdefault(name, text.strip())
    return found


def _compared(path: str, asked: Specifiers, locked: Specifiers) -> Iterator[Difference]:
    """Where a lock holds what was asked for, word for word."""
    for name in sorted({*asked, *locked}):
        if asked.get(name) != locked.get(name):
            # An empty text is `*`, and shown so.
            was, has = asked.get(name), locked.get(name)
            yield Difference(
                name, path, "" if was is None else was or '""', "" if has is None else has or '""'
            )


def _json(lock: Lock, text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{lock.path} is not valid JSON.",
            details=str(error),
            resolution=f"Make it anew: rm {lock.path} && {REMEDIES[lock.tool]}",
        ) from error
    return document if isinstance(document, Mapping) else {}


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _npm(lock: Lock, text: str, packages: tuple[Package, ...]) -> Iterator[Difference]:
    """As ``npm ci`` does: every package that is asked for is locked, in a version that is asked for."""
    document = _json(lock, text)
    entries = _table(document.get("packages"))
    if not entries:
        # The format of npm 5 and 6 knows no workspaces.
        entries = {f"node_modules/{name}": one for name, one in _table(document.get("dependencies")).items()}
        packages = packages[:1]
    for package in packages:
        optional = _table(package.data.get("optionalDependencies"))
        if package.folder and package.folder not in entries:
            continue
        for name, asked in _asked(package).items():
            entry = _entry(entries, package.folder, name)
            if entry is None:
                if name not in optional:
                    yield Difference(name, package.path, asked or "*", "")
            elif not entry.get("link") and not _may_be(str(entry.get("version", "")), asked):
                yield Difference(name, package.path, asked, str(entry.get("version", "")))


def _entry(entries: Mapping[str, Any], folder: str, name: str) -> Mapping[str, Any] | None:
    """What Node would find from a folder."""
    while True:
        place = f"{folder}/node_modules/{name}".lstrip("/")
        if isinstance(entries.get(place), Mapping):
            return _table(entries[place])
        if not folder:
            return None
        folder = folder.rpartition("/")[0]


def _may_be(version: str, asked: str) -> bool:
    """Whether a version satisfies what is asked for, as far as that can be told here."""
    from semantic_version import NpmSpec, Version  # type: ignore[import-untyped]

    if _OTHER.match(asked) or not asked:
        return True
    try:
        # npm takes a version before a release for one of the range where it was asked for so; a tag is no
        # range at all.
        return bool(NpmSpec(asked).match(Version(version))) or "-" in version
    except ValueError:
        return True


def _yarn(lock: Lock, text: str, packages: tuple[Package, ...]) -> Iterator[Difference]:
    """Compare with yarn 1, which locks ``name@range``, word for word."""
    del lock  # all that is read of it is its text
    known: dict[str, list[str]] = {}
    for line in re.findall(r"(?m)^(?!#)(\S.*):$", text):
        for pattern in line.split(", "):
            name, _, asked = pattern.strip('"').rpartition("@")
            # Of `a@npm:b@^1` the name ends at the first @ that is not its own.
            if ":" in name or not name:
                name, _, asked = _cut(pattern.strip('"'))
            known.setdefault(name, []).append(asked)
    own = {package.name for package in packages}
    replaced = {key.rpartition("/")[2] for key in _table(packages[0].data.get("resolutions"))}
    for package in packages:
        for name, asked in _asked(package).items():
            is_known = asked in known.get(name, ())
            if (
                is_known
                or name in own
                or name in replaced
                or asked.startswith(("link:", "workspace:", "portal:"))
            ):
                continue
            if not _OTHER.match(asked):
                yield Difference(name, package.path, asked or "*", ", ".join(known.get(name, ())))


def _cut(pattern: str) -> tuple[str, str, str]:
    name, at, asked = pattern[1:].partition("@")
    return pattern[0] + name, at, asked


def _yarn_berry(lock: Lock, text: str, packages: tuple[Package, ...]) -> Iterator[Difference]:
    """Compare with yarn 2 and later: what each workspace asks for, with ``npm:`` before it since yarn 4."""
    del lock  # all that is read of it is its text
    by_folder: dict[str, dict[str, str]] = {}
    for block in re.findall(r'(?m)^"?[^\s#][^\n]*@workspace:[^\n]*:\n(?:[ \t]+[^\n]*\n?)*', text):
        place = re.search(r'(?m)^  resolution: "?[^\n]*@workspace:([^"\n]*)"?$', block)
        listed = re.search(r"(?m)^  dependencies:\n((?:    [^\n]*\n?)*)", block)
        if place:
            pairs = re.findall(r'(?m)^    "?([^":\s]+)"?: "?([^"\n]*)"?$', listed[1] if listed else "")
            by_folder["" if place[1] == "." else place[1]] = {name: _bare(asked) for name, asked in pairs}
    overridden = _table(packages[0].data.get("resolutions"))
    for package in packages:
        if package.folder in by_folder and not overridden:
            asked = {name: _bare(text) for name, text in _asked(package).items()}
            locked = by_folder[package.folder]
            # Ranges with a protocol of yarn's (patch:, catalog:) are locked in other words.
            alike = {name for name in {*asked, *locked} if ":" in asked.get(name, "") + locked.get(name, "")}
            peers = _table(package.data.get("peerDependencies"))
            skipped = alike | {name for name in peers if name not in asked}
            yield from _compared(package.path, _without(asked, skipped), _without(locked, skipped))


def _bare(asked: str) -> str:
    return asked.removeprefix("npm:")


def _without(specifiers: Specifiers, names: Iterable[str]) -> dict[str, str]:
    left_out = frozenset(names)
    return {name: asked for name, asked in specifiers.items() if name not in left_out}


def _pnpm(lock: Lock, text: str, packages: tuple[Package, ...]) -> Iterator[Difference]:
    """Compare with what pnpm locks of each package, before all that it installs: only that part is read."""
    head = re.split(r"(?m)^(?:packages|snapshots):", text, maxsplit=1)[0]
    document = parse_yaml(lock.path, head)
    importers = _table(document.get("importers")) or {".": document}
    # Overrides change what is asked for, and the lock holds the outcome.
    overridden = {_cut(key)[0].rpartition(">")[2] for key in _table(document.get("overrides")) if key}
    for package in packages:
        importer = importers.get(package.folder or ".")
        if isinstance(importer, Mapping):
            asked = _without(_asked(package), overridden)
            yield from _compared(package.path, asked, _without(dict(_specifiers(importer)), overridden))


def _specifiers(importer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # Of pnpm 7 and earlier in one mapping, since then beside each version.
    yield from ((name, str(asked)) for name, asked in _table(importer.get("specifiers")).items())
    for key in _ASKED:
        for name, entry in _table(importer.get(key)).items():
            if isinstance(entry, Mapping) and "specifier" in entry:
                yield name, str(entry["specifier"])


def _bun(lock: Lock, text: str, packages: tuple[Package, ...]) -> Iterator[Difference]:
    """Compare with what bun locks of each workspace, in JSON with commas before brackets."""
    document = _json(lock, _STRING_OR_COMMA.sub(lambda found: found[1] or "", text))
    workspaces = _table(document.get("workspaces"))
    for package in packages:
        entry = workspaces.get(package.folder)
        if isinstance(entry, Mapping):
            locked: dict[str, str] = {}
            for key in reversed(_ASKED):
                for name, asked in _table(entry.get(key)).items():
                    locked.setdefault(name, str(asked))
            yield from _compared(package.path, _asked(package), locked)
