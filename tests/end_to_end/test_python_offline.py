"""The installed packages of a droplet: the same bytes wherever they were installed, without a network too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
FLASK = FIXTURES / "python_wsgi_flask"
STAGER = Path(sys.executable).with_name("stager")


@pytest.fixture
def cache(request):
    """Packages that outlive the run."""
    return request.config.cache.mkdir(f"packages-{os.geteuid()}")


def members(archive):
    with tarfile.open(archive) as droplet:
        for member in droplet:
            data = droplet.extractfile(member).read() if member.isfile() else b""
            yield member, data


def differing(one, other):
    """The names of what is not the same: where digests differ, this says why."""
    ours, theirs = (
        {member.name: (member.mode, member.linkname, data) for member, data in members(archive)}
        for archive in (one, other)
    )
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def test_two_builds_by_different_people_are_the_same_bytes(built, cache, tmp_path, request):
    account = request.getfixturevalue("stranger") if os.geteuid() == 0 else None
    source = FIXTURES / "python_wsgi_extension"
    first = built(source, "--cache-dir", cache, name="a.tar.gz", umask=0o022)
    elsewhere = tmp_path / "some where else"
    shutil.copytree(source, elsewhere)
    for name in ("another home", "t", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    # Another HOME, TMPDIR, seed, locale, and no cache: everything is downloaded and compiled anew.
    environment = {
        "HOME": str(tmp_path / "another home"), "TMPDIR": str(tmp_path / "t"), "PYTHONHASHSEED": "77",
        "LANG": "C.UTF-8", "LC_ALL": None, "XDG_CACHE_HOME": None,
        "UV_INDEX_URL": "http://127.0.0.1:9/", "PIP_INDEX_URL": "http://127.0.0.1:9/",
    }  # fmt: skip
    second = built(
        elsewhere, "--no-cache", name="out/b.tar.gz", umask=0o077, environment=environment, cwd="/",
        account=account,
    )  # fmt: skip
    assert differing(tmp_path / "a.tar.gz", tmp_path / "out/b.tar.gz") == []
    assert first["droplet"]["sha256"] == second["droplet"]["sha256"]


@pytest.mark.parametrize("name", ["src_layout", "procfile", "poetry"])
def test_offline_with_a_warm_cache_gives_the_same_bytes_and_asks_nobody(built, cache, tmp_path, name):
    source = FIXTURES / f"python_wsgi_{name}"
    online = built(source, "--cache-dir", cache, name="online.tar.gz")
    offline = tmp_path / "offline.tar.gz"
    done = subprocess.run(
        [*without_network(), STAGER, "build", source, "-o", offline, "--cache-dir", cache, "--offline"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert differing(tmp_path / "online.tar.gz", offline) == []
    assert sha256(offline.read_bytes()).hexdigest() == online["droplet"]["sha256"]


def test_offline_with_a_cold_cache_is_an_error_of_its_own(stager_cli, tmp_path):
    done = stager_cli(
        "build", FLASK, "--offline", "--cache-dir", tmp_path / "cold", "-o", tmp_path / "x.tar.gz", "--json"
    )
    assert done.returncode == 44, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "offline-not-cached"
    assert "--offline" in error["resolution"]
    assert not (tmp_path / "x.tar.gz").exists()


@pytest.mark.parametrize("name", ["src_layout", "procfile"])
def test_a_droplet_holds_nothing_of_the_place_where_it_was_built(built, cache, tmp_path, name):
    workshop = tmp_path / "a very telling name"
    workshop.mkdir(mode=0o755)
    source = workshop / "upload"
    shutil.copytree(FIXTURES / f"python_wsgi_{name}", source)
    built(source, "--cache-dir", cache, environment={"TMPDIR": str(workshop)})
    compiled = 0
    for member, data in members(tmp_path / "droplet.tar.gz"):
        if member.issym() or member.islnk():
            assert not member.linkname.startswith("/"), member.name
        assert b"a very telling name" not in data, member.name
        assert os.fsencode(cache) not in data, member.name
        assert not member.name.endswith(("direct_url.json", "uv_cache.json", ".egg-link")), member.name
        if member.name.endswith(".pyc"):
            compiled += 1
            # PEP 552: 1 is "made from a hash, never to be checked".
            assert int.from_bytes(data[4:8], "little") == 1, member.name
            assert b"/site-packages/" not in data, member.name
        if member.name.startswith("deps/python/bin/") and data.startswith(b"#!"):
            assert data.startswith(b"#!/usr/bin/env python3\n"), member.name
    assert compiled > 20


def without_network():
    """What comes before a command so that it has no network at all; nothing where that cannot be had."""
    prefix = ["unshare", "--net"]
    if os.geteuid() != 0 or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        return []  # --offline alone has to do
    return prefix
