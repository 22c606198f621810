"""Somebody else's packages: a good one, really installed, and broken ones that must not take PHP down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from stager.registry import BUILT_IN

FIXTURES = Path(__file__).parents[1] / "fixtures"
PACKAGE = FIXTURES / "plugin_package"
APPLICATION = FIXTURES / "plugin_package_app"
PHP = {"index.php": "<?php echo 'hello';"}


@pytest.fixture(scope="module")
def environment_of_its_own(tmp_path_factory):
    """A virtual environment with the plugin installed by pip, which sees stager where the tests see it."""
    root = tmp_path_factory.mktemp("plugin")
    directory = root / "venv"
    venv.create(directory, with_pip=False, symlinks=True)
    python = directory / "bin/python"
    # --system-site-packages would show those of the interpreter below, not those of a virtual environment.
    (site,) = directory.glob("lib/python*/site-packages")
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "beside.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in packages)
    )
    source = root / "source"
    shutil.copytree(PACKAGE, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-input",
         "--disable-pip-version-check", source],
        check=True, timeout=120,
    )  # fmt: skip
    return python


@pytest.fixture
def stager_there(environment_of_its_own, tmp_path):
    """Runs the stager of that environment."""

    def call(*arguments):
        return subprocess.run(
            [environment_of_its_own, "-m", "stager", *arguments],
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return call


def test_an_installed_plugin_is_listed_with_its_package_and_version(stager_there):
    done = stager_there("runtimes")
    assert done.returncode == 0, done.stderr
    assert "pyserve  from stager-pyserve 1.2.3\n    A serve.py that brings its own server." in done.stdout
    assert done.stdout.startswith("php")

    document = json.loads(stager_there("runtimes", "--json").stdout)
    found = {item["runtime"]: item for item in document["runtimes"]}
    assert found["pyserve"]["package"] == "stager-pyserve 1.2.3"
    assert found["pyserve"]["host_tools"] == ["python3"]
    assert document["problems"] == []


def test_the_options_of_a_plugin_are_in_the_schema(stager_there):
    done = stager_there("schema")
    assert done.returncode == 0, done.stderr
    section = json.loads(done.stdout)["properties"]["pyserve"]
    assert section["properties"]["greeting"]["default"] == "hello"
    assert section["properties"]["greeting"]["description"] == "What serve.py finds in greeting.txt."
    assert section["additionalProperties"] is False


def test_doctor_knows_the_tools_of_a_plugin(stager_there):
    document = json.loads(stager_there("doctor", "--runtime", "pyserve", "--json").stdout)
    (runtime,) = document["runtimes"]
    assert (runtime["runtime"], [tool["name"] for tool in runtime["tools"]]) == ("pyserve", ["python3"])


def test_a_plugin_stages_an_application_that_boots_and_answers(stager_there, unpack, start, tmp_path):
    done = stager_there(
        "build", APPLICATION, "--set", "pyserve.greeting=Moin", "--verify", "boot", "--json", "-o", "a.tar.gz"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["runtimes"] == ["pyserve"]
    said = {"runtime": "pyserve", "strength": "strong", "evidence": ["serve.py"]}
    assert said in report["detections"]
    assert [one for one in report["detections"] if one["strength"] == "strong"] == [said]
    assert report["verification"]["boot"]["status"] == "served"
    assert "pyserve-greeting" in report["verification"]["checks"]

    site = start(unpack(tmp_path / "a.tar.gz"), environment={"STAGER_USER": "nobody"})
    assert site.get("/").text == "Moin from serve.py\n"


def test_the_options_of_a_plugin_come_from_stager_yml_too_and_unknown_ones_are_refused(
    stager_there, tmp_path
):
    source = tmp_path / "app"
    shutil.copytree(APPLICATION, source)
    (source / "stager.yml").write_text("pyserve: {greeting: Ahoi}\n")
    assert stager_there("build", source, "--format", "dir", "-o", "there").returncode == 0
    assert (tmp_path / "there/pyserve/greeting.txt").read_text().strip() == "Ahoi"

    (source / "stager.yml").write_text("pyserve: {greting: Ahoi}\n")
    done = stager_there("build", source)
    assert done.returncode == 10
    assert "pyserve.greeting" in done.stderr


def test_the_check_of_a_plugin_runs_when_building_and_when_verifying(stager_there, tmp_path):
    empty = ("build", APPLICATION, "--set", "pyserve.greeting=", "-o", "a.tar.gz")
    done = stager_there(*empty, "--json")
    assert done.returncode == 60
    (finding,) = json.loads(done.stdout)["verification"]["findings"]
    assert finding == {
        "check": "pyserve-greeting", "level": "error",
        "message": "the greeting is empty", "path": "pyserve/greeting.txt",
    }  # fmt: skip
    assert not (tmp_path / "a.tar.gz").exists()

    assert stager_there(*empty, "--verify", "none").returncode == 0
    done = stager_there("verify", "a.tar.gz")
    assert done.returncode == 60
    assert "pyserve/greeting.txt: the greeting is empty" in done.stdout


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Installs a distribution ``broken-plugin 0.9`` with the given module, the way pip leaves it."""
    site = tmp_path / "site"
    site.mkdir()
    site.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(site))

    def write(module):
        (site / "broken_plugin.py").write_text("from stager import *\nfrom stager import hookimpl\n" + module)
        information = site / "broken_plugin-0.9.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 0.9\n")
        (information / "entry_points.txt").write_text("[stager]\nbroken = broken_plugin\n")

    return write


BUILDPACK = """
class Broken(Buildpack):
    runtime = "{runtime}"
    def detect(self, source):
        {detect}
    def plan(self, context):
        {plan}
@hookimpl
def stager_register_buildpacks():
    return [Broken()]
"""
DETECTS = "return Detection(Strength.STRONG if source.has('broken.txt') else Strength.NONE, ('broken.txt',))"
#: What is broken when the registry is loaded, and a text that has to be in the error.
WHEN_LOADED = {
    "raises at import": ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
    "exits at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "cannot be parsed": ("def (", "SyntaxError"),
    "lacks a module": ("import nothing_like_it", "nothing_like_it"),
    "raises in its hook": (
        "@hookimpl\ndef stager_register_buildpacks():\n    raise KeyError('in the hook')",
        "in the hook",
    ),
    "misspells its hook": (
        "@hookimpl\ndef stager_register_buildpack():\n    return []",
        "Did its author mean stager_register_buildpacks?",
    ),
    "claims php": (
        BUILDPACK.format(runtime="php", detect=DETECTS, plan="return BuildPlan('php')"),
        "It claims the runtime 'php', which stager",
    ),
    "registers no buildpack": (
        "@hookimpl\ndef stager_register_buildpacks():\n    return ['php']",
        "'php' is not a Buildpack",
    ),
    "registers no check": ("@hookimpl\ndef stager_register_checks():\n    return [3]", "3 is not a Check"),
}


@pytest.mark.parametrize("case", WHEN_LOADED)
def test_a_plugin_that_is_broken_is_named_and_php_keeps_working(broken, stager_cli, tree, tmp_path, case):
    module, said = WHEN_LOADED[case]
    broken(module)

    done = stager_cli("runtimes", "--json")
    assert done.returncode == 70
    document = json.loads(done.stdout)
    ours = [name.rpartition(".")[2] for name in BUILT_IN]
    assert [item["runtime"] for item in document["runtimes"]] == ours
    (problem,) = document["problems"]
    assert problem["code"] == "plugin-broken"
    assert problem["brief"] == "The plugin broken-plugin 0.9 is broken."
    assert said in problem["details"] + problem["resolution"]
    assert "The plugin broken-plugin 0.9 is broken." in done.stderr
    assert "Traceback" not in done.stderr

    done = stager_cli("build", tree(PHP), "-o", tmp_path / "a.tar.gz", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["runtimes"] == ["php"]
    assert any("broken-plugin 0.9" in warning for warning in report["warnings"])


def test_what_a_broken_plugin_would_have_brought_cannot_be_asked_for(broken, stager_cli, tree):
    broken("raise RuntimeError('no such luck')")
    done = stager_cli("build", tree(PHP), "--runtime", "broken", "--json")
    assert done.returncode == 70
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["fault"]) == ("plugin-broken", "platform")
    assert "broken-plugin 0.9" in error["brief"]
    assert "pip uninstall broken-plugin" in error["resolution"]


@pytest.mark.parametrize(
    ("detect", "said"),
    [("raise ValueError('cannot look')", "ValueError: cannot look"), ("return None", "returned None")],
)
def test_a_plugin_that_cannot_detect_is_named_where_it_matters(broken, stager_cli, tree, detect, said):
    broken(BUILDPACK.format(runtime="broken", detect=detect, plan="return None"))
    source = tree(PHP)
    done = stager_cli("detect", source)
    assert done.returncode == 0
    assert "→ php" in done.stdout
    assert "broken-plugin 0.9" in done.stderr

    for arguments in (["build", source, "--runtime", "broken"], ["build", tree({"a.txt": ""}, "other")]):
        done = stager_cli(*arguments, "--json")
        assert done.returncode == 70, done.stderr
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "plugin-broken"
        assert "broken-plugin 0.9" in error["brief"]
        assert said in error["details"]


@pytest.mark.parametrize(
    ("plan", "said"),
    [("raise ValueError('cannot plan')", "ValueError: cannot plan"), ("return None", "returned None")],
)
def test_a_plugin_that_cannot_plan_is_named_and_leaves_php_alone(
    broken, stager_cli, tree, tmp_path, plan, said
):
    broken(BUILDPACK.format(runtime="broken", detect=DETECTS, plan=plan))
    done = stager_cli("build", tree({"broken.txt": ""}), "--json", "-o", tmp_path / "a.tar.gz")
    assert done.returncode == 70
    error = json.loads(done.stdout)["error"]
    assert "broken-plugin 0.9" in error["brief"]
    assert said in error["details"]
    assert "Traceback" not in done.stderr
    assert stager_cli("build", tree(PHP, "other"), "-o", tmp_path / "b.tar.gz", "-q").returncode == 0
    assert os.listdir(os.environ["TMPDIR"]) == []


def test_a_check_that_raises_is_an_error_that_names_it(broken, stager_cli, tree):
    broken(
        "class Check:\n    name = 'sceptic'\n"
        "    def run(self, droplet):\n        raise ValueError('no idea')\n"
        "@hookimpl\ndef stager_register_checks():\n    return [Check()]"
    )
    done = stager_cli("build", tree(PHP), "--json")
    assert done.returncode == 60
    (finding,) = json.loads(done.stdout)["verification"]["findings"]
    assert (finding["check"], finding["level"]) == ("sceptic", "error")
    assert "ValueError: no idea" in finding["message"]
