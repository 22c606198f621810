"""The supervisor dies, and somebody else goes on."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest


def test_another_run_adopts_what_lives_and_tells_what_died_meanwhile(agent, droplet):
    first, second = agent.detached(droplet, "--instances", "2")["instances"]
    agent.kill_supervisor()
    os.killpg(second["pid"], signal.SIGKILL)
    agent.until(lambda: not agent.is_there(second["pid"]))
    seen = agent.application()
    assert (seen["supervisor"], seen["running"]) == (None, 1)
    assert [one["reason"] for one in seen["instances"]] == ["", "lost"]
    process, document, _ = agent.run(droplet, "--instances", "2")
    said = process.err.read_text()
    assert f"shop/0 lives: adopted (process {first['pid']}, port {first['port']})" in said
    assert f"shop/1 ended while nobody watched (process {second['pid']})" in said
    now = [one for one in document["instances"] if one["state"] == "running"]
    assert [one["id"] == old["id"] for one, old in zip(now, (first, second), strict=True)] == [True, False]
    sockets = agent.environment_of(now[0])["STAGER_SOCKETS"]
    os.killpg(first["pid"], signal.SIGKILL)
    agent.until(lambda: [one for one in agent.running() if one["id"] not in {now[0]["id"], now[1]["id"]}])
    assert not os.path.exists(sockets)


def test_other_wishes_replace_what_was_adopted(agent, droplet):
    (first,) = agent.detached(droplet, COLOUR="red")["instances"]
    agent.kill_supervisor()
    process, _, _ = agent.run(droplet, COLOUR="blue")
    now = agent.until(lambda: [one for one in agent.running() if one["id"] != first["id"]])[0]
    assert now["port"] == first["port"]
    assert agent.environment_of(now)["COLOUR"] == "blue"
    assert not agent.marked(first["id"])
    assert process.poll() is None


def test_restart_works_when_nobody_supervises(agent, droplet):
    (first,) = agent.detached(droplet, COLOUR="red")["instances"]
    agent.kill_supervisor()
    agent.json("restart", "shop")
    (now,) = agent.running()
    assert now["id"] != first["id"]
    assert agent.environment_of(now)["COLOUR"] == "red"
    assert agent.application()["supervisor"]


def test_stop_works_when_nobody_supervises(agent, droplet):
    (instance,) = agent.detached(droplet)["instances"]
    sockets = agent.environment_of(instance)["STAGER_SOCKETS"]
    agent.kill_supervisor()
    assert "nobody watches it" in agent.stager("ps").stdout
    agent.json("stop", "shop")
    assert agent.is_nothing_left(instance, sockets)


def test_a_daemon_that_outlived_its_server_and_its_supervisor_is_ended(agent, droplet):
    (instance,) = agent.detached(droplet, MODE="daemon")["instances"]
    agent.kill_supervisor()
    os.kill(instance["pid"], signal.SIGKILL)
    agent.until(lambda: not agent.is_there(instance["pid"]))
    assert agent.marked(instance["id"])
    agent.json("stop", "shop")
    assert agent.is_nothing_left(instance)


@pytest.mark.parametrize("command", ["stop", "restart"])
def test_a_stranger_under_a_recycled_pid_is_left_alone(agent, droplet, command):
    (instance,) = agent.detached(droplet)["instances"]
    agent.kill_supervisor()
    os.killpg(instance["pid"], signal.SIGKILL)
    agent.until(lambda: not agent.marked(instance["id"]))
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        try:
            path = Path(instance["logs"]).parent / "instance.json"
            record = json.loads(path.read_text())
            path.write_text(json.dumps({**record, "pid": stranger.pid}))
            assert agent.instances()[0]["reason"] == "lost"
            agent.json(command, "shop")
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_supervisor_that_dies_while_it_stops_leaves_the_rest_to_the_next(agent, droplet):
    agent.detached(droplet, "--instances", "2")
    seen = agent.application()
    os.kill(seen["supervisor"], signal.SIGTERM)
    os.kill(seen["supervisor"], signal.SIGKILL)
    agent.json("stop", "shop")
    assert not [pid for one in seen["instances"] for pid in agent.marked(one["id"])]
    assert list(agent.state.iterdir()) == []


def test_an_ordinary_user_runs_applications_as_itself(
    tmp_path, stager_cli, droplet, unprivileged_user, agent
):
    theirs = type(agent)(tmp_path / "open", stager_cli, unprivileged_user)
    try:
        (instance,) = theirs.detached(droplet)["instances"]
        members = agent.marked(instance["id"])
        assert {os.stat(f"/proc/{pid}").st_uid for pid in members} == {unprivileged_user.uid}
        assert (theirs.state / "shop").stat().st_mode & 0o777 == 0o700
        theirs.kill_supervisor()
        theirs.json("restart", "shop")
        (now,) = theirs.running()
        refused = theirs.stager("run", droplet, "--name", "other", "--user", "daemon")
        assert (refused.returncode, "only root" in refused.stderr) == (61, True)
    finally:
        theirs.json("stop", "shop")
    assert theirs.is_nothing_left(now)


def test_a_state_directory_that_the_account_cannot_reach_is_named(tmp_path, stager_cli, droplet, agent):
    if os.geteuid() != 0:
        pytest.skip("only root starts applications as somebody else")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = stager_cli("run", droplet, "--state-dir", closed / "state")
    assert done.returncode == 51
    assert str(closed) in done.stderr
