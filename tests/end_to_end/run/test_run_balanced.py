"""Several instances at one port, through HAProxy."""

import os
import signal
import socket

import pytest


def test_all_instances_are_served_at_one_port(agent, droplet, free_port):
    document = agent.detached(droplet, "--instances", "3", "--balance", str(free_port))
    assert document["balancer"]["port"] == free_port
    at = {"port": free_port}
    seen = set()
    agent.until(lambda: seen.add(asked(agent, at)) or len(seen) == 3)
    assert seen == {one["id"] for one in agent.running()}
    environment = agent.environment_of(at)
    assert environment["VCAP_APP_HOST"] == "127.0.0.1"
    assert f'"uris": ["localhost:{free_port}"]' in environment["VCAP_APPLICATION"]
    assert f"shop - balancer running {free_port}" in " ".join(agent.stager("ps").stdout.split())
    pid = document["balancer"]["pid"]
    agent.json("stop", "shop")
    assert not agent.is_there(pid)
    assert agent.is_free(free_port)
    assert list(agent.state.iterdir()) == []


def asked(agent, at):
    return agent.environment_of(at)["STAGER_INSTANCE_ID"]


def test_a_balancer_that_dies_is_started_again(agent, droplet, free_port):
    agent.detached(droplet, "--balance", str(free_port))
    pid = agent.application()["balancer"]["pid"]
    os.kill(pid, signal.SIGKILL)
    now = agent.until(lambda: (found := agent.application()["balancer"]["pid"]) not in (None, pid) and found)
    assert agent.until(lambda: answers(agent, free_port))
    assert agent.is_there(now)


def answers(agent, port):
    try:
        return agent.environment_of({"port": port})
    except (OSError, ValueError):
        return None


def test_it_serves_on_when_its_supervisor_has_died_and_is_adopted(agent, droplet, free_port, load):
    agent.detached(droplet, "--balance", str(free_port))
    pid = agent.application()["balancer"]["pid"]
    with load(free_port) as clients:
        agent.kill_supervisor()
        clients.wait_for_more()
        agent.detached(droplet, "--balance", str(free_port))
        clients.wait_for_more()
    assert clients.lost == []
    assert agent.application()["balancer"] == {"port": free_port, "pid": pid, "state": "running"}
    agent.kill_supervisor()
    agent.json("stop", "shop")
    assert not agent.is_there(pid)
    assert list(agent.state.iterdir()) == []


def test_a_run_without_a_balancer_ends_the_one_that_was_left(agent, droplet, free_port):
    agent.detached(droplet, "--balance", str(free_port))
    pid = agent.application()["balancer"]["pid"]
    agent.kill_supervisor()
    agent.detached(droplet)
    assert not agent.is_there(pid)
    assert agent.application()["balancer"] is None


@pytest.mark.parametrize(("options", "said"), [(("-p", "8080"), "Leave one"), (("-t", "worker"), "worker")])
def test_what_contradicts_a_balancer_is_refused(agent, droplet, free_port, options, said):
    done = agent.stager("run", droplet, "--balance", str(free_port), *options)
    assert (done.returncode, said in done.stderr) == (2, True)
    assert list(agent.state.iterdir()) == []


def test_a_port_that_is_taken_is_told_before_anything_is_started(agent, droplet):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = agent.stager("run", droplet, "--balance", str(port))
    assert (done.returncode, f"Port {port} is taken" in done.stderr) == (61, True)
    assert "is starting" not in done.stderr
    assert list(agent.state.iterdir()) == []


def test_an_ordinary_user_has_a_balancer_too(
    tmp_path, stager_cli, droplet, next_droplet, unprivileged_user, agent, free_port
):
    theirs = type(agent)(tmp_path / "open", stager_cli, unprivileged_user)
    theirs.detached(droplet, "--balance", str(free_port))
    try:
        pid = theirs.application()["balancer"]["pid"]
        assert os.stat(f"/proc/{pid}").st_uid == unprivileged_user.uid
        theirs.json("run", next_droplet, "--replace", "shop")
        assert theirs.environment_of({"port": free_port})["STAGER_INSTANCE_ID"] == theirs.running()[0]["id"]
    finally:
        theirs.json("stop", "shop")
    assert not theirs.is_there(pid)
    assert list(theirs.state.iterdir()) == []
