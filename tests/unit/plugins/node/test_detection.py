"""What counts as an application in Node, what only builds for another runtime, and what is nearly one."""

# ruff: noqa: E501  (a tree is one line of its table)

import json

import pytest

from stager.model.detection import Strength
from stager.plugins.node.detection import detect_node
from stager.plugins.php.detection import detect_php
from stager.plugins.python_wsgi.detection import detect_python
from stager.source.tree import Tree


def tree(root, files):
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    return Tree.of_directory(root)


EXPRESS = {
    "name": "a",
    "main": "app.js",
    "scripts": {"start": "node ./bin/www"},
    "dependencies": {"express": "~4.16.1"},
}
NEXT = {
    "scripts": {"dev": "next dev", "build": "next build", "start": "next start"},
    "dependencies": {"next": "14"},
}
VITE = {
    "type": "module",
    "scripts": {"dev": "vite", "build": "tsc -b && vite build", "preview": "vite preview"},
    "dependencies": {"react": "^18"},
    "devDependencies": {"vite": "^5", "@vitejs/plugin-react": "^4"},
}
LARAVEL = {
    "private": True,
    "type": "module",
    "scripts": {"dev": "vite", "build": "vite build"},
    "devDependencies": {"axios": "1", "laravel-vite-plugin": "1", "vite": "5"},
}
CRA = {
    "dependencies": {"react": "18", "react-scripts": "5.0.1"},
    "scripts": {"start": "react-scripts start", "build": "react-scripts build", "test": "react-scripts test"},
}
ANGULAR = {
    "scripts": {"ng": "ng", "start": "ng serve", "build": "ng build"},
    "devDependencies": {"@angular/cli": "17"},
}
TOOLS = {
    "devDependencies": {"prettier": "3", "lint-staged": "15", "husky": "9"},
    "scripts": {"prepare": "husky"},
}
WEBPACK = {
    "scripts": {"build": "webpack --mode production"},
    "devDependencies": {"webpack": "5", "webpack-cli": "5"},
}
COMPOSER = {"composer.json": "{}", "artisan": "#!/usr/bin/env php"}
DJANGO = {
    "manage.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE']='x'\n",
    "requirements.txt": "django\n",
}


@pytest.mark.parametrize(
    ("files", "strength", "supplies"),
    [
        ({"package.json": EXPRESS}, Strength.STRONG, False),
        ({"package.json": NEXT}, Strength.STRONG, False),
        ({"package.json": {"main": "x.js"}, "x.js": ""}, Strength.STRONG, False),
        ({"package.json": {}, "server.js": ""}, Strength.STRONG, False),
        ({"package.json": {"dependencies": {"express": "4"}}}, Strength.STRONG, False),
        ({"package.json": "{not json"}, Strength.STRONG, False),
        ({"package.json": {"scripts": {"start": "npm run gone"}}}, Strength.STRONG, False),
        ({"package.json": {"scripts": {"build": "tsc"}, "dependencies": {"x": "1"}}, "Procfile": "web: node d.js"}, Strength.STRONG, False),
        ({"package.json": {"workspaces": ["a/*"]}, "a/b/package.json": EXPRESS}, Strength.STRONG, False),
        # Express that serves what Vite has built.
        ({"package.json": VITE | {"scripts": {"build": "vite build", "start": "node server.js"}}, "index.html": "", "server.js": ""}, Strength.STRONG, False),
        # Pages.
        ({"package.json": VITE, "index.html": ""}, Strength.STRONG, True),
        ({"package.json": CRA, "public/index.html": ""}, Strength.STRONG, True),
        ({"package.json": ANGULAR, "angular.json": "{}"}, Strength.STRONG, True),
        ({"package.json": {"scripts": {"build": "astro build"}, "dependencies": {"astro": "5"}}}, Strength.STRONG, True),
        ({"package.json": {"scripts": {"build": "node make.js"}}}, Strength.STRONG, True),
        ({"package.json": {"workspaces": ["a/*"]}, "a/b/package.json": VITE, "a/b/index.html": ""}, Strength.STRONG, True),
        ({"package.json": CRA | {"scripts": {"start": "serve -s build -l 3000", "build": "x"}}}, Strength.STRONG, True),
        ({"package.json": NEXT, "next.config.js": "output: 'export'"}, Strength.STRONG, True),
        # What is lacking, planning says.
        ({"package.json": {"scripts": {"build": "vite build"}, "devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-auto": "7"}}}, Strength.STRONG, False),
        # Assets of others.
        ({"package.json": LARAVEL, **COMPOSER}, Strength.STRONG, True),
        ({"package.json": WEBPACK, **DJANGO}, Strength.STRONG, True),
        ({"package.json": WEBPACK | {"main": "webpack.config.js"}, "webpack.config.js": "", **DJANGO}, Strength.STRONG, True),
        ({"package.json": {"scripts": {"start": "gulp"}, "devDependencies": {"gulp": "4"}}, "index.php": ""}, Strength.STRONG, True),
        ({"package.json": {"scripts": {"start": "npm run dev", "dev": "vite", "build": "vite build"}, "devDependencies": {"vite": "5"}}, **COMPOSER}, Strength.STRONG, True),
        ({"package.json": {"scripts": {"build": "sass a b"}}, **DJANGO}, Strength.STRONG, True),
        ({"package.json": CRA, **DJANGO}, Strength.STRONG, True),
        ({"package.json": "{", **COMPOSER}, Strength.STRONG, True),
        # Both serve: the user has to say.
        ({"package.json": EXPRESS, **DJANGO}, Strength.STRONG, False),
        # Tools.
        ({"package.json": TOOLS, **COMPOSER}, Strength.NONE, False),
        ({"package.json": TOOLS, **DJANGO}, Strength.NONE, False),
        ({"package.json": {"dependencies": {"jquery": "3"}}, "index.php": ""}, Strength.NONE, False),
        ({"package.json": TOOLS, "index.html": ""}, Strength.NONE, False),
        ({"package.json": TOOLS}, Strength.WEAK, False),
        ({"package.json": {}}, Strength.WEAK, False),
        # Files.
        ({"server.js": ""}, Strength.WEAK, False),
        ({"index.mjs": ""}, Strength.WEAK, False),
        ({"app.js": "alert(1)", "index.html": ""}, Strength.NONE, False),
        ({"app.js": "require('http').createServer(x).listen(1)", "index.html": ""}, Strength.WEAK, False),
        ({"app.js": "", "composer.json": "{}"}, Strength.NONE, False),
        ({"site.js": ""}, Strength.NONE, False),
        ({"node_modules/x/package.json": "{}"}, Strength.NONE, False),
        ({}, Strength.NONE, False),
    ],
)  # fmt: skip
def test_the_strength_follows_from_the_files(tmp_path, files, strength, supplies):
    found = detect_node(tree(tmp_path, files))
    assert (found.strength, found.supplies) == (strength, supplies)
    assert bool(found.evidence) == bool(strength)


def test_the_evidence_says_what_for(tmp_path):
    found = detect_node(tree(tmp_path, {"package.json": LARAVEL, **COMPOSER}))
    assert found.evidence == ("package.json (Vite, for composer.json)",)


@pytest.mark.parametrize("package", [LARAVEL, WEBPACK, TOOLS, CRA])
def test_no_rival_for_php_or_python(tmp_path, package):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    php = tree(tmp_path / "a", {"package.json": package, **COMPOSER, "public/index.php": "<?php"})
    python = tree(tmp_path / "b", {"package.json": package, **DJANGO})
    assert detect_php(php).strength == Strength.STRONG
    assert detect_python(python).strength == Strength.STRONG
    for source in (php, python):
        found = detect_node(source)
        assert found.supplies or not found.strength


@pytest.mark.parametrize(
    ("files", "near"),
    [
        ({"Package.json": "{}"}, "Package.json: did you mean package.json?"),
        ({"packages.json": "{}"}, "packages.json: did you mean package.json?"),
        ({"pakage.json": "{}"}, "pakage.json: did you mean package.json?"),
        ({"package.json.txt": "{}"}, "package.json.txt: did you mean package.json?"),
        ({"package.json5": "{}"}, "package.json5: did you mean package.json?"),
        ({"web/package.json": "{}"}, "web/package.json: is web/ the application's root?"),
        ({"package-lock.json": "{}"}, "package-lock.json: a lock without its package.json"),
        ({"yarn.lock": ""}, "yarn.lock: a lock without its package.json"),
        ({"bun.lock": ""}, "bun.lock: a lock without its package.json"),
        (
            {"node_modules/x/i.js": ""},
            "node_modules/: installed packages without a package.json that asks for them",
        ),
        (
            {"deno.json": "{}"},
            "deno.json: Deno's, which droplets do not run; package.json says what Node runs",
        ),
        ({"index.ts": ""}, "index.ts: TypeScript without a package.json that says how it is compiled or run"),
    ],
)
def test_what_is_nearly_there_is_named(tmp_path, files, near):
    found = detect_node(tree(tmp_path, files))
    assert found.near_misses == (near,)
    assert found.strength == Strength.NONE


@pytest.mark.parametrize(
    "name", ["composer.json", "packages.config", "tsconfig.json", "manifest.json", "image.json"]
)
def test_other_names_are_no_misses(tmp_path, name):
    assert detect_node(tree(tmp_path, {name: "{}"})).near_misses == ()


def test_odd_names_end_well(tmp_path):
    for name in ("pack\nage.json", "Packäge.json", "package.json\x07", "  ", "server.js "):
        (tmp_path / name).write_text("{}")
    (tmp_path.joinpath("index.js")).symlink_to("server.js ")
    (tmp_path / "package.json").mkdir()
    found = detect_node(Tree.of_directory(tmp_path))
    assert found.strength == Strength.WEAK
    assert all(text.isprintable() for text in (*found.near_misses, *found.evidence))
