"""Composer's packages, through the command line and the real Composer; no test asks the Internet."""

from __future__ import annotations

import functools
import http.server
import io
import json
import os
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from stager.plugins.php.content_hash import content_hash

FIXTURE = Path(__file__).parents[1] / "fixtures/php_composer"

pytestmark = pytest.mark.skipif(not shutil.which("composer"), reason="this host has no Composer")


@pytest.fixture
def application(tmp_path):
    """A copy of the application whose packages come from an artifact and a path repository."""

    def do(changes=None, name="app"):
        source = tmp_path / name
        shutil.copytree(FIXTURE, source)
        source.chmod(0o755)
        if changes:
            manifest = source / "composer.json"
            manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))
        return source

    return do


def failed(done, code, slug):
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert document["error"]["code"] == slug
    return document["error"]


def listing(droplet):
    """Members and digests: where bytes differ, the assertion says in which file."""
    commands = (["tar", "-tvf", droplet], ["tar", "-xOf", droplet, "droplet.sha256"])
    said = [subprocess.run(command, capture_output=True, check=True).stdout for command in commands]
    return b"".join(said).decode().splitlines()


def test_packages_are_installed_and_served_and_the_same_bytes_come_out_again(
    built, application, stager_cli, tmp_path
):
    first = built(application(), "--verify", "boot", "--cache-dir", tmp_path / "one")
    assert first["verification"]["boot"]["status"] == "served"
    assert [item for item in first["verification"]["findings"] if item["level"] != "info"] == []
    # Elsewhere, and with an empty cache; not the same as the first, which holds what its boot has measured.
    (tmp_path / "else").mkdir()
    second = built(application(name="else/where"), "--cache-dir", tmp_path / "two", name="b.tar.gz")
    third = built(application(name="third"), "--no-cache", name="c.tar.gz")
    assert listing(tmp_path / "b.tar.gz") == listing(tmp_path / "c.tar.gz")
    assert second["droplet"]["sha256"] == third["droplet"]["sha256"]

    inspected = json.loads(stager_cli("inspect", tmp_path / "droplet.tar.gz", "--json").stdout)
    layers = {layer["name"]: layer["files"] for layer in inspected["manifest"]["layers"]}
    assert layers["dependencies"] > 5


def test_the_application_answers_with_its_packages_and_without_those_for_development(
    built, application, unpack, start, tmp_path
):
    source = application()
    built(source)
    # The upload itself is as it was.
    assert not (source / "vendor").exists()
    directory = unpack(tmp_path / "droplet.tar.gz")
    assert (directory / "app/vendor/demo/greeting").is_dir()
    assert not (directory / "app/vendor/demo/clock").is_symlink()
    assert not (directory / "app/vendor/demo/checks").exists()
    site = start(directory)
    assert site.get("/").text == "Good day, composer, it is 12:00\n"
    # It lies above the document root: the front controller answers, as for every path that is no file.
    assert site.get("/vendor/composer/installed.json").text == site.get("/").text


def test_a_complete_vendor_is_used_as_it_is(built, application, programs, tmp_path):
    built(application(), "--format", "dir", name="there")
    source = application(name="complete")
    shutil.copytree(tmp_path / "there/app/vendor", source / "vendor", symlinks=True)
    (source / "vendor/demo/greeting/own.txt").write_text("mine")
    programs("composer", "echo composer was run; exit 9")
    built(source, "--format", "dir", name="again")
    assert (tmp_path / "again/app/vendor/demo/greeting/own.txt").read_text() == "mine"


def test_an_incomplete_vendor_is_completed(built, application, tmp_path):
    source = application()
    (source / "vendor").mkdir()
    (source / "vendor/autoload.php").write_text("<?php")
    built(source, "--format", "dir", name="there")
    assert (tmp_path / "there/app/vendor/demo/greeting").is_dir()


def test_a_lock_out_of_date_is_an_error_that_says_so(stager_cli, application, programs):
    programs("composer", "echo composer was run; exit 9")
    source = application({"require": {"php": "^8.1", "demo/greeting": "^2.0"}})
    error = failed(stager_cli("build", source, "--json"), 33, "conflicting-lock-files")
    assert "composer.lock is out of date" in error["brief"]
    assert "composer update" in error["resolution"]


def test_without_a_lock_nothing_is_installed_and_a_warning_says_so(built, application, programs):
    programs("composer", "echo composer was run; exit 9")
    source = application()
    (source / "composer.lock").unlink()
    (source / "public/index.php").write_text("<?php echo 'alone';")
    (warning,) = built(source)["warnings"]
    assert "composer.lock" in warning


@pytest.fixture
def server(tmp_path):
    """An application with a package from an HTTP server; the server says what it was asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(
            "composer.json", json.dumps({"name": "demo/remote", "autoload": {"classmap": ["src/"]}})
        )
        archive.writestr("src/Remote.php", "<?php class Remote { const TEXT = 'from afar'; }")
    (folder / "remote.zip").write_bytes(package.getvalue())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    asked = []
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield listener.server_address[1], asked, listener.shutdown
        listener.shutdown()
        thread.join()


@pytest.fixture
def remote(tree, server):
    """The application, and what the server was asked for."""
    port, asked, close = server
    package = {
        "name": "demo/remote", "version": "1.0.0", "type": "library", "autoload": {"classmap": ["src/"]},
        "dist": {"type": "zip", "url": f"http://127.0.0.1:{port}/remote.zip"},
    }  # fmt: skip
    manifest = {
        "name": "demo/app", "require": {"demo/remote": "1.0.0"}, "config": {"secure-http": False},
        "repositories": [{"packagist.org": False}, {"type": "package", "package": package}],
    }  # fmt: skip
    lock = {
        "content-hash": content_hash(manifest), "packages": [package], "packages-dev": [], "aliases": [],
        "minimum-stability": "stable", "stability-flags": [], "prefer-stable": False, "prefer-lowest": False,
        "platform": [], "platform-dev": [],
    }  # fmt: skip
    source = tree({
        "composer.json": json.dumps(manifest), "composer.lock": json.dumps(lock),
        "index.php": "<?php require 'vendor/autoload.php'; echo Remote::TEXT;",
    })  # fmt: skip
    return source, asked, close


def test_offline_with_a_cache_gives_the_same_droplet_and_asks_nobody(built, remote, tmp_path):
    source, asked, close = remote
    online = built(source, "--cache-dir", tmp_path / "cache")
    assert asked == ["/remote.zip"]
    close()
    offline = built(source, "--cache-dir", tmp_path / "cache", "--offline", name="b.tar.gz")
    assert offline["droplet"]["sha256"] == online["droplet"]["sha256"]
    assert asked == ["/remote.zip"]


@pytest.mark.parametrize("cache", [["--no-cache"], ["--cache-dir", "empty"]])
def test_offline_without_a_cache_lists_what_is_missing_before_anything_runs(
    stager_cli, remote, programs, tmp_path, cache
):
    source, asked, _ = remote
    programs("composer", f"touch '{tmp_path}/composer was run'")
    ran = tmp_path / "hook was run"
    done = stager_cli(
        "build",
        source,
        "--offline",
        *cache,
        "--json",
        "--set",
        f"hooks.before_build=touch '{ran}'",
        cwd=tmp_path,
    )
    error = failed(done, 44, "offline-not-cached")
    assert error["details"] == "Missing:\n  demo/remote 1.0.0"
    assert "without --offline" in error["resolution"]
    assert asked == []
    assert sorted(os.listdir(tmp_path)) == ["app", "served"]


def test_offline_needs_no_cache_for_packages_that_are_in_the_upload(built, application):
    built(application(), "--offline", "--no-cache")


def test_a_script_that_fails_is_an_error_with_its_last_lines(stager_cli, application, tmp_path):
    noise = "for i in $(seq 60); do echo noise $i; done; echo the reason why >&2; exit 3"
    source = application({"scripts": {"post-install-cmd": noise}})
    error = failed(stager_cli("build", source, "-o", tmp_path / "a.tar.gz", "--json"), 40, "step-failed")
    assert error["fault"] == "application"
    assert error["brief"].startswith("composer install ended with status ")
    lines = error["details"].splitlines()
    assert any("the reason why" in line for line in lines)
    assert any(line.endswith("noise 60") for line in lines)
    assert len(lines) < 40
    assert sorted(os.listdir(tmp_path)) == ["app"]


def test_a_script_that_never_ends_is_ended_at_the_deadline_with_all_its_children(
    stager_cli, application, tmp_path
):
    source = application(
        {"scripts": {"post-install-cmd": "echo begun; sleep 71 & setsid sleep 72 & sleep 73"}}
    )
    done = stager_cli("build", source, "-o", tmp_path / "a.tar.gz", "--timeout", "4", "--json")
    assert failed(done, 42, "timed-out")["retry"] is True
    assert sorted(os.listdir(tmp_path)) == ["app"]
    assert os.listdir(os.environ["TMPDIR"]) == []


def test_a_host_without_composer_says_what_to_install(stager_cli, application, monkeypatch, tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("bash", "env", "php"):
        (folder / name).symlink_to(shutil.which(name))
    if any((Path(place) / "composer").exists() for place in ("/usr/local/sbin", "/usr/sbin", "/sbin")):
        pytest.skip("composer lies in a folder that is always looked at")
    monkeypatch.setenv("PATH", str(folder))
    error = failed(stager_cli("build", application(), "--json"), 41, "host-tool-missing")
    assert "composer" in error["brief"]
    assert error["resolution"] == "Install it: apt-get install -y --no-install-recommends composer"
