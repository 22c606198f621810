"""A droplet looks for its Python when it starts: another path is fine, another minor version is an error."""

from __future__ import annotations

import glob
import os
import shlex
import subprocess
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
#: Where startup looks besides the PATH, and where a host may therefore have one.
FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/opt/python*/bin", "/opt/python/*/bin")


@pytest.fixture
def droplet(build, unpack, tmp_path, account):
    build(FIXTURES / "python_wsgi_bare")
    return unpack(tmp_path / "droplet.tar.gz", account=account)


@pytest.fixture
def minor(droplet):
    """The version that the droplet is for, as the folder of its packages tells."""
    (folder,) = (droplet / "deps/python/lib").iterdir()
    return folder.name.removeprefix("python")


@pytest.fixture
def start_without(tmp_path):
    """Run ``startup`` on a host that seems to lack files: they are covered for it alone."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("only root can hide files of the host")

    def do(directory, programs=(), folders=(), **environment):
        broken = write_program(tmp_path / "covers", "broken", "exit 1")
        script = [f"mount --bind {shlex.quote(str(broken))} {shlex.quote(path)}" for path in programs]
        script += [f"mount -t tmpfs tmpfs {shlex.quote(path)}" for path in folders]
        script.append(f"exec {shlex.quote(str(directory / 'startup'))} -p 1")
        return subprocess.run(
            ["unshare", "--mount", "bash", "-euc", "\n".join(script)],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", **environment},
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    return do


def pythons(minor):
    found = (path for folder in FOLDERS for path in glob.glob(f"{folder}/python3*"))
    names = {"python3", f"python{minor}"}
    return sorted({os.path.realpath(path) for path in found if Path(path).name in names})


def write_program(folder, name, script):
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_a_python_at_another_path_runs_it(droplet, start, account, tmp_path, minor):
    real = os.path.realpath(f"/usr/bin/python{minor}")
    if not Path(real).exists():
        pytest.skip(f"Python {minor} of this host is elsewhere already")
    folder = tmp_path / "own pythons"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / f"python{minor}").symlink_to(real)
    site = start(droplet, account=account, environment={"PATH": f"{folder}:{os.environ['PATH']}"})
    assert "Nothing but WSGI" in site.get("/").text


def test_one_that_only_has_the_name_is_passed_over(droplet, start, account, tmp_path, minor):
    folder = tmp_path / "pretenders"
    for name in (f"python{minor}", "python3", "python"):
        write_program(folder, name, "echo 'I am something else' >&2; exit 1")
    site = start(droplet, account=account, environment={"PATH": f"{folder}:{os.environ['PATH']}"})
    assert "Nothing but WSGI" in site.get("/").text


def test_without_its_minor_version_nothing_runs(droplet, start_without, tmp_path, minor):
    (droplet / "app/.profile").write_text("echo THE PROFILE RAN\n")
    folder = tmp_path / "others"
    write_program(folder, "python3", "echo 'Python 3.4.1'; exit 1")
    done = start_without(droplet, pythons(minor), PATH=f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin")
    assert done.returncode == 4, done.stderr
    assert f"python {minor} is not on this host" in done.stderr.lower()
    assert f"apt-get install python{minor}" in done.stderr
    assert str(folder / "python3") in done.stderr
    assert "THE PROFILE RAN" not in done.stdout + done.stderr
    assert not (droplet / "run.pid").exists()


def test_without_mod_wsgi_nothing_runs(build, unpack, start_without, tmp_path):
    build(FIXTURES / "python_wsgi_bare", "--set", "python_wsgi.server=mod_wsgi")
    directory = unpack(tmp_path / "droplet.tar.gz")
    modules = glob.glob("/usr/lib*/apache2/modules/mod_wsgi*")
    done = start_without(directory, folders={os.path.dirname(module) for module in modules})
    assert done.returncode == 4, done.stderr
    assert "mod_wsgi" in done.stderr
    assert "apt-get install libapache2-mod-wsgi-py3" in done.stderr
    assert not (directory / "run.pid").exists()
