"""Apache httpd 2.4 in the foreground: tools, files, command and check, for every runtime that it serves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.host import HostTool
from stager.model.plan import Argv, RenderedFile

Mpm = Literal["prefork", "event"]

APACHE = HostTool(
    name="apache2",
    purpose="answers HTTP requests",
    package="apache2",
    programs=("apache2", "httpd"),
    version_arguments=("-v",),
    version_pattern=r"Apache/(\d+\.\d+\.\d+)",
    variable="STAGER_APACHE",
)
#: The folder, not its files: which modules are loaded is the configuration's business.
MODULES = HostTool(
    name="apache modules",
    purpose="the folder of Apache's modules",
    package="apache2-bin",
    files=("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"),
    variable="STAGER_APACHE_MODULES",
)

#: Without these no application is served: a missing one ends the start.
NEEDED_MODULES = (
    "authz_core", "authz_host", "dir", "mime", "alias", "env", "headers", "rewrite", "setenvif", "remoteip",
    "reqtimeout", "filter",
)  # fmt: skip
#: What an .htaccess may ask for; loaded where the host has them. From the original's list, in its 2.4
#: form: authz_default is gone (authz_core denies by default), AddOutputFilterByType moved to filter,
#: Order and Allow live in access_compat. Left out on purpose: status (the router is no local client,
#: every local tenant would be) and cgi (nothing that was uploaded runs but through the runtime).
WELCOME_MODULES = (
    "access_compat", "auth_basic", "authn_core", "authn_file", "authz_groupfile", "authz_user", "autoindex",
    "deflate", "expires", "negotiation",
)  # fmt: skip
#: Linked into Debian's Apache, modules elsewhere.
BUILT_IN_MODULES = ("unixd", "log_config", "logio", "version")

#: What the configuration takes from the environment, with an example of each.
VARIABLES = (
    ("STAGER_AS", "user"),
    ("STAGER_SERVER_USER", "www-data"),
    ("STAGER_SERVER_GROUP", "www-data"),
    ("STAGER_APACHE_MODULES", MODULES.files[0]),
    ("VCAP_APP_HOST", "127.0.0.1"),
    ("PORT", "8080"),
    ("WEB_CONCURRENCY", "1"),
)

#: Where Apache without a private directory writes its pid: as root, and as another user.
PID_FILES = ("httpd.pid", "run/httpd.pid")

#: What no Apache string between double quotes can hold, or a <Directory> reads as a pattern.
UNSPEAKABLE = frozenset('"\\$*?[]{}<>')


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What Apache is to serve.

    Parameters
    ----------
    document_root:
        Relative to the droplet: ``app/public``.
    mpm:
        ``prefork`` (one process a request, counted by ``WEB_CONCURRENCY``) or ``event`` (threads).
    grace:
        Seconds that requests in flight get after WINCH.
    index:
        What a directory's URL means, the best first.
    fallback:
        URL path of the front controller that gets what is no file; empty for a plain 404.
    denied:
        Regular expressions of URL paths that are never served, besides the ones that no site serves.
    scripts:
        A regular expression of the file names that are run, not sent: what they answer is theirs to date.
    modules:
        Names of needed modules, besides the usual ones: ``proxy_fcgi``.
    body_limit:
        Bytes of a request's body at most, 0 for no limit, None for Apache's own (1 GiB).
    variables:
        What the runtime's own configuration takes from the environment, for ``envvars``: (name, an
        example in which ``${NAME}`` is another one).
    has_sockets:
        Whether something beside it is spoken to through sockets: they, locks and the pid lie in a private
        directory; else its process gets :data:`PID_FILES`.
    answering:
        With ``event``: how many requests the application answers at once at most.
    servers:
        With ``event``: the processes that have threads for those. One whose threads are all busy closes the
        connections that clients keep open.
    template, values:
        The site's own template, and what it is rendered with besides what every site's is: for what is no
        folder of files.
    """

    document_root: str
    mpm: Mpm
    grace: float
    index: tuple[str, ...] = ("index.html",)
    fallback: str = ""
    denied: tuple[str, ...] = ()
    scripts: str = r"(?!)"
    modules: tuple[str, ...] = ()
    body_limit: int | None = None
    variables: tuple[tuple[str, str], ...] = ()
    has_sockets: bool = True
    answering: int = 120
    servers: int = 2
    template: str = "apache/site.conf.j2"
    values: Mapping[str, Any] = field(default_factory=dict)


def apache_files(site: Site) -> tuple[RenderedFile, ...]:
    """Return the configuration; a runtime adds its own as ``apache/conf.d/<name>.conf``.

    Raises
    ------
    ConfigurationError
        The document root has a character that Apache's configuration cannot hold.
    """
    bad = sorted({char for char in site.document_root if char in UNSPEAKABLE or not char.isprintable()})
    if bad:
        raise ConfigurationError(
            f"The document root {site.document_root!a} cannot be written into Apache's configuration.",
            details=f"It holds {', '.join(ascii(char) for char in bad)}.",
            resolution="Rename that folder.",
        )
    values = {
        **site.values,
        "mpm": site.mpm,
        "needed_modules": (*NEEDED_MODULES, *site.modules),
        "welcome_modules": WELCOME_MODULES,
        "built_in_modules": BUILT_IN_MODULES,
        "grace": max(1, math.ceil(site.grace)),
        "document_root": site.document_root,
        "index": site.index,
        "fallback": site.fallback,
        "denied": site.denied,
        "sent": f"^(?!.*{site.scripts})",
        "body_limit": site.body_limit,
        "variables": (*VARIABLES, *site.variables),
        "has_sockets": site.has_sockets,
        "answering": site.answering,
        "servers": site.servers,
        # A few more, for files and for what waits.
        "threads_per_server": math.ceil((site.answering + 8) / site.servers),
    }
    templates = {
        "apache2.conf": "apache/apache2.conf.j2",
        "ports.conf": "apache/ports.conf.j2",
        "sites-available/default": site.template,
        "envvars": "apache/envvars.j2",
    }
    return tuple(RenderedFile(f"apache/{path}", template, values) for path, template in templates.items())


def apache_command() -> Argv:
    """Return the argv of Apache as one foreground process."""
    return (*_apache(), "-DFOREGROUND")


def apache_check() -> Argv:
    """Return the argv of Apache's own configuration check, to be run where the command would run."""
    return (*_apache(), "-t")


def _apache() -> Argv:
    return (
        "${STAGER_APACHE}",
        "-d",
        "${STAGER_ROOT}/apache",
        "-f",
        "${STAGER_ROOT}/apache/apache2.conf",
        "-DSTAGER_AS_${STAGER_AS}",
    )
