"""Where bundlers write, read from their configuration as text."""

import json

import pytest

from stager.errors import PlanError
from stager.plugins.static.bundlers import find_bundler
from stager.plugins.static.package_json import read_package
from stager.source.tree import Tree


def output(tmp_path, package, files=None):
    files = {"package.json": json.dumps(package), **(files or {})}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    tree = Tree.of_directory(tmp_path)
    found = find_bundler(tree, read_package(tree))
    return found and (found[1].folders[0], found[1].fallback)


def needs(*names, **scripts):
    return {"devDependencies": dict.fromkeys(names, "*"), "scripts": scripts}


ANGULAR = {"projects": {"shop": {"architect": {"build": {"options": {"outputPath": {"base": "out"}}}}}}}
PAGE = {"index.html": ""}


@pytest.mark.parametrize(
    ("package", "files", "expected"),
    [
        (needs("vite"), PAGE, ("dist", "index.html")),
        (needs("vite"), {}, None),
        (
            needs("vite"),
            PAGE | {"vite.config.ts": "export default { build: { outDir: './www' } }"},
            ("www", "index.html"),
        ),
        (
            needs("vite"),
            {
                "client/index.html": "",
                "vite.config.js": "x = {root: 'client', build: {outDir: '../dist/web'}}",
            },
            ("dist/web", "index.html"),
        ),
        (
            needs("vite"),
            PAGE
            | {
                "vite.config.js": "// outDir: 'no'\n/* outDir: 'no' */ "
                "outDir: path.join(__dirname, 'a', \"b c\"),"
            },
            ("a/b c", "index.html"),
        ),
        (needs("vite"), PAGE | {"vite.config.js": "outDir: process.env.OUT"}, ("dist", "index.html")),
        (needs("vite", build="tsc && npm run b", b="vite build --outDir=z"), PAGE, ("z", "index.html")),
        (needs("react-scripts"), {}, ("build", "index.html")),
        (needs("react-scripts", build="BUILD_PATH='./w x' react-scripts build"), {}, ("w x", "index.html")),
        (needs("react-scripts"), {".env": "BUILD_PATH=./web\n"}, ("web", "index.html")),
        (
            needs("@angular/cli"),
            {"angular.json": "// c\n" + json.dumps(ANGULAR)},
            ("out/browser", "index.html"),
        ),
        (
            needs("@vue/cli-service"),
            {"vue.config.js": "module.exports={outputDir:'pub'}"},
            ("pub", "index.html"),
        ),
        (needs("astro"), {"astro.config.mjs": "export default {outDir: './pages'}"}, ("pages", "")),
        (needs("astro"), {"astro.config.mjs": "export default {adapter: node()}"}, None),
        (needs("next"), {}, None),
        (needs("next"), {"next.config.mjs": "export default { output: 'export', distDir: 'o' }"}, ("o", "")),
        (needs("nuxt", build="nuxt generate"), {}, (".output/public", "200.html")),
        (needs("nuxt", build="nuxt build"), {}, None),
        (needs("@sveltejs/kit", "vite"), PAGE, None),
        (
            needs("@sveltejs/kit", "@sveltejs/adapter-static", "vite"),
            {"vite.config.ts": "sveltekit({ adapter: adapter({ pages: 'site', fallback: '200.html' }) })"},
            ("site", "200.html"),
        ),
        (
            needs("@sveltejs/kit", "@sveltejs/adapter-static"),
            {"svelte.config.js": "adapter({ pages: 'www', fallback: '200.html' })"},
            ("www", "200.html"),
        ),
        (
            needs("@react-router/dev"),
            {"react-router.config.ts": "export default {ssr: false}"},
            ("build/client", "index.html"),
        ),
        (needs("gatsby"), {}, ("public", "")),
        (needs("@11ty/eleventy", build="npx @11ty/eleventy --output=pub"), {}, ("pub", "")),
        (needs("vitepress", build="vitepress build docs"), {}, ("docs/.vitepress/dist", "")),
        (needs("@docusaurus/core"), {}, ("build", "")),
        (needs("parcel", build="parcel build --dist-dir web src/index.html"), {}, ("web", "index.html")),
        (
            needs("webpack", "html-webpack-plugin"),
            {
                "webpack.config.js": "x={entry:{path:'no'}, "
                "output: { filename: 'a', path: path.resolve(__dirname, 'p') }}"
            },
            ("p", "index.html"),
        ),
        (needs("webpack"), {}, None),
        (needs("express"), {}, None),
    ],
)
def test_where_a_bundler_writes(tmp_path, package, files, expected):
    assert output(tmp_path, package, files) == expected


@pytest.mark.parametrize("folder", ["../site", "/srv/www", "a/../../b", ".."])
def test_a_folder_outside_is_an_error(tmp_path, folder):
    with pytest.raises(PlanError) as caught:
        output(tmp_path, needs("vite"), PAGE | {"vite.config.js": f"outDir: '{folder}'"})
    assert repr(folder) in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"scripts": 1, "dependencies": []}', "[" * 100_000, '"x"'])
def test_a_broken_manifest_says_nothing_here(tmp_path, text):
    (tmp_path / "package.json").write_text(text)
    package = read_package(Tree.of_directory(tmp_path))
    assert (package.needs, package.scripts) == (frozenset(), {})
