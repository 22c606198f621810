"""How sure we are that a tree is a static site, or is built into one."""

from __future__ import annotations

import re

from stager.model.detection import Detection, Strength
from stager.model.source_tree import SourceTree
from stager.plugins.static.bundlers import find_bundler
from stager.plugins.static.package_json import Package, read_package
from stager.plugins.static.staticfile import NAME

#: Files by which other runtimes are known: beside one of them, a folder of pages belongs to an application.
OTHERS = (
    "composer.json", "index.php", "requirements.txt", "pyproject.toml", "Pipfile", "manage.py", "setup.py",
    "wsgi.py", "app.py", "main.py", "Gemfile", "config.ru", "go.mod", "pom.xml", "build.gradle", "Cargo.toml",
    "mix.exs",
)  # fmt: skip
#: Folders that people and tools put a finished site into, the likeliest first.
KNOWN = ("public", "dist", "build", "_site", "site", "www", "htdocs", "html", "public_html", "out", "output")
INDEX = "index.html"
#: Programs of scripts.start that serve a site while it is made; another one is a server.
_TOOLS = re.compile(
    r"(?:\S*/)?(?:vite|react-scripts|craco|ng|vue-cli-service|astro|parcel|webpack|webpack-dev-server"
    r"|webpack-cli|gatsby|eleventy|@11ty/eleventy|docusaurus|vitepress|serve|http-server|live-server|lite-server"
    r"|browser-sync|next|nuxt|nuxi|svelte-kit|rollup|esbuild|rsbuild|hexo|ember|preact|react-router dev"
    r"|snowpack|echo|open|tsc|concurrently|run-p|run-s|npm-run-all|rimraf)(?:\s|$)"
)
_SHOWS = re.compile(
    r"(?:\S*/)?(?:(?:vite|astro|nuxt|nuxi) preview|gatsby serve|docusaurus serve|vitepress (?:preview|serve)"
    r"|serve|http-server)(?:\s|$)"
)
#: Scripts that make a site.
BUILDING = frozenset({"build", "generate", "export", "docs:build"})
_SERVERS = frozenset(
    {"express", "fastify", "koa", "hapi", "@hapi/hapi", "@nestjs/core", "hono", "polka", "restify", "micro"}
)
_ENTRIES = ("server.js", "server.ts", "server.mjs", "app.js", "index.js", "main.js", "server/index.js")
#: Tools that make sites and that no runtime here installs: (file, tool, where it writes).
_GENERATORS = (
    ("_config.yml", "Jekyll", "_site"), ("hugo.toml", "Hugo", "public"), ("hugo.yaml", "Hugo", "public"),
    ("mkdocs.yml", "MkDocs", "site"),
    ("book.toml", "mdBook", "book"), ("pelicanconf.py", "Pelican", "output"),
)  # fmt: skip


def detect_static(source: SourceTree) -> Detection:
    """Return how sure it is, on which files, and what is nearly a static site."""
    package = read_package(source)
    built = find_bundler(source, package) if package else None
    near = _near_misses(source, is_built=built is not None)
    evidence = [NAME] if source.is_file(NAME) else []
    other = next((name for name in OTHERS if source.is_file(name)), "")
    if not evidence and (other or (package and is_server(source, package))):
        return Detection(Strength.NONE, (), near)
    if built:
        evidence.append(f"package.json ({built[0].name})")
    if source.is_file(INDEX) and (package is None or not package.scripts):
        evidence.append(INDEX)
    if evidence:
        # Who starts a program that shows what was built has said what serves it.
        shows = package is not None and any(_SHOWS.match(command) for command in package.commands("start"))
        return Detection(Strength.LIKELY if shows else Strength.STRONG, tuple(evidence), near)
    folder = next((name for name in ("", *KNOWN) if source.is_file(f"{name}/{INDEX}".lstrip("/"))), None)
    if folder is not None:
        return Detection(Strength.LIKELY, (f"{folder}/{INDEX}".lstrip("/"),), near)
    if package and not BUILDING.isdisjoint(package.scripts):
        return Detection(Strength.WEAK, ("package.json (a build script)",), near)
    return Detection(Strength.NONE, (), near)


def is_server(source: SourceTree, package: Package) -> bool:
    """Whether package.json starts a server of its own, rather than a tool that shows a site."""
    start = package.commands("start")
    if start:
        return not all(_TOOLS.match(f"{command} ") for command in start)
    return not package.runs.isdisjoint(_SERVERS) and any(
        source.is_file(name) for name in (package.main, *_ENTRIES) if name
    )


def _near_misses(source: SourceTree, *, is_built: bool) -> tuple[str, ...]:
    names = source.children()
    texts = []
    for name in names:
        lower = name.lower()
        if lower in {INDEX, "index.htm", "index.xhtml", "default.html"} and name != INDEX:
            texts.append(f"{_shown(name)}: did you mean {INDEX}?")
        elif lower in {"staticfile", "staticfile.txt", "static.file"} and name != NAME:
            texts.append(f"{_shown(name)}: did you mean {NAME}?")
    # A page in src/ is what a bundler begins with.
    if INDEX in names or NAME in names or is_built:
        return tuple(texts)
    texts += _no_index(source, names, is_named=bool(texts))
    return tuple(texts)


def _no_index(source: SourceTree, names: tuple[str, ...], *, is_named: bool) -> list[str]:
    """What is there instead of a first page."""
    texts = []
    for file, tool, folder in _GENERATORS:
        if source.is_file(file) and not source.is_file(f"{folder}/{INDEX}"):
            texts.append(f"{file}: {tool} does not run here; build the site first, and upload {folder}/")
            break
    pages = [name for name in names if name.lower().endswith((".html", ".htm"))]
    if pages and not texts and not is_named:
        texts.append(f"{_shown(pages[0])}: a site begins with {INDEX}")
    for folder in names:
        if folder not in KNOWN and not folder.startswith(".") and source.is_file(f"{folder}/{INDEX}"):
            shown = _shown(folder)
            texts.append(f"{shown}/{INDEX}: is {shown}/ the site? Then set static.root to {shown}")
            break
    if names and all(name.lower().startswith(("readme", "license", ".")) for name in names):
        texts.append(f"{_shown(names[-1])}: there is nothing else to serve")
    return texts


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)
