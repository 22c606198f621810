"""granian: processes with an HTTP server in Rust, for WSGI and ASGI."""

from __future__ import annotations

from stager.model.plan import Process, RenderedFile
from stager.servers.gunicorn import stop_seconds
from stager.servers.python_application import (
    PYTHON,
    THREADS_VARIABLE,
    PythonApplication,
    PythonServer,
    Served,
)
from stager.servers.python_site import load_values, refuse_two_projects, site_files
from stager.servers.python_workers import worker_model

FOLDER = "granian"
MODULE = "stager_granian"
START = "serve"
#: Apache's common format, but for the time (granian's own) and the size, which granian does not tell.
ACCESS = '%(addr)s - - [%(time)s] "%(method)s %(path)s %(protocol)s" %(status)d -'


def serve(application: PythonApplication) -> Served:
    """Return the plan parts of a web process under granian.

    Raises
    ------
    ConfigurationError
        The applications cannot live in one process.
    """
    refuse_two_projects(application)
    command = [
        PYTHON, "${STAGER_ROOT}/" + f"{FOLDER}/{START}.py",
        "${STAGER_ROOT}/" + f"{FOLDER}/{MODULE}:application",
        "--interface", application.interface,
        "--host", "${VCAP_APP_HOST}", "--port", "${PORT}",
        "--workers", "${WEB_CONCURRENCY}",
    ]  # fmt: skip
    # An event loop has one thread.
    command += ["--blocking-threads", f"${{{THREADS_VARIABLE}}}"] if application.interface == "wsgi" else []
    process = Process(
        type="web",
        command=(*command, "--respawn-failed-workers", "--access-log"),
        stop_signal="TERM",
        grace=application.grace,
        drains=True,
        workers=worker_model(),
        environment=_settings(application),
        # The parent would die of them, and leave its workers.
        ignored_signals=("USR1", "USR2", "QUIT"),
    )
    start = RenderedFile(f"{FOLDER}/{START}.py", f"granian/{START}.py.j2")
    return Served(process=process, files=(start, _module(application), *site_files(application)))


def _settings(application: PythonApplication) -> dict[str, str]:
    """In the environment, so that a granian of the user's that is too old for one does not end of it."""
    return {
        "GRANIAN_LOG_ACCESS_FMT": ACCESS,
        "GRANIAN_WORKERS_KILL_TIMEOUT": str(stop_seconds(application.grace)),
    }


def _module(application: PythonApplication) -> RenderedFile:
    values = {**load_values(application), "interface": application.interface}
    return RenderedFile(f"{FOLDER}/{MODULE}.py", f"granian/{MODULE}.py.j2", values)


GRANIAN = PythonServer(
    name="granian",
    interfaces=("wsgi", "asgi"),
    distributions={"wsgi": ("granian",), "asgi": ("granian",)},
    serve=serve,
)
