"""The plan for a static site. Read :func:`plan_site`."""

from __future__ import annotations

from stager.buildpack import PlanContext
from stager.errors import PlanError
from stager.model.plan import BuildPlan, KnownFailure, Process, RunCommand
from stager.model.source_tree import SourceTree
from stager.plugins.static import headers, redirects
from stager.plugins.static.buildpack import SH
from stager.plugins.static.detection import INDEX
from stager.plugins.static.options import StaticOptions
from stager.plugins.static.serving import BUILT, Served, charset_of, web_files, web_process
from stager.plugins.static.site_root import SiteRoot, find_root
from stager.plugins.static.staticfile import Staticfile, read_staticfile
from stager.servers.apache import APACHE, MODULES

#: What is not the build's own making: pages that were there before it.
_MOST_PAGES = 200

RUNTIME = "static"


def plan_site(context: PlanContext[StaticOptions]) -> BuildPlan:
    """Return the plan; each line names the module to open."""
    source, options = context.source, context.options
    command = context.processes.get("web")
    staticfile = read_staticfile(source)
    root = find_root(source, options, staticfile)
    steps = (_find_step(source, root),) if root.candidates else ()
    if not context.is_serving or command is not None:
        web = (Process("web", command, grace=context.grace),) if command and context.is_serving else ()
        return BuildPlan(runtime=RUNTIME, steps=steps, processes=web)
    served = _served(source, root, options, staticfile)
    return BuildPlan(
        runtime=RUNTIME,
        steps=steps,
        files=web_files(served, context.grace),
        processes=(web_process(context.grace),),
        tools=(APACHE, MODULES),
        choices=(
            ("document root", f"{root.folder or 'the application itself'}, because {root.why}"),
            ("what is no file", f"{served.fallback} answers" if served.fallback else "is a 404"),
        ),
        warnings=(*staticfile.warnings, *served.rules.warnings, *served.headers.warnings),
    )


def _served(source: SourceTree, root: SiteRoot, options: StaticOptions, staticfile: Staticfile) -> Served:
    is_built = bool(root.candidates)
    rules_file = _first(source, root, redirects.NAME)
    headers_file = _first(source, root, headers.NAME)
    rules = (
        redirects.read_redirects(source.read_text(rules_file), rules_file)
        if rules_file
        else redirects.Rules()
    )
    is_spa = options.spa if options.spa is not None else staticfile.is_spa
    fallback = rules.fallback or root.fallback
    if is_spa is not None:
        fallback = (fallback or INDEX) if is_spa else ""
    page = f"{root.folder}/{INDEX}".lstrip("/")
    is_readable = not is_built and source.is_file(page)
    return Served(
        root=BUILT if is_built else root.folder,
        is_built=is_built,
        fallback=fallback,
        charset=charset_of(source.read_bytes(page, limit=4096) if is_readable else b""),
        is_https_forced=options.force_https or staticfile.is_https_forced,
        staticfile=staticfile,
        rules=rules,
        headers=headers.read_headers(source.read_text(headers_file), headers_file)
        if headers_file
        else headers.Headers(),
    )


def _first(source: SourceTree, root: SiteRoot, name: str) -> str:
    paths = (f"{folder}/{name}".lstrip("/") for folder in root.own)
    return next((path for path in paths if source.is_file(path)), "")


def _find_step(source: SourceTree, root: SiteRoot) -> RunCommand:
    if source.has(BUILT):
        raise PlanError(
            f"The application has {BUILT}, where a link to the built site has to be.",
            resolution="Remove it, or name it in .stagerignore.",
        )
    before = []
    for path in source.files(INDEX, depth=6):
        before.append(path)
        if len(before) == _MOST_PAGES:
            break
    looked = ", ".join(candidate or "." for candidate in root.candidates)
    return RunCommand(
        name="look for the built site",
        tool=SH.name,
        arguments=(BUILT, *(candidate or "." for candidate in root.candidates), "--", *before),
        script="static/find_site.sh.j2",
        failures=(
            KnownFailure(
                r"stager: no site",
                f"The build made no site: there is no new {INDEX}.",
                f"Looked at: {_braced(looked)}. Does the build write another folder? Then set static.root "
                "to it: --set static.root=FOLDER. Was it built at all? Then name both: "
                "--runtime node --runtime static.",
            ),
            KnownFailure(
                r"stager: several sites",
                f"The build made more than one folder with an {INDEX}.",
                "Set static.root to the one that is the site: --set static.root=FOLDER.",
            ),
        ),
        timeout=60.0,
    )


def _braced(text: str) -> str:
    """A text in which the braces are no names of groups."""
    return text.replace("{", "{{").replace("}", "}}")
