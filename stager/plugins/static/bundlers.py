"""The tools that build static sites, and where each writes: by its configuration, else by its defaults."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from stager.model.source_tree import SourceTree
from stager.plugins.static.configured import has_word, javascript, json_of, value_of
from stager.plugins.static.output_folder import Bundler, Output, Read, Seen, inside
from stager.plugins.static.package_json import Package


def find_bundler(source: SourceTree, package: Package) -> tuple[Bundler, Output] | None:
    """Return what builds the site and where; None where nothing does, or where it makes a server.

    Frameworks come before what they are made of: a SvelteKit application depends on Vite, too.
    """
    for bundler in BUNDLERS:
        if not package.needs.isdisjoint(bundler.packages):
            output = bundler.read(Seen(source, package))
            return (bundler, output) if output else None
    return None


def _flag(package: Package, program: str, *flags: str) -> str:
    """What a flag of the build script's command says: ``--outDir site``."""
    names = "|".join(map(re.escape, flags))
    for command in package.commands("build", "generate", "export"):
        if re.match(rf"(?:\S*/)?{re.escape(program)}(?:\s|$)", command):
            found = re.search(rf"\s(?:{names})[=\s]\s*(\"[^\"]*\"|'[^']*'|[^\s\"']+)", command)
            if found:
                return found[1].strip("\"'")
    return ""


def _made(configured: str, default: str, where: str, fallback: str = "", base: str = "") -> Output:
    folder = inside(posixpath.join(base, configured or default), where)
    others = () if configured else tuple(name for name in ("dist", "build", "out") if name != folder)
    return Output((folder, *others), bool(configured), fallback)


def _vite(seen: Seen) -> Output | None:
    text = javascript(seen.source, "vite.config")
    base = value_of(text, "root")
    if not seen.source.is_file(posixpath.normpath(posixpath.join(base, "index.html"))):
        # Without a page it makes another runtime's assets.
        return None
    command = _flag(seen.package, "vite", "--outDir")
    return _made(command or value_of(text, "outDir"), "dist", "vite.config", "index.html", base)


def _create_react_app(seen: Seen) -> Output | None:
    scripts = " ".join(seen.package.scripts.values())
    found = re.search(r"\bBUILD_PATH=(?:\"([^\"]*)\"|'([^']*)'|(\S+))", scripts)
    told = next((group for group in found.groups() if group), "") if found else ""
    for name in (".env", ".env.production"):
        if not told and seen.source.is_file(name):
            line = re.search(
                r"(?m)^\s*BUILD_PATH\s*=\s*(.+?)\s*$", seen.source.read_text(name, limit=1 << 16)
            )
            told = line[1].strip("\"'") if line else ""
    return _made(told, "build", "BUILD_PATH", "index.html")


def _angular(seen: Seen) -> Output | None:
    document = json_of(seen.source, "angular.json")
    projects = _section(document, "projects")
    default = document.get("defaultProject")
    wanted = [default] if default in projects else list(projects)
    for name in wanted:
        project = _section(projects, name)
        build = _section(_section(project, "architect") or _section(project, "targets"), "build")
        if build:
            return _angular_build(str(name), build, seen.package)
    return Output(("dist",), fallback="index.html")


def _angular_build(name: str, build: Mapping[str, Any], package: Package) -> Output | None:
    options = _section(build, "options")
    if options.get("ssr") and options.get("outputMode") == "server":
        return None
    path, below = options.get("outputPath"), ("browser",)
    if isinstance(path, Mapping):
        browser = path.get("browser", "browser")
        path, below = path.get("base"), (str(browser),)
    told = _flag(package, "ng", "--output-path") or (path if isinstance(path, str) else "")
    base = inside(told or f"dist/{name}", "angular.json, outputPath")
    # Since version 17 browsers' files lie in a folder of their own; which one made it is seen afterwards.
    return Output((*(posixpath.join(base, one) for one in below), base), bool(told), "index.html")


def _section(document: Mapping[str, Any], key: Any) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _vue_cli(seen: Seen) -> Output | None:
    told = _flag(seen.package, "vue-cli-service", "--dest") or value_of(
        javascript(seen.source, "vue.config"), "outputDir"
    )
    return _made(told, "dist", "vue.config.js", "index.html")


def _astro(seen: Seen) -> Output | None:
    text = javascript(seen.source, "astro.config")
    if re.search(r"(?<![\w.])adapter\s*:", text) or has_word(text, "output", "server"):
        return None
    told = _flag(seen.package, "astro", "--outDir") or value_of(text, "outDir")
    return _made(told, "dist", "astro.config", base=value_of(text, "root"))


def _svelte_kit(seen: Seen) -> Output | None:
    if "@sveltejs/adapter-static" not in seen.package.needs:
        return None
    # Since 2.62 the adapter may be an argument of the plugin in vite.config.
    file, text = "svelte.config.js", javascript(seen.source, "svelte.config")
    if "adapter" not in text:
        file, text = "vite.config", javascript(seen.source, "vite.config")
    fallback = value_of(text, "fallback")
    page = fallback if fallback and not fallback.startswith("404") else ""
    return _made(value_of(text, "pages"), "build", file, page)


def _next(seen: Seen) -> Output | None:
    text = javascript(seen.source, "next.config")
    exports = any("next export" in command for command in seen.package.commands("build", "export"))
    if not has_word(text, "output", "export") and not exports:
        return None
    return _made(value_of(text, "distDir"), "out", "next.config")


def _client_only(seen: Seen) -> Output | None:
    for stem in ("react-router.config", "vite.config"):
        text = javascript(seen.source, stem)
        if re.search(r"(?<![\w.])ssr\s*:\s*false\b", text):
            base = value_of(text, "buildDirectory") or "build"
            return _made("", "client", stem, "index.html", base)
    return None


def _nuxt(seen: Seen) -> Output | None:
    generates = ("nuxt generate", "nuxi generate", "nuxt build --prerender", "nuxi build --prerender")
    built = seen.package.commands("build") or seen.package.commands("generate")
    if not any(command.startswith(generates) for command in built):
        return None
    return Output((".output/public", "dist"), fallback="200.html")


def _parcel(seen: Seen) -> Output | None:
    return _made(_flag(seen.package, "parcel", "--dist-dir", "-d"), "dist", "--dist-dir", "index.html")


def _webpack(seen: Seen) -> Output | None:
    text = javascript(seen.source, "webpack.config")
    output = re.search(r"(?<![\w.])output\s*:\s*\{", text)
    told = _flag(seen.package, "webpack", "--output-path", "-o") or (
        value_of(text[output.end() :], "path") if output else ""
    )
    return _made(told, "dist", "webpack.config.js", "index.html")


def _pages_of_webpack(seen: Seen) -> Output | None:
    has_page = any(
        seen.source.is_file(f"{folder}index.html") for folder in ("", "src/", "public/", "static/", "app/")
    )
    return _webpack(seen) if has_page or "html-webpack-plugin" in seen.package.needs else None


def _in(folder: str, fallback: str = "") -> Read:
    """A tool that always writes the same folder."""
    return lambda _: _made("", folder, folder, fallback)


def _eleventy(seen: Seen) -> Output | None:
    text = "".join(
        javascript(seen.source, name)
        for name in (".eleventy", "eleventy.config")
        if javascript(seen.source, name)
    )
    told = (
        _flag(seen.package, "eleventy", "--output")
        or _flag(seen.package, "@11ty/eleventy", "--output")
        or value_of(text, "output")
    )
    return _made(told, "_site", "eleventy.config.js")


def _vitepress(seen: Seen) -> Output | None:
    base = ""
    for command in seen.package.commands("build", "docs:build"):
        found = re.match(r"vitepress\s+build\s+([^\s-]\S*)", command)
        base = found[1] if found else base
    if not base and seen.source.is_directory("docs/.vitepress"):
        base = "docs"
    told = value_of(javascript(seen.source, "config", posixpath.join(base, ".vitepress")), "outDir")
    return _made(told, ".vitepress/dist", ".vitepress/config", base=base)


def _docusaurus(seen: Seen) -> Output | None:
    return _made(_flag(seen.package, "docusaurus", "--out-dir"), "build", "--out-dir")


#: Frameworks first: all of them bring a bundler.
BUNDLERS = (
    Bundler("Angular", ("@angular/cli", "@angular/build"), _angular),
    Bundler("Next.js", ("next",), _next),
    Bundler("Nuxt", ("nuxt",), _nuxt),
    Bundler("React Router", ("@react-router/dev",), _client_only),
    Bundler("Remix", ("@remix-run/dev",), _client_only),
    Bundler("SvelteKit", ("@sveltejs/kit",), _svelte_kit),
    Bundler("Astro", ("astro",), _astro),
    Bundler("Gatsby", ("gatsby",), _in("public")),
    Bundler("Docusaurus", ("@docusaurus/core",), _docusaurus),
    Bundler("VitePress", ("vitepress",), _vitepress),
    Bundler("Hexo", ("hexo",), _in("public")),
    Bundler("Eleventy", ("@11ty/eleventy",), _eleventy),
    Bundler("Create React App", ("react-scripts",), _create_react_app),
    Bundler("Vue CLI", ("@vue/cli-service",), _vue_cli),
    Bundler("Vite", ("vite", "rolldown-vite"), _vite),
    Bundler("Parcel", ("parcel", "parcel-bundler"), _parcel),
    Bundler("Rsbuild", ("@rsbuild/core",), _in("dist", "index.html")),
    Bundler("Preact CLI", ("preact-cli",), _in("build", "index.html")),
    Bundler("Ember", ("ember-cli",), _in("dist", "index.html")),
    Bundler("webpack", ("webpack", "@rspack/core"), _pages_of_webpack),
)
