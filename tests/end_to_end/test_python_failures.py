"""Python applications that cannot be built, or do not run: what people are told then."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
BOTTLE = "from bottle import Bottle\n\napp = Bottle()\n\n\n@app.get('/')\ndef index():\n    return 'hello'\n"
BARE = (FIXTURES / "python_wsgi_bare/wsgi.py").read_text()
IMPATIENT = "health: {timeout: 4}\n"


def test_two_locks_are_refused_with_the_command_that_mends_it(fail, tree):
    source = tree({"app.py": BOTTLE})
    for name in ("pyproject.toml", "poetry.lock"):
        shutil.copy(FIXTURES / "python_wsgi_poetry" / name, source)
    shutil.copy(FIXTURES / "python_wsgi_pdm/pdm.lock", source)
    error = fail(source, 33)
    assert "poetry.lock" in error["brief"] + error["details"]
    assert "pdm.lock" in error["brief"] + error["details"]
    assert "git rm " in error["resolution"]


def test_a_requirement_that_does_not_exist_is_named_with_its_line(fail, tree):
    files = {"app.py": BOTTLE, "requirements.txt": "# web\nbottle\nno-such-package-of-anybody==1.0\n"}
    error = fail(tree(files), 40)
    assert "no-such-package-of-anybody" in error["brief"]
    assert "requirements.txt line 3" in error["brief"] + error["resolution"]
    assert error["fault"] == "application"


def test_a_version_that_does_not_exist_is_named_with_its_line(fail, tree):
    error = fail(tree({"app.py": BOTTLE, "requirements.txt": "bottle==99.1\n"}), 40)
    assert "bottle==99.1" in error["brief"] + error["details"]
    assert "requirements.txt line 1" in error["brief"] + error["resolution"]


def test_requirements_that_contradict_each_other_are_both_named(fail, tree):
    error = fail(tree({"app.py": BOTTLE, "requirements.txt": "Flask==3.1.2\nWerkzeug==2.0.0\n"}), 40)
    said = (error["brief"] + error["details"]).lower()
    assert "flask==3.1.2" in said
    assert "werkzeug" in said


def test_a_digest_that_is_not_the_packages_is_named(fail, tree):
    wrong = "bottle==0.13.4 --hash=sha256:" + "0" * 64 + "\n"
    error = fail(tree({"app.py": BOTTLE, "requirements.txt": wrong}), 40)
    assert "bottle" in error["brief"]
    assert "0" * 64 in error["details"]


def test_what_cannot_be_compiled_shows_the_compilers_last_lines(fail):
    error = fail(FIXTURES / "python_wsgi_broken_extension", 40)
    assert "quick-sums" in error["brief"]
    assert "quick_sums.c:2" in error["details"]
    assert "a_library_that_nobody_has.h: No such file or directory" in error["details"]


def test_an_include_that_is_missing_is_named(fail, tree):
    error = fail(tree({"app.py": BOTTLE, "requirements.txt": "bottle\n-r base.txt\n"}), 30)
    assert "base.txt" in error["brief"]
    assert "requirements.txt line 2" in error["brief"] + error["details"]


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        (".python-version", "3.99\n", ".python-version line 1"),
        ("runtime.txt", "python-2.7.18\n", "runtime.txt line 1"),
        (".tool-versions", "nodejs 20\npython 3.99.1\n", ".tool-versions line 2"),
        (
            "pyproject.toml",
            '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.99"\n',
            "requires-python",
        ),
    ],
)
def test_a_python_that_the_host_does_not_have_is_named_beside_those_that_it_has(
    fail, tree, file, text, where
):
    error = fail(tree({"app.py": BARE, file: text}), 31)
    assert where in error["brief"] + error["details"]
    assert f"{sys.version_info[0]}.{sys.version_info[1]}." in error["details"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".python-version", "{minor}\n"),
        (".python-version", "{minor}.99\n"),
        ("runtime.txt", "python-{minor}.1\n"),
        (".tool-versions", "python {minor}.0\n"),
        ("pyproject.toml", '[project]\nname = "x"\nversion = "1"\nrequires-python = ">={minor},<4"\n'),
    ],
)
def test_a_python_that_the_host_has_is_taken(stager_cli, tree, file, text):
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    done = stager_cli("plan", tree({"app.py": BARE, file: text.format(minor=minor)}), "--json")
    assert done.returncode == 0, done.stderr
    assert dict(json.loads(done.stdout)["choices"])["python"].startswith(f"{minor}.")


def test_two_django_projects_are_refused_where_one_interpreter_would_hold_both(fail):
    error = fail(FIXTURES / "python_wsgi_two_djangos", 10, "--set", "python_wsgi.server=gunicorn")
    assert "2 Django projects" in error["brief"]
    assert "mod_wsgi" in error["resolution"]


def test_a_server_that_does_not_speak_the_applications_interface_is_refused(fail):
    error = fail(FIXTURES / "python_wsgi_fastapi", 10, "--set", "python_wsgi.server=waitress")
    assert "waitress does not speak ASGI" in error["brief"]
    assert "uvicorn" in error["resolution"]


def test_nothing_to_start_lists_what_was_looked_at(fail, tree):
    files = {"requirements.txt": "bottle\n", "app.py": "def helper():\n    return 1\n"}
    error = fail(tree(files), 32)
    assert "app.py" in error["details"]
    assert "entrypoint" in error["resolution"]
    assert "Procfile" in error["resolution"]


def test_a_syntax_error_is_shown_with_its_line(fail, tree):
    error = fail(tree({"requirements.txt": "", "app.py": "from bottle import Bottle\napp = Bottle(\n"}), 30)
    assert "app.py" in error["brief"] + error["details"]
    assert "line 2" in error["brief"] + error["details"]


def test_an_entry_point_that_is_not_there_is_answered_with_the_one_that_is(fail, tree):
    error = fail(
        tree({"site_app.py": BOTTLE}),
        10,
        "--runtime",
        "python",
        "--set",
        "python_wsgi.entrypoint=siteapp:app",
    )
    assert "site_app" in error["details"] + error["resolution"]


def test_a_misspelt_list_of_requirements_is_pointed_out(fail, stager_cli, tree):
    source = tree({"app.py": BOTTLE, "requirement.txt": "bottle\n", "stager.yml": IMPATIENT})
    done = stager_cli("detect", source, "--json")
    assert json.loads(done.stdout)["near_misses"] == [
        "python_wsgi: requirement.txt: did you mean requirements.txt?"
    ]
    done = stager_cli("plan", source)
    assert "requirement.txt: did you mean requirements.txt?" in done.stdout + done.stderr
    error = fail(source, 60, "--verify", "boot")
    assert "No module named 'bottle'" in error["details"]


@pytest.mark.parametrize("server", ["gunicorn", "mod_wsgi", "waitress"])
def test_an_application_that_fails_at_import_shows_the_end_of_its_traceback(fail, tree, server):
    files = {"app.py": BARE + "\nprices = {}['the cheapest']\n", "stager.yml": IMPATIENT}
    error = fail(tree(files), 60, "--verify", "boot", "--set", f"python_wsgi.server={server}")
    assert "KeyError: 'the cheapest'" in error["details"]


def test_an_application_that_never_listens_is_a_finding(fail, tree):
    files = {
        "app.py": "import time\n\ntime.sleep(600)\n",
        "Procfile": "web: python app.py\n",
        "stager.yml": IMPATIENT,
    }
    error = fail(tree(files), 60, "--verify", "boot")
    assert "listen" in error["details"]


def test_an_application_that_listens_elsewhere_is_a_finding_with_that_port(fail, tree, free_port):
    app = (FIXTURES / "python_wsgi_own_server/app.py").read_text()
    files = {"app.py": app.replace('int(os.environ["PORT"])', str(free_port)), "stager.yml": IMPATIENT}
    error = fail(tree(files), 60, "--verify", "boot")
    assert f"listen on {free_port} (127.0.0.1)" in error["details"]
