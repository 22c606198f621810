"""uwsgi, from the wheel pyuwsgi or compiled: processes of threads below a master."""

from __future__ import annotations

from stager.model.plan import Process, RenderedFile
from stager.servers.python_application import PYTHON, PythonApplication, PythonServer, Served
from stager.servers.python_site import load_values, refuse_two_projects, site_files
from stager.servers.python_workers import worker_model

FOLDER = "uwsgi"


def serve(application: PythonApplication) -> Served:
    """Return the plan parts of a web process under uwsgi.

    Files of the user's are read after ours: what they set wins, and a socket is one more.

    Raises
    ------
    ConfigurationError
        The applications cannot live in one process.
    """
    refuse_two_projects(application)
    command = [PYTHON, "${STAGER_ROOT}/" + f"{FOLDER}/stager_start.py"]
    for name in application.user_configuration:
        command += ["--ini", "${STAGER_ROOT}/app/" + name.replace("$", "$$")]
    process = Process(
        type="web",
        command=tuple(command),
        stop_signal="TERM",
        grace=application.grace,
        drains=True,
        workers=worker_model(),
        # The master would end of it, and its workers with their requests.
        ignored_signals=("USR2",),
    )
    return Served(process=process, files=(*_files(application), *site_files(application)))


def _files(application: PythonApplication) -> tuple[RenderedFile, ...]:
    values = {**load_values(application), "request_seconds": application.request_seconds}
    names = ("uwsgi.ini", "stager_uwsgi.py", "stager_start.py")
    return tuple(RenderedFile(f"{FOLDER}/{name}", f"uwsgi/{name}.j2", values) for name in names)


UWSGI = PythonServer(name="uwsgi", interfaces=("wsgi",), distributions={"wsgi": ("pyuwsgi",)}, serve=serve)
