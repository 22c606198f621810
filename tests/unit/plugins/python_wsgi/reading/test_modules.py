"""How modules are read, and from which folder they are imported."""

import pytest

from stager.plugins.python_wsgi.reading.modules import LARGEST, Module, Modules, Problem, is_dotted
from stager.source.tree import Tree


def modules(root, files):
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Modules(Tree.of_directory(root))


@pytest.mark.parametrize(
    ("files", "path", "folder", "name"),
    [
        ({"a.py": ""}, "a.py", "", "a"),
        ({"p/__init__.py": "", "p/a.py": ""}, "p/a.py", "", "p.a"),
        ({"p/__init__.py": ""}, "p/__init__.py", "", "p"),
        ({"src/p/__init__.py": ""}, "src/p/__init__.py", "src", "p"),
        ({"src/p/q/__init__.py": "", "src/p/__init__.py": ""}, "src/p/q/__init__.py", "src", "p.q"),
        ({"x/a.py": ""}, "x/a.py", "x", "a"),
        ({"x/a.py": "from . import b\n"}, "x/a.py", "", "x.a"),
        ({"x/a.py": "import b\n", "x/b.py": ""}, "x/a.py", "x", "a"),
        ({"x/a.py": "import b\n", "b.py": ""}, "x/a.py", "", "x.a"),
        ({"x/a.py": "import x.b\n", "x/b.py": ""}, "x/a.py", "", "x.a"),
        ({"x/__init__.py": "", "x/a.py": "import b\n", "x/b.py": ""}, "x/a.py", "x", "a"),
        ({"x/__init__.py": "", "x/a.py": "import json\n", "x/json.py": ""}, "x/a.py", "", "x.a"),
        ({"x/a.py": "import redis\n", "redis/redis.conf": ""}, "x/a.py", "x", "a"),
        ({"my-app.py": ""}, "my-app.py", "", None),
        ({"x-y/a.py": ""}, "x-y/a.py", "x-y", "a"),
        ({"x-y/a.py": "from . import b\n"}, "x-y/a.py", "", None),
        ({"sys.py": ""}, "sys.py", "", None),
        ({"a.wsgi": ""}, "a.wsgi", "", None),
        ({"a.py": "", "a/__init__.py": ""}, "a.py", "", None),
    ],
)
def test_the_folder_and_the_name_of_a_module(tmp_path, files, path, folder, name):
    reading = modules(tmp_path, files)
    assert (reading.folder_of(path), reading.name_of(path, folder)) == (folder, name)


def test_a_file_that_is_too_large_is_not_parsed(tmp_path):
    found = modules(tmp_path, {"a.py": b"#" * (LARGEST + 1)}).read("a.py")
    assert isinstance(found, Problem)
    assert (found.is_broken, str(found)) == (False, "a.py: larger than 512 KiB, not looked at")


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    assert isinstance(modules(tmp_path, {}).read("a.py"), Problem)


def test_a_file_is_parsed_once(tmp_path):
    reading = modules(tmp_path, {"a.py": "x = 1\n"})
    found = reading.read("a.py")
    (tmp_path / "a.py").write_text("x = (\n")
    assert isinstance(found, Module)
    assert reading.read("a.py") is found


def test_lines_are_short_enough_to_be_shown(tmp_path):
    found = modules(tmp_path, {"a.py": "x = '" + "y" * 200 + "'\n"}).read("a.py")
    assert len(found.line(1)) == 80
    assert found.line(99) == ""


def test_an_f_string_that_is_wrong_in_every_version_is_an_error(tmp_path):
    found = modules(tmp_path, {"a.py": "y = 1\nx = f'{y}' +\n"}).read("a.py")
    assert isinstance(found, Problem)
    assert (found.line, found.is_broken, found.text) == (2, True, "x = f'{y}' +")


@pytest.mark.parametrize("name", ["a", "a.b", "é", "_x"])
def test_what_an_import_can_name(name):
    assert is_dotted(name)


@pytest.mark.parametrize("name", ["", "a.", ".a", "1", "a-b", "class", "a.if", "\udcff", "a b"])
def test_what_no_import_can_name(name):
    assert not is_dotted(name)
