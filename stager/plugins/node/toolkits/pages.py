"""Toolkits that make pages, and no server: generators of sites, and bundlers."""

from __future__ import annotations

import re

from stager.plugins.node.reading.configuration import folder_of
from stager.plugins.node.toolkits.toolkit import Seen, Toolkit


def find_generator(seen: Seen) -> Toolkit | None:
    """What makes pages out of texts."""
    for name, packages, folder in _GENERATORS:
        if seen.has(*packages):
            return Toolkit(name, (folder,), is_static=True)
    if seen.has("vitepress", "vuepress"):
        return _press(seen)
    return None


_GENERATORS = (
    ("Gatsby", ("gatsby",), "public"),
    ("Docusaurus", ("@docusaurus/core",), "build"),
    ("Eleventy", ("@11ty/eleventy",), "_site"),
    ("Hexo", ("hexo",), "public"),
    ("Gridsome", ("gridsome",), "dist"),
)


def _press(seen: Seen) -> Toolkit:
    name = "vitepress" if seen.has("vitepress") else "vuepress"
    found = re.search(rf"{name} build\s+([\w./-]+)", " && ".join(seen.package.scripts.values()))
    folder = f"{found[1].strip('./')}/" if found and found[1].strip("./") else ""
    script = next((key for key, text in seen.package.scripts.items() if f"{name} build" in text), "build")
    output = f"{folder}.vitepress/dist" if name == "vitepress" else f"{folder}.vuepress/dist"
    return Toolkit(name, (output,), is_static=True, build=script)


def find_bundler(seen: Seen) -> Toolkit | None:
    """What makes one page out of modules. Without a page of its own it makes another runtime's assets."""
    if seen.has("react-scripts"):
        return Toolkit("Create React App", ("build",), is_static=True)
    if seen.has("@vue/cli-service"):
        text = seen.config("vue.config")
        return Toolkit("Vue CLI", (folder_of(text, "outputDir", "dist"),), is_static=True)
    if seen.has("vite", "rolldown-vite"):
        text = seen.config("vite.config")
        root = folder_of(text, "root", "")
        has_page = seen.is_file(f"{root}/index.html".lstrip("/"))
        folder = folder_of(text, "outDir", "dist")
        return Toolkit("Vite", (f"{root}/{folder}".lstrip("/"),), is_static=has_page)
    for name, packages, folder, pages in _BUNDLERS:
        if seen.has(*packages):
            has_page = any(seen.is_file(page) for page in pages) or not pages
            return Toolkit(name, (folder,), is_static=has_page)
    return None


_PAGES = ("index.html", "src/index.html", "public/index.html", "static/index.html", "app/index.html")
_BUNDLERS = (
    ("Rsbuild", ("@rsbuild/core",), "dist", ()),
    ("Parcel", ("parcel", "parcel-bundler"), "dist", _PAGES),
    ("Preact CLI", ("preact-cli",), "build", ()),
    ("Ember", ("ember-cli",), "dist", ()),
    ("Stencil", ("@stencil/core",), "www", _PAGES),
    ("Encore", ("@symfony/webpack-encore",), "public/build", ("-",)),
    ("Laravel Mix", ("laravel-mix",), "public", ("-",)),
    ("webpack", ("webpack", "@rspack/core"), "dist", _PAGES),
    ("Rollup", ("rollup",), "dist", _PAGES),
    ("esbuild", ("esbuild",), "dist", ("-",)),
    ("gulp", ("gulp", "grunt"), "dist", ("-",)),
)
