"""Where an application says what it needs, what is refused, and what is only pointed out."""

import codecs

import pytest

from stager.errors import ConfigurationError, ConflictingLockFiles, PlanError
from stager.plugins.python_wsgi.packages.dependencies import read_dependencies
from stager.source.tree import Tree

UV_LOCK = """version = 1
requires-python = ">=3.8"

[[package]]
name = "app"
version = "0"
source = { virtual = "." }
dependencies = [{ name = "flask", extra = ["async"] }]

[package.dev-dependencies]
dev = [{ name = "gunicorn" }]

[[package]]
name = "flask"
version = "3"
dependencies = [{ name = "click" }]

[package.optional-dependencies]
async = [{ name = "asgiref" }]

[[package]]
name = "click"
version = "8"

[[package]]
name = "asgiref"
version = "3"

[[package]]
name = "gunicorn"
version = "25"
"""
POETRY_LOCK = """[[package]]
name = "Flask"
version = "3"
groups = ["main"]

[[package]]
name = "gunicorn"
version = "25"
groups = ["dev"]

[[package]]
name = "old"
version = "1"
category = "dev"
"""
ROOT = """-r requirements/base.txt  # a comment
--constraint=requirements/limits.txt
Flask_Login[extra] >= 1 ; python_version > '3' \\
    --hash=sha256:00 \\
    --hash=sha256:11
--index-url https://user:secret@example.org/simple
--find-links wheels
./wheels/local_one-1-py3-none-any.whl
named @ https://example.org/named-1.tar.gz
git+https://example.org/x.git@main#egg=From_Git
-e ./packages/own
-r https://example.org/more.txt
-r ${ELSEWHERE}/x.txt
"""
PROJECT = '[project]\nname = "app"\nversion = "0"\ndependencies = ["flask>=3", "Zope.Interface"]\n'


def read(root, files, requirements=None):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            target.write_bytes(text)
        else:
            target.write_text(text)
    return read_dependencies(Tree.of_directory(root), requirements)


def test_requirements_are_read_with_all_that_they_include(tmp_path):
    found = read(
        tmp_path,
        {
            "requirements.txt": ROOT,
            "requirements/base.txt": "-rmore.txt\r\nclick\r\n",
            "requirements/more.txt": "# only this\n-r base.txt\nrequests==2\n",
            "requirements/limits.txt": "werkzeug<3\n",
            "wheels/local_one-1-py3-none-any.whl": "",
            "packages/own/setup.py": "",
        },
    )
    assert found.manager == "requirements"
    assert found.files == (
        "requirements.txt", "requirements/base.txt", "requirements/more.txt", "requirements/limits.txt",
    )  # fmt: skip
    assert found.names == {
        "requests": "requirements/more.txt line 3",
        "click": "requirements/base.txt line 2",
        "flask-login": "requirements.txt line 3",
        "local-one": "requirements.txt line 8",
        "named": "requirements.txt line 9",
        "from-git": "requirements.txt line 10",
    }
    assert found.folders == ("wheels", "wheels/local_one-1-py3-none-any.whl", "packages/own")
    assert not found.installs_project
    assert found.warnings == ()


@pytest.mark.parametrize("line", ["-e .", ".", ".[prod]", "--editable=.", "./", "-e .[prod]"])
def test_the_application_itself_may_be_a_requirement(line, tmp_path):
    found = read(tmp_path, {"requirements.txt": f"{line}\n", "src/app/__init__.py": "", "setup.py": ""})
    assert found.installs_project
    assert found.folders == ("",)
    assert not found.source_folder


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF16_LE + "flask\r\ngunicorn # é\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "flask\ngunicorn\n".encode("utf-16-be"),
        codecs.BOM_UTF8 + b"flask\r\ngunicorn\r\n",
        "flask\ngunicorn # é".encode(),
    ],
)
def test_every_encoding_that_says_what_it_is_is_read(data, tmp_path):
    assert list(read(tmp_path, {"requirements.txt": data}).names) == ["flask", "gunicorn"]


def test_another_encoding_is_named_with_its_line(tmp_path):
    with pytest.raises(PlanError) as caught:
        read(tmp_path, {"requirements.txt": b"flask\n# caf\xe9\n"})
    assert caught.value.brief == "requirements.txt line 2 is not UTF-8."
    assert "iconv -f WINDOWS-1252 -t UTF-8 requirements.txt" in caught.value.resolution


@pytest.mark.parametrize(
    ("line", "brief"),
    [
        ("-r base.txt", "r/prod.txt line 2 includes r/base.txt, and there is no such file."),
        ("-c ../../x.txt", "r/prod.txt line 2 includes ../../x.txt, which is outside of the application."),
        ("-r /etc/passwd", "r/prod.txt line 2 includes /etc/passwd, which is outside of the application."),
        ("-e ../other", "r/prod.txt line 2 names ../other, which is outside of the application."),
        ("./other", "r/prod.txt line 2 names ./other, and the application has no such file or folder."),
        ("x @ ./other", "r/prod.txt line 2 names ./other, and the application has no such file or folder."),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_with_its_line(line, brief, tmp_path):
    files = {"requirements.txt": "-r r/prod.txt\n", "r/prod.txt": f"flask\n{line}\n", "r/bases.txt": ""}
    with pytest.raises(PlanError) as caught:
        read(tmp_path, files)
    assert caught.value.brief == brief


def test_the_option_names_the_file(tmp_path):
    files = {"deploy/needs.txt": "flask\n", "requirements.txt": "django\n", "uv.lock": UV_LOCK}
    found = read(tmp_path, files, "./deploy/needs.txt")
    assert found.files == ("deploy/needs.txt",)
    assert found.warnings == ("requirements.txt is not used: deploy/needs.txt says what is installed.",)
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, {}, "requirements/prod.txt")
    assert caught.value.details == "In the application's root: requirements.txt."


def test_two_locks_are_refused_with_the_command_that_mends_it(tmp_path):
    with pytest.raises(ConflictingLockFiles) as caught:
        read(tmp_path, {"uv.lock": "", "poetry.lock": "", "Pipfile.lock": "", "requirements.txt": ""})
    assert caught.value.brief == "3 lock files: uv.lock, poetry.lock, Pipfile.lock."
    assert "git rm poetry.lock Pipfile.lock    # keeps uv.lock, of uv" in caught.value.resolution
    assert "git rm uv.lock poetry.lock    # keeps Pipfile.lock, of pipenv" in caught.value.resolution


def test_a_lock_without_its_manifest_is_refused(tmp_path):
    with pytest.raises(ConflictingLockFiles) as caught:
        read(tmp_path, {"Pipfile.lock": "{}"})
    assert caught.value.brief == "Pipfile.lock is there, and the Pipfile that it belongs to is not."


def test_a_lock_wins_over_requirements_and_says_so(tmp_path):
    files = {"uv.lock": UV_LOCK, "pyproject.toml": PROJECT, "requirements.txt": "django\n"}
    found = read(tmp_path, files)
    assert (found.manager, found.installs_project) == ("uv", False)
    assert found.files == ("uv.lock", "pyproject.toml")
    assert found.warnings == ("requirements.txt is not used: uv.lock says what is installed.",)


def test_what_only_developers_install_is_not_among_the_names(tmp_path):
    found = read(tmp_path / "uv", {"uv.lock": UV_LOCK, "pyproject.toml": PROJECT})
    assert found.names == {
        "flask": "uv.lock line 14",
        "click": "uv.lock line 22",
        "asgiref": "uv.lock line 26",
    }
    found = read(tmp_path / "poetry", {"poetry.lock": POETRY_LOCK, "pyproject.toml": "[tool.poetry]\n"})
    assert found.names == {"flask": "poetry.lock line 2"}
    lock = '{"default": {\n"flask": {}\n}, "develop": {"pytest": {}}}'
    found = read(tmp_path / "pipenv", {"Pipfile.lock": lock, "Pipfile": ""})
    assert found.names == {"flask": "Pipfile.lock line 2"}


@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"])
def test_a_lock_that_cannot_be_read_is_named(lock, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, {lock: "{{", "pyproject.toml": PROJECT, "Pipfile": ""})
    assert caught.value.brief.startswith(f"{lock} is not valid ")


@pytest.mark.parametrize(
    ("files", "lock"),
    [
        ({"Pipfile": ""}, "pipenv lock"),
        ({"pyproject.toml": '[tool.poetry]\nname = "x"\n'}, "poetry lock"),
    ],
)
def test_a_manifest_that_means_nothing_without_its_lock_is_refused(files, lock, tmp_path):
    with pytest.raises(PlanError) as caught:
        read(tmp_path, files)
    assert caught.value.slug == "lock-file-missing"
    assert caught.value.resolution.endswith(lock)


def test_a_project_is_installed_where_it_says_how_it_is_built(tmp_path):
    built = PROJECT + '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    src = {"src/app/__init__.py": ""}
    found = read(tmp_path / "built", {"pyproject.toml": built, **src})
    assert (found.manager, found.installs_project, found.source_folder) == ("pyproject", True, "")
    assert found.names == {"flask": "pyproject.toml line 4", "zope-interface": "pyproject.toml line 4"}
    found = read(tmp_path / "plain", {"pyproject.toml": PROJECT, **src})
    assert (found.installs_project, found.source_folder, found.folders) == (False, "src", ())
    found = read(tmp_path / "virtual", {"pyproject.toml": built + "[tool.uv]\npackage = false\n", **src})
    assert (found.installs_project, found.source_folder) == (False, "src")


def test_settings_of_tools_alone_are_no_manifest(tmp_path):
    found = read(tmp_path / "tools", {"pyproject.toml": "[tool.ruff]\n", "app.py": ""})
    assert (found.manager, found.installs_anything) == ("none", False)
    found = read(
        tmp_path / "setup", {"pyproject.toml": "[tool.ruff]\n", "setup.py": "setup(install_requires=['a'])"}
    )
    assert (found.manager, found.installs_project, found.names) == ("setup", True, {"a": "setup.py line 1"})


def test_a_folder_of_requirements_is_found_and_said(tmp_path):
    found = read(
        tmp_path, {"requirements/base.txt": "flask\n", "requirements/production.txt": "-r base.txt\n"}
    )
    assert found.files == ("requirements/production.txt", "requirements/base.txt")
    assert found.warnings[0].startswith("requirements/production.txt says what is installed")


def test_poetry_installs_the_application_only_where_there_is_a_package(tmp_path):
    manifest = '[tool.poetry]\nname = "my-app"\n'
    files = {"poetry.lock": POETRY_LOCK, "pyproject.toml": manifest}
    assert not read(tmp_path / "none", files).installs_project
    assert read(tmp_path / "flat", {**files, "my_app/__init__.py": ""}).installs_project
    off = {**files, "pyproject.toml": manifest + "package-mode = false\n", "my_app/__init__.py": ""}
    assert not read(tmp_path / "off", off).installs_project
