"""waitress: one process of threads, under a launcher that lets requests finish when it is stopped."""

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

LAUNCHER = "waitress/serve.py"


def serve(application: PythonApplication) -> Served:
    """Return the plan parts of a web process under waitress.

    Raises
    ------
    ConfigurationError
        The applications cannot live in one process.
    """
    refuse_two_projects(application)
    values = {
        **load_values(application),
        "threads": THREADS_VARIABLE,
        "grace": stop_seconds(application.grace),
    }
    process = Process(
        type="web",
        command=(PYTHON, "${STAGER_ROOT}/" + LAUNCHER),
        stop_signal="TERM",
        grace=application.grace,
        drains=True,
        # All of the budget becomes threads of its one process.
        workers=worker_model(most=1),
        ignored_signals=("USR1", "USR2"),
    )
    return Served(
        process=process,
        files=(RenderedFile(LAUNCHER, "waitress/serve.py.j2", values), *site_files(application)),
        notes=(
            "waitress is one process, whatever WEB_CONCURRENCY says.",
            "waitress gives up no request: one that takes longer than the timeout keeps its thread.",
        ),
    )


WAITRESS = PythonServer(
    name="waitress", interfaces=("wsgi",), distributions={"wsgi": ("waitress",)}, serve=serve
)
