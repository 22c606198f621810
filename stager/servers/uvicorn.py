"""uvicorn alone: one process of an event loop, or several below a parent."""

from __future__ import annotations

from stager.model.plan import Process
from stager.servers.gunicorn import FAST, stop_seconds
from stager.servers.python_application import PROXIES, PYTHON, PythonApplication, PythonServer, Served
from stager.servers.python_site import refuse_two_projects, site_files, target
from stager.servers.python_workers import worker_model


def serve(application: PythonApplication) -> Served:
    """Return the plan parts of a web process under uvicorn.

    Raises
    ------
    ConfigurationError
        The applications cannot live in one process.
    """
    refuse_two_projects(application)
    loaded = target(application)
    command = [PYTHON, "-m", "uvicorn", loaded.name]
    command += ["--factory"] if loaded.is_factory else []
    command += ["--app-dir", *loaded.paths] if loaded.paths else []
    command += ["--host", "${VCAP_APP_HOST}", "--port", "${PORT}", "--workers", "${WEB_CONCURRENCY}"]
    process = Process(
        type="web",
        command=(*command, "--proxy-headers"),
        stop_signal="TERM",
        grace=application.grace,
        drains=True,
        workers=worker_model(),
        # There is no check of a configuration: this says whether it can be run at all.
        checks=((PYTHON, "-m", "uvicorn", "--version"),),
        environment=_settings(application),
        # Before 0.30 the parent of several dies of them, and leaves its workers.
        ignored_signals=("HUP", "USR1", "USR2"),
    )
    return Served(process=process, files=site_files(application))


def _settings(application: PythonApplication) -> dict[str, str]:
    """In the environment, so that a uvicorn of the user's that is too old for one does not end of it."""
    return {
        # Longer than routers keep a connection (90 s), or one is closed just as they send a request on it.
        "UVICORN_TIMEOUT_KEEP_ALIVE": "95",
        "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": str(stop_seconds(application.grace)),
        # After 5 s its parent would kill a worker that one request keeps busy.
        "UVICORN_TIMEOUT_WORKER_HEALTHCHECK": str(application.request_seconds),
        "FORWARDED_ALLOW_IPS": ",".join(PROXIES),
    }


UVICORN = PythonServer(
    name="uvicorn",
    interfaces=("asgi",),
    distributions={"asgi": ("uvicorn", *FAST)},
    serve=serve,
)
