"""Which Python is asked for, where, and which one of the host it gets."""

import os
import re
import subprocess
import sys

import pytest

from stager.errors import ConfigurationError, HostToolMissing, UnsupportedVersion
from stager.model.host import HostFacts, ToolFact
from stager.plugins.python_wsgi.packages.interpreters import PYTHONS, UV, Interpreter, choose_interpreter
from stager.plugins.python_wsgi.packages.versions import Wanted, is_allowed, wanted_versions
from stager.source.tree import Tree


def wanted(root, files, option=None):
    for path, text in files.items():
        (root / path).write_text(text)
    return [(one.constraint, one.where) for one in wanted_versions(Tree.of_directory(root), option)]


def host(*versions):
    paths = tuple(f"/usr/bin/python{version.rpartition('.')[0]}" for version in versions)
    if not versions:
        return HostFacts.of(ToolFact("python"))
    return HostFacts.of(ToolFact("python", paths[0], versions[0], matches=paths, versions=versions))


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".python-version", "# pyenv\n\n3.11\n3.12\n", ("3.11", ".python-version line 3")),
        (".python-version", "python-3.11.4", ("python-3.11.4", ".python-version line 1")),
        (".python-version", "cpython-3.11.4\r\n", ("cpython-3.11.4", ".python-version line 1")),
        (".python-version", "my-virtualenv\n", None),
        (".python-version", "system\n", None),
        ("runtime.txt", "python-3.11.x\n", ("3.11.x", "runtime.txt line 1")),
        (".tool-versions", "nodejs 20\npython 3.12.1 system # x\n", ("3.12.1", ".tool-versions line 2")),
        ("mise.toml", '[tools]\npython = ["3.12", "3.11"]\n', ("3.12", "mise.toml: tools.python")),
        ("pyproject.toml", '[project]\nrequires-python = ">3"\n', (">3", "pyproject.toml: requires-python")),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\npython = "^3.10"\n',
            ("^3.10", "pyproject.toml: tool.poetry.dependencies.python"),
        ),
        ("Pipfile", '[requires]\npython_version = "3.9"\n', ("3.9", "Pipfile: requires.python_version")),
        (
            "Pipfile.lock",
            '{"_meta": {"requires": {"python_version": "3.9"}}}',
            ("3.9", "Pipfile.lock: _meta.requires.python_version"),
        ),
        ("uv.lock", 'requires-python = ">=3.9"\n', (">=3.9", "uv.lock: requires-python")),
        ("setup.cfg", "[options]\npython_requires = >=3.7\n", (">=3.7", "setup.cfg: python_requires")),
        ("setup.py", "import x\nsetup(python_requires='>=3.6')\n", (">=3.6", "setup.py: python_requires")),
        ("setup.py", "print 'python 2'\n", None),
    ],
)  # fmt: skip
def test_every_file_that_may_ask_is_read(path, text, expected, tmp_path):
    assert wanted(tmp_path, {path: text}) == ([expected] if expected else [])


def test_the_option_counts_alone(tmp_path):
    assert wanted(tmp_path, {"runtime.txt": "python-3.9"}, "3.12") == [("3.12", "python_wsgi.version")]


def test_another_implementation_and_nonsense_are_refused(tmp_path):
    with pytest.raises(UnsupportedVersion, match=r"line 1 asks for pypy3\.10-7\.3\.12, which is not CPython"):
        wanted(tmp_path, {".python-version": "pypy3.10-7.3.12\n"})
    with pytest.raises(ConfigurationError, match="'latest' is no version of Python"):
        wanted(tmp_path, {}, "latest")


@pytest.mark.parametrize(
    ("constraint", "allowed", "refused"),
    [
        ("3.11", "3.11.9", "3.12.0"),
        ("3.1", "3.1.2", "3.11.0"),
        ("3", "3.14.0", "2.7.18"),
        ("3.11.4", "3.11.2", "3.10.4"),
        ("3.11.x", "3.11.2", "3.12.2"),
        ("python-3.11.*", "3.11.2", "3.12.2"),
        (">=3.11.4", "3.11.4", "3.11.2"),
        (">= 3.8, < 3.12", "3.11.2", "3.12.0"),
        (">=3.8 <3.12", "3.8.1", "3.12.0"),
        ("^3.10", "3.13.0", "3.9.9"),
        ("~3.10", "3.10.5", "3.11.0"),
        ("~=3.10", "3.12.0", "3.9.0"),
        ("^3.8 || ^4.0", "3.9.0", "3.7.0"),
        ("==3.11.*", "3.11.2", "3.12.0"),
        ("!=3.11.*,>=3.9", "3.12.0", "3.11.2"),
    ],
)
def test_constraints_mean_what_their_tools_say(constraint, allowed, refused):
    assert is_allowed(allowed, Wanted(constraint, "here"))
    assert not is_allowed(refused, Wanted(constraint, "here"))


def test_the_default_python_is_taken_where_it_will_do_else_the_newest():
    there = host("3.11.2", "3.9.1", "3.13.0", "3.10.0")
    assert choose_interpreter(there, ()).version == "3.11.2"
    assert choose_interpreter(there, [Wanted(">=3.9", "x")]).version == "3.11.2"
    assert choose_interpreter(there, [Wanted("<3.11", "x")]) == Interpreter(
        "/usr/bin/python3.10", "3.10.0", "3.10"
    )
    assert choose_interpreter(there, (), "3.9", "mod_wsgi").minor == "3.9"


def test_another_patch_release_is_taken_and_said():
    found = choose_interpreter(host("3.11.2"), [Wanted("3.11.4", ".python-version line 1")])
    assert found.note.startswith(".python-version line 1 asks for Python 3.11.4; this host has 3.11.2")


def test_what_is_not_there_is_said_with_what_is():
    with pytest.raises(UnsupportedVersion) as caught:
        choose_interpreter(host("3.11.2", "3.9.1"), [Wanted("3.12", "runtime.txt line 1")])
    assert caught.value.exit_code == 31
    assert caught.value.brief == "This host has no Python 3.12, which runtime.txt line 1 asks for."
    assert caught.value.details == (
        "Asked for:\n  runtime.txt line 1: 3.12\n"
        "This host has:\n  3.11.2  /usr/bin/python3.11\n  3.9.1  /usr/bin/python3.9"
    )
    assert caught.value.resolution.startswith("Install python3.12 here and where the droplet runs")


def test_files_that_contradict_each_other_are_told_apart_from_a_host_that_lacks_something():
    asked = [Wanted("3.12", ".python-version line 1"), Wanted("<3.12", "pyproject.toml: requires-python")]
    with pytest.raises(UnsupportedVersion) as caught:
        choose_interpreter(host("3.11.2", "3.12.0"), asked)
    assert caught.value.brief == "No version of Python is all that this application asks for."
    with pytest.raises(UnsupportedVersion) as caught:
        choose_interpreter(host("3.11.2"), [Wanted(">=3.12", "a"), Wanted("<3.14", "b")])
    assert caught.value.resolution.startswith("Install python3.13 ")


def test_a_host_without_python_is_the_hosts_fault():
    with pytest.raises(HostToolMissing, match="no Python 3"):
        choose_interpreter(host(), ())


def test_the_question_of_a_start_is_answered_by_the_same_minor_version_only():
    minor = "{}.{}".format(*sys.version_info)
    right = Interpreter("", "", minor).run_tools(is_system=True)
    assert right.programs == (f"/usr/bin/python{minor}", f"python{minor}", "python3", "python")
    done = subprocess.run(
        [sys.executable, *right.start_arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    assert done.stdout == f"{base}\n"
    wrong = Interpreter("", "", "3.1").run_tools()
    done = subprocess.run(
        [sys.executable, *wrong.start_arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == "is Python {}.{}.{}\n".format(*sys.version_info)


def test_the_question_of_a_build_is_answered():
    done = subprocess.run(
        [sys.executable, *PYTHONS.version_arguments], capture_output=True, text=True, check=True
    )
    found = re.search(PYTHONS.version_pattern, done.stdout)
    assert found[1] == "{}.{}.{}".format(*sys.version_info)


def test_the_uv_that_came_along_is_the_first_choice():
    output = subprocess.check_output([UV.programs[0], "--version"], text=True)
    assert output.startswith("uv 0.")
