"""Which toolkit makes the application, what its build leaves, and what serves that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from stager.model.frozen import dataclass
from stager.model.plan import Argv
from stager.model.source_tree import SourceTree
from stager.plugins.node.configuration import configuration, folder_of, is_set, setting
from stager.plugins.node.environment import NODE
from stager.plugins.node.manifest import Package

#: The address to listen on, for servers that take it from here rather than from PORT.
HOST, PORT = "${VCAP_APP_HOST}", "${PORT}"
LISTEN: Mapping[str, str] = {"HOST": HOST, "PORT": PORT}


@dataclass(frozen=True, slots=True)
class Toolkit:
    """What was found.

    Parameters
    ----------
    name:
        For people.
    outputs:
        Folders that the build makes, in the package's own folder; the first is what is served.
    is_static:
        The build leaves files and no server: the static runtime serves them.
    command:
        What serves it otherwise, in the package's folder; empty where that is the application's to say.
    environment:
        What its server wants to know and takes from nowhere else.
    build:
        The script that is expected to make the outputs.
    problem, resolution:
        Why what it builds cannot be served, and what to do; empty where it can.
    is_whole:
        The outputs hold all that the server needs, packages too.
    """

    name: str
    outputs: tuple[str, ...] = ()
    is_static: bool = False
    command: Argv = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    build: str = "build"
    problem: str = ""
    resolution: str = ""
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class _Seen:
    """A package, in its folder."""

    source: SourceTree
    package: Package

    def config(self, *names: str) -> str:
        return configuration(self.source, self.package.folder, *names)

    def is_file(self, path: str) -> bool:
        return self.source.is_file(f"{self.package.folder}/{path}".lstrip("/"))

    def has(self, *names: str) -> bool:
        return self.package.has(*names)

    def script(self, name: str = "build") -> str:
        return self.package.scripts.get(name, "")


def find_toolkit(source: SourceTree, package: Package | None) -> Toolkit | None:
    """Return the toolkit of a package, the most particular one first; None where it has none."""
    if package is None:
        return None
    seen = _Seen(source, package)
    return next((found for rule in _RULES if (found := rule(seen)) is not None), None)


def _next(seen: _Seen) -> Toolkit | None:
    if not seen.has("next"):
        return None
    text = seen.config("next.config")
    folder = folder_of(text, "distDir", ".next")
    if setting(text, "output") == "export" or "next export" in seen.script():
        # With `output: export`, distDir is where the export goes; `next export -o` of Next 13 is rare.
        return Toolkit("Next", (folder if folder != ".next" else "out",), is_static=True)
    # HOSTNAME: what the server of `output: standalone` listens on, and in a container its name otherwise.
    return Toolkit(
        "Next", (folder,), command=("next", "start", "-H", HOST, "-p", PORT), environment={"HOSTNAME": HOST}
    )


def _nuxt(seen: _Seen) -> Toolkit | None:
    if not seen.has("nuxt", "nuxt3", "nuxt-edge", "nuxt-nightly"):
        return None
    text = seen.config("nuxt.config")
    is_old = seen.has("nuxt") and seen.package.constraint("nuxt").lstrip("^~>=v ").startswith(("1", "2"))
    generates = "generate" in seen.script() or (not seen.script() and "generate" in seen.package.scripts)
    script = "build" if seen.script() else "generate" if "generate" in seen.package.scripts else "build"
    if is_old:
        if generates or setting(text, "target") == "static":
            return Toolkit("Nuxt 2", ("dist",), is_static=True, build=script)
        listen = {**LISTEN, "NUXT_HOST": HOST, "NUXT_PORT": PORT}
        return Toolkit("Nuxt 2", (".nuxt",), command=("nuxt", "start"), environment=listen)
    if generates or setting(text, "preset") in ("static", "github-pages"):
        return Toolkit("Nuxt", (".output/public",), is_static=True, build=script)
    return _nitro("Nuxt")


def _nitro(name: str) -> Toolkit:
    """What Nitro makes is whole in .output, and reads NITRO_HOST and NITRO_PORT, else HOST and PORT."""
    return Toolkit(
        name,
        (".output",),
        command=(NODE, ".output/server/index.mjs"),
        environment={**LISTEN, "NITRO_HOST": HOST, "NITRO_PORT": PORT},
        is_whole=True,
    )


def _react_router(seen: _Seen) -> Toolkit | None:
    if not seen.has("@react-router/dev", "@react-router/serve"):
        return None
    text = seen.config("react-router.config")
    folder = folder_of(text, "buildDirectory", "build")
    if is_set(text, "ssr", "false"):
        return Toolkit("React Router", (f"{folder}/client",), is_static=True)
    command = ("react-router-serve", f"./{folder}/server/index.js") if seen.has("@react-router/serve") else ()
    return Toolkit("React Router", (folder,), command=command, environment=LISTEN)


def _remix(seen: _Seen) -> Toolkit | None:
    if not seen.has("@remix-run/dev", "@remix-run/serve"):
        return None
    vite, classic = seen.config("vite.config"), seen.config("remix.config")
    if "remix" in vite:
        if is_set(vite, "ssr", "false"):
            return Toolkit("Remix", ("build/client",), is_static=True)
        folder, entry = folder_of(vite, "buildDirectory", "build"), "server/index.js"
    else:
        path = setting(classic, "serverBuildPath").removeprefix("./") or "build/index.js"
        folder, _, entry = path.rpartition("/")
    command = ("remix-serve", f"./{folder}/{entry}") if seen.has("@remix-run/serve") else ()
    outputs = (folder,) if "remix" in vite else (folder, "public/build")
    return Toolkit("Remix", outputs, command=command, environment=LISTEN)


def _svelte_kit(seen: _Seen) -> Toolkit | None:
    if not seen.has("@sveltejs/kit"):
        return None
    text = seen.config("svelte.config")
    if "@sveltejs/adapter-static" in text:
        return Toolkit("SvelteKit", (folder_of(text, "pages", "build"),), is_static=True)
    if "@sveltejs/adapter-node" in text or ("adapter" not in text and seen.has("@sveltejs/adapter-node")):
        prefix = setting(text, "envPrefix")
        # Behind a router that ends TLS, it is the router that knows what the browser spoke.
        listen = {**LISTEN, "PROTOCOL_HEADER": "x-forwarded-proto"}
        return Toolkit(
            "SvelteKit",
            (folder_of(text, "out", "build"),),
            command=(NODE, f"{folder_of(text, 'out', 'build')}/index.js"),
            environment={f"{prefix}{name}": value for name, value in listen.items()},
        )
    adapter = next(
        (name for name in seen.package.data.get("devDependencies", {}) if "sveltejs/adapter-" in name), ""
    )
    return Toolkit(
        "SvelteKit",
        (".svelte-kit",),
        problem=f"SvelteKit is built with {adapter or 'no adapter'}, which makes nothing for Node to run.",
        resolution="Install @sveltejs/adapter-node, and import it in svelte.config.js instead.",
    )


def _astro(seen: _Seen) -> Toolkit | None:
    if not seen.has("astro"):
        return None
    text = seen.config("astro.config")
    folder = folder_of(text, "outDir", "dist")
    if "@astrojs/node" not in text and not is_set(text, "adapter", "node"):
        if setting(text, "output") in ("server", "hybrid") and not seen.has("@astrojs/node"):
            return Toolkit(
                "Astro",
                (folder,),
                problem="Astro renders on a server (`output: server`), and has no adapter for Node.",
                resolution="npx astro add node",
            )
        return Toolkit("Astro", (folder,), is_static=True)
    command = () if setting(text, "mode") == "middleware" else (NODE, f"{folder}/server/entry.mjs")
    return Toolkit("Astro", (folder,), command=command, environment=LISTEN)


def _nest(seen: _Seen) -> Toolkit | None:
    if not seen.has("@nestjs/core"):
        return None
    from stager.plugins.node.nest import nest_entry

    folder, entry = nest_entry(seen.source, seen.package.folder)
    return Toolkit("Nest", (folder,), command=(NODE, entry))


def _angular(seen: _Seen) -> Toolkit | None:
    if not seen.has("@angular/cli", "@angular/build", "@angular-devkit/build-angular"):
        return None
    from stager.plugins.node.angular import angular_output

    folder, is_served = angular_output(seen.source, seen.package)
    if is_served:
        return Toolkit("Angular", (folder,), command=(NODE, f"{folder}/server/server.mjs"))
    return Toolkit("Angular", (folder,), is_static=True)


def _vinxi(seen: _Seen) -> Toolkit | None:
    if seen.has("@solidjs/start", "solid-start"):
        return _nitro("SolidStart")
    if seen.has("@tanstack/react-start", "@tanstack/start", "@tanstack/solid-start"):
        return _nitro("TanStack Start")
    if seen.has("@analogjs/platform"):
        return Toolkit(
            "Analog",
            ("dist",),
            command=(NODE, "dist/analog/server/index.mjs"),
            environment={**LISTEN, "NITRO_HOST": HOST, "NITRO_PORT": PORT},
        )
    return _nitro("Nitro") if seen.has("nitropack", "nitro") and seen.config("nitro.config") else None


def _generator(seen: _Seen) -> Toolkit | None:
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


def _press(seen: _Seen) -> Toolkit:
    import re

    name = "vitepress" if seen.has("vitepress") else "vuepress"
    found = re.search(rf"{name} build\s+([\w./-]+)", " && ".join(seen.package.scripts.values()))
    folder = f"{found[1].strip('./')}/" if found and found[1].strip("./") else ""
    script = next((key for key, text in seen.package.scripts.items() if f"{name} build" in text), "build")
    output = f"{folder}.vitepress/dist" if name == "vitepress" else f"{folder}.vuepress/dist"
    return Toolkit(name, (output,), is_static=True, build=script)


def _bundler(seen: _Seen) -> Toolkit | None:
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

_RULES: tuple[Callable[[_Seen], Toolkit | None], ...] = (
    _next,
    _nuxt,
    _react_router,
    _remix,
    _svelte_kit,
    _astro,
    _nest,
    _vinxi,
    _angular,
    _generator,
    _bundler,
)
