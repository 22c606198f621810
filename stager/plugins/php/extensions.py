"""Whether the host's PHP has the version and the extensions that the application asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from stager.errors import UnsupportedVersion
from stager.plugins.php.host import Interpreter, Requirement
from stager.plugins.php.manifest import LOCK, MANIFEST, Composer, mapping

#: Debian's package of an extension is php8.2-<name>, but for these. None: compiled into every PHP of Debian.
PACKAGES: dict[str, str | None] = {
    **dict.fromkeys(("dom", "simplexml", "xml", "xmlreader", "xmlwriter", "xsl"), "xml"),
    **dict.fromkeys(("mysqli", "mysqlnd", "pdo_mysql"), "mysql"),
    **dict.fromkeys(("pgsql", "pdo_pgsql"), "pgsql"),
    **dict.fromkeys(("sqlite3", "pdo_sqlite"), "sqlite3"),
    **dict.fromkeys(("odbc", "pdo_odbc"), "odbc"),
    **dict.fromkeys(("pdo_dblib",), "sybase"),
    **dict.fromkeys(("pdo_firebird",), "interbase"),
    **dict.fromkeys(("zend-opcache", "opcache"), "opcache"),
    **dict.fromkeys(
        ("calendar", "ctype", "exif", "ffi", "fileinfo", "ftp", "gettext", "iconv", "pdo", "phar", "posix",
         "shmop", "sockets", "sysvmsg", "sysvsem", "sysvshm", "tokenizer"), "common"),
    **dict.fromkeys(
        ("core", "date", "filter", "hash", "json", "libxml", "openssl", "pcntl", "pcre", "random",
         "reflection", "session", "sodium", "spl", "standard", "zlib"), None),
}  # fmt: skip


def requirements(composer: Composer | None, extensions: tuple[str, ...]) -> tuple[Requirement, ...]:
    """All that the application asks of the platform, less what its own packages stand in for.

    Packages for development are left out: they are not installed.
    """
    asked = list(_of_composer(composer)) if composer else []
    provided = _provided(composer) if composer else frozenset()
    kept = [one for one in asked if one.name == "php" or one.name not in provided]
    kept += [
        Requirement(f"ext-{name.lower().removeprefix('ext-')}", "*", "stager.yml, php.extensions")
        for name in extensions
    ]
    return tuple(dict.fromkeys(kept))


def check_platform(interpreter: Interpreter, wanted: tuple[Requirement, ...]) -> tuple[str, ...]:
    """Compare; return warnings for what this host cannot tell.

    Raises
    ------
    UnsupportedVersion
        The version does not fit, or extensions are missing; it names all of them, and their packages.
    ConfigurationError
        A constraint cannot be read.
    """
    unmet = [one for one in wanted if one.name == "php" and not one.is_met_by(interpreter.version)]
    if unmet:
        _refuse_version(interpreter, unmet)
    extensions = [one for one in wanted if one.name != "php"]
    if interpreter.extensions is None:
        names = ", ".join(sorted({one.name for one in extensions}))
        what = f"PHP {interpreter.minor}" if interpreter.minor else "a PHP"
        return (f"Not checked, because this host has no command line of {what}: {names}.",) if names else ()
    missing: dict[str, list[Requirement]] = {}
    for one in extensions:
        if not _is_there(one, interpreter):
            missing.setdefault(one.name.removeprefix("ext-"), []).append(one)
    if missing:
        _refuse_extensions(interpreter, missing)
    return ()


def _of_composer(composer: Composer) -> Iterator[Requirement]:
    sources = [(MANIFEST, "require", composer.section("require"))]
    if composer.lock is not None:
        sources.append((LOCK, "platform", mapping(composer.lock.get("platform"))))
    sources += [
        (LOCK, f"{package.get('name')} {package.get('version')}", mapping(package.get("require")))
        for package in composer.packages
    ]
    for file, key, required in sources:
        for name, constraint in required.items():
            lowered = name.lower()
            if lowered in {"php", "php-64bit"} or lowered.startswith("ext-"):
                yield Requirement(
                    "php" if lowered == "php-64bit" else lowered, str(constraint), f"{file}, {key}"
                )


def _provided(composer: Composer) -> frozenset[str]:
    """Extensions that a package of the application stands in for, as symfony/polyfill-mbstring does."""
    names: set[str] = set()
    for package in (composer.manifest, *composer.packages):
        names |= {name.lower() for key in ("provide", "replace") for name in mapping(package.get(key))}
    return frozenset(name for name in names if name.startswith("ext-"))


def _is_there(one: Requirement, interpreter: Interpreter) -> bool:
    # get_loaded_extensions says "Zend OPcache", Composer ext-zend-opcache.
    have = {name.replace(" ", "-"): version for name, version in (interpreter.extensions or {}).items()}
    if "zend-opcache" in have:
        have["opcache"] = have["zend-opcache"]
    name = one.name.removeprefix("ext-")
    return name in have and (not have[name] or one.is_met_by(have[name]))


def _refuse_version(interpreter: Interpreter, unmet: list[Requirement]) -> NoReturn:
    asked = ", ".join(dict.fromkeys(one.constraint for one in unmet))
    raise UnsupportedVersion(
        f"The application asks for PHP {asked}; this host has {interpreter.version}.",
        details="\n".join(f"{one.where}: {one.constraint}" for one in unmet)
        + f"\nhost: {interpreter.path or interpreter.server}",
        resolution="Stage on a host with such a PHP, or change composer.json and update the lock.",
    )


def _refuse_extensions(interpreter: Interpreter, missing: dict[str, list[Requirement]]) -> NoReturn:
    lines, packages = [], []
    for name, asking in sorted(missing.items()):
        package = debian_package(name, interpreter.minor)
        packages.append(package)
        version = next((one.constraint for one in asking if one.constraint != "*"), "")
        label = f"{name} {version}".strip()
        lines.append(f"{label} ({package}): {'; '.join(dict.fromkeys(one.where for one in asking))}")
    install = " ".join(dict.fromkeys(package for package in packages if package.startswith("php")))
    raise UnsupportedVersion(
        f"PHP {interpreter.version} on this host lacks {', '.join(sorted(missing))}.",
        details="\n".join(lines),
        resolution=f"Install what is missing here and where the droplet runs: apt-get install {install}"
        if install
        else "Stage on a host whose PHP has them.",
        slug="missing-extensions",
    )


def debian_package(extension: str, minor: str) -> str:
    """The Debian package that has an extension; words where none has it."""
    suffix = PACKAGES.get(extension, extension.replace("_", "-"))
    return f"php{minor}-{suffix}" if suffix else "part of PHP itself"
