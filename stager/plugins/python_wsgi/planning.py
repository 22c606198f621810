"""The plan for an application in Python. Read :func:`plan_python`."""

from __future__ import annotations

from dataclasses import replace

from stager.buildpack import PlanContext
from stager.errors import NoStartCommand
from stager.model.plan import BuildPlan, Process, RunCommand
from stager.plugins.python_wsgi.advice import choices
from stager.plugins.python_wsgi.application import Application, read_application, static_folders
from stager.plugins.python_wsgi.collectstatic import collectstatic_step
from stager.plugins.python_wsgi.environment import private_files, process_environment
from stager.plugins.python_wsgi.options import PythonOptions
from stager.plugins.python_wsgi.packages.dependencies import Dependencies, read_dependencies
from stager.plugins.python_wsgi.packages.install import ignored_settings, install_steps
from stager.plugins.python_wsgi.packages.interpreters import (
    Interpreter,
    choose_interpreter,
    wanted_versions,
)
from stager.plugins.python_wsgi.serving import (
    choose_server,
    lines_for,
    named_servers,
    script_process,
    user_web,
    with_options,
)
from stager.servers.mod_wsgi import MOD_WSGI_SERVER, module_minor
from stager.servers.pins import pins_for
from stager.servers.python_application import PythonApplication, PythonServer, Served
from stager.servers.python_site import distributions

#: What a user may say to the server in its own words; read in this order, after what is generated.
CONFIGURATIONS = ("gunicorn.conf.py", ".stager/gunicorn.conf.py")
RUNTIME = "python_wsgi"


def plan_python(context: PlanContext[PythonOptions]) -> BuildPlan:
    """Return the plan; each line names the module to open."""
    source, options = context.source, context.options
    application = read_application(source, options, context.processes)
    dependencies = read_dependencies(source, options.requirements)
    server, why = None, ""
    if application.mounts:
        server, why = choose_server(application, options, dependencies, context.host)
    is_apache = server is MOD_WSGI_SERVER
    interpreter = choose_interpreter(
        context.host,
        wanted_versions(source, options.version),
        module_minor(context.host) if is_apache else "",
        "mod_wsgi" if is_apache else "",
    )
    static, clashes = static_folders(source, application, options)
    model = PythonApplication(
        mounts=application.mounts,
        interface=application.interface if application.found else "wsgi",
        minor=interpreter.minor,
        static=static,
        request_seconds=options.timeout,
        grace=context.grace,
        python_path=(dependencies.source_folder,) if dependencies.source_folder else (),
        user_configuration=tuple(path for path in CONFIGURATIONS if source.is_file(path)),
    )
    wanted = (*(distributions(server, model) if server else ()), *named_servers(context.processes))
    # Compiled by the user, it is the same server as the wheel.
    present = {*dependencies.names, *(("pyuwsgi",) if "uwsgi" in dependencies.names else ())}
    pins = lines_for(interpreter, pins_for(wanted, present))
    served = _served(context, application, server, model)
    steps = _steps(context, application, dependencies, interpreter, pins)
    return BuildPlan(
        runtime=RUNTIME,
        steps=steps,
        files=served.files if context.is_serving else (),
        processes=(served.process,) if served.process.command and context.is_serving else (),
        environment={"WEB_CONCURRENCY": str(options.processes)} if options.processes else {},
        process_environment=process_environment(model.python_path),
        step_environment={"PYTHONDONTWRITEBYTECODE": "1"},
        build_path=("build/python/bin",) if steps else (),
        private_files=private_files(interpreter.minor),
        tools=(interpreter.run_tools(is_apache), *served.tools),
        choices=choices(application, dependencies, interpreter, server, why, pins, static, options),
        # Who chose the server knows it; who did not is told what to expect.
        warnings=(
            *dependencies.warnings,
            *ignored_settings(context.environment),
            *clashes,
            *(() if options.server else served.notes),
        ),
        versions={"python": interpreter.version},
    )


def _steps(
    context: PlanContext[PythonOptions],
    application: Application,
    dependencies: Dependencies,
    interpreter: Interpreter,
    pins: tuple[str, ...],
) -> tuple[RunCommand, ...]:
    steps = install_steps(context.source, dependencies, interpreter, pins)
    disabled = context.environment.get("DISABLE_COLLECTSTATIC", "0") not in ("", "0")
    if not context.options.collectstatic or disabled or not steps:
        return steps
    projects = [project for project in application.projects if project.collects]
    return (*steps, *(collectstatic_step(project) for project in projects))


def _served(
    context: PlanContext[PythonOptions],
    application: Application,
    server: PythonServer | None,
    model: PythonApplication,
) -> Served:
    """The process that is started, with the files that it needs."""
    if server is not None:
        served = server.serve(model)
        return replace(served, process=with_options(served.process, context.options))
    if "web" in context.processes:
        return Served(process=user_web(context.processes["web"], context.grace))
    script = application.script
    if script is not None:
        return Served(process=script_process(script, context.grace))
    if not context.processes:
        raise NoStartCommand("Nothing says how this application is started.")
    return Served(process=Process("web", ()))
