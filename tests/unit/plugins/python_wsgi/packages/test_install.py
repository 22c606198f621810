"""The steps of an installation, run with the real tools, and what is said when they fail."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from stager.plugins.python_wsgi.packages.dependencies import read_dependencies
from stager.plugins.python_wsgi.packages.install import ignored_settings, install_steps
from stager.plugins.python_wsgi.packages.interpreters import UV, Interpreter
from stager.rendering import Renderer
from stager.source.tree import Tree

LOCKS = Path(__file__).parent / "locks"
#: A directory for uv of its own would download everything once more for each run.
CACHE = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv")
HERE = Interpreter(sys.executable, "{}.{}.{}".format(*sys.version_info), "{}.{}".format(*sys.version_info))
#: Builds a wheel without anything that would have to be downloaded.
BACKEND = """
import zipfile
WHEEL = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
def build_wheel(directory, settings=None, metadata=None):
    name = "own-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as archive:
        archive.write("src/own.py", "own.py")
        archive.writestr("own-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n")
        archive.writestr("own-1.dist-info/WHEEL", WHEEL)
        archive.writestr("own-1.dist-info/RECORD", "")
    return name
"""
OWN = {
    "pyproject.toml": '[project]\nname = "own"\nversion = "1"\ndependencies = []\n'
    '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": BACKEND,
    "src/own.py": "",
}


class Failed(AssertionError):
    """A step ended with another status than 0: what is told then, and what it printed."""

    def __init__(self, step, output, application):
        self.step, self.output = step, output
        tail = "\n".join(output.splitlines()[-30:])
        matches = ((known, re.search(known.pattern, tail)) for known in step.failures)
        self.known, found = next(((known, match) for known, match in matches if match), (None, None))
        groups = found.groupdict() if found else {}
        where = self._where(groups.get("name") or "", application)
        self.brief = self.known.brief.format(where=where, **groups) if self.known else ""
        self.resolution = self.known.resolution.format(where=where, **groups) if self.known else ""
        super().__init__(f"{step.name}: {self.brief}\n{output}")

    def _where(self, name, application):
        for path in filter(None, self.step.inputs):
            file = application / path
            text = file.read_text(errors="replace") if file.is_file() else ""
            for number, line in enumerate(text.splitlines(), 1):
                if name and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", line):
                    return f"{path} line {number}"
        return next(iter(self.step.inputs), "")


def write(root, files):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text) if isinstance(text, bytes) else target.write_text(text)


def steps_for(application, pins=()):
    source = Tree.of_directory(application)
    return install_steps(source, read_dependencies(source, None), HERE, pins)


def install(workspace, files, pins=(), environment=None, is_offline=False):
    """Write the application, run its steps as staging does; return the names of what is installed."""
    application = workspace / "app"
    write(application, files) if isinstance(files, dict) else shutil.copytree(files, application)
    for folder in ("deps", "build", "home"):
        (workspace / folder).mkdir()
    for number, step in enumerate(steps_for(application, pins)):
        run(step, number, workspace, environment or {}, is_offline)
    found = workspace.glob("deps/python/lib/python3.*/site-packages/*.dist-info")
    return sorted(path.name.partition("-")[0] for path in found)


def run(step, number, workspace, environment, is_offline):
    assert step.is_confined
    # A confined step sees its inputs, and nothing else of the application.
    application = workspace / "app"
    scratch = workspace / "app"
    if "" not in step.inputs:
        scratch = workspace / f"scratch{number}"
        scratch.mkdir()
        for path in step.inputs:
            target = scratch / path
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (application / path).is_dir() else shutil.copyfile
            if not target.exists():
                copy(application / path, target)
    argv = [UV.programs[0] if step.tool == "uv" else step.tool]
    if step.script:
        script = workspace / f"script{number}.py"
        script.write_text(Renderer().render(step.script, {}))
        argv.append(str(script))
    kept = ("SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY")
    clean = {name: os.environ[name] for name in kept if name in os.environ}
    clean |= {"PATH": os.environ["PATH"], "HOME": str(workspace / "home"), "LANG": "C.UTF-8", **environment}
    more = {**step.environment, **(step.offline_environment if is_offline else {})}
    clean |= {
        name: value.replace("{cache}/uv", environment.get("UV_CACHE_DIR", CACHE))
        for name, value in more.items()
    }
    done = subprocess.run(
        [*argv, *step.arguments], cwd=scratch, env=clean, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    if done.returncode:
        raise Failed(step, done.stdout, application)


def wheel(folder, name, version, requires=(), python=">=3.8"):
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


class Index(http.server.SimpleHTTPRequestHandler):
    """A package index of the local wheels: folders are listed with links, and `secret` wants a password."""

    def do_GET(self):
        if "/secret/" in self.path:
            self.send_error(401)
        elif "/forbidden/" in self.path:
            self.send_error(403)
        else:
            super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("index")
    wheel(root / "simple/alpha", "alpha", "1.0", ["beta>=2"])
    wheel(root / "simple/alpha", "alpha", "2.0", python=">=3.99")
    wheel(root / "simple/beta", "beta", "1.0")
    wheel(root / "simple/beta", "beta", "2.0")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Index, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def local(index, tmp_path):
    cache = str(tmp_path / "cache")
    return {"UV_DEFAULT_INDEX": f"{index}/simple", "UV_HTTP_RETRIES": "0", "UV_CACHE_DIR": cache}


def test_nothing_to_install_needs_no_step(tmp_path):
    write(tmp_path, {"app.py": "", "requirements.txt": "# nothing\n"})
    assert steps_for(tmp_path) == ()


def test_pins_alone_are_installed(index, tmp_path):
    assert install(tmp_path / "w", {"app.py": ""}, ("beta==1.0",), local(index, tmp_path)) == ["beta"]


def test_what_the_application_asks_for_wins_over_what_its_server_brings(index, tmp_path):
    files = {"requirements.txt": "beta==1.0\n"}
    assert install(tmp_path / "w", files, ("alpha==1.0",), local(index, tmp_path)) == ["alpha", "beta"]
    assert list(tmp_path.glob("w/deps/python/lib/*/site-packages/beta-1.0.dist-info"))


def test_includes_encodings_and_local_folders_are_seen_by_a_confined_step(index, tmp_path):
    files = {
        "requirements.txt": "\ufeff-r more/base.txt\r\n./own\r\n".encode("utf-16-le"),
        "more/base.txt": "\ufeffalpha==1.0\r\n-c limits.txt\r\n",
        "more/limits.txt": "beta<3",
        **{f"own/{path}": text for path, text in OWN.items()},
    }
    assert install(tmp_path / "w", files, (), local(index, tmp_path)) == ["alpha", "beta", "own"]


@pytest.mark.parametrize("files", [
    OWN,
    {**OWN, "requirements.txt": "-e .\n"},
])  # fmt: skip
def test_a_package_is_installed_and_never_editable(files, index, tmp_path):
    assert install(tmp_path / "w", files, (), local(index, tmp_path)) == ["own"]
    site = next(tmp_path.glob("w/deps/python/lib/*/site-packages"))
    assert (site / "own.py").is_file()
    assert not list(site.glob("*.pth"))


def test_dependencies_of_a_project_that_is_no_package_are_installed(index, tmp_path):
    files = {"pyproject.toml": '[project]\nname = "x"\nversion = "0"\ndependencies = ["alpha<2"]\n'}
    assert install(tmp_path / "w", files, (), local(index, tmp_path)) == ["alpha", "beta"]


@pytest.mark.parametrize("tool", ["uv", "poetry", "pipenv", "pdm", "pylock"])
def test_a_real_lock_is_installed_without_what_only_developers_need(tool, tmp_path):
    assert install(tmp_path / "w", LOCKS / tool) == ["itsdangerous"]


@pytest.mark.parametrize(
    ("tool", "old", "new", "brief"),
    [
        ("uv", '"itsdangerous"', '"itsdangerous<2"', "uv.lock is not the lock of this pyproject.toml."),
        ("poetry", 's = "*"', 's = "<2"', "poetry.lock is not the lock of this pyproject.toml."),
        ("pdm", '"itsdangerous"', '"itsdangerous<2"', "pdm.lock is not the lock of this pyproject.toml."),
    ],
)  # fmt: skip
def test_a_lock_that_is_another_manifests_is_refused(tool, old, new, brief, tmp_path):
    files = {path.name: path.read_text() for path in (LOCKS / tool).iterdir()}
    files["pyproject.toml"] = files["pyproject.toml"].replace(old, new, 1)
    with pytest.raises(Failed) as caught:
        install(tmp_path / "w", files)
    assert caught.value.brief == brief
    assert caught.value.resolution.endswith(f"{tool} lock")


def test_members_of_a_workspace_and_the_application_itself_are_installed(index, tmp_path):
    member = {
        f"packages/member/{path}".replace("own", "member"): text.replace("own", "member")
        for path, text in OWN.items()
    }
    needs = OWN["pyproject.toml"].replace("dependencies = []", 'dependencies = ["member", "beta"]')
    files = {
        **OWN,
        **member,
        "pyproject.toml": f'{needs}[tool.uv.workspace]\nmembers = ["packages/*"]\n'
        "[tool.uv.sources]\nmember = { workspace = true }\n",
    }
    write(tmp_path / "locked", files)
    environment = {**local(index, tmp_path), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(
        [UV.programs[0], "lock", "--quiet", "--python", sys.executable],
        cwd=tmp_path / "locked", env=environment, check=True,
    )  # fmt: skip
    files["uv.lock"] = (tmp_path / "locked/uv.lock").read_text()
    assert install(tmp_path / "w", files, (), local(index, tmp_path)) == ["beta", "member", "own"]


def test_offline_is_enough_once_it_was_installed_and_gives_the_same(index, tmp_path):
    environment = local(index, tmp_path)
    files = {"requirements.txt": "alpha==1.0\n"}
    install(tmp_path / "first", files, ("beta==2.0",), environment)
    install(tmp_path / "second", files, ("beta==2.0",), environment, is_offline=True)
    done = subprocess.run(
        ["diff", "-r", tmp_path / "first/deps", tmp_path / "second/deps"], capture_output=True, check=False
    )
    assert done.stdout == b""
    with pytest.raises(Failed) as caught:
        install(tmp_path / "third", {"requirements.txt": "# x\ngamma\n"}, (), environment, is_offline=True)
    assert caught.value.brief == "Offline, and gamma (requirements.txt line 2) is not in the cache."
    assert caught.value.known.is_offline


@pytest.mark.parametrize(
    ("line", "brief"),
    [
        ("gamma", "requirements.txt line 2: there is no package gamma."),
        ("beta==9", "requirements.txt line 2: there is no beta==9."),
        ("alpha==1.0\nbeta==1.0", "The requirements contradict each other."),
        ("alpha==2.0", "requirements.txt line 2: alpha needs Python >=3.99."),
        ("beta = 1", "requirements.txt line 2: `beta = 1` is no requirement: no such comparison operator"),
        ("beta==1.0 --hash=sha256:" + "0" * 64, "requirements.txt line 2: what the index has of beta is not"),
        ("--index-url {index}/secret/\nbeta", "The package index {index}/secret/ refuses the credentials"),
        (
            "--index-url {index}/forbidden/\nbeta",
            "The package index {index}/forbidden/ refuses the credentials",
        ),
        ("--index-url http://127.0.0.1:9/\nbeta", "A package index or repository cannot be reached."),
        ("x @ {index}/x-1-py3-none-any.whl", "{index}/x-1-py3-none-any.whl answered 404 "),
        ("x @ git+http://127.0.0.1:9/x.git", "A package index or repository cannot be reached."),
    ],
)
def test_a_failure_names_the_requirement_and_the_file(line, brief, index, tmp_path):
    files = {"requirements.txt": "# the second line is wrong\n" + line.replace("{index}", index) + "\n"}
    environment = local(index, tmp_path)
    if line.startswith("--index-url"):
        # The environment's index wins over the file's.
        del environment["UV_DEFAULT_INDEX"]
    with pytest.raises(Failed) as caught:
        install(tmp_path / "w", files, (), environment)
    assert caught.value.brief.startswith(brief.replace("{index}", index))


def failing_backend(text):
    return {
        "requirements.txt": "# local\n./bad\n",
        "bad/pyproject.toml": '[project]\nname = "bad"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "bad/backend.py": f"import os, subprocess\ndef build_wheel(*a):\n    {text}\n",
    }


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("raise RuntimeError('x')", "bad (requirements.txt line 2) has no wheel for this Python"),
        (
            "open('a.c', 'w').write('#include <libpq-fe.h>'); subprocess.run(['gcc', 'a.c'], check=True)",
            "A package has to be compiled, and libpq-fe.h is missing.",
        ),
        (
            "subprocess.run(['/usr/bin/no-such-gcc'])",
            "A package has to be compiled, and there is no compiler.",
        ),
        ("raise OSError(28, os.strerror(28))", "The disk is full."),
    ],
)
def test_what_cannot_be_built_is_named_with_what_is_missing(text, brief, index, tmp_path):
    with pytest.raises(Failed) as caught:
        install(tmp_path / "w", failing_backend(text), (), local(index, tmp_path))
    assert caught.value.brief.startswith(brief)


def test_only_the_applications_own_settings_of_uv_count(tmp_path):
    write(tmp_path / "none", {"requirements.txt": "x"})
    assert steps_for(tmp_path / "none")[0].environment["UV_NO_CONFIG"] == "1"
    write(tmp_path / "file", {"requirements.txt": "x", "uv.toml": ""})
    assert steps_for(tmp_path / "file")[0].environment["UV_CONFIG_FILE"] == "uv.toml"
    write(tmp_path / "table", {"requirements.txt": "x", "pyproject.toml": "[tool.uv]\nindex-url = 'x'"})
    environment = steps_for(tmp_path / "table")[0].environment
    assert "UV_NO_CONFIG" not in environment
    assert environment["UV_NO_SYSTEM_CONFIG"] == "1"


def test_settings_of_pip_that_uv_does_not_read_are_pointed_out_without_their_values():
    assert ignored_settings({"PIP_INDEX_URL": "https://u:secret@x", "A": ""}) == (
        "PIP_INDEX_URL is not read: uv installs the packages, and reads UV_DEFAULT_INDEX.",
    )
    assert ignored_settings({"PIP_INDEX_URL": "", "UV_DEFAULT_INDEX": ""}) == ()
