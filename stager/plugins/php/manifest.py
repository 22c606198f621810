"""composer.json and composer.lock, read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from stager.errors import ConfigurationError, ConflictingLockFiles
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.php.content_hash import content_hash

MANIFEST, LOCK = "composer.json", "composer.lock"
#: The largest lock files that applications have are a few MB; more than this is no lock file.
LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Composer:
    """What an application says of itself to Composer. ``lock`` is None where there is no composer.lock."""

    manifest: Mapping[str, Any]
    lock: Mapping[str, Any] | None = None

    @property
    def packages(self) -> tuple[Mapping[str, Any], ...]:
        """The locked packages, without those for development."""
        listed = (self.lock or {}).get("packages")
        return tuple(item for item in listed if isinstance(item, Mapping)) if isinstance(listed, list) else ()

    @property
    def vendor_directory(self) -> str:
        """Where the packages go: ``config.vendor-dir``, else ``vendor``."""
        return str(self.section("config").get("vendor-dir") or "vendor").strip("/")

    def section(self, name: str) -> Mapping[str, Any]:
        """A part of composer.json that is a mapping; PHP writes an empty one as a list."""
        return mapping(self.manifest.get(name))

    def requires(self, *names: str) -> bool:
        """Whether composer.json asks for one of these packages."""
        return any(name in self.section("require") for name in names)


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def read_composer(source: SourceTree) -> Composer | None:
    """Return what ``source`` says to Composer, or None where it has no composer.json.

    Raises
    ------
    ConfigurationError
        A file is no JSON; the error names the line and the column.
    ConflictingLockFiles
        The lock was made from another composer.json.
    """
    if not source.is_file(MANIFEST):
        return None
    manifest = _read(source, MANIFEST)
    lock = _read(source, LOCK) if source.is_file(LOCK) else None
    composer = Composer(manifest, lock)
    _check_places(composer)
    if lock is not None:
        _check_lock(manifest, lock)
    return composer


def _check_lock(manifest: Mapping[str, Any], lock: Mapping[str, Any]) -> None:
    if not isinstance(lock.get("packages"), list):
        raise ConfigurationError(
            f"{LOCK} has no list of packages.",
            details="Composer writes one even where nothing is required.",
            resolution="Make it again: composer update --lock.",
        )
    expected = content_hash(manifest)
    found = lock.get("content-hash")
    if expected and isinstance(found, str) and found != expected:
        raise ConflictingLockFiles(
            f"{LOCK} is out of date: {MANIFEST} has changed since it was made.",
            details=f"The lock's content-hash is {found}; that of {MANIFEST} is {expected}.",
            resolution="Run `composer update --lock`, or `composer update`, and add composer.lock again.",
        )


def _check_places(composer: Composer) -> None:
    place = composer.section("config").get("vendor-dir")
    if place is None:
        return
    parts = str(place).strip("/").split("/")
    if str(place).startswith(("/", "$", "~")) or not set(parts).isdisjoint({"", ".", ".."}):
        raise ConfigurationError(
            f"{MANIFEST}, config.vendor-dir: {str(place)!r} is not a folder of the application.",
            details="Packages outside the application would not be in the droplet.",
            resolution="Name a folder below the application's root, or remove the line.",
        )


def _read(source: SourceTree, path: str) -> Mapping[str, Any]:
    data = source.read_bytes(path, limit=LARGEST)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        _refuse(path, f"line {line}, column {column}: not UTF-8")
    try:
        document = json.loads(text, parse_constant=_no_json)
    except json.JSONDecodeError as error:
        _refuse(path, f"line {error.lineno}, column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:
        _refuse(path, str(error))
    if not isinstance(document, dict):
        _refuse(path, "line 1, column 1: an object was expected, as in {…}")
    return document


def _no_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _refuse(path: str, what: str) -> NoReturn:
    raise ConfigurationError(
        f"{path} is not valid JSON.",
        details=f"{path}, {what}",
        resolution="Correct it; `composer validate` shows the place too.",
    )


def local_paths(composer: Composer) -> Iterator[str]:
    """Paths in the application from which locked packages are taken (path and artifact repositories)."""
    for package in composer.packages:
        dist = mapping(package.get("dist"))
        url = dist.get("url")
        if isinstance(url, str) and is_local(dist):
            yield url.removeprefix("./").strip("/")


def is_local(dist: Mapping[str, Any]) -> bool:
    """Whether a locked package's archive comes from a path and not from a server."""
    url = str(dist.get("url", ""))
    return dist.get("type") == "path" or url.startswith("file:") or "://" not in url
