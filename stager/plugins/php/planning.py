"""The plan for an application in PHP. Read :func:`plan_php`."""

from __future__ import annotations

from stager.buildpack import PlanContext
from stager.model.plan import BuildPlan, Process, SyntaxCheck
from stager.plugins.php.advice import choices, warnings
from stager.plugins.php.document_root import find_document_root
from stager.plugins.php.extensions import check_platform, requirements
from stager.plugins.php.host import PHP, choose
from stager.plugins.php.ini_files import read_ini_files
from stager.plugins.php.install import install_steps
from stager.plugins.php.manifest import read_composer
from stager.plugins.php.options import PhpOptions
from stager.plugins.php.procfile import heroku_web
from stager.plugins.php.serving import Application, web_files, web_process

RUNTIME = "php"


def plan_php(context: PlanContext[PhpOptions]) -> BuildPlan:
    """Return the plan; each line names the module to open."""
    source, options, command = context.source, context.options, context.processes.get("web")
    composer = read_composer(source)
    wanted = requirements(composer, options.extensions)
    php = choose(context.host, options.server, wanted)
    unchecked = check_platform(php, wanted)
    heroku = heroku_web(command)
    root = find_document_root(source, composer, options.document_root, heroku)
    application = Application(source, root, read_ini_files(source, root.path, options, php.server), composer)
    is_ours = context.is_serving and (command is None or heroku is not None)
    written = root.layout.writable if root.layout else ()
    return BuildPlan(
        runtime=RUNTIME,
        steps=install_steps(source, composer) if composer else (),
        files=web_files(application, php, context.grace) if is_ours else (),
        processes=_processes(context, web_process(application, php, context.grace) if is_ours else None),
        tools=php.tools if is_ours else (),
        writable=tuple(f"app/{path}" for path in written),
        choices=choices(application, php),
        warnings=(*unchecked, *warnings(application, php, command, heroku)),
        syntax_checks=(SyntaxCheck(PHP.name, ("-l",), f"app/{root.entry}"),) if root.entry else (),
        versions={"php": php.version} if php.version else {},
    )


def _processes(context: PlanContext[PhpOptions], ours: Process | None) -> tuple[Process, ...]:
    """The web process: ours, or the user's as written; none where another runtime serves."""
    if not context.is_serving:
        return ()
    return (ours or Process("web", context.processes["web"], grace=context.grace, drains=None),)
