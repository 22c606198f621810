"""What counts as an application in Python, and what is only nearly one."""

import pytest

from stager.model.detection import Strength
from stager.plugins.php.detection import detect_php
from stager.plugins.python_wsgi.detection import detect_python
from stager.source.tree import Tree

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'm.settings')\n"


def tree(root, files):
    for path, content in (files if isinstance(files, dict) else dict.fromkeys(files, "")).items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    return Tree.of_directory(root)


@pytest.mark.parametrize(
    ("files", "strength", "evidence"),
    [
        (["requirements.txt"], Strength.STRONG, ("requirements.txt",)),
        (["Pipfile"], Strength.STRONG, ("Pipfile",)),
        (["Pipfile.lock"], Strength.STRONG, ("Pipfile.lock",)),
        (["uv.lock"], Strength.STRONG, ("uv.lock",)),
        (["poetry.lock"], Strength.STRONG, ("poetry.lock",)),
        (["pdm.lock"], Strength.STRONG, ("pdm.lock",)),
        (["setup.py"], Strength.STRONG, ("setup.py",)),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, Strength.STRONG, ("pyproject.toml",)),
        ({"pyproject.toml": "[tool.poetry]\nname = 'x'\n"}, Strength.STRONG, ("pyproject.toml",)),
        ({"pyproject.toml": "[tool.black]\nx = 1\n", "index.php": ""}, Strength.NONE, ()),
        ({"pyproject.toml": "not toml"}, Strength.STRONG, ("pyproject.toml",)),
        ({"manage.py": MANAGE}, Strength.STRONG, ("manage.py",)),
        ({"manage.py": MANAGE, "package.json": "{}"}, Strength.STRONG, ("manage.py",)),
        ({"site/manage.py": MANAGE}, Strength.STRONG, ("site/manage.py",)),
        ({"requirements.txt": "", "package.json": "{}"}, Strength.STRONG, ("requirements.txt",)),
        ({"app.py": FLASK}, Strength.STRONG, ("app.py (imports flask)",)),
        ({"wsgi.py": "import falcon.asgi\n"}, Strength.STRONG, ("wsgi.py (imports falcon)",)),
        ({"app.py": FLASK, "package.json": "{}"}, Strength.STRONG, ("app.py (imports flask)",)),
        ({"app.py": "from flask import (\n"}, Strength.STRONG, ("app.py (imports flask)",)),
        ({"hello.py": "print(1)\n"}, Strength.LIKELY, ("hello.py",)),
        ({"hello.py": FLASK}, Strength.LIKELY, ("hello.py",)),
        ({"a.py": "print(1)\n", "b.py": "X = 1\n"}, Strength.LIKELY, ("a.py", "b.py")),
        ({"lib.py": "X = 1\n"}, Strength.WEAK, ("lib.py, which runs nothing",)),
        ({"tool.py": "print(1)\n", "package.json": "{}"}, Strength.WEAK, ("tool.py, beside package.json",)),
        ({"tool.py": "print(1)\n", "composer.json": "{}"}, Strength.WEAK, ("tool.py, beside composer.json",)),
        ({"scripts/tool.py": "print(1)\n"}, Strength.WEAK, ("scripts/tool.py, below the root",)),
        ({"venv/pyvenv.cfg": "", "venv/lib/x.py": ""}, Strength.NONE, ()),
        ({"node_modules/x/setup.py": ""}, Strength.NONE, ()),
        (["index.html"], Strength.NONE, ()),
        ([], Strength.NONE, ()),
    ],
)
def test_the_strength_follows_from_the_files(tmp_path, files, strength, evidence):
    found = detect_python(tree(tmp_path, files))
    assert (found.strength, found.evidence) == (strength, evidence)


def test_a_bare_wsgi_function_needs_no_import(tmp_path):
    files = {"wsgi.py": "def application(environ, start_response):\n    return []\n"}
    assert detect_python(tree(tmp_path, files)).strength == Strength.STRONG


@pytest.mark.parametrize(
    "files",
    [
        {"index.php": "", "tool.py": "print(1)\n"},
        {"composer.json": "{}", "scripts/deploy.py": "print(1)\n"},
        {"public/index.php": "", "build.py": "print(1)\n", "composer.json": "{}"},
    ],
)
def test_php_with_a_stray_module_stays_php(tmp_path, files):
    source = tree(tmp_path, files)
    assert detect_php(source).strength > detect_python(source).strength


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "", "app.py": FLASK, "tool.php": ""},
        {"manage.py": MANAGE, "legacy/info.php": ""},
        {"app.py": FLASK, "docs/x.php": ""},
    ],
)
def test_python_with_a_stray_page_stays_python(tmp_path, files):
    source = tree(tmp_path, files)
    assert detect_python(source).strength > detect_php(source).strength


@pytest.mark.parametrize(
    ("files", "near_miss"),
    [
        (["requirement.txt"], "requirement.txt: did you mean requirements.txt?"),
        (["requirments.txt"], "requirments.txt: did you mean requirements.txt?"),
        (["Requirements.txt"], "Requirements.txt: did you mean requirements.txt?"),
        (["REQUIREMENTS.TXT"], "REQUIREMENTS.TXT: did you mean requirements.txt?"),
        (["requirements.text"], "requirements.text: did you mean requirements.txt?"),
        (["requirements.txt.txt"], "requirements.txt.txt: did you mean requirements.txt?"),
        (["requirements"], "requirements: did you mean requirements.txt?"),
        (["requeriments.txt"], "requeriments.txt: did you mean requirements.txt?"),
        (["pyproject.tml"], "pyproject.tml: did you mean pyproject.toml?"),
        (["PyProject.toml"], "PyProject.toml: did you mean pyproject.toml?"),
        (["PipFile"], "PipFile: did you mean Pipfile?"),
        (["pipfile"], "pipfile: did you mean Pipfile?"),
        (["App.py"], "App.py: did you mean app.py?"),
        (["mange.py"], "mange.py: did you mean manage.py?"),
        (["shop/wsgi.py"], "shop/wsgi.py: is shop/ the application's root?"),
        (["shop-main/requirements.txt"], "shop-main/requirements.txt: is shop-main/ the application's root?"),
        (
            ["environment.yml"],
            "environment.yml: conda's; requirements are read from requirements.txt or pyproject.toml",
        ),
        (
            ["venv/pyvenv.cfg"],
            "venv/: a virtual environment, which is of no use elsewhere; ignore it",
        ),
        (
            ["main.ipynb"],
            "main.ipynb: a notebook; `jupyter nbconvert --to script` makes a program of it",
        ),
    ],
)
def test_what_is_nearly_one_is_said(tmp_path, files, near_miss):
    assert near_miss in detect_python(tree(tmp_path, files)).near_misses


@pytest.mark.parametrize(
    "files",
    [
        ["requirements.txt", "requirement.txt"],
        ["requirements-dev.txt", "app.py"],
        ["requirements.txt", "shop/wsgi.py"],
        ["apps.py", "api.py", "setup.cfg"],
    ],
)
def test_what_is_right_is_not_doubted(tmp_path, files):
    assert detect_python(tree(tmp_path, files)).near_misses == ()


def test_odd_names_do_not_crash(tmp_path):
    for name in (b"\xff.py", b"a\nb.py", b"requirements.txt\xff"):
        (tmp_path / name.decode("utf-8", "surrogateescape")).write_bytes(b"\0\xff(((")
    found = detect_python(Tree.of_directory(tmp_path))
    assert found.strength == Strength.LIKELY
    for text in (*found.evidence, *found.near_misses):
        text.encode()
