"""Which toolkit makes the application: the most particular first, for all of them bring a bundler."""

from __future__ import annotations

import re
from collections.abc import Callable

from stager.model.source_tree import SourceTree
from stager.plugins.node.environment import NODE
from stager.plugins.node.reading.configuration import folder_of, is_set, setting
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.toolkits.pages import find_bundler, find_generator
from stager.plugins.node.toolkits.toolkit import HOST, LISTEN, PORT, Seen, Toolkit


def find_toolkit(source: SourceTree, package: Package | None) -> Toolkit | None:
    """Return the toolkit of a package, the most particular one first; None where it has none."""
    if package is None:
        return None
    seen = Seen(source, package)
    return next((found for rule in _RULES if (found := rule(seen)) is not None), None)


def _next(seen: Seen) -> Toolkit | None:
    if not seen.has("next"):
        return None
    text = seen.config("next.config")
    folder = folder_of(text, "distDir", ".next")
    if setting(text, "output") == "export" or "next export" in seen.script():
        # With `output: export`, distDir is where the export goes; `next export -o` of Next 13 is rare.
        return Toolkit(
            "Next", (folder if folder != ".next" else "out",), is_static=True, leftovers=(".next",)
        )
    # HOSTNAME: what the server of `output: standalone` listens on, and in a container its name otherwise.
    listen = {"HOSTNAME": HOST}
    # cache/ holds images and answers, too, which the server reads.
    caches = tuple(f"{folder}/cache/{name}" for name in ("turbopack", "webpack", "swc", "eslint"))
    # In a monorepo the server lies deeper, by a root that is computed.
    is_found = not seen.package.folder and "outputFileTracingRoot" not in text
    if setting(text, "output") == "standalone" and is_found:
        command = (NODE, f"{folder}/standalone/server.js")
        return Toolkit(
            "Next", (folder,), command=command, environment=listen, is_whole=True, standalone=folder,
            leftovers=caches,
        )  # fmt: skip
    start = ("next", "start", "-H", HOST, "-p", PORT)
    return Toolkit("Next", (folder,), command=start, environment=listen, leftovers=caches)


def _nuxt(seen: Seen) -> Toolkit | None:
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


def _react_router(seen: Seen) -> Toolkit | None:
    if not seen.has("@react-router/dev", "@react-router/serve"):
        return None
    text = seen.config("react-router.config")
    folder = folder_of(text, "buildDirectory", "build")
    if is_set(text, "ssr", "false"):
        return Toolkit("React Router", (f"{folder}/client",), is_static=True)
    command = ("react-router-serve", f"./{folder}/server/index.js") if seen.has("@react-router/serve") else ()
    return Toolkit("React Router", (folder,), command=command, environment=LISTEN)


def _remix(seen: Seen) -> Toolkit | None:
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


def _svelte_kit(seen: Seen) -> Toolkit | None:
    if not seen.has("@sveltejs/kit"):
        return None
    # Since 2.62 the adapter may be an argument of the plugin in vite.config.
    file, text = "svelte.config.js", seen.config("svelte.config")
    if "adapter" not in text and "adapter" in (other := seen.config("vite.config")):
        file, text = "vite.config", other
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
    adapter = re.search(r"@?[\w/-]*adapter-[\w-]+", f"{text} {' '.join(seen.package.dev_dependencies)}")
    return Toolkit(
        "SvelteKit",
        (".svelte-kit",),
        problem=f"SvelteKit is built with {adapter[0] if adapter else 'no adapter'}, "
        "which makes nothing for Node to run.",
        resolution=f"npm install --save-dev @sveltejs/adapter-node, and import it in {file} instead; "
        "@sveltejs/adapter-static where every page can be made by the build.",
    )


def _astro(seen: Seen) -> Toolkit | None:
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


def _nest(seen: Seen) -> Toolkit | None:
    if not seen.has("@nestjs/core"):
        return None
    from stager.plugins.node.toolkits.nest import nest_entry

    folder, entry = nest_entry(seen.source, seen.package.folder)
    return Toolkit("Nest", (folder,), command=(NODE, entry))


def _angular(seen: Seen) -> Toolkit | None:
    if not seen.has("@angular/cli", "@angular/build", "@angular-devkit/build-angular"):
        return None
    from stager.plugins.node.toolkits.angular import HOSTS, angular_output, is_for_nobody

    folder, is_served = angular_output(seen.source, seen.package)
    if is_served:
        command = (NODE, f"{folder}/server/server.mjs")
        wants = {"NG_ALLOWED_HOSTS": HOSTS} if is_for_nobody(seen.source, seen.package) else {}
        return Toolkit("Angular", (folder,), command=command, wants=wants)
    return Toolkit("Angular", (folder,), is_static=True)


def _vinxi(seen: Seen) -> Toolkit | None:
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


_RULES: tuple[Callable[[Seen], Toolkit | None], ...] = (
    _next,
    _nuxt,
    _react_router,
    _remix,
    _svelte_kit,
    _astro,
    _nest,
    _vinxi,
    _angular,
    find_generator,
    find_bundler,
)
