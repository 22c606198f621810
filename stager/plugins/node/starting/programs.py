"""Programs that scripts name: from which package each comes, and which of them are for development."""

from __future__ import annotations

from collections.abc import Mapping

#: Where the program has another name than its package.
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "tsc": ("typescript",),
    "ng": ("@angular/cli",),
    "nest": ("@nestjs/cli",),
    "react-router-serve": ("@react-router/serve",),
    "react-router": ("@react-router/dev",),
    "remix-serve": ("@remix-run/serve",),
    "remix": ("@remix-run/dev",),
    "vue-cli-service": ("@vue/cli-service",),
    "babel-node": ("@babel/node",),
    "babel": ("@babel/cli",),
    "dotenv": ("dotenv-cli",),
    "dotenvx": ("@dotenvx/dotenvx",),
    "nuxi": ("nuxi", "nuxt"),
    "nuxt": ("nuxt", "nuxt3", "nuxt-edge", "nuxt-nightly"),
    "pm2-runtime": ("pm2",),
    "tsnd": ("ts-node-dev",),
    "ts-node-esm": ("ts-node",),
    "run-s": ("npm-run-all", "npm-run-all2"),
    "run-p": ("npm-run-all", "npm-run-all2"),
    "npm-run-all": ("npm-run-all", "npm-run-all2"),
    "strapi": ("@strapi/strapi", "strapi"),
    "keystone": ("@keystone-6/core",),
    "medusa": ("@medusajs/cli", "@medusajs/medusa", "@medusajs/medusa-cli"),
    "fastify": ("fastify-cli",),
    "eleventy": ("@11ty/eleventy",),
    "docusaurus": ("@docusaurus/core",),
    "rsbuild": ("@rsbuild/core",),
    "wp-scripts": ("@wordpress/scripts",),
    "encore": ("@symfony/webpack-encore",),
    "mix": ("laravel-mix",),
    "directus": ("directus",),
    "wait-port": ("wait-port",),
    "swc-node": ("@swc-node/register",),
    "webpack": ("webpack-cli", "webpack"),
    "vite": ("vite", "rolldown-vite"),
    "cds-serve": ("@sap/cds",),
    "moleculer-runner": ("moleculer",),
}
#: Development servers: (program, and the first words that make it one; () for any).
_SERVING: Mapping[str, tuple[str, ...]] = {
    "react-scripts": ("start",),
    "craco": ("start",),
    "react-app-rewired": ("start",),
    "ng": ("serve", "s", "dev"),
    "nx": ("serve", "dev"),
    "vue-cli-service": ("serve",),
    "next": ("", "dev"),
    "nuxt": ("", "dev"),
    "nuxi": ("dev",),
    "astro": ("", "dev"),
    "vite": ("", "dev", "serve"),
    "remix": ("dev", "vite:dev", "watch"),
    "react-router": ("dev",),
    "svelte-kit": ("dev",),
    "gatsby": ("develop",),
    "nest": ("start",),
    "expo": ("start",),
    "vinxi": ("dev",),
    "solid-start": ("dev",),
    "nitro": ("dev",),
    "nitropack": ("dev",),
    "webpack": ("serve", "--watch", "-w", "watch", "--mode=development"),
    "rspack": ("serve", "dev"),
    "rsbuild": ("", "dev"),
    "rollup": ("-w", "--watch", "-cw"),
    "parcel": ("", "serve", "watch"),
    "docusaurus": ("start",),
    "vitepress": ("dev", ""),
    "vuepress": ("dev",),
    "eleventy": ("--serve", "--watch"),
    "hexo": ("server", "s"),
    "ember": ("serve", "server", "s"),
    "preact": ("watch",),
    "stencil": ("build", "start"),
    "wp-scripts": ("start", "build"),
    "encore": ("dev", "dev-server"),
    "mix": ("", "watch"),
    "turbo": ("dev",),
    "storybook": ("dev",),
    "start-storybook": (),
    "webpack-dev-server": (),
    "gulp": (),
    "grunt": (),
    "browser-sync": (),
    "live-server": (),
    "tailwindcss": (),
    "sass": (),
    "node-sass": (),
    "electron": (),
    "electron-forge": (),
    "jest": (),
    "vitest": (),
    "web-dev-server": (),
    "wds": (),
    "snowpack": ("", "dev"),
    "budo": (),
    "esbuild": (),
    "preact-cli": ("watch",),
    "lite-server": (),
    "concurrently": (),
    "run-p": (),
    "npm-run-all": ("-p", "--parallel"),
}


def packages_of(program: str) -> tuple[str, ...]:
    """The packages that a program may come from."""
    return _PACKAGES.get(program, (program,))


def is_development(words: tuple[str, ...]) -> bool:
    """Whether a command is a server, or a watcher, for development: no use to anybody else."""
    if not words:
        return False
    modes = _SERVING.get(words[0])
    if modes is None:
        return False
    if not modes:
        return True
    # `vite --port 3000` is `vite`.
    first = next((word for word in words[1:] if not word.startswith("-")), "")
    if words[0] in _FOLDERS:
        first = words[1] if len(words) > 1 and words[1] in _FOLDERS[words[0]] else ""
        return first in modes
    return first in modes or any(word in modes for word in words[1:] if word.startswith("-"))


#: What else the first word may be, before it is taken for a folder or an option's value.
_FOLDERS: Mapping[str, frozenset[str]] = {
    "next": frozenset({"dev", "build", "start", "lint", "export", "info", "telemetry"}),
    "vite": frozenset({"dev", "serve", "build", "preview", "optimize"}),
    "nuxt": frozenset({"dev", "build", "start", "generate", "preview", "prepare"}),
    "parcel": frozenset({"serve", "watch", "build"}),
}
#: Servers that show what was built: where the toolkit has one of its own, that is meant.
_PREVIEWS = frozenset({
    ("vite", "preview"), ("nuxt", "start"), ("nuxt", "preview"), ("nuxi", "start"), ("nuxi", "preview"),
    ("astro", "preview"), ("solid-start", "start"), ("vinxi", "start"),
})  # fmt: skip


def is_preview(words: tuple[str, ...]) -> bool:
    """Whether a command shows a build, for which a toolkit has a server of its own."""
    return words[:2] in _PREVIEWS


#: Servers of files, and what toolkits show a finished site with.
_FILE_SERVERS = frozenset({
    "serve", "http-server", "live-server", "lite-server", "vite", "next", "nuxt", "nuxi", "astro", "gatsby",
    "docusaurus", "vitepress", "parcel", "eleventy", "hexo",
})  # fmt: skip


def sends_files(command: tuple[str, ...]) -> bool:
    """Whether a command only sends the files of a site that was built."""
    return command[0] in _FILE_SERVERS
