"""Units, Procfiles and Compose files that somebody else's supervisor takes, and that do what they say."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from stager.errors import UsageError
from stager.launch.agent.export import KINDS, Target, completed
from stager.model.droplet import Manifest, Runtime
from stager.model.host import HostTool
from stager.model.plan import Companion, Health, Limits, Process, Shell

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
APACHE = Process("web", ("apache2", "-DFOREGROUND"), stop_signal="WINCH", grace=7.0)
FPM = Process("web", ("apache2",), stop_signal="WINCH", companions=(Companion("php-fpm", ("php-fpm",)),))
PATIENCE = 10.0


def manifest(*processes, **others):
    return Manifest("0.1.0", (Runtime("php"),), processes or (APACHE,), **others)


def exported(kind, given=None, **others):
    target = completed(Target("shop", given or manifest(), **others), Path("/nowhere/shop.droplet.tar.gz"))
    return KINDS[kind](target)


def texts(kind, given=None, **others):
    return {file.name: file.text for file in exported(kind, given, **others).files}


def settings(unit):
    """The last value of each setting of a unit."""
    return dict(line.split("=", 1) for line in unit.splitlines() if re.match(r"[A-Z][A-Za-z]*=", line))


def verify(units, folder):
    """What systemd itself says to them."""
    folder.mkdir()
    for name, text in units.items():
        (folder / name).write_text(text)
    answer = subprocess.run(
        ["systemd-analyze", "verify", *(str(folder / name) for name in units)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return answer.returncode, answer.stdout + answer.stderr


@pytest.fixture
def droplet(tmp_path):
    """A directory with something that can be executed in it; systemd looks."""

    def make(name="droplet"):
        folder = tmp_path / name
        folder.mkdir()
        for script in ("startup", "stop"):
            (folder / script).write_text("#!/bin/bash\n")
            (folder / script).chmod(0o755)
        return folder

    return make


# ---- systemd

CASES = {
    "plain": (manifest(), {}),
    "several": (
        manifest(APACHE, Process("worker", Shell("work | tee log")), Process("release", ("migrate",))),
        {"instances": 3},
    ),
    "companions": (manifest(FPM), {"user": "www-data"}),
    "low-port": (manifest(), {"port": 80}),
    "socket": (manifest(), {"socket": 80}),
    "writable": (manifest(writable=("app/var", "app/100% $HOME's")), {}),
    "health": (manifest(health=Health("/up?a=%20b&c=$d'e\"", 5.0)), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_systemd_accepts_the_units(case, tmp_path, droplet):
    given, others = CASES[case]
    # Units refuse a droplet in /tmp, where the tests are.
    units = texts("systemd", given, directory="/srv/shop", **others)
    there = str(droplet())
    assert verify(
        {name: text.replace("/srv/shop", there) for name, text in units.items()}, tmp_path / "u"
    ) == (
        0,
        "",
    )


def test_systemd_accepts_any_directory(tmp_path, droplet):
    name = 'my $HOME\'s "50%" \\ droplet \u00e9'
    droplet(name)
    units = texts("systemd", manifest(writable=("app/var",)), directory=f"/srv/{name}")
    there = {
        unit: text.replace('"/srv/', f'"{tmp_path}/').replace("-/srv/", f"-{tmp_path}/")
        for unit, text in units.items()
    }
    assert verify(there, tmp_path / "units") == (0, "")


def test_systemd_does_complain_about_what_is_wrong(tmp_path):
    units = texts("systemd", directory="/srv/shop")
    code, said = verify({"shop-web@.service": units["shop-web@.service"]}, tmp_path / "units")
    assert code != 0
    assert "/srv/shop/startup is not executable" in said


def test_a_unit_has_the_limits_and_the_patience_of_the_manifest():
    given = manifest(limits=Limits(memory=300 << 20, disk=2 << 30, fds=4096), health=Health("/up", 33.0))
    unit = settings(texts("systemd", given)["shop-web@.service"])
    assert unit["MemoryMax"] == str(300 << 20)
    assert unit["LimitFSIZE"] == str(2 << 30)
    assert unit["LimitNOFILE"] == "4096"
    assert unit["TimeoutStopSec"] == "24"  # twice the grace of 7 s, and 10 s
    assert unit["TimeoutStartSec"] == "38"
    assert unit["ExecStart"] == '"/srv/shop/startup" "-t" "web"'
    assert unit["ExecStop"] == '"/srv/shop/stop" $MAINPID'
    assert unit["DynamicUser"] == "yes"


def test_instances_of_web_have_ports_and_the_others_numbers():
    given = manifest(APACHE, Process("worker", ("work",)), Process("release", ("migrate",)))
    found = exported("systemd", given, port=9000, instances=2)
    units = {file.name: file.text for file in found.files}
    assert sorted(units) == ["shop-web@.service", "shop-worker@.service", "shop.target"]
    assert re.findall("Wants=(.*)", units["shop.target"]) == [
        "shop-web@9000.service", "shop-web@9001.service", "shop-worker@1.service",
    ]  # fmt: skip
    assert "PORT" not in units["shop-worker@.service"]
    assert any("-t release" in step for step in found.next_steps)


def test_what_a_service_writes_in_its_droplet_belongs_to_a_user_that_stays():
    unit = settings(texts("systemd", manifest(writable=("app/var",)))["shop-web@.service"])
    assert unit["User"] == "www-data"
    assert "DynamicUser" not in unit
    assert unit["ReadWritePaths"] == '"-/srv/shop/app/var"'


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"name": "no/name"}, "--name"),
        ({"port": 65535, "instances": 2}, "--port"),
        ({"instances": 0}, "--port"),
        ({"user": "root"}, "--user"),
        ({"user": "a b"}, "--user"),
        ({"directory": "/srv/a\nExecStart=/bin/sh"}, "--directory"),
        ({"directory": "/tmp/droplet"}, "of their own"),
        ({"directory": "relative"}, "not absolute"),
        ({"socket": 8080}, "--socket"),
        ({"socket": 80, "instances": 2}, "--socket"),
    ],
)
def test_what_makes_no_sense_is_refused(others, said):
    with pytest.raises(UsageError) as caught:
        KINDS["systemd"](completed(replace(Target("shop", manifest()), **others), Path("/nowhere/x")))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("path", "status", "is_good"),
    [("", 200, True), ("", 404, True), ("", 503, False), ("/up", 302, True), ("/up", 404, False)],
)
def test_the_probe_is_as_strict_as_the_health_path(path, status, is_good):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == (path or "/") else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    target = completed(Target("shop", manifest(health=Health(path))), Path("/nowhere/x"))
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        environment = {"PORT": str(server.server_port), "PATH": "/bin"}
        code = subprocess.run(target.probe, env=environment, check=False, timeout=PATIENCE).returncode
        server.shutdown()
        thread.join()
    assert (code == 0) == is_good


def test_the_waiting_ends_when_the_server_is_there_or_gone(free_port):
    target = completed(Target("shop", manifest()), Path("/nowhere/x"))
    environment = {"PORT": str(free_port), "PATH": "/bin"}
    with subprocess.Popen(["sleep", "0.5"]) as main:
        waiting = subprocess.Popen(target.waiting, env={**environment, "MAINPID": str(main.pid)})
    assert waiting.wait(PATIENCE) == 1
    waiting = subprocess.Popen(target.waiting, env={**environment, "MAINPID": str(os.getpid())})
    time.sleep(0.3)
    assert waiting.poll() is None
    with socket.create_server(("127.0.0.1", free_port)) as server:
        client, _ = server.accept()
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += client.recv(1000)
        client.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
        client.close()
        assert waiting.wait(PATIENCE) == 0


# ---- Procfile


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A real droplet whose web is a pipeline of a user's."""
    folder = tmp_path_factory.mktemp("procfile")
    packed = folder / "shop.tar.gz"
    command = [sys.executable, "-m", "stager", "build"]
    subprocess.run(
        [*command, FIXTURES / "procfile_shell", "-o", packed, "--no-cache"],
        check=True,
        capture_output=True,
        env={**os.environ, "HOME": str(folder)},
    )
    there = folder / "shop"
    there.mkdir()
    subprocess.run(["tar", "-xzf", packed, "-C", there], check=True)
    return there


def wait_for_answer(port):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                return answer.status
        except OSError:
            time.sleep(0.05)
    return None


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_line_of_the_procfile_starts_and_term_stops_everything(unpacked, stager_cli, free_port, shell):
    written = stager_cli("export", "procfile", unpacked)
    assert written.returncode == 0, written.stderr
    lines = dict(line.split(": ", 1) for line in written.stdout.splitlines() if not line.startswith("#"))
    assert sorted(lines) == ["web", "worker"]
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(free_port),
        "PS": f"web.{shell}",
        "VCAP_APP_HOST": "127.0.0.1",
    }
    runner = subprocess.Popen(
        [shell, "-c", lines["web"]],
        cwd=unpacked,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_for_answer(free_port) == 200
        assert (unpacked / "run/instances" / f"web.{shell}" / "run.pid").exists()
        runner.send_signal(signal.SIGTERM)
        runner.wait(PATIENCE)
    finally:
        runner.kill()
        runner.wait()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", free_port)) != 0
    assert not (unpacked / "run/instances" / f"web.{shell}" / "run.pid").exists()


@pytest.mark.parametrize(
    ("process", "is_executed"),
    [
        (APACHE, False),
        (FPM, True),
        (Process("web", ("gunicorn",)), True),
        (Process("web", Shell("x")), False),
    ],
)
def test_only_what_knows_term_gets_it(process, is_executed):
    line = texts("procfile", manifest(process))["Procfile"].splitlines()[-1]
    assert ("exec ./startup" in line) == is_executed
    assert ("trap ./stop TERM INT" in line) == (not is_executed)


# ---- Compose

PHP = HostTool("mod_php", "runs PHP", "libapache2-mod-php8.2")


def service(given=None, **others):
    document = yaml.safe_load(texts("compose", given, **others)["compose.yaml"])
    return document["services"]["web"]


def test_a_service_has_the_limits_and_the_signal_of_the_manifest():
    given = manifest(
        limits=Limits(memory=300 << 20, fds=4096), tools=(PHP, replace(PHP, package="x", when="build"))
    )
    web = service(given, port=9000, instances=3)
    assert web["stop_signal"] == "SIGWINCH"
    assert web["stop_grace_period"] == "24s"
    assert web["deploy"] == {
        "replicas": 3,
        "resources": {"limits": {"memory": f"{300 << 20}b", "pids": 512}},
    }
    assert web["ulimits"] == {"nofile": 4096}
    assert web["ports"] == [{"target": 8080, "published": "9000-9002"}]
    assert web["command"] == ["/droplet/startup", "-t", "web"]
    assert web["volumes"] == [{"type": "bind", "source": "./shop", "target": "/droplet", "read_only": True}]
    assert "--no-install-recommends libapache2-mod-php8.2 &&" in web["build"]["dockerfile_inline"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"given": manifest(tools=(PHP,)), "port": 9000, "instances": 3, "user": "app"},
        {"given": manifest(Process("web", Shell("x"))), "directory": "/srv/$X"},
        {"given": manifest(health=Health("/healthz", 2.5))},
        {"given": manifest(health=Health(check="tcp"))},
    ],
)
def test_compose_keeps_to_the_specification(tmp_path, options):
    path = tmp_path / "compose.yaml"
    path.write_text(texts("compose", options.pop("given", None), **options)["compose.yaml"])
    done = check_compose(path)
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_text(path.read_text().replace("stop_grace_period:", "grace:"))
    assert check_compose(path).returncode == 1


def check_compose(path):
    program = Path(sys.executable).with_name("check-jsonschema")
    argv = [program, "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_compose_takes_no_dollar_for_a_variable_of_its_own():
    web = service(manifest(health=Health("/$HOME/\u00e9\U0001f600\x7f\u2028'\"\\")), directory="/srv/$X")
    assert "/$$HOME/\u00e9\U0001f600\x7f\u2028'\"\\" in web["healthcheck"]["test"]
    assert web["volumes"][0]["source"] == "/srv/$$X"
    text = texts("compose")["compose.yaml"]
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", text)


def test_a_users_shell_is_stopped_through_stop(unpacked, free_port):
    web = service(manifest(Process("web", Shell("x"))))
    assert web["stop_signal"] == "SIGTERM"
    argv = [word.replace("$$", "$").replace("/droplet/", f"{unpacked}/") for word in web["command"]]
    state = unpacked / "run/compose"
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(free_port),
        "STAGER_RUN_DIR": str(state),
        "VCAP_APP_HOST": "127.0.0.1",
    }
    runner = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_for_answer(free_port) == 200
        probe = [word.replace("$$", "$") for word in web["healthcheck"]["test"][1:]]
        assert subprocess.run(probe, env=environment, check=False, timeout=PATIENCE).returncode == 0
        runner.send_signal(signal.SIGTERM)
        runner.wait(PATIENCE)
    finally:
        runner.kill()
        runner.wait()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", free_port)) != 0
    assert not (state / "run.pid").exists()


# ---- the command


def test_files_are_written_and_told(unpacked, stager_cli, tmp_path):
    done = stager_cli("export", "compose", unpacked, "-o", tmp_path / "out", "--name", "My.Shop")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/out/compose.yaml\n"
    assert "docker compose up" in done.stderr
    assert yaml.safe_load((tmp_path / "out/compose.yaml").read_text())["name"] == "my-shop"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["compose.yaml"]
    again = stager_cli("export", "systemd", unpacked, "--directory", "/srv/shop", "--json")
    document = json.loads(again.stdout)
    assert [file["name"] for file in document["files"]] == [
        "shop-web@.service", "shop-worker@.service", "shop.target",
    ]  # fmt: skip
    assert document["written"] == []
    assert document["next"]


def test_what_is_no_droplet_is_said_so(stager_cli, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"no")
    assert stager_cli("export", "systemd", tmp_path / "x.tar.gz").returncode == 62
    assert stager_cli("export", "nonsense", tmp_path / "x.tar.gz").returncode == 2
    assert stager_cli("export", "compose", tmp_path / "x.tar.gz", "--socket", "80").returncode == 2
