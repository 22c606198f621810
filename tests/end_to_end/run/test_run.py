"""``stager run``: started, told who it is, or refused."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_says_where_it_serves_and_leaves_nothing_when_it_is_stopped(agent, droplet, number):
    process, document, _ = agent.run(droplet)
    assert (document["name"], document["status"], document["running"]) == ("shop", "running", 1)
    (instance,) = document["instances"]
    environment = agent.environment_of(instance)
    process.send_signal(number)
    assert process.wait(30) == 0
    assert "is ready on port" in process.err.read_text()
    assert agent.is_nothing_left(instance, environment["STAGER_SOCKETS"])


def test_the_application_is_told_who_it_is_and_what_it_may_take(agent, droplet, tmp_path):
    (tmp_path / "env").write_text("# a comment\nFROM_FILE='a b'\nBOTH=file\n")
    (tmp_path / "services").write_text('{"x": [{"name": "it\'s $HOME"}]}')
    document = agent.detached(
        droplet, "--env-file", tmp_path / "env", "--services", tmp_path / "services", "--instances", "2",
        "--memory", "80M", "--fds", "300", "--debug-port", "0", BOTH="flag", ODD="$(x) '\"",
    )  # fmt: skip
    second = document["instances"][1]
    found = agent.environment_of(second)
    said = json.loads(found["VCAP_APPLICATION"])
    assert (said["instance_index"], said["instance_id"], said["name"]) == (1, second["id"], "shop")
    assert said["limits"] == {"mem": 80, "disk": 1024, "fds": 300}
    assert said["uris"] == [f"localhost:{second['port']}"]
    assert found["PORT"] == found["VCAP_APP_PORT"] == str(second["port"]) == str(said["port"])
    assert found["MEMORY_LIMIT"] == "80m"
    assert found["VCAP_DEBUG_PORT"] == str(second["debug_port"])
    assert "VCAP_CONSOLE_PORT" not in found
    assert found["VCAP_SERVICES"] == (tmp_path / "services").read_text()
    assert (found["FROM_FILE"], found["BOTH"], found["ODD"]) == ("a b", "flag", "$(x) '\"")
    limits = Path(f"/proc/{second['pid']}/limits").read_text()
    assert "300" in next(line for line in limits.splitlines() if line.startswith("Max open files"))


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("exit0", "ended with exit code 0"),
        ("fail", "it is broken"),
        ("never", "Nothing listened on port"),
    ],
)
def test_an_application_that_does_not_start_says_why(agent, hasty_droplet, mode, said):
    done = agent.stager("run", hasty_droplet, "--name", "shop", *agent.variables(MODE=mode))
    assert done.returncode == 60
    assert said in done.stderr
    (kept,) = agent.instances()
    assert kept["state"] == "crashed"
    assert Path(kept["logs"]).is_dir()
    assert kept["logs"] in done.stderr
    assert not agent.marked(kept["id"])


def test_a_detached_run_that_does_not_start_says_the_same(agent, droplet):
    done = agent.stager("run", droplet, "--detach", "--json", *agent.variables(MODE="fail"))
    assert done.returncode == 60
    assert "it is broken" in json.loads(done.stdout)["error"]["details"]


def test_a_port_that_is_taken_is_named(agent, droplet):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = agent.stager("run", droplet, "-p", str(port))
    assert done.returncode == 61
    assert f"Port {port} is taken." in done.stderr
    assert list(agent.state.iterdir()) == []


def test_a_port_that_is_free_is_used_and_the_next_ones_for_the_others(agent, droplet, free_port):
    document = agent.detached(droplet, "-p", str(free_port), "--instances", "2")
    first, second = (one["port"] for one in document["instances"])
    assert first == free_port
    assert free_port < second < free_port + 100


@pytest.mark.parametrize("harm", ["cut", "changed", "no droplet"])
def test_nothing_of_a_corrupt_droplet_is_started(agent, droplet, tmp_path, harm):
    data = droplet.read_bytes()
    if harm == "changed":
        unpacked = tmp_path / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "-xf", droplet, "-C", unpacked], check=True)
        (unpacked / "app" / "server.py").write_text("print()")
        subprocess.run(["tar", "-czf", tmp_path / "bad.tar.gz", "-C", unpacked, "."], check=True)
    else:
        (tmp_path / "bad.tar.gz").write_bytes(data[: len(data) // 2] if harm == "cut" else b"no")
    done = agent.stager("run", tmp_path / "bad.tar.gz")
    assert done.returncode == 62, done.stderr
    assert list(agent.state.iterdir()) == []


def test_a_process_type_that_the_droplet_lacks_is_a_usage_error(agent, droplet):
    done = agent.stager("run", droplet, "-t", "nonsense")
    assert (done.returncode, list(agent.state.iterdir())) == (2, [])
    assert "web, job, worker" in done.stderr


def test_the_same_name_runs_only_once(agent, droplet):
    agent.detached(droplet)
    done = agent.stager("run", droplet)
    assert done.returncode == 2
    assert "shop runs already" in done.stderr
    assert len(agent.running()) == 1


def test_what_is_not_known_is_said(agent):
    done = agent.stager("restart", "nonsense")
    assert (done.returncode, "Nothing is called nonsense" in done.stderr) == (2, True)
    assert agent.stager("stop", "nonsense").returncode == 0
    assert agent.json("ps")["applications"] == []


def test_php_serves_as_an_unprivileged_account(agent, php_droplet):
    process, document, _ = agent.run(php_droplet, "--name", "php")
    (instance,) = document["instances"]
    assert agent.get(instance)
    if os.geteuid() == 0:
        members = agent.marked(instance["id"])
        assert members
        assert all(os.stat(f"/proc/{pid}").st_uid != 0 for pid in members)
    process.terminate()
    assert process.wait(30) == 0
    assert not agent.marked(instance["id"])
    assert list(agent.state.iterdir()) == []
