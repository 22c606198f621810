"""The step that installs an application's packages, where they did not come along."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stager.errors import SourceUnreadable
from stager.model.plan import CacheItem, RunCommand
from stager.model.source_tree import SourceTree
from stager.plugins.php.manifest import LOCK, MANIFEST, Composer, is_local, local_paths, mapping

#: Events of `composer install` on which an application's scripts run; they may read and write anything.
EVENTS = frozenset({
    "pre-install-cmd", "post-install-cmd", "pre-autoload-dump", "post-autoload-dump",
    "post-package-install", "pre-package-install",
})  # fmt: skip
OFFLINE = {"COMPOSER_DISABLE_NETWORK": "1"}


def install_steps(source: SourceTree, composer: Composer) -> tuple[RunCommand, ...]:
    """Return the steps; none without a lock, or where a complete vendor/ came along."""
    if composer.lock is None or is_installed(source, composer):
        return ()
    environment = _environment(composer.lock)
    settle = RunCommand(
        name="composer settings",
        tool="composer",
        # Composer 2.5 makes up a new class name for the autoloader with every install, unless told one
        # (AutoloadGenerator::dump); no option of `install` tells it.
        arguments=("config", "--global", "--no-interaction", "autoloader-suffix", _suffix(composer.lock)),
        environment=environment,
        inputs=(LOCK,),
        timeout=60.0,
        offline_environment=OFFLINE,
    )
    install = RunCommand(
        name="composer install",
        tool="composer",
        arguments=(
            "install",
            "--no-dev",
            "--prefer-dist",
            "--no-interaction",
            "--optimize-autoloader",
            "--no-progress",
            "--no-ansi",
        ),
        environment=environment,
        inputs=_inputs(source, composer),
        outputs=tuple(f"app/{path}" for path in installed_directories(composer)),
        offline_needs=tuple(_offline_needs(composer)),
        offline_environment=OFFLINE,
    )
    return (install,) if composer.section("config").get("autoloader-suffix") else (settle, install)


def is_installed(source: SourceTree, composer: Composer) -> bool:
    """Whether every locked package came along, in its locked version, with the autoloader."""
    vendor = composer.vendor_directory
    listing = f"{vendor}/composer/installed.json"
    if not source.is_file(f"{vendor}/autoload.php") or not source.is_file(listing):
        return False
    try:
        document = json.loads(source.read_text(listing, limit=64 << 20))
    except (ValueError, SourceUnreadable):
        return False
    # Composer 1 wrote the list alone.
    listed = document.get("packages") if isinstance(document, Mapping) else document
    packages = listed if isinstance(listed, list) else []
    installed = {item.get("name"): item.get("version") for item in packages if isinstance(item, Mapping)}
    return all(
        installed.get(package.get("name")) == package.get("version")
        and (
            package.get("type") == "metapackage"
            or source.is_directory(f"{vendor}/{package.get('name')}")
            or bool(installer_directories(composer))
        )
        for package in composer.packages
    )


def installed_directories(composer: Composer) -> tuple[str, ...]:
    """The folders of the application that an install makes or adds to; the outermost ones."""
    config = composer.section("config")
    paths = {composer.vendor_directory, *installer_directories(composer)}
    if isinstance(config.get("bin-dir"), str):
        paths.add(config["bin-dir"].strip("/"))
    return tuple(
        path
        for path in sorted(paths)
        if _is_inside(path) and not any(path.startswith(f"{other}/") for other in paths)
    )


def installer_directories(composer: Composer) -> tuple[str, ...]:
    """Where plugins of Composer put packages outside vendor/: composer/installers, Drupal's, WordPress's."""
    extra = composer.section("extra")
    paths = [str(pattern).partition("{")[0] for pattern in mapping(extra.get("installer-paths"))]
    scaffold = mapping(mapping(extra.get("drupal-scaffold")).get("locations"))
    paths += [str(scaffold.get("web-root", "")), str(extra.get("wordpress-install-dir") or "")]
    cleaned = (path.removeprefix("./").strip("/") for path in paths)
    return tuple(path for path in dict.fromkeys(cleaned) if path and _is_inside(path))


def _is_inside(path: str) -> bool:
    return not path.startswith(("/", "$", "~")) and ".." not in path.split("/")


def _suffix(lock: Mapping[str, Any]) -> str:
    # What later versions of Composer use by themselves.
    found = lock.get("content-hash")
    if isinstance(found, str) and re.fullmatch(r"[0-9a-f]{32}", found):
        return found
    text = json.dumps(lock, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _environment(lock: Mapping[str, Any]) -> dict[str, str]:
    return {
        "COMPOSER_ALLOW_SUPERUSER": "1",
        # A home for each lock: two builds at once must not write each other's settings.
        "COMPOSER_HOME": f"{{cache}}/composer/home/{_suffix(lock)}",
        "COMPOSER_CACHE_DIR": "{cache}/composer/cache",
        "COMPOSER_NO_INTERACTION": "1",
        # Else Composer asks git for one, and finds the repository that the build happens to lie in.
        "COMPOSER_ROOT_VERSION": "1.0.0",
        # Packages from a path repository are copied: a link into the build would lead nowhere later.
        "COMPOSER_MIRROR_PATH_REPOS": "1",
        "COMPOSER_FUND": "0",
        # Deadlines are ours.
        "COMPOSER_PROCESS_TIMEOUT": "0",
    }


def _inputs(source: SourceTree, composer: Composer) -> tuple[str, ...]:
    if not EVENTS.isdisjoint(composer.section("scripts")):
        return ("",)
    paths = [MANIFEST, LOCK, "auth.json", *local_paths(composer), *_autoloaded(composer)]
    return tuple(dict.fromkeys(path for path in paths if source.has(path) or not path))


def _autoloaded(composer: Composer) -> Iterator[str]:
    """The application's own classes: --optimize-autoloader lists them in vendor/."""
    for kind, value in composer.section("autoload").items():
        if kind.startswith("exclude"):
            continue
        for paths in value.values() if isinstance(value, Mapping) else [value]:
            for path in paths if isinstance(paths, list) else [paths]:
                yield str(path).removeprefix("./").strip("/")


def _offline_needs(composer: Composer) -> Iterator[CacheItem]:
    """One file of Composer's cache for each package that comes from a server."""
    for package in composer.packages:
        if package.get("type") == "metapackage":
            continue
        name, dist, origin = package.get("name"), mapping(package.get("dist")), mapping(package.get("source"))
        label = f"{name} {package.get('version')}"
        if dist.get("url"):
            if not is_local(dist):
                # FileDownloader::download: <name>/<sha1 of the URL>.<type>, and Cache replaces what is
                # not in its list of characters.
                digest = hashlib.sha1(str(dist["url"]).encode(), usedforsecurity=False).hexdigest()
                key = re.sub(r"(?i)[^a-z0-9_./]", "-", f"{name}/{digest}.{dist.get('type')}")
                yield CacheItem(label, f"composer/cache/files/{key}")
        elif origin.get("type") == "git" and "://" in str(origin.get("url")):
            key = re.sub(r"(?i)[^a-z0-9.]", "-", str(origin["url"]))
            yield CacheItem(label, f"composer/cache/vcs/{key}")
