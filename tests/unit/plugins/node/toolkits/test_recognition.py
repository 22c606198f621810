"""Which toolkit makes an application, where its build goes, and whether that is served by Node."""

# ruff: noqa: E501  (a tree is one line of its table)

import json
import random

import pytest

from stager.plugins.node.reading.configuration import folder_of, setting, without_comments
from stager.plugins.node.reading.manifest import read_package
from stager.plugins.node.toolkits.recognition import find_toolkit
from stager.source.tree import Tree


def toolkit_of(root, files):
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    source = Tree.of_directory(root)
    return find_toolkit(source, read_package(source))


def uses(*names, **scripts):
    return {"package.json": {"dependencies": dict.fromkeys(names, "^5.0.0"), "scripts": scripts}}


@pytest.mark.parametrize(
    ("files", "name", "output", "is_static"),
    [
        (uses("next"), "Next", ".next", False),
        (uses("next") | {"next.config.mjs": "export default { output: 'standalone' }"}, "Next", ".next", False),
        (uses("next") | {"next.config.ts": 'const c = { "output": "export" }'}, "Next", "out", True),
        (uses("next") | {"next.config.js": "module.exports = { // output: 'export'\n}"}, "Next", ".next", False),
        (uses("next") | {"next.config.js": "x = { output: 'export', distDir: 'site' }"}, "Next", "site", True),
        (uses("next") | {"next.config.js": "x = { distDir: '../x' }"}, "Next", ".next", False),
        (uses("next", build="next build && next export"), "Next", "out", True),
        (uses("nuxt", build="nuxt build"), "Nuxt", ".output", False),
        (uses("nuxt", build="nuxt generate"), "Nuxt", ".output/public", True),
        (uses("nuxt", generate="nuxi generate"), "Nuxt", ".output/public", True),
        (uses("nuxt", build="nuxt build", generate="nuxt generate"), "Nuxt", ".output", False),
        ({"package.json": {"dependencies": {"nuxt": "^2.17"}, "scripts": {"build": "nuxt build"}}}, "Nuxt 2", ".nuxt", False),
        (uses("@react-router/dev", "@react-router/serve"), "React Router", "build", False),
        (uses("@react-router/dev") | {"react-router.config.ts": "{ ssr: false }"}, "React Router", "build/client", True),
        (uses("@remix-run/dev", "@remix-run/serve"), "Remix", "build", False),
        (uses("@sveltejs/kit", "@sveltejs/adapter-node"), "SvelteKit", "build", False),
        (uses("@sveltejs/kit") | {"svelte.config.js": "import a from '@sveltejs/adapter-static'; a({pages: 'site'})"}, "SvelteKit", "site", True),
        (uses("@sveltejs/kit") | {"vite.config.ts": "import a from '@sveltejs/adapter-node'; sveltekit({adapter: a({out: 'o'})})"}, "SvelteKit", "o", False),
        (uses("@sveltejs/kit") | {"vite.config.ts": "import a from '@sveltejs/adapter-static'"}, "SvelteKit", "build", True),
        (uses("astro"), "Astro", "dist", True),
        (uses("astro") | {"astro.config.mjs": "defineConfig({ outDir: './public_html' })"}, "Astro", "public_html", True),
        (uses("astro") | {"astro.config.mjs": "import n from '@astrojs/node'"}, "Astro", "dist", False),
        (uses("@nestjs/core"), "Nest", "dist", False),
        (uses("gatsby"), "Gatsby", "public", True),
        (uses("@docusaurus/core"), "Docusaurus", "build", True),
        (uses("@11ty/eleventy"), "Eleventy", "_site", True),
        (uses("vitepress", **{"docs:build": "vitepress build docs"}), "vitepress", "docs/.vitepress/dist", True),
        (uses("react-scripts"), "Create React App", "build", True),
        (uses("@vue/cli-service") | {"vue.config.js": "module.exports = { outputDir: 'www' }"}, "Vue CLI", "www", True),
        (uses("vite") | {"index.html": ""}, "Vite", "dist", True),
        (uses("vite") | {"index.html": "", "vite.config.ts": "build: { outDir: `site` }"}, "Vite", "site", True),
        (uses("vite") | {"client/index.html": "", "vite.config.js": "root: 'client'"}, "Vite", "client/dist", True),
        (uses("vite"), "Vite", "dist", False),
        (uses("parcel") | {"src/index.html": ""}, "Parcel", "dist", True),
        (uses("webpack"), "webpack", "dist", False),
        (uses("@solidjs/start"), "SolidStart", ".output", False),
        (uses("@tanstack/react-start", "vite"), "TanStack Start", ".output", False),
    ],
)  # fmt: skip
def test_toolkits_are_known_by_their_packages(tmp_path, files, name, output, is_static):
    found = toolkit_of(tmp_path, files)
    assert (found.name, found.outputs[0], found.is_static) == (name, output, is_static)
    assert not (found.is_static and found.command)


@pytest.mark.parametrize("files", [uses("express"), uses(), {"package.json": {}}, {}])
def test_none_is_none(tmp_path, files):
    assert toolkit_of(tmp_path, files) is None


def angular(builder, **options):
    build = {"builder": f"@angular-devkit/build-angular:{builder}", "options": options}
    projects = {
        "lib": {"projectType": "library"},
        "shop": {"projectType": "application", "architect": {"build": build}},
    }
    return uses("@angular/cli") | {
        "angular.json": "// ours\n" + json.dumps({"version": 1, "projects": projects})
    }


@pytest.mark.parametrize(
    ("files", "output", "is_static"),
    [
        (angular("application", outputPath="dist/shop"), "dist/shop/browser", True),
        (angular("application"), "dist/shop/browser", True),
        (angular("application", outputPath={"base": "out", "browser": ""}), "out", True),
        (angular("browser", outputPath="dist/shop"), "dist/shop", True),
        (angular("application", ssr={"entry": "server.ts"}), "dist/shop", False),
        (angular("application", ssr=True, outputMode="static"), "dist/shop/browser", True),
        (uses("@angular/cli") | {"angular.json": "{broken"}, None, True),
    ],
)
def test_angular_says_where_it_builds(tmp_path, files, output, is_static):
    found = toolkit_of(tmp_path, files)
    assert found.is_static is is_static
    assert output is None or found.outputs == (output,)
    assert is_static or found.command == ("${STAGER_NODE}", "dist/shop/server/server.mjs")


@pytest.mark.parametrize(
    ("files", "entry"),
    [
        ({}, "dist/main.js"),
        ({"nest-cli.json": {"entryFile": "server"}}, "dist/server.js"),
        ({"nest-cli.json": {"monorepo": True, "root": "apps/api"}}, "dist/apps/api/main.js"),
        ({"tsconfig.json": '{"compilerOptions": {"outDir": "./out", /* x */}}'}, "out/main.js"),
        ({"nest-cli.json": "{", "tsconfig.json": "["}, "dist/main.js"),
        ({"nest-cli.json": [1]}, "dist/main.js"),
    ],
)
def test_nest_says_what_is_started(tmp_path, files, entry):
    assert toolkit_of(tmp_path, uses("@nestjs/core") | files).command == ("${STAGER_NODE}", entry)


@pytest.mark.parametrize("file", ["svelte.config.js", "vite.config.ts"])
def test_an_adapter_that_makes_nothing_for_node_is_a_problem_with_a_way_out(tmp_path, file):
    text = "import adapter from '@sveltejs/adapter-auto'; x = { adapter: adapter() }"
    found = toolkit_of(tmp_path, uses("@sveltejs/kit", build="vite build") | {file: text})
    assert "@sveltejs/adapter-auto, which makes nothing for Node" in found.problem
    assert f"@sveltejs/adapter-node, and import it in {file.removesuffix('.ts')}" in found.resolution
    assert not found.command


def test_the_prefix_of_svelte_kits_variables_is_kept(tmp_path):
    text = "import a from '@sveltejs/adapter-node'; export default {kit: {adapter: a({envPrefix: 'MY_'})}}"
    environment = toolkit_of(tmp_path, uses("@sveltejs/kit") | {"svelte.config.js": text}).environment
    assert environment["MY_PORT"] == "${PORT}"
    assert "PORT" not in environment


def test_settings_are_read_as_text():
    text = without_comments(
        "a: 'x', // b: 'no'\n/* c: 'no' */ d: 'http://x/y', 'e': \"z\", f: process.env.F, g: `$${x}`"
    )
    assert [setting(text, name) for name in "abcdefg"] == ["x", "", "", "http://x/y", "z", "", ""]
    assert folder_of("outDir: '../up'", "outDir", "dist") == "dist"
    assert folder_of("outDir: './a/b/'", "outDir", "dist") == "a/b"


def test_odd_configurations_end_well(tmp_path):
    random.seed(3)
    names = [
        "next",
        "nuxt",
        "astro",
        "@sveltejs/kit",
        "vite",
        "@angular/cli",
        "@nestjs/core",
        "@remix-run/dev",
        "vitepress",
    ]
    configs = ["next.config.js", "nuxt.config.ts", "astro.config.mjs", "svelte.config.js", "vite.config.ts",
               "angular.json", "nest-cli.json", "tsconfig.json", "remix.config.js"]  # fmt: skip
    letters = [
        "'",
        '"',
        "`",
        "{",
        "}",
        "//",
        "/*",
        "*/",
        "output",
        ":",
        "export",
        "\\",
        "\n",
        "[",
        "]",
        "outDir",
        "..",
        "projects",
        "é",
    ]
    for _ in range(300):
        text = "".join(random.choice(letters) for _ in range(random.randrange(12)))
        found = toolkit_of(tmp_path, uses(random.choice(names)) | {random.choice(configs): text})
        assert found.outputs
        assert not any(".." in output.split("/") for output in found.outputs)
