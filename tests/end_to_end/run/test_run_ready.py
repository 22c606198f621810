"""``stager run``: what speaks no HTTP says in other ways that it is ready."""

import json
import socket

import pytest

SERVER = """
import json, os, pathlib, socket, time


listener = socket.create_server((os.environ["VCAP_APP_HOST"], int(os.environ["PORT"])))
state = pathlib.Path(os.environ["TMPDIR"], "state.json")
state.write_text(json.dumps({"state": "STARTING"}))
gate = os.environ.get("GATE")
while gate and not os.path.exists(gate):
    time.sleep(0.02)
state.write_text(json.dumps({"state": "RUNNING"}))
while True:
    connection, _ = listener.accept()
    connection.sendall(b"no HTTP")
    connection.close()
"""
FILES = {"Procfile": "web: exec python3 server.py\nworker: exec sleep 1000\n", "server.py": SERVER}


@pytest.fixture
def build(tmp_path, stager_cli):
    def build(*settings):
        source = tmp_path / "plain"
        source.mkdir()
        for name, text in FILES.items():
            (source / name).write_text(text)
        target = tmp_path / "plain.droplet.tar.gz"
        words = [word for one in settings for word in ("--set", one)]
        done = stager_cli("build", source, "-o", target, *words)
        assert (done.returncode == 0) == target.exists()
        return target if done.returncode == 0 else done.stderr

    return build


def test_with_tcp_a_connection_is_enough(agent, build, stager_cli):
    droplet = build("health.check=tcp")
    (instance,) = agent.detached(droplet)["instances"]
    with socket.create_connection(("127.0.0.1", instance["port"])) as connection:
        assert connection.recv(100) == b"no HTTP"
    done = stager_cli("verify", droplet, "--boot", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["boot"]["status"] == "served"


def test_with_http_it_is_not(agent, build):
    done = agent.stager("run", build("health.timeout=2"))
    assert done.returncode == 60
    assert "accepts connections, but gave no HTTP answer" in done.stderr


def test_with_a_state_file_the_application_says_when(agent, build, open_place):
    droplet = build("health.state_file=tmp/state.json")
    process = agent.begin(droplet, GATE=open_place / "gate")
    (instance,) = agent.until(lambda: [one for one in agent.instances("plain") if agent.marked(one["id"])])
    agent.until(lambda: not agent.is_free(instance["port"]))
    assert agent.instances("plain")[0]["state"] == "starting"
    (open_place / "gate").touch()
    agent.until(lambda: agent.running("plain"))
    assert process.poll() is None


def test_a_state_file_that_never_says_so_is_quoted(agent, build, open_place):
    droplet = build("health.state_file=tmp/state.json", "health.timeout=2")
    done = agent.stager("run", droplet, *agent.variables(GATE=open_place / "gate"))
    assert done.returncode == 60
    assert 'tmp/state.json says "STARTING" after 2' in done.stderr


def test_a_state_file_lies_where_the_instance_may_write(build):
    assert "'health.state_file' cannot be" in build("health.state_file=run/../../state.json")
