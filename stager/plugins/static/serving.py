"""The web process: Apache, and its configuration for a folder of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.memory import WorkerModel
from stager.model.plan import Process, RenderedFile
from stager.plugins.static.headers import Headers
from stager.plugins.static.redirects import Rules
from stager.plugins.static.staticfile import AUTH, Staticfile
from stager.servers.apache import PID_FILES, Site, apache_check, apache_command, apache_files

#: A link in the application that the build makes, so that Apache's configuration is known before.
BUILT = ".stager/site"
#: Requests that are answered at once: files are sent in microseconds, and slow clients need no thread.
ANSWERING = 120
#: The parent, and its one process: 8 MiB idle together, 0.45 for each thread that compresses a large file.
BASE_MIB, THREADS_MIB = 8, 56

#: In no site's root meant for visitors: how it is built, deployed and installed.
DENIED = (
    (
        r"(?i)^/(?:staticfile(?:[.]auth)?|_headers|_redirects|node_modules|vendor|bower_components"
        r"|package[.]json|package-lock[.]json|npm-shrinkwrap[.]json|yarn[.]lock|pnpm-lock[.]yaml"
        r"|pnpm-workspace[.]yaml|bun[.]lockb?|tsconfig[^/]*[.]json|angular[.]json|netlify[.]toml|vercel[.]json"
        r"|firebase[.]json|wrangler[.](?:toml|jsonc?)|dockerfile|docker-compose[^/]*|makefile|gulpfile[^/]*"
        r"|gruntfile[^/]*|[^/]+[.]config[.][cm]?[jt]s)(?:/|$)"
    ),
    # What editors leave behind.
    r"(?i)(?:~|[.](?:bak|orig|swp|swo|save))(?:/|$)",
)
#: Types by suffix for files that lie compressed beside themselves: the last suffix would name another one.
TYPES = (
    ("html?", "text/html", True), ("css", "text/css", True), ("m?js", "text/javascript", True),
    ("json|map", "application/json", False), ("webmanifest", "application/manifest+json", False),
    ("svg", "image/svg+xml", False), ("xml", "text/xml", False), ("txt", "text/plain", True),
    ("wasm", "application/wasm", False), ("ico", "image/vnd.microsoft.icon", False),
    ("ttf", "font/ttf", False), ("otf", "font/otf", False),
)  # fmt: skip
#: A name with a hash in it means the same for ever. Digits alone may be a date, letters alone a word.
_HEX = r"[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}[.][^/]+$"
_FOLDERS = r"^/(?:_next/static|_astro|_nuxt|_app/immutable)/"
#: Bundlers with hashes of other letters: Vite (8 of 64), Angular (8 capitals and digits).
_MIXED = r"^/assets/(?:.*/)?[^/]+-(?=[^/.]*[A-Z])(?=[^/.]*[a-z])(?=[^/.]*[0-9])[A-Za-z0-9_-]{8}[.][a-z0-9.]+$"
_HASH = r"[.-](?=[^/.]*[A-Z0-9])(?![0-9]{8}[.])[A-Za-z0-9_-]{8}[.]"
_BUILT_NAMES = rf"^/(?:.*/)?[^/]+{_HASH}(?:m?js|css|woff2?|wasm)(?:[.]map)?$"
_BUILT_ASSETS = rf"^/(?:assets|static/(?:js|css|media))/(?:.*/)?[^/]+{_HASH}[a-z0-9.]+$"
#: What no page's address ends with, and where bundlers put what pages ask for: missing there is missing.
ASSETS = (
    r"/(?:assets|static/(?:js|css|media)|_next|_astro|_nuxt|_app)/"
    r"|[.](?:m?js|css|map|json|png|jpe?g|gif|svg|webp|avif|ico|woff2?|ttf|otf|eot|wasm|txt|xml|pdf|mp4|webm|mp3"
    r"|webmanifest|zip|gz|br)$"
)
_CHARSET = re.compile(rb"charset\s*=\s*['\"]?\s*([\w-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """What is served, and how.

    Parameters
    ----------
    root:
        Relative to the application.
    is_built:
        Whether a bundler made it: then more names are known to have hashes in them.
    fallback:
        The page for what is no file; empty for none.
    charset:
        What is said of texts; empty for nothing.
    """

    root: str
    is_built: bool
    fallback: str
    charset: str
    is_https_forced: bool
    staticfile: Staticfile
    rules: Rules
    headers: Headers


def web_process(grace: float) -> Process:
    """Return the process that serves the site."""
    return Process(
        type="web",
        command=apache_command(),
        stop_signal="WINCH",
        grace=grace,
        # One process of threads: they share what there is.
        workers=WorkerModel(base_mib=BASE_MIB, worker_mib=THREADS_MIB, least_mib=8, most=1),
        checks=(apache_check(),),
        has_sockets=False,
        pid_files=PID_FILES,
    )


def web_files(served: Served, grace: float) -> tuple[RenderedFile, ...]:
    """Return Apache's configuration.

    Raises
    ------
    ConfigurationError
        The folder's name does not fit into it.
    """
    if "%" in served.root:
        raise ConfigurationError(
            f"The folder {served.root!r} cannot be written into Apache's configuration.",
            details="It holds '%'.",
            resolution="Rename that folder.",
        )
    statuses = sorted({301} | {rule.status for rule in served.rules.rules if rule.kind == "moved"})
    values = _values(served)
    site = Site(
        document_root=f"app/{served.root}".rstrip("/"),
        mpm="event",
        grace=grace,
        fallback=f"/{served.fallback}" if served.fallback else "",
        denied=DENIED,
        modules=_modules(served.staticfile),
        has_sockets=False,
        answering=ANSWERING,
        servers=1,
        template="static/site.conf.j2",
        values={**values, "statuses": statuses},
    )
    moved = (
        RenderedFile(f"apache/redirects/{status}.asis", "static/moved.asis.j2", {"status": status})
        for status in statuses
    )
    return (*apache_files(site), *moved)


def _modules(staticfile: Staticfile) -> tuple[str, ...]:
    return (
        "asis",
        *(("include",) if staticfile.has_includes else ()),
        *(("autoindex",) if staticfile.is_listed else ()),
        *(("authn_core", "authn_file", "authz_user", "auth_basic") if staticfile.has_passwords else ()),
    )


def _values(served: Served) -> Mapping[str, Any]:
    staticfile, rules = served.staticfile, served.rules.rules
    immutable: tuple[str, ...] = (_FOLDERS, rf"^/(?:.*/)?[^/]+{_HEX}")
    immutable += (_BUILT_NAMES, _BUILT_ASSETS) if served.is_built else (_MIXED,)
    pages = dict(staticfile.error_pages)
    errors = [rule for rule in rules if rule.kind == "status"]
    return {
        "rules": rules,
        "has_pages": any((rule.status, rule.target) != (404, "404.html") for rule in errors),
        "other_statuses": sorted({rule.status for rule in errors} - {404} - pages.keys()),
        "headers": served.headers.rules,
        "assets": ASSETS,
        "immutable": immutable,
        "types": [
            {"suffix": rf"[.](?:{suffix})[.](?:br|gz)$", "type": type_, "is_text": is_text}
            for suffix, type_, is_text in TYPES
        ],
        "charset": served.charset,
        "is_listed": staticfile.is_listed,
        "has_includes": staticfile.has_includes,
        "is_https_forced": served.is_https_forced,
        "transport_security": staticfile.transport_security,
        "error_pages": sorted(pages.items()),
        "passwords": f"app/{AUTH}" if staticfile.has_passwords else "",
    }


def charset_of(page: bytes) -> str:
    """What is said of texts: UTF-8, unless the first page says of itself that it is something else."""
    found = _CHARSET.search(page[:4096])
    return "" if found and found[1].lower() not in {b"utf-8", b"utf8"} else "utf-8"
