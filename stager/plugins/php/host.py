"""Which PHP of this host serves the application, and what the droplet will look for when it starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.host import HostFacts, HostTool
from stager.plugins.php.constraints import NotAConstraint, is_satisfied
from stager.plugins.php.options import Server
from stager.servers.apache import APACHE, MODULES
from stager.servers.php_fpm import PHP_FPM

MODULE_FOLDERS = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules")

MOD_PHP = HostTool(
    name="mod_php",
    purpose="runs PHP inside Apache",
    package="libapache2-mod-php",
    files=tuple(f"{folder}/libphp*.so" for folder in MODULE_FOLDERS),
    version_pattern=r"libphp(\d+\.\d+)\.so",
    variable="STAGER_MOD_PHP",
    optional=True,
)
#: A line of its own for each answer: PHP may warn of a broken ini file before and after.
_QUESTION = r"""
echo "\nphp=", PHP_VERSION, "\n";
foreach (get_loaded_extensions() as $name) echo "ext:", $name, "=", phpversion($name), "\n";
"""
PHP = HostTool(
    name="php",
    purpose="checks files, lists extensions",
    package="php-cli",
    programs=("php",),
    version_arguments=("-r", _QUESTION),
    version_pattern=r"(?m)^php=(\S+)",
    when="build",
    optional=True,
)
COMPOSER = HostTool(
    name="composer",
    purpose="installs an application's packages",
    package="composer",
    # Its version is never asked for: that costs 150 ms, and every 2.x does.
    programs=("composer", "composer.phar"),
    when="build",
    optional=True,
)
TOOLS = (APACHE, MODULES, MOD_PHP, PHP_FPM, PHP, COMPOSER)

_TOOL_OF: Mapping[Server, HostTool] = {"mod_php": MOD_PHP, "fpm": PHP_FPM}


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something that has to be there (``php``, ``ext-intl``), in which version, and who says so."""

    name: str
    constraint: str
    where: str

    def is_met_by(self, version: str) -> bool:
        """Whether ``version`` will do; where only ``8.2`` is known, whether one of them may.

        Raises
        ------
        ConfigurationError
            The constraint cannot be read.
        """
        if not version or self.constraint == "self.version":
            return True
        versions = (version,) if version.count(".") > 1 else (f"{version}.0", f"{version}.999")
        try:
            return any(is_satisfied(one, self.constraint) for one in versions)
        except NotAConstraint as error:
            raise ConfigurationError(
                f"{self.where}: {self.constraint!r} for {self.name} is no version constraint.",
                details=f"{error} could not be read.",
                resolution="For example ^8.1; see https://getcomposer.org/doc/articles/versions.md.",
            ) from error


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The PHP that the droplet is planned for.

    Parameters
    ----------
    server:
        How it is run.
    minor:
        ``8.2``; empty where the host does not say.
    version:
        As exactly as the host says it: ``8.2.36``, ``8.2``, or empty.
    path:
        Of the module or program; empty where the host has none.
    extensions:
        By lower-case name, with their versions; None where the host's ``php`` is another one, or missing.
    """

    server: Server
    minor: str = ""
    version: str = ""
    path: str = ""
    extensions: Mapping[str, str] | None = None

    @property
    def tools(self) -> tuple[HostTool, ...]:
        """What has to be there when the droplet starts; of that very minor version."""
        if self.server == "mod_php":
            php = replace(MOD_PHP, version_pattern="")
            if self.minor and self.minor in self.path:
                files = tuple(f"{folder}/libphp{self.minor}.so" for folder in MODULE_FOLDERS)
                php = replace(php, files=files, package=f"libapache2-mod-php{self.minor}")
        else:
            php = replace(PHP_FPM, version_pattern="")
            if self.minor and self.minor in self.path:
                php = replace(php, programs=(f"php-fpm{self.minor}",), package=f"php{self.minor}-fpm")
        apache = replace(APACHE, version_arguments=(), version_pattern="")
        return tuple(replace(tool, when="run", optional=False) for tool in (apache, MODULES, php))


def choose(host: HostFacts, wanted: Server | None, required: Iterable[Requirement]) -> Interpreter:
    """Return the newest PHP of the host that is ``required``, else the newest; mod_php goes first."""
    of_php = [one for one in required if one.name == "php"]
    servers: tuple[Server, ...] = (wanted,) if wanted else ("mod_php", "fpm")
    found = [one for server in servers for one in _candidates(host, server)]
    for one in found:
        if all(requirement.is_met_by(one.version) for requirement in of_php):
            return one
    return found[0] if found else Interpreter(servers[0])


def _candidates(host: HostFacts, server: Server) -> list[Interpreter]:
    tool = _TOOL_OF[server]
    fact, php = host[tool.name], host[PHP.name]
    paths = fact.matches or ((fact.path,) if fact.path else ())
    by_minor: dict[str, str] = {}
    for path in paths:
        found = re.search(tool.version_pattern, path)
        by_minor.setdefault(found[1] if found else _minor(php.version), path)
    newest = sorted(
        by_minor, key=lambda minor: [int(part) for part in minor.split(".") if part], reverse=True
    )
    return [
        Interpreter(server, minor, php.version, by_minor[minor], _extensions(php.output))
        if minor and minor == _minor(php.version)
        else Interpreter(server, minor, minor, by_minor[minor])
        for minor in newest
    ]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _extensions(output: str) -> Mapping[str, str]:
    lines = re.findall(r"(?m)^ext:(.+)=(.*)$", output)
    return {name.lower(): version for name, version in lines}
