"""Which server serves the application, and the process that it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from stager.errors import ConfigurationError, PlanError
from stager.model.host import HostFacts
from stager.model.plan import Command, Process, Shell
from stager.plugins.python_wsgi.application import Application
from stager.plugins.python_wsgi.options import PythonOptions
from stager.plugins.python_wsgi.packages.dependencies import Dependencies
from stager.plugins.python_wsgi.packages.interpreters import Interpreter
from stager.plugins.python_wsgi.reading.entrypoint import Found
from stager.servers.granian import GRANIAN
from stager.servers.gunicorn import GUNICORN
from stager.servers.mod_wsgi import MOD_WSGI, MOD_WSGI_SERVER
from stager.servers.python_application import PYTHON, PythonServer
from stager.servers.python_workers import worker_model
from stager.servers.uvicorn import UVICORN
from stager.servers.uwsgi import UWSGI
from stager.servers.waitress import WAITRESS

SERVERS: Mapping[str, PythonServer] = {
    server.name: server for server in (GUNICORN, UVICORN, GRANIAN, WAITRESS, UWSGI, MOD_WSGI_SERVER)
}
#: Programs that a Procfile may name without their being among the requirements, with what has each.
PROGRAMS = {
    "gunicorn": "gunicorn",
    "uvicorn": "uvicorn",
    "waitress-serve": "waitress",
    "granian": "granian",
    "uwsgi": "pyuwsgi",
}
#: Servers that read WEB_CONCURRENCY themselves.
_COUNTING = re.compile(r"(?<![\w.-])(?:gunicorn|uvicorn|hypercorn)(?![\w.-])")


def choose_server(
    application: Application, options: PythonOptions, dependencies: Dependencies, host: HostFacts
) -> tuple[PythonServer, str]:
    """Return the server of an application with mounts, and why it is that one.

    Raises
    ------
    ConfigurationError
        The one that was asked for does not speak what the application speaks, or cannot hold all of it.
    PlanError
        Several Django projects, and no mod_wsgi to keep them apart.
    """
    interface = application.interface
    if options.server == "own":
        raise ConfigurationError(
            "python_wsgi.server is own, but the entry point is no script that could be run.",
            details=application.found[0].why,
            resolution="Name the script: python_wsgi.entrypoint: app.py; or leave out the server.",
        )
    projects = sum(mount.is_django for mount in application.mounts)
    if options.server is not None:
        server, why = SERVERS[options.server], "because python_wsgi.server says so"
    elif projects > 1:
        if not host[MOD_WSGI.name].is_present:
            raise PlanError(
                "Several Django projects need mod_wsgi, and this host does not have it.",
                details="One interpreter holds one Django; mod_wsgi gives each project its own.",
                resolution=f"Install it: apt-get install -y --no-install-recommends {MOD_WSGI.package}",
            )
        server, why = MOD_WSGI_SERVER, f"because {projects} Django projects need an interpreter each"
    else:
        server, why = _of_requirements(application, dependencies)
    if interface not in server.interfaces:
        others = [one.name for one in SERVERS.values() if interface in one.interfaces]
        raise ConfigurationError(
            f"{server.name} does not speak {interface.upper()}, which this application does.",
            details=application.found[0].why,
            resolution=f"Set python_wsgi.server to one of {', '.join(others)}, or leave it out.",
        )
    return server, why


def _of_requirements(application: Application, dependencies: Dependencies) -> tuple[PythonServer, str]:
    for server in SERVERS.values():
        main = (*server.distributions.get(application.interface, ()), server.name)[0]
        for name in dict.fromkeys((main, server.name)):
            if application.interface in server.interfaces and name in dependencies.names:
                return server, f"because {dependencies.names[name]} asks for it"
    return GUNICORN, "the default"


def lines_for(interpreter: Interpreter, lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the requirements that hold for one interpreter, without their markers."""
    from packaging.requirements import Requirement  # 33 ms, for plans that add something

    found = []
    for line in lines:
        requirement = Requirement(line)
        versions = {"python_full_version": interpreter.version, "python_version": interpreter.minor}
        if requirement.marker is None or requirement.marker.evaluate(versions):
            requirement.marker = None
            found.append(str(requirement))
    return tuple(found)


def with_options(process: Process, options: PythonOptions) -> Process:
    """A server's process with as many threads as the user wants."""
    if process.workers is None or options.threads is None:
        return process
    model = replace(process.workers, thread_mib=1, most_threads=options.threads)
    return replace(process, workers=model)


def script_process(found: Found, grace: float) -> Process:
    """A script that is its own server, or no server at all."""
    if found.script.endswith(".py"):
        command: Command = (PYTHON, found.script)
    else:
        command = (f"./{found.script}",)
    return Process("web" if found.is_web else "worker", command, grace=grace, drains=None)


def user_web(command: Command, grace: float) -> Process:
    """The user's own command for ``web``, with WEB_CONCURRENCY where its server reads that."""
    text = command.text if isinstance(command, Shell) else " ".join(command)
    workers = worker_model() if _COUNTING.search(text) else None
    return Process("web", command, grace=grace, workers=workers, drains=None)


def named_servers(processes: Mapping[str, Command]) -> tuple[str, ...]:
    """The distributions of the servers that the user's commands name."""
    found = []
    for command in processes.values():
        text = command.text if isinstance(command, Shell) else " ".join(command)
        for program, distribution in PROGRAMS.items():
            if re.search(rf"(?<![\w./-]){re.escape(program)}(?![\w./-])", text):
                found.append(distribution)
    return tuple(dict.fromkeys(found))
