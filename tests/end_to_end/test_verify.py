"""verify, inspect, detect, plan, runtimes, doctor and schema: what they say, to people and to programs."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

STAGER = Path(sys.executable).with_name("stager")
APPLICATION = {
    "index.php": "<?php echo 'hello';",
    "css/style.css": "body { color: teal }",
    "bin/tool": "#!/bin/sh\necho tool\n",
    "Procfile": "worker: php worker.php\n",
}


@pytest.fixture(scope="module")
def droplets(tmp_path_factory):
    """One application as a droplet of every format."""
    root = tmp_path_factory.mktemp("droplets")
    source = root / "app"
    for path, content in APPLICATION.items():
        file = source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o755 if content.startswith("#!") else 0o644)
    (source / "link").symlink_to("css/style.css")
    for name, format_ in (("a.tar.gz", "tar.gz"), ("a.tar.zst", "tar.zst"), ("directory", "dir")):
        subprocess.run([STAGER, "build", source, "--format", format_, "-o", root / name, "-q"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    return root


@pytest.fixture
def source(droplets):
    return droplets / "app"


@pytest.fixture
def verified(stager_cli):
    """Verify and return exit code and document; what goes wrong is shown by text, too."""

    def do(droplet, *arguments):
        done = stager_cli("verify", droplet, "--json", *arguments)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    return do


@pytest.fixture
def changed(droplets, tmp_path):
    """The droplet again, after ``change`` has been at its members: a list of [TarInfo, bytes]."""

    def do(change):
        with tarfile.open(droplets / "a.tar.gz") as archive:
            members = [[info, archive.extractfile(info).read() if info.isreg() else b""] for info in archive]
        members = change(members) or members
        target = tmp_path / "changed.tar.gz"
        with tarfile.open(target, "w:gz", format=tarfile.GNU_FORMAT) as archive:
            for info, data in members:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return target

    return do


def the(members, name):
    return next(member for member in members if member[0].name.rstrip("/") == name)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst", "directory"])
def test_a_good_droplet_is_fine(stager_cli, verified, droplets, name):
    code, document = verified(droplets / name)
    assert code == 0
    assert set(document) == {"schema", "ok", "findings", "boot", "checks"}
    assert (document["schema"], document["ok"], document["findings"], document["boot"]) == (1, True, [], None)
    assert {"digests", "names", "modes", "links", "scripts", "configuration"} <= set(document["checks"])

    done = stager_cli("verify", droplets / name)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{droplets / name}: fine (")
    assert stager_cli("verify", droplets / name, "-q").stderr == ""


def test_what_was_only_packed_again_is_still_fine(verified, changed):
    assert verified(changed(lambda members: None))[0] == 0


@pytest.mark.parametrize("name", ["a.tar.zst", "directory"])
def test_verify_boots_a_droplet_and_leaves_it_as_it_is(stager_cli, verified, droplets, tmp_path, name):
    droplet = tmp_path / name
    if name == "directory":
        shutil.copytree(droplets / name, droplet, symlinks=True)
    else:
        shutil.copyfile(droplets / name, droplet)
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    code, document = verified(droplet, "--boot")
    assert code == 0, document
    boot = document["boot"]
    assert boot["status"] == "served"
    assert boot["http_status"] == 200
    assert 0 < boot["seconds_to_ready"] < 30
    assert boot["memory_bytes"] > 1 << 20
    assert document["checks"][-1] == "boot"
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    assert os.listdir(os.environ["TMPDIR"]) == []


def a_changed_file(members):
    the(members, "app/index.php")[1] = b"<?php echo 'owned';"


def an_extra_file(members):
    members.insert(3, [tarfile.TarInfo("app/back/door.php"), b"<?php"])


def a_missing_file(members):
    members.remove(the(members, "app/css/style.css"))


def a_changed_mode(members):
    the(members, "app/index.php")[0].mode = 0o755


def an_odd_mode(members):
    the(members, "app/index.php")[0].mode = 0o666


def a_changed_link(members):
    the(members, "app/link")[0].linkname = "index.php"


def a_file_for_a_link(members):
    member = the(members, "app/link")
    member[0].type, member[1] = tarfile.REGTYPE, b"body"


def set_user_id(members):
    the(members, "app/bin/tool")[0].mode = 0o4755


def a_startup_that_cannot_run(members):
    the(members, "startup")[0].mode = 0o644


def another_startup(members):
    the(members, "startup")[1] = b"#!/bin/bash\necho owned\n"


def no_list_of_digests(members):
    members.remove(the(members, "droplet.sha256"))


def a_shorter_list(members):
    member = the(members, "droplet.sha256")
    member[1] = b"".join(line for line in member[1].splitlines(True) if b"index.php" not in line)


@pytest.mark.parametrize(
    ("change", "check", "path"),
    [
        (a_changed_file, "digests", "app/index.php"),
        (an_extra_file, "names", "app/back/door.php"),
        (a_missing_file, "names", "app/css/style.css"),
        (a_changed_mode, "layers", "droplet.yaml"),
        (an_odd_mode, "modes", "app/index.php"),
        (a_changed_link, "layers", "droplet.yaml"),
        (a_file_for_a_link, "names", "app/link"),
        (set_user_id, "modes", "app/bin/tool"),
        (a_startup_that_cannot_run, "modes", "startup"),
        (another_startup, "digests", "startup"),
        (no_list_of_digests, "names", "droplet.sha256"),
        (a_shorter_list, "names", "app/index.php"),
    ],
)
def test_what_was_tampered_with_is_named(stager_cli, verified, changed, change, check, path):
    droplet = changed(change)
    code, document = verified(droplet)
    assert code == 60
    assert document["ok"] is False
    found = {(item["check"], item["path"]) for item in document["findings"] if item["level"] == "error"}
    assert (check, path) in found
    done = stager_cli("verify", droplet)
    assert done.returncode == 60
    assert f"error: {check}: {path}: " in done.stdout


def test_a_droplet_with_an_error_is_never_started(verified, changed, tmp_path):
    def change(members):
        the(members, "startup")[1] = f"#!/bin/bash\ntouch '{tmp_path}/it was started'\n".encode()

    code, document = verified(changed(change), "--boot")
    assert (code, document["boot"]) == (60, None)
    assert not (tmp_path / "it was started").exists()


def link_out(members):
    the(members, "app/link")[0].linkname = "../../../etc/passwd"


def absolute_link(members):
    the(members, "app/link")[0].linkname = "/etc/passwd"


def hard_link(members):
    member = the(members, "app/link")
    member[0].type, member[0].linkname = tarfile.LNKTYPE, "app/index.php"


def parent_directory(members):
    the(members, "app/index.php")[0].name = "app/../../index.php"


def fifo(members):
    the(members, "app/link")[0].type = tarfile.FIFOTYPE


def twice(members):
    members.append(the(members, "app/index.php"))


def no_manifest(members):
    members.remove(the(members, "droplet.yaml"))


def manifest_of_the_future(members):
    member = the(members, "droplet.yaml")
    member[1] = member[1].replace(b"schema: 1\n", b"schema: 999\n", 1)


def garbage_for_a_manifest(members):
    the(members, "droplet.yaml")[1] = b"{]: \0\xff"


def list_for_a_manifest(members):
    the(members, "droplet.yaml")[1] = b"[1, 2]"


def manifest_without_processes(members):
    member = the(members, "droplet.yaml")
    member[1] = member[1].replace(b"\nprocesses:", b"\nprocessors:", 1)


def manifest_with_a_text_for_a_number(members):
    the(members, "droplet.yaml")[1] = b"schema: 1\nstager_version: 1\nruntimes: [3]\nprocesses: {web: 5}\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (link_out, "app/link"),
        (absolute_link, "app/link"),
        (hard_link, "app/link"),
        (parent_directory, "app/../../index.php"),
        (fifo, "app/link"),
        (twice, "app/index.php"),
        (no_manifest, "droplet.yaml"),
        (manifest_of_the_future, "999"),
        (garbage_for_a_manifest, "droplet.yaml"),
        (list_for_a_manifest, "droplet.yaml"),
        (manifest_without_processes, "processes"),
        (manifest_with_a_text_for_a_number, "droplet.yaml"),
    ],
)
def test_what_is_no_droplet_is_refused_by_verify_and_inspect(stager_cli, changed, change, said):
    droplet = changed(change)
    for command in ("verify", "inspect"):
        done = stager_cli(command, droplet, "--json")
        assert done.returncode == 62, (command, done.stderr)
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "droplet-corrupt"
        assert said in error["brief"] + error["details"]
        assert error["resolution"]
        assert "Traceback" not in done.stderr


def test_a_droplet_that_was_cut_short_is_noticed_wherever_it_was_cut(stager_cli, droplets, tmp_path):
    whole = (droplets / "a.tar.gz").read_bytes()
    # Between two members of gzip there is nothing that decompressing alone would notice.
    members = [place for place in range(1, len(whole)) if whole.startswith(b"\x1f\x8b\x08", place)]
    assert members
    for size in sorted({1, 100, len(whole) // 2, len(whole) - 9, len(whole) - 1, *members[:6]}):
        cut = tmp_path / "cut.tar.gz"
        cut.write_bytes(whole[:size])
        done = stager_cli("verify", cut)
        assert done.returncode == 62, (size, done.stdout, done.stderr)
        assert done.stdout == ""
        assert "→" in done.stderr


@pytest.mark.parametrize(
    "data",
    [b"", b"hello\n", b"\x1f\x8b\x08garbage", b"\x28\xb5\x2f\xfdgarbage", gzip.compress(b"hello", mtime=0)],
    ids=["nothing", "text", "gzip", "zstd", "no tar"],
)
def test_what_is_no_archive_is_no_droplet(stager_cli, tmp_path, data):
    (tmp_path / "x.tar.gz").write_bytes(data)
    for command in ("verify", "inspect"):
        done = stager_cli(command, tmp_path / "x.tar.gz")
        assert done.returncode == 62, done.stderr
        assert "x.tar.gz" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_source_directory_is_no_droplet(stager_cli, source):
    done = stager_cli("verify", source)
    assert done.returncode == 62
    assert "droplet.yaml" in done.stderr


def test_a_directory_that_was_tampered_with_is_named(verified, droplets, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(droplets / "directory", copy, symlinks=True)
    (copy / "app/index.php").write_text("<?php echo 'owned';")
    (copy / "app/extra.php").write_text("<?php")
    (copy / "app/css/style.css").unlink()
    (copy / "stop").chmod(0o644)
    code, document = verified(copy)
    assert code == 60
    found = {(item["check"], item["path"]) for item in document["findings"]}
    assert found >= {
        ("digests", "app/index.php"), ("names", "app/extra.php"),
        ("names", "app/css/style.css"), ("modes", "stop"),
    }  # fmt: skip


def test_verify_boot_of_a_dead_application_shows_its_log(stager_cli, tree, tmp_path):
    dead = tree(
        {
            "index.php": "<?php error_log('why it is dead'); http_response_code(500);",
            "stager.yml": "health: {timeout: 2}",
        }
    )
    assert stager_cli("build", dead, "-o", tmp_path / "dead.tar.gz").returncode == 0
    done = stager_cli("verify", tmp_path / "dead.tar.gz", "--boot")
    assert done.returncode == 60
    assert "why it is dead" in done.stdout
    assert stager_cli("verify", tmp_path / "dead.tar.gz").returncode == 0


def test_verify_has_a_deadline(stager_cli, tree, tmp_path):
    slow = tree({"index.php": "<?php sleep(20);"})
    assert stager_cli("build", slow, "-o", tmp_path / "slow.tar.gz").returncode == 0
    done = stager_cli("verify", tmp_path / "slow.tar.gz", "--boot", "--timeout", "1", "--json")
    assert done.returncode == 42
    assert json.loads(done.stdout)["error"]["code"] == "timed-out"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst", "directory"])
def test_inspect_shows_manifest_processes_and_sizes(stager_cli, droplets, name):
    done = stager_cli("inspect", droplets / name, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    manifest = document["manifest"]
    assert {"schema", "runtimes", "processes", "environment", "limits", "health", "layers", "tools"} <= set(
        manifest
    )
    assert [layer["name"] for layer in manifest["layers"]] == ["dependencies", "app", "launch"]
    assert list(manifest["processes"]) == ["web", "worker"]
    assert manifest["processes"]["worker"]["command"] == {"shell": "php worker.php"}
    assert document["droplet"]["format"] == {"directory": "dir"}.get(name, name.removeprefix("a."))
    assert document["sizes"]["files"] > 5
    assert document["sizes"]["by_folder"]["app/"] == sum(len(text) for text in APPLICATION.values())

    text = stager_cli("inspect", droplets / name).stdout
    for expected in (
        "Staged for php",
        "web: ",
        "worker: php worker.php",
        "requests in flight finish",
        "Layers:",
        "apache2",
    ):
        assert expected in text


def test_inspect_counts_workers_for_another_budget(stager_cli, droplets):
    def workers(*arguments):
        done = stager_cli("inspect", droplets / "a.tar.gz", "--json", *arguments)
        return json.loads(done.stdout)["workers"]["web"]["workers_by_cores"]["4"]

    assert workers("--memory", "4G") > workers() > workers("--memory", "256M") >= 1
    assert stager_cli("inspect", droplets / "a.tar.gz", "--memory", "lots").returncode in {2, 10}


def test_detect_shows_evidence_and_near_misses(stager_cli, source, tree):
    document = json.loads(stager_cli("detect", source, "--json").stdout)
    assert document == {
        "schema": 1,
        "detections": [
            {"runtime": "php", "strength": "strong", "evidence": ["index.php"]},
            {"runtime": "procfile", "strength": "weak", "evidence": ["Procfile"]},
        ],
        "near_misses": [],
        "selected": ["php"],
    }
    assert stager_cli("detect", source).stdout.startswith("→ php (strong): index.php\n")
    package = '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "7"}}'
    said = stager_cli("detect", tree({"index.php": "", "package.json": package}, "two")).stdout
    assert "→ node (strong, builds for another): package.json (Vite, for index.php)\n" in said

    done = stager_cli("detect", tree({"Composer.json": "{}", "readme.txt": ""}))
    assert done.returncode == 21
    assert done.stdout == ""
    assert "Composer.json" in done.stderr


def test_plan_shows_everything_and_does_nothing(stager_cli, source, tmp_path):
    before = sorted(os.listdir(tmp_path))
    done = stager_cli("plan", source, "--env", "A=B", "--build-env", "TOKEN=very-secret", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"schema", "runtimes", "steps", "files", "processes", "environment", "limits", "tools"} <= set(
        document
    )
    assert document["schema"] == 1
    assert document["environment"]["A"] == "B"
    assert document["build_environment"] == ["TOKEN"]
    assert "very-secret" not in done.stdout
    assert sorted(os.listdir(tmp_path)) == before
    # Pure: the same again.
    assert (
        stager_cli("plan", source, "--env", "A=B", "--build-env", "TOKEN=very-secret", "--json").stdout
        == done.stdout
    )

    text = stager_cli("plan", source).stdout
    for expected in (
        "Runtimes: php",
        "Steps: none",
        "apache/apache2.conf",
        "web: ",
        "worker: php worker.php",
    ):
        assert expected in text


def test_schema_accepts_what_the_build_accepts(stager_cli, source, tmp_path):
    import jsonschema

    done = stager_cli("schema")
    assert done.returncode == 0
    validator = jsonschema.Draft202012Validator(json.loads(done.stdout))
    validator.check_schema(validator.schema)
    assert validator.is_valid({"runtime": "php", "memory": "1G", "php": {"server": "fpm"}})
    for wrong in ({"memroy": "1G"}, {"php": {"server": "iis"}}, {"grace": "soon"}):
        assert not validator.is_valid(wrong)
        (tmp_path / "wrong.yml").write_text(json.dumps(wrong))
        assert stager_cli("plan", source, "--config", tmp_path / "wrong.yml").returncode in {10, 23}


def test_doctor_on_a_complete_host_is_content(stager_cli):
    done = stager_cli("doctor", "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    php = next(item for item in document["runtimes"] if item["runtime"] == "php")
    tools = {tool["name"]: tool for tool in php["tools"]}
    assert tools["apache2"]["path"].endswith("apache2")
    assert tools["apache2"]["version"].startswith("2.4")
    assert tools["php"]["version"].startswith("8.")
    assert stager_cli("doctor", "--runtime", "php").returncode == 0


@pytest.fixture
def bare_host(tmp_path):
    """Runs stager where there is neither Apache nor PHP: what holds them is mounted over, for it alone."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in (
        "bash",
        "env",
        "cat",
        "mktemp",
        "uname",
        "rm",
        "mkdir",
        "id",
        "sleep",
        "stat",
        "readlink",
        "ps",
    ):
        found = shutil.which(name, path="/usr/bin:/bin")
        assert found, name
        (folder / name).symlink_to(found)
    script = (
        "set -e; for place in /usr/sbin /usr/local/sbin /usr/lib/apache2; do"
        ' if [ -e "$place" ]; then mount -t tmpfs none "$place"; fi; done; exec "$@"'
    )

    def call(*arguments):
        return subprocess.run(
            ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, "sh",
             "/usr/bin/env", f"PATH={folder}", sys.executable, "-m", "stager", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        )  # fmt: skip

    if call("--version").returncode != 0:
        pytest.skip("this container may not mount")
    return call


def test_doctor_on_a_bare_host_says_what_is_missing_and_what_installs_it(bare_host):
    done = bare_host("doctor")
    assert done.returncode == 0, done.stderr
    assert "php: not ready" in done.stdout.splitlines()
    assert "apache2 is missing: answers HTTP requests (package apache2)" in done.stdout
    install = done.stdout.splitlines()[-1].split()
    assert install[:2] == ["apt-get", "install"]
    assert {"apache2", "libapache2-mod-php", "php-cli", "composer"} <= set(install)

    told = json.loads(bare_host("doctor", "--json").stdout)["runtimes"]
    php = next(one for one in told if one["runtime"] == "php")
    assert php["ok"] is False
    assert {"apache2", "mod_php", "php-fpm", "php", "composer"} <= set(php["missing"])
    assert bare_host("doctor", "--runtime", "php").returncode == 41


def test_a_build_without_the_server_says_what_it_did_not_check(bare_host, source, stager_cli, tmp_path):
    done = bare_host("build", source, "-o", "a.tar.gz", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    findings = json.loads((tmp_path / "report.json").read_text())["verification"]["findings"]
    assert {(item["check"], item["level"]) for item in findings} == {
        ("configuration", "skipped"),
        ("syntax", "skipped"),
    }
    summary = done.stderr[done.stderr.index("Droplet ") :]
    assert "Not checked: the configuration of web was not checked" in summary
    assert "apache2" in summary

    # What was built there is complete: where there is a server, all of it is checked.
    assert stager_cli("verify", tmp_path / "a.tar.gz", "--boot").returncode == 0
    done = bare_host("verify", "a.tar.gz", "--json")
    assert done.returncode == 0, done.stderr
    assert [item["level"] for item in json.loads(done.stdout)["findings"]] == ["skipped"]
