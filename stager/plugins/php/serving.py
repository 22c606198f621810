"""The web process: Apache with PHP in it, or Apache and php-fpm; its files, commands and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stager.model.frozen import dataclass
from stager.model.plan import Process, RenderedFile
from stager.model.source_tree import SourceTree
from stager.plugins.php.document_root import DocumentRoot
from stager.plugins.php.host import MOD_PHP, Interpreter
from stager.plugins.php.ini_files import OWN_INI, IniFiles
from stager.plugins.php.manifest import Composer
from stager.plugins.php.memory import LIMIT_VARIABLE, OPCACHE_VARIABLE, limit_mib, worker_model
from stager.plugins.php.uploads import Uploads, upload_limits
from stager.servers.apache import PID_FILES, Site, apache_check, apache_command, apache_files
from stager.servers.php_fpm import fpm_check, fpm_companion, fpm_files

#: The distribution's conf.d (the empty name), ours, the application's own. What is read later wins.
SCAN = ":${STAGER_ROOT}/apache/php:${STAGER_ROOT}/app/" + OWN_INI
INDEX = ("index.php", "index.html", "index.htm")
#: E_ALL & ~E_DEPRECATED & ~E_STRICT: what php.ini-production has.
PRODUCTION_ERRORS = 22527


@dataclass(frozen=True, slots=True)
class Application:
    """What is served: everything that was found out about the source."""

    source: SourceTree
    root: DocumentRoot
    ini: IniFiles
    composer: Composer | None = None


def web_process(application: Application, php: Interpreter, grace: float) -> Process:
    """Return the process that serves the application.

    Raises
    ------
    ConfigurationError
        The memory limit is no size.
    """
    in_force = application.ini.in_force
    is_fpm = php.server == "fpm"
    return Process(
        type="web",
        command=apache_command(),
        stop_signal="WINCH",
        grace=grace,
        companions=(fpm_companion(),) if is_fpm else (),
        workers=worker_model(php.server, limit_mib(in_force), in_force),
        checks=(apache_check(), fpm_check()) if is_fpm else (apache_check(),),
        # What the host's shell says of other folders comes first; ours are read in any case.
        environment={"PHP_INI_SCAN_DIR": "${PHP_INI_SCAN_DIR}" + SCAN},
        has_sockets=is_fpm,
        pid_files=() if is_fpm else PID_FILES,
    )


def web_files(application: Application, php: Interpreter, grace: float) -> tuple[RenderedFile, ...]:
    """Return the configuration of the servers and of PHP.

    Raises
    ------
    ConfigurationError
        A size is none, or the document root's name does not fit into Apache's configuration.
    """
    uploads = upload_limits(application.ini.in_force)
    files = [*apache_files(_site(application, php, grace, uploads)), *_ini_files(application, php, uploads)]
    translated = application.ini.translated
    if php.server == "fpm":
        is_extended = any(name.endswith(".conf") for name in application.source.children(".stager/php-fpm"))
        files.append(RenderedFile("apache/conf.d/php.conf", "php/fpm.conf.j2"))
        files += fpm_files(grace, translated, is_extended=is_extended)
    else:
        values = {"user_settings": translated}
        files.append(RenderedFile("apache/conf.d/php.conf", "php/mod_php.conf.j2", values))
    return tuple(files)


def _site(application: Application, php: Interpreter, grace: float, uploads: Uploads) -> Site:
    root = application.root
    front = root.layout.front if root.layout else INDEX[0]
    return Site(
        document_root=f"app/{root.path}".rstrip("/"),
        mpm="event" if php.server == "fpm" else "prefork",
        grace=grace,
        index=tuple(dict.fromkeys((front, *INDEX))),
        fallback=f"/{root.front}" if root.front else "",
        denied=denied_paths(root, application.composer),
        scripts=r"\.ph(?:p|tml)$",
        body_limit=uploads.body,
        has_sockets=php.server == "fpm",
        variables=(
            *((tool.variable, tool.files[0]) for tool in php.tools if tool.variable == MOD_PHP.variable),
            (LIMIT_VARIABLE, "128"),
            (OPCACHE_VARIABLE, "64"),
            ("PHP_INI_SCAN_DIR", SCAN),
        ),
    )


def denied_paths(root: DocumentRoot, composer: Composer | None) -> tuple[str, ...]:
    """Return the URL paths, besides those of every site, that PHP applications never serve."""
    paths = [
        # Where the site begins every composer.* belongs to the application; further down a script may be
        # called so, but what describes packages is not for visitors.
        r"(?i)(?:^/composer\.[^/]*|/composer\.(?:json|lock|phar))(?:/|$)",
        # Sources: what PHP itself would show in colours, and what editors leave behind.
        r"(?i)\.(?:phps|ph(?:p\d?|tml)(?:~|\.(?:bak|old|orig|save|swp)))(?:/|$)",
    ]
    if composer is not None:
        vendor, prefix = composer.vendor_directory, f"{root.path}/" if root.path else ""
        if vendor.startswith(prefix):
            # vendor/ of tests and tools has been the way in more than once (CVE-2017-9841, phpunit).
            paths.append(f"(?i)^/{_escaped(vendor.removeprefix(prefix))}(?:/|$)")
    return tuple(paths)


def _escaped(path: str) -> str:
    """A path as a pattern that Apache's PCRE and its quotes both read as that path."""
    return "".join(char if char.isalnum() or char in "/_-" else f"[{char}]" for char in path)


def _ini_files(application: Application, php: Interpreter, uploads: Uploads) -> list[RenderedFile]:
    ini, limit = application.ini, application.ini.in_force["memory_limit"]
    is_shared = worker_model(php.server, 0, ini.in_force).shares != ()
    production: Mapping[str, Any] = {
        "error_reporting": PRODUCTION_ERRORS,
        "is_fpm": php.server == "fpm",
        "upload_max_filesize": uploads.upload,
        "post_max_size": uploads.post,
    }
    files = [
        RenderedFile(
            "apache/php/memory.ini", "php/memory.ini.j2", {"why": f"{limit.value}, from {limit.where}"}
        ),
        RenderedFile("apache/php/opcache.ini", "php/opcache.ini.j2", {"is_shared": is_shared}),
        RenderedFile("apache/php/production.ini", "php/production.ini.j2", production),
    ]
    settings = tuple((name, value) for name, value in ini.options if name != "memory_limit")
    if settings:
        # Read after production.ini, because of its name.
        files.append(RenderedFile("apache/php/settings.ini", "php/settings.ini.j2", {"settings": settings}))
    return files
