"""gunicorn: many processes of threads for WSGI, of uvicorn's event loop for ASGI."""

from __future__ import annotations

import math

from stager.model.plan import Argv, Process, RenderedFile
from stager.servers.python_application import (
    PROXIES,
    PYTHON,
    THREADS_VARIABLE,
    PythonApplication,
    PythonServer,
    Served,
)
from stager.servers.python_site import refuse_two_projects, site_files, target
from stager.servers.python_workers import worker_model

CONFIGURATION = "gunicorn/gunicorn.conf.py"
#: What uvicorn takes where it is there. Under gunicorn: 24,000 small answers a second instead of 6,100.
#: Alone, with several workers, it gives 360 without uvloop: asyncio leaves Nagle's algorithm on for a socket
#: that uvicorn made (it asks for proto == IPPROTO_TCP), and each answer waits for the client's delayed ACK.
FAST = ("uvloop", "httptools")


def serve(application: PythonApplication) -> Served:
    """Return the plan parts of a web process under gunicorn.

    Raises
    ------
    ConfigurationError
        The applications cannot live in one process.
    """
    refuse_two_projects(application)
    process = Process(
        type="web",
        command=_gunicorn(),
        stop_signal="TERM",
        grace=application.grace,
        drains=True,
        workers=worker_model(),
        # gunicorn's check loads the application. What is asked here is whether the configuration is right:
        # the argument wins over wsgi_app, and Python brings an application along.
        checks=((*_gunicorn(), "--check-config", "wsgiref.simple_server:demo_app"),),
    )
    return Served(process=process, files=(_configuration(application), *site_files(application)))


def stop_seconds(grace: float) -> int:
    """Return how long a server waits for its requests, so that it ends before ``stop`` loses patience."""
    return max(1, math.floor(grace) - 1)


def _gunicorn() -> Argv:
    return (PYTHON, "-m", "gunicorn", "--config", "${STAGER_ROOT}/" + CONFIGURATION)


def _configuration(application: PythonApplication) -> RenderedFile:
    loaded = target(application)
    values = {
        "application": loaded.name + ("()" if loaded.is_factory else ""),
        "folders": loaded.folders,
        "interface": application.interface,
        "threads": THREADS_VARIABLE,
        "request_seconds": application.request_seconds,
        "grace": stop_seconds(application.grace),
        "proxies": ",".join(PROXIES),
        "user_configuration": [f"app/{name}" for name in application.user_configuration],
    }
    return RenderedFile(CONFIGURATION, "gunicorn/gunicorn.conf.py.j2", values)


GUNICORN = PythonServer(
    name="gunicorn",
    interfaces=("wsgi", "asgi"),
    distributions={"wsgi": ("gunicorn",), "asgi": ("gunicorn", "uvicorn", "uvicorn-worker", *FAST)},
    serve=serve,
)
