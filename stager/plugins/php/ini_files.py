"""Which PHP settings are in force, and who set them: stager.yml, .stager/php/*.ini, .user.ini, .htaccess."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.php.ini import checked_name, parse_ini, plain_value
from stager.plugins.php.options import PhpOptions, Server

OWN_INI = ".stager/php"
USER_INI = ".user.ini"
_HTACCESS = re.compile(r"(?im)^[ \t]*php_value[ \t]+[\"']?([a-z0-9_.]+)[\"']?[ \t]+[\"']?([^\s\"']+)")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and the file and key where it was set."""

    value: str
    where: str


@dataclass(frozen=True, slots=True)
class IniFiles:
    """What an application says of PHP's settings.

    Parameters
    ----------
    options:
        ``php.ini`` of stager.yml, as plain strings.
    in_force:
        The settings after all files were read, each with its origin.
    translated:
        (folder, settings) of each .user.ini that the server would not find by itself.
    """

    options: tuple[tuple[str, str], ...]
    in_force: Mapping[str, Setting]
    translated: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def read_ini_files(source: SourceTree, document_root: str, options: PhpOptions, server: Server) -> IniFiles:
    """Read them all, the strongest last: options, .stager/php/*.ini, .user.ini, .htaccess.

    Raises
    ------
    ConfigurationError
        ``php.ini`` has a name or a value that no ini file can hold.
    """
    own = tuple(_option(name, value) for name, value in options.ini.items())
    in_force = {"memory_limit": Setting(options.memory_limit, "php.memory_limit")}
    in_force |= {name: Setting(value, f"php.ini.{name}") for name, value in own}
    for name in source.children(OWN_INI):
        if name.endswith(".ini") and source.is_file(f"{OWN_INI}/{name}"):
            in_force |= _settings(source, f"{OWN_INI}/{name}")
    translated = []
    for folder in dict.fromkeys(("", document_root)):
        path = f"{folder}/{USER_INI}".lstrip("/")
        if not source.is_file(path):
            continue
        found = _settings(source, path)
        in_force |= found
        # php-fpm reads the one in the document root itself; mod_php reads none.
        if server == "mod_php" or folder != document_root:
            translated.append((f"app/{folder}".rstrip("/"), _speakable(found)))
    htaccess = f"{document_root}/.htaccess".lstrip("/")
    if server == "mod_php" and source.is_file(htaccess):
        for name, value in _HTACCESS.findall(source.read_text(htaccess)):
            in_force[name.lower()] = Setting(plain_value(value), f"{htaccess}, php_value {name}")
    return IniFiles(own, in_force, tuple(translated))


def _option(name: str, value: object) -> tuple[str, str]:
    where = f"php.ini.{name}"
    checked_name(name, "php.ini")
    text = plain_value(value)
    if re.search(r"[\x00-\x1f]", text):
        raise ConfigurationError(
            f"{where}: the value has a control character.",
            details="A line of an ini file cannot hold line breaks.",
            resolution="Write it on one line, without control characters.",
        )
    return name, text


def _settings(source: SourceTree, path: str) -> dict[str, Setting]:
    return {
        name: Setting(value, f"{path}, {name}") for name, value in parse_ini(source.read_text(path)).items()
    }


def _speakable(found: Mapping[str, Setting]) -> tuple[tuple[str, str], ...]:
    """Without memory_limit, which is sized, and without what a line cannot hold."""
    return tuple(
        (name, setting.value)
        for name, setting in found.items()
        if name != "memory_limit" and not re.search(r"[\x00-\x1f]", setting.value)
    )
