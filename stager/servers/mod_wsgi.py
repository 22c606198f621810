"""mod_wsgi: Apache in front, and behind it for each application daemon processes of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from stager.errors import ConfigurationError
from stager.model.host import HostFacts, HostTool
from stager.model.plan import Process, RenderedFile
from stager.servers.apache import (
    APACHE,
    MODULES,
    UNSPEAKABLE,
    Site,
    apache_check,
    apache_command,
    apache_files,
)
from stager.servers.python_application import (
    GROUP_VARIABLE,
    THREADS_VARIABLE,
    PythonApplication,
    PythonServer,
    Served,
    StaticFolder,
)
from stager.servers.python_workers import worker_model

DEBIAN_FOLDER = "/usr/lib/apache2/modules"
#: Where nothing in the file's name tells for which Python it is; the generated scripts look at that, too.
OTHER_FILES = (
    "/usr/lib64/httpd/modules/mod_wsgi_python3.so",
    "/usr/lib64/httpd/modules/mod_wsgi.so",
    "/usr/lib/httpd/modules/mod_wsgi.so",
)

MOD_WSGI = HostTool(
    name="mod_wsgi",
    purpose="runs Python web applications behind Apache",
    package="libapache2-mod-wsgi-py3",
    files=(f"{DEBIAN_FOLDER}/mod_wsgi.so-3.*", f"{DEBIAN_FOLDER}/mod_wsgi.so", *OTHER_FILES),
    version_pattern=r"mod_wsgi\.so-(\d+\.\d+)",
    variable="STAGER_MOD_WSGI",
    optional=True,
)

#: Requests that Apache holds at once: one for each thread of the applications (2 cores with 4 GiB have 80),
#: as many that wait for one, and files. mod_wsgi-express has 1.5 for each thread.
ANSWERING = 248
#: The start of an application may take longer than any of its requests, and other work longer than this would
#: have ended a process under gunicorn as well.
LEAST_SECONDS = 60
#: An answer takes that long to connect only when more requests wait than fit into the socket's queue.
CONNECT_SECONDS = 15
#: What a process gets to end: as much as Apache gives it (APR_KILL_AFTER_TIMEOUT). One that is given up
#: accepts no requests meanwhile.
ENDING_SECONDS = 3
#: mod_wsgi-express: 45 s in the queue where a request may take 60.
WAITING = 0.75

#: Besides what Apache's own strings cannot hold, what mod_rewrite takes for a variable.
_UNWRITABLE = UNSPEAKABLE | {"%"}
#: As in python_site, so that all servers say the same of the same file. Digits alone may be a date.
_IMMUTABLE = r"\.(?=[0-9]*[a-f])[0-9a-f]{8,64}\.[^/]+$"
#: Carries LC_ALL past mod_wsgi, which sets it for its own ends.
LOCALE_VARIABLE = "STAGER_LC_ALL"
_EXAMPLES = ((GROUP_VARIABLE, "1"), (THREADS_VARIABLE, "5"))


def module_minor(host: HostFacts) -> str:
    """Return the Python version that the host's mod_wsgi is for (``3.11``), or nothing where it does not say.

    ``MOD_WSGI`` is one of the tools that were asked for.
    """
    return host[MOD_WSGI.name].version


def serve(application: PythonApplication) -> Served:
    """Return Apache and mod_wsgi for the application.

    Raises
    ------
    ConfigurationError
        Two applications have one URL, or the name of a static folder fits into no directive.
    """
    _check(application)
    return Served(
        process=Process(
            type="web",
            command=apache_command(),
            stop_signal="WINCH",
            grace=application.grace,
            workers=worker_model(len(application.mounts)),
            checks=(apache_check(),),
            # What mod_wsgi takes away: see the script.
            environment={LOCALE_VARIABLE: "${LC_ALL}"},
        ),
        files=(*apache_files(_site(application)), *_files(application)),
        tools=_tools(application.minor),
    )


MOD_WSGI_SERVER = PythonServer(name="mod_wsgi", interfaces=("wsgi",), serve=serve)


def _check(application: PythonApplication) -> None:
    urls = [mount.url for mount in application.mounts]
    for url in urls:
        if urls.count(url) > 1:
            raise ConfigurationError(
                f"Two applications are mounted at {url!a}.",
                details=", ".join(mount.module for mount in application.mounts if mount.url == url),
                resolution="Give each of python_wsgi.mounts a URL of its own.",
            )
    for folder in application.static:
        _refuse("static folder", folder.directory, _UNWRITABLE)
        # ^ has a meaning of its own in a pattern's brackets.
        _refuse("URL", folder.url, _UNWRITABLE | {"^"})
    for mount in application.mounts:
        _refuse("URL", mount.url, frozenset('"\\$'))


def _refuse(what: str, text: str, unwritable: frozenset[str]) -> None:
    bad = {char for char in text if char in unwritable or not char.isprintable()}
    if bad:
        raise ConfigurationError(
            f"The {what} {text!a} cannot be written into Apache's configuration.",
            details=f"It holds {', '.join(ascii(char) for char in sorted(bad))}.",
            resolution="Rename it, or choose another python_wsgi.server.",
        )


def _site(application: PythonApplication) -> Site:
    seconds = max(1, application.request_seconds)
    patient = max(LEAST_SECONDS, seconds)
    return Site(
        document_root="apache/htdocs",
        mpm="event",
        grace=application.grace,
        scripts=r"\.wsgi$",
        body_limit=0,
        variables=(
            ("STAGER_MOD_WSGI", MOD_WSGI.files[1]),
            *_EXAMPLES,
        ),
        answering=ANSWERING,
        # Measured with 240 clients at once: one process of 256 threads takes 26 MiB and closes no connection;
        # four of 64 take 33, and close hundreds.
        servers=1,
        template="mod_wsgi/site.conf.j2",
        values={
            # The first that matches is taken.
            "mounts": sorted(
                ({"number": number, "url": mount.url} for number, mount in enumerate(application.mounts, 1)),
                key=lambda mount: -len(str(mount["url"])),
            ),
            "static": sorted(map(_static, application.static), key=lambda folder: -len(folder["url"])),
            "immutable": _IMMUTABLE,
            "queued": ANSWERING + 8,
            "seconds": seconds,
            "patient": patient,
            "waiting": math.ceil(seconds * WAITING),
            "connect": CONNECT_SECONDS,
            "ending": ENDING_SECONDS,
            "stopping": max(1, math.ceil(application.grace)),
        },
    )


def _files(application: PythonApplication) -> Iterable[RenderedFile]:
    yield RenderedFile("apache/htdocs/README", "mod_wsgi/README.j2")
    for number, mount in enumerate(application.mounts, 1):
        values = {
            "url": mount.url,
            "locale_variable": LOCALE_VARIABLE,
            "version": tuple(int(part) for part in application.minor.split(".")),
            # Besides the application's root, which home= puts there, and what is on PYTHONPATH.
            "folders": [f"app/{mount.folder}"] if mount.folder else [],
            "mounts": [
                {
                    "prefix": mount.url.rstrip("/"),
                    "module": f"stager_mount_{number}" if mount.is_file else mount.module,
                    "path": f"app/{mount.module}" if mount.is_file else "",
                    "callable": mount.callable,
                    "is_factory": mount.is_factory,
                }
            ],
        }
        yield RenderedFile(f"mod_wsgi/{number}.wsgi", "mod_wsgi/script.wsgi.j2", values)


def _tools(minor: str) -> tuple[HostTool, ...]:
    # A module for another Python would start, and find none of the packages.
    module = replace(
        MOD_WSGI,
        name=f"mod_wsgi for Python {minor}",
        files=(f"{DEBIAN_FOLDER}/mod_wsgi.so-{minor}", *OTHER_FILES),
        version_pattern="",
    )
    apache = replace(APACHE, version_arguments=(), version_pattern="")
    return tuple(replace(tool, when="run", optional=False) for tool in (apache, MODULES, module))


def _static(folder: StaticFolder) -> dict[str, str]:
    # Neither what begins with a dot, nor what tells how the application is run. No backslash: mod_rewrite
    # takes one that stands between quotes as it is, other modules as an escape.
    unsent = r"(?:.*/)?(?:[.](?!well-known/)|(?i:procfile|stager[.]ya?ml)(?:$|[./]))"
    return {
        "url": folder.url,
        "pattern": f"^{_pattern(folder.url.rstrip('/'))}/((?!{unsent}).+)$",
        "directory": folder.directory.rstrip("/"),
    }


def _pattern(path: str) -> str:
    """A path as a pattern that means that path."""
    return "".join(char if char.isalnum() or char in "/_-" else f"[{char}]" for char in path)
