"""A PHP application, from its source to answers of a real Apache from an unpacked droplet."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess

import pytest

SERVERS = ["mod_php", "fpm"]
APPLICATION = {
    "index.php": "<?php echo 'hello from ', php_sapi_name();",
    "facts.php": """<?php
        header('Content-Type: application/json');
        echo json_encode([
            'uid' => posix_getuid(), 'user' => posix_getpwuid(posix_getuid())['name'],
            'https' => $_SERVER['HTTPS'] ?? null, 'address' => $_SERVER['REMOTE_ADDR'],
            'home' => getenv('HOME'), 'tmpdir' => getenv('TMPDIR'), 'port' => getenv('PORT'),
            'vcap_port' => getenv('VCAP_APP_PORT'), 'memory_limit' => ini_get('memory_limit'),
            'opcache' => opcache_get_status(false) !== false, 'memory' => getenv('MEMORY_LIMIT'),
            'upload' => ini_get('upload_max_filesize'), 'post' => ini_get('post_max_size'),
        ]);""",
    "env.php": """<?php
        $value = getenv($_GET['name'], true);
        echo base64_encode((string) $value), $value === false ? '!' : '';""",
    "slow.php": "<?php for ($i = 0; $i < 20; $i++) { usleep(100000); } echo 'finished';",
    "stuck.php": "<?php $until = time() + 300; while (time() < $until) { sleep(1); }",
    ".htaccess": "RewriteEngine On\nRewriteRule ^pretty/(.*)$ index.php?page=$1 [L]\n",
    ".env": "SECRET=1",
    ".git/config": "[core]",
    ".stager/php/own.ini": "date.timezone = Europe/Tallinn\n",
    "composer.json": "{}",
    "Procfile": "worker: php worker.php",
    "stager.yml": "php: {ini: {precision: 7}}\n",
    "settings.php": "<?php echo ini_get('date.timezone'), ' ', ini_get('precision');",
}


@pytest.fixture(params=SERVERS)
def server(request):
    return request.param


@pytest.fixture
def droplet(built, tree, unpack, server, tmp_path):
    """The application, built for one of the servers and unpacked elsewhere."""
    built(tree(APPLICATION), "--set", f"php.server={server}")
    return unpack(tmp_path / "droplet.tar.gz")


@pytest.fixture
def owned(built, tree, unpack, server, tmp_path, unprivileged_user):
    """The same, belonging to the user that starts it."""
    built(tree(APPLICATION), "--set", f"php.server={server}")
    return unpack(tmp_path / "droplet.tar.gz", account=unprivileged_user)


def test_build_boots_it_and_says_what_it_measured(built, tree, server, stager_cli, tmp_path):
    report = built(tree(APPLICATION), "--set", f"php.server={server}", "--verify", "boot")
    assert report["status"] == "succeeded"
    assert report["runtimes"] == ["php"]
    verification = report["verification"]
    assert verification["ok"] is True
    assert [finding for finding in verification["findings"] if finding["level"] in {"error", "warning"}] == []
    boot = verification["boot"]
    assert boot["status"] == "served"
    assert boot["http_status"] == 200
    assert 0 < boot["seconds_to_ready"] < 20
    assert boot["memory_bytes"] > 1 << 20
    assert boot["user"] not in {"", "root"}
    assert [phase["name"] for phase in report["phases"]] == ["detect", "plan", "assemble", "pack", "verify"]

    done = stager_cli("inspect", tmp_path / "droplet.tar.gz", "--json")
    assert done.returncode == 0, done.stderr
    fit = json.loads(done.stdout)["workers"]["web"]
    assert fit["measured_worker_bytes"] == boot["worker_bytes"] > 0
    assert fit["measured_fit"] >= fit["workers_by_cores"]["1"]
    assert stager_cli("verify", tmp_path / "droplet.tar.gz").returncode == 0


def test_it_serves_pages_rewrites_and_settings(owned, start, unprivileged_user, server):
    site = start(owned, account=unprivileged_user)
    sapi = {"mod_php": "apache2handler", "fpm": "fpm-fcgi"}[server]
    assert site.get("/").text == f"hello from {sapi}"
    assert site.get("/pretty/page").text == f"hello from {sapi}"
    assert site.get("/settings.php").text == "Europe/Tallinn 7"
    assert site.get("/nothing.php").status == 404
    assert site.get("/server-status").status == 404
    assert site.get("/").headers["Server"] == "Apache"
    assert "X-Powered-By" not in site.get("/").headers


@pytest.mark.parametrize(
    "path",
    [
        "/.htaccess",
        "/.env",
        "/.git/config",
        "/composer.json",
        "/Procfile",
        "/stager.yml",
        "/.stager/php/own.ini",
    ],
)
@pytest.mark.parametrize("server", ["mod_php"], indirect=True)
def test_what_is_not_a_page_is_never_served(owned, start, unprivileged_user, path):
    site = start(owned, account=unprivileged_user)
    for spelt in (
        path,
        path.replace("/", "//", 1),
        "/x/.." + path,
        path.replace(".", "%2e").replace("P", "%50"),
    ):
        assert site.get(spelt).status in {403, 404}, spelt


def test_it_sees_the_client_and_the_scheme_behind_a_proxy(owned, start, unprivileged_user):
    site = start(owned, account=unprivileged_user)
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "User-Agent": "browser/1"}
    facts = json.loads(site.get("/facts.php", headers=headers).text)
    assert facts["address"] == "203.0.113.9"
    assert facts["https"] == "on"
    assert json.loads(site.get("/facts.php").text)["https"] is None
    site.stop()
    site.process.wait(20)
    assert "203.0.113.9 - - [" in site.said()
    assert '"GET /facts.php HTTP/1.1" 200' in site.said()
    assert '"browser/1"' in site.said()


def test_it_knows_its_place_its_port_and_its_limits(owned, start, unprivileged_user):
    site = start(owned, account=unprivileged_user, environment={"MEMORY_LIMIT": "256m"})
    facts = json.loads(site.get("/facts.php").text)
    assert facts["home"] == f"{owned}/app"
    assert facts["tmpdir"] == f"{owned}/tmp"
    assert facts["port"] == facts["vcap_port"] == str(site.port)
    assert facts["memory"].lower() == "256m"
    assert facts["memory_limit"] == "128M"
    assert facts["opcache"] is True


AWKWARD = {
    "spaces": '{"db": [{"name": "a b  c"}]}',
    "quotes": """{"a": "it's \\"quoted\\""}""",
    "command": "$(touch /tmp/owned) `id` ${HOME} $HOME",
    "newline": "first\nsecond\n\n",
    "not_ascii": "żółć ☃ \U0001f600",
    "large": json.dumps({"key": "v" * 20_000}),
    "empty": "",
    "backslash": "\\n \\ \\\\",
    "percent": "100% %{HOME} ;<Directory> # !",
}


@pytest.mark.parametrize("name", ["VCAP_SERVICES", "VCAP_APPLICATION", "MY_VALUE"])
def test_environment_values_arrive_as_the_same_bytes_and_nowhere_else(
    owned, start, unprivileged_user, server, name
):
    import base64

    values = AWKWARD if name == "VCAP_SERVICES" else {"all": "".join(AWKWARD.values())}
    for value in values.values():
        site = start(owned, account=unprivileged_user, environment={name: value})
        answer = site.get(f"/env.php?name={name}").text
        assert not answer.endswith("!")
        assert base64.b64decode(answer) == value.encode()
        if len(value) > 10:
            assert_nowhere(value, site)
        site.stop()
        site.process.wait(20)


def assert_nowhere(value, site):
    needle = value.encode()
    for folder, _, files in os.walk(site.directory):
        for file in files:
            path = os.path.join(folder, file)
            with open(path, "rb") as opened:
                assert needle not in opened.read(), path
    assert needle not in site.log.read_bytes()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            assert needle not in cmdline.read(), pid


def test_started_as_root_php_runs_as_www_data(droplet, start, unprivileged_user):
    site = start(droplet)
    facts = json.loads(site.get("/facts.php").text)
    assert facts["user"] == "www-data"
    assert facts["uid"] != 0


def test_started_as_root_it_drops_to_the_user_that_is_named(droplet, start, unprivileged_user):
    site = start(droplet, environment={"STAGER_USER": "nobody"})
    assert json.loads(site.get("/facts.php").text)["user"] == "nobody"


def test_the_started_pid_is_the_server_and_a_second_start_is_refused(owned, start, unprivileged_user, server):
    site = start(owned, account=unprivileged_user)
    assert (owned / "run.pid").read_text().split()[0] == str(site.process.pid)
    if server == "mod_php":
        assert os.readlink(f"/proc/{site.process.pid}/exe").endswith("apache2")
    second = start(owned, account=unprivileged_user, is_waiting=False)
    assert second.process.wait(20) == 3
    assert site.get("/").status == 200


def test_a_request_in_flight_finishes_and_then_nothing_is_left(owned, start, unprivileged_user):
    site = start(owned, account=unprivileged_user)
    finish = site.begin("/slow.php")
    stopped = site.stop()
    assert stopped.returncode == 0, stopped.stderr
    answer = finish()
    assert (answer.status, answer.text) == (200, "finished")
    assert site.process.wait(20) == 0
    assert site.is_port_free()
    assert not (owned / "run.pid").exists()


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("as_root", [False, True])
def test_a_droplet_that_ran_has_nothing_new_but_its_logs(
    droplet, start, unprivileged_user, is_killed, as_root
):
    if not as_root:
        subprocess.run(["chown", "-R", f"{unprivileged_user.uid}", droplet], check=True)
    before = {*droplet.rglob("*"), droplet / "logs/env.log"}
    for _ in range(2):
        site = start(droplet, account=None if as_root else unprivileged_user)
        assert site.get("/").status == 200
        assert {*droplet.rglob("*")} > before
        if is_killed:
            os.killpg(site.process.pid, signal.SIGKILL)
            site.process.wait(20)
        stopped = site.stop()
        assert stopped.returncode == 0, stopped.stderr
        assert {*droplet.rglob("*")} == before


def test_a_stuck_worker_is_gone_after_the_grace_period(
    built, tree, unpack, start, server, tmp_path, unprivileged_user
):
    source = tree({**APPLICATION, "stager.yml": "grace: 1\n"})
    built(source, "--set", f"php.server={server}")
    site = start(unpack(tmp_path / "droplet.tar.gz", account=unprivileged_user), account=unprivileged_user)
    site.begin("/stuck.php")
    stopped = site.stop()  # in a fifth of the time that the request would take
    assert stopped.returncode == 0, stopped.stderr
    site.process.wait(20)
    assert site.is_port_free()


@pytest.mark.parametrize("victim", ["php-fpm", "apache2"])
def test_the_droplet_ends_with_an_error_when_either_of_its_programs_dies(
    built, tree, unpack, start, tmp_path, unprivileged_user, victim
):
    built(tree(APPLICATION), "--set", "php.server=fpm")
    site = start(unpack(tmp_path / "droplet.tar.gz", account=unprivileged_user), account=unprivileged_user)
    children = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(site.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    pids = [int(line.split()[0]) for line in children.stdout.splitlines() if victim in line]
    os.kill(pids[0], 9)
    assert site.process.wait(60) != 0
    assert site.is_port_free()


def test_logs_go_to_files_when_asked_for(owned, start, unprivileged_user):
    site = start(owned, account=unprivileged_user, environment={"STAGER_LOGS": "files"})
    site.get("/?wanted")
    site.stop()
    site.process.wait(20)
    assert "GET /?wanted" in (owned / "logs/stdout.log").read_text()
    assert (owned / "logs/stderr.log").exists()
    assert "GET /?wanted" not in site.said()


def test_a_read_only_droplet_runs_with_its_state_elsewhere(droplet, start, unprivileged_user, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, unprivileged_user.uid, unprivileged_user.gid)
    before = sorted(str(path) for path in droplet.rglob("*"))
    site = start(droplet, account=unprivileged_user, environment={"STAGER_RUN_DIR": str(state)})
    assert site.get("/").status == 200
    assert (state / "run.pid").exists()
    assert sorted(str(path) for path in droplet.rglob("*")) == before


def test_a_droplet_runs_at_a_path_of_odd_characters(
    built, tree, unpack, start, server, tmp_path, unprivileged_user
):
    built(tree(APPLICATION), "--set", f"php.server={server}")
    directory = unpack(
        tmp_path / "droplet.tar.gz", """o'dd "pa:th" $HOME & café\n;#""", account=unprivileged_user
    )
    site = start(directory, account=unprivileged_user)
    assert site.get("/pretty/page").status == 200
    assert site.get("/settings.php").text == "Europe/Tallinn 7"


def test_workers_fit_the_budget_and_web_concurrency_wins(owned, start, unprivileged_user):
    site = start(owned, account=unprivileged_user, environment={"MEMORY_LIMIT": "64m"})
    facts = json.loads(site.get("/facts.php").text)
    assert int(facts["memory_limit"].removesuffix("M")) < 64
    site.stop()
    site.process.wait(20)
    assert "too little for a worker of the usual size" in site.said()
    again = start(
        owned, account=unprivileged_user, environment={"WEB_CONCURRENCY": "8", "MEMORY_LIMIT": "256m"}
    )
    assert "WEB_CONCURRENCY" in again.said()


def test_no_extension_no_droplet(stager_cli, tree):
    source = tree(
        {"index.php": "<?php", "composer.json": '{"require": {"ext-imaginary": "*", "php": ">=7"}}'}
    )
    done = stager_cli("build", source, "--json")
    assert done.returncode == 31
    assert "imaginary" in done.stdout


def test_a_syntax_error_is_a_finding_and_no_droplet_is_written(stager_cli, tree, tmp_path):
    done = stager_cli(
        "build", tree({"index.php": "<?php echo 'unfinished"}), "-o", tmp_path / "x.tar.gz", "--json"
    )
    assert done.returncode == 60
    document = json.loads(done.stdout)
    findings = document["verification"]["findings"]
    assert [finding["check"] for finding in findings if finding["level"] == "error"] == ["syntax"]
    assert "index.php" in findings[0]["path"]
    assert not (tmp_path / "x.tar.gz").exists()


def test_an_application_that_fails_shows_the_end_of_its_log(stager_cli, tree, tmp_path):
    source = tree(
        {
            "index.php": "<?php error_log('the reason why'); http_response_code(500);",
            "stager.yml": "health: {timeout: 3}",
        }
    )
    done = stager_cli("build", source, "-o", tmp_path / "x.tar.gz", "--verify", "boot", "--json")
    assert done.returncode == 60
    document = json.loads(done.stdout)
    assert "the reason why" in "\n".join(document["verification"]["boot"]["log_tail"])
    assert "the reason why" in document["error"]["details"]
    assert "500" in document["error"]["details"]


def test_a_value_for_the_build_alone_never_reaches_the_droplet(stager_cli, tree, tmp_path):
    source = tree({"index.php": "<?php", "stager.yml": "hooks: {before_build: 'echo $TOKEN > leaked.txt'}"})
    done = stager_cli(
        "build", source, "--build-env", "TOKEN=very-secret-value", "-o", tmp_path / "x.tar.gz", "--json"
    )
    assert done.returncode == 60
    finding = next(
        item for item in json.loads(done.stdout)["verification"]["findings"] if item["level"] == "error"
    )
    assert (finding["check"], finding["path"]) == ("build-env", "app/leaked.txt")
    assert "very-secret-value" not in done.stdout + done.stderr


def test_ini_folders_of_the_host_do_not_push_ours_out(owned, start, unprivileged_user):
    site = start(owned, account=unprivileged_user, environment={"PHP_INI_SCAN_DIR": "/nonexistent"})
    assert site.get("/settings.php").text == "Europe/Tallinn 7"


@pytest.mark.parametrize("server", ["mod_php"], indirect=True)
def test_started_as_root_a_folder_that_the_checkout_lacks_is_made_and_can_be_written_to(
    built, tree, unpack, start, server, tmp_path, unprivileged_user
):
    symfony = {
        "composer.json": "{}",
        "bin/console": "#!/usr/bin/env php\n<?php",
        "config/bundles.php": "<?php return [];",
        "public/index.php": "<?php echo file_put_contents('../var/cache', 'kept') ? 'kept' : 'lost';",
    }
    built(tree(symfony))
    site = start(unpack(tmp_path / "droplet.tar.gz"))
    assert site.get("/").text == "kept"
