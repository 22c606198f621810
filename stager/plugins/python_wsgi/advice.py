"""What people are told of a plan: what was decided and why."""

from __future__ import annotations

from collections.abc import Iterator

from stager.plugins.python_wsgi.application import Application
from stager.plugins.python_wsgi.options import PythonOptions
from stager.plugins.python_wsgi.packages.dependencies import Dependencies
from stager.plugins.python_wsgi.packages.interpreters import Interpreter
from stager.servers.python_application import PythonServer, StaticFolder

Choice = tuple[str, str]


def choices(  # noqa: PLR0913, PLR0917  (everything that was decided)
    application: Application,
    dependencies: Dependencies,
    interpreter: Interpreter,
    server: PythonServer | None,
    why: str,
    pins: tuple[str, ...],
    static: tuple[StaticFolder, ...],
    options: PythonOptions,
) -> tuple[Choice, ...]:
    """Return the decisions: (what, which and why)."""
    return (
        *_of_application(application),
        ("python", f"{interpreter.version}, {interpreter.note or interpreter.path}"),
        *((("server", f"{_name(server, application)}, {why}"),) if server else ()),
        ("requirements", _of_dependencies(dependencies)),
        *((("added", ", ".join(pins)),) if pins else ()),
        *(("static files", f"{one.url}/ from {one.directory}/") for one in static),
        *_of_projects(application, options),
    )


def _of_application(application: Application) -> Iterator[Choice]:
    for found in application.found:
        where = f" on {found.mount.url}" if found.mount and len(application.found) > 1 else ""
        yield (f"application{where}", found.why)
        if found.others:
            yield ("not taken", "; ".join(found.others))
    if not application.found:
        yield ("application", "started as the Procfile or `processes:` say")


def _of_dependencies(dependencies: Dependencies) -> str:
    if dependencies.manager == "none":
        return "none"
    return ", ".join(dependencies.files) or "the application itself"


def _of_projects(application: Application, options: PythonOptions) -> Iterator[Choice]:
    for project in application.projects:
        name = f"collectstatic of {project.folder}" if project.folder else "collectstatic"
        if not options.collectstatic:
            yield (name, "skipped, because python_wsgi.collectstatic is false")
        elif project.collects:
            yield (name, f"into {project.static_root}/")
        else:
            yield (name, f"skipped, because {project.why}")


def _name(server: PythonServer, application: Application) -> str:
    is_pair = server.name == "gunicorn" and application.interface == "asgi"
    return "gunicorn with uvicorn's workers" if is_pair else server.name
