"""What is a static site, what is built into one, and what only has a folder of pages."""

import json

import pytest

from stager.model.detection import Strength
from stager.plugins.static.detection import detect_static
from stager.source.tree import Tree

VITE = {"devDependencies": {"vite": "^6"}, "scripts": {"dev": "vite", "build": "vite build"}}


def found(tmp_path, files):
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content if isinstance(content, str) else json.dumps(content))
    return detect_static(Tree.of_directory(tmp_path))


@pytest.mark.parametrize(
    ("files", "strength", "evidence"),
    [
        ({"index.html": ""}, Strength.STRONG, "index.html"),
        ({"Staticfile": "root: x"}, Strength.STRONG, "Staticfile"),
        ({"public/index.html": ""}, Strength.LIKELY, "public/index.html"),
        ({"_site/index.html": ""}, Strength.LIKELY, "_site/index.html"),
        ({"package.json": VITE, "index.html": ""}, Strength.STRONG, "package.json (Vite)"),
        (
            {
                "package.json": {**VITE, "scripts": {"start": "cross-env A=1 vite", "build": "x"}},
                "index.html": "",
            },
            Strength.STRONG,
            "package.json (Vite)",
        ),
        (
            {"package.json": {**VITE, "scripts": {"start": "vite preview", "build": "x"}}, "index.html": ""},
            Strength.LIKELY,
            "package.json (Vite)",
        ),
        (
            {"package.json": {"scripts": {"build": "make site"}}},
            Strength.WEAK,
            "package.json (a build script)",
        ),
        (
            {"package.json": {"devDependencies": {"prettier": "3"}}, "index.html": ""},
            Strength.STRONG,
            "index.html",
        ),
    ],
)
def test_what_is_a_site(tmp_path, files, strength, evidence):
    answer = found(tmp_path, files)
    assert (answer.strength, answer.evidence[0], answer.supplies) == (strength, evidence, False)


@pytest.mark.parametrize(
    "files",
    [
        {"composer.json": "{}", "public/index.html": ""},
        {"index.php": "", "index.html": ""},
        {"manage.py": "", "dist/index.html": ""},
        {"composer.json": "{}", "package.json": VITE, "index.html": ""},
        {"package.json": {"scripts": {"start": "node app.js"}}, "public/index.html": ""},
        {
            "package.json": {**VITE, "scripts": {"start": "node server.js", "build": "vite build"}},
            "index.html": "",
        },
        {
            "package.json": {"dependencies": {"express": "4"}, "main": "index.js"},
            "index.js": "",
            "index.html": "",
        },
        {"README.md": ""},
        {},
    ],
)
def test_what_is_another_runtimes_or_nobodys(tmp_path, files):
    assert found(tmp_path, files).strength == Strength.NONE


def test_the_page_that_a_bundler_begins_with_is_no_miss(tmp_path):
    files = {"package.json": {"devDependencies": {"@angular/cli": "21"}}, "src/index.html": ""}
    assert found(tmp_path, files).near_misses == ()


@pytest.mark.parametrize(
    ("files", "near"),
    [
        ({"Index.html": ""}, "Index.html: did you mean index.html?"),
        ({"index.htm": ""}, "index.htm: did you mean index.html?"),
        ({"staticfile": ""}, "staticfile: did you mean Staticfile?"),
        ({"home.html": ""}, "home.html: a site begins with index.html"),
        (
            {"_config.yml": ""},
            "_config.yml: Jekyll does not run here; build the site first, and upload _site/",
        ),
        ({"pages/index.html": ""}, "pages/index.html: is pages/ the site? Then set static.root to pages"),
        ({"README.md": ""}, "README.md: there is nothing else to serve"),
    ],
)
def test_near_misses(tmp_path, files, near):
    assert near in found(tmp_path, files).near_misses
