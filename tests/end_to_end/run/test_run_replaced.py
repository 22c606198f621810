"""A droplet takes the place of another one that runs."""

import json
import os
import signal

import pytest


@pytest.fixture
def served(agent, droplet, free_port):
    """Two instances behind a balancer: how to reach that."""
    agent.detached(droplet, "--instances", "2", "--balance", str(free_port))
    return {"port": free_port}


def ids(instances):
    return {one["id"] for one in instances}


def directories(agent, name):
    return sorted(path.name for path in (agent.state / "shop" / name).iterdir())


def test_no_request_is_lost_while_another_droplet_takes_over(agent, served, next_droplet, load):
    before = agent.running()
    with load(served["port"]) as clients:
        document = agent.json("run", next_droplet, "--replace", "shop")
        clients.wait_for_more()
    assert clients.lost == []
    assert document["replaced"]["gap_seconds"] == 0
    after = agent.running()
    assert len(after) == 2
    assert not ids(after) & ids(before)
    assert {one["droplet_sha256"] for one in after} == {document["droplet_sha256"]}
    assert {name.split("-")[1] for name in directories(agent, "instances")} == ids(after)
    assert directories(agent, "droplets") == [document["droplet_sha256"][:16]]
    assert not [pid for one in before for pid in agent.marked(one["id"])]


def test_no_request_is_lost_in_a_restart_and_while_instances_come_and_go(agent, served, droplet, load):
    before = agent.running()
    with load(served["port"]) as clients:
        agent.json("restart", "shop")
        assert not ids(agent.running()) & ids(before)
        assert len(agent.json("run", droplet, "--instances", "4")["instances"]) == 4
        clients.wait_for_more()
        agent.json("run", droplet, "--instances", "1")
        clients.wait_for_more()
    assert clients.lost == []
    assert len(agent.instances()) == 1


def test_the_death_of_one_instance_costs_no_request(agent, served, load):
    first, second = agent.running()
    with load(served["port"]) as clients:
        os.killpg(first["pid"], signal.SIGKILL)
        agent.until(lambda: len(ids(agent.running()) - {first["id"]}) == 2)
        clients.wait_for_more()
    assert clients.lost == []
    assert second["id"] in ids(agent.running())


@pytest.mark.parametrize(("mode", "said"), [("fail", "it is broken"), ("exit0", "exit code 0")])
def test_a_droplet_that_does_not_start_leaves_the_old_one_serving(
    agent, served, next_droplet, load, mode, said
):
    before, droplets = agent.running(), directories(agent, "droplets")
    environment = agent.environment_of(served)
    with load(served["port"]) as clients:
        done = agent.stager("run", next_droplet, "--replace", "shop", *agent.variables(MODE=mode))
    assert done.returncode == 60
    assert said in done.stderr
    assert "go on serving" in done.stderr
    assert clients.lost == []
    assert agent.instances() == before
    assert directories(agent, "droplets") == droplets
    assert {name.split("-")[1] for name in directories(agent, "instances")} == ids(before)
    assert "MODE" not in environment
    assert "MODE" not in agent.environment_of(served)
    assert agent.json("run", next_droplet, "--replace", "shop")["replaced"]


def test_a_droplet_that_is_never_ready_leaves_the_old_one_serving(agent, served, hasty_droplet):
    before = agent.running()
    done = agent.stager("run", hasty_droplet, "--replace", "shop", *agent.variables(MODE="never"))
    assert (done.returncode, agent.running()) == (60, before)


def test_a_corrupt_droplet_leaves_the_old_one_serving(agent, served, next_droplet, tmp_path):
    before, droplets = agent.running(), directories(agent, "droplets")
    short = tmp_path / "short.droplet.tar.gz"
    short.write_bytes(next_droplet.read_bytes()[:-2000])
    done = agent.stager("run", short, "--replace", "shop")
    assert (done.returncode, agent.running()) == (62, before)
    assert directories(agent, "droplets") == droplets


def test_what_is_not_said_is_as_it_was(agent, droplet, next_droplet, tmp_path):
    services = tmp_path / "services.json"
    services.write_text('{"db": [{"name": "main"}]}')
    given = ("--services", services, "--fds", "512", "--instances", "2", "--restart", "never")
    agent.detached(droplet, *given, COLOUR="red", SIZE="big")
    done = agent.json("run", next_droplet, "--replace", "shop", "--env", "SIZE=small")
    assert (len(agent.running()), done["restart"]) == (2, "never")
    (first, _) = agent.running()
    environment = agent.environment_of(first)
    assert (environment["COLOUR"], environment["SIZE"]) == ("red", "small")
    assert json.loads(environment["VCAP_SERVICES"])["db"] == [{"name": "main"}]
    # That of the new droplet, since none was asked for.
    assert first["limits"]["memory"] == 112 << 20
    assert first["limits"]["fds"] == 512
    done = agent.json("run", droplet, "--replace", "shop", "--instances", "1", "--memory", "100M")
    assert agent.running()[0]["limits"]["memory"] == 100 << 20
    agent.json("run", next_droplet, "--replace", "shop")
    assert agent.running()[0]["limits"]["memory"] == 100 << 20


def test_who_keeps_it_holds_nothing_of_what_was_replaced(agent, droplet, next_droplet):
    agent.detached(droplet, "--instances", "3")
    supervisor = agent.application()["supervisor"]

    def eventfds():
        found = [os.readlink(entry) for entry in os.scandir(f"/proc/{supervisor}/fd")]
        return found.count("anon_inode:[eventfd]")

    before = eventfds()
    for one in (next_droplet, droplet):
        agent.json("run", one, "--replace", "shop")
        agent.until(lambda: eventfds() <= before)


def test_a_fixed_port_without_a_balancer_is_handed_over_with_a_gap_that_is_told(
    agent, droplet, next_droplet, free_port
):
    agent.detached(droplet, "-p", str(free_port), "--instances", "2")
    before = agent.running()
    document = agent.json("run", next_droplet, "--replace", "shop")
    assert document["replaced"]["gap_seconds"] > 0
    first, _ = agent.running()
    assert (first["port"], first["droplet_sha256"]) == (free_port, document["droplet_sha256"])
    done = agent.stager("run", droplet, "--replace", "shop", *agent.variables(MODE="fail"))
    assert done.returncode == 60
    assert agent.environment_of({"port": free_port})["STAGER_INSTANCE_ID"] == first["id"]
    assert not [pid for one in before for pid in agent.marked(one["id"])]


def test_who_keeps_it_in_the_foreground_keeps_the_new_one(agent, droplet, next_droplet):
    process, _, _ = agent.run(droplet)
    agent.json("run", next_droplet, "--replace", "shop")
    (now,) = agent.running()
    assert process.poll() is None
    assert "shop: the new instances have taken over" in process.err.read_text()
    process.terminate()
    assert process.wait(60) == 0
    assert agent.is_nothing_left(now)


def test_it_can_be_interrupted_and_the_old_ones_go_on(agent, served, next_droplet, open_place, load):
    before = agent.running()
    with load(served["port"]) as clients:
        caller = waiting(agent, next_droplet, open_place)
        refused = agent.stager("restart", "shop")
        assert (refused.returncode, "is being replaced just now" in refused.stderr) == (2, True)
        caller.send_signal(signal.SIGINT)
        assert caller.wait(60) == 130
        clients.wait_for_more()
    assert "The old instances go on serving." in caller.err.read_text()
    assert clients.lost == []
    assert agent.instances() == before
    assert not (agent.state / "shop" / "replacement.json").exists()


def test_it_can_be_stopped_meanwhile_and_nothing_is_left(agent, served, next_droplet, open_place):
    caller = waiting(agent, next_droplet, open_place)
    seen = agent.application()
    assert seen["replacement"] == str(next_droplet)
    agent.json("stop", "shop")
    assert caller.wait(60) == 61
    assert not [pid for one in seen["instances"] for pid in agent.marked(one["id"])]
    assert agent.is_free(served["port"])
    assert list(agent.state.iterdir()) == []


def waiting(agent, droplet, place):
    """A replacement whose instances have begun to start, and wait for a file called gate."""
    starting, gate = place / "starting", place / "gate"
    caller = agent.begin(droplet, "--replace", "shop", MODE="gate", STARTING=starting, GATE=gate)
    agent.until(starting.exists)
    return caller


def test_a_supervisor_that_dies_meanwhile_is_started_again_and_goes_on(
    agent, served, next_droplet, open_place, load
):
    before = agent.running()
    with load(served["port"]) as clients:
        caller = waiting(agent, next_droplet, open_place)
        agent.kill_supervisor()
        (open_place / "gate").touch()
        assert caller.wait(120) == 0, caller.err.read_text()
        clients.wait_for_more()
    assert clients.lost == []
    seen = agent.application()
    assert seen["supervisor"]
    assert len(agent.running()) == len(seen["instances"]) == 2
    assert not ids(seen["instances"]) & ids(before)


@pytest.mark.parametrize("again", ["restart", "run", "replace"])
def test_when_everybody_dies_meanwhile_the_old_ones_serve_and_nothing_else_is_left(
    agent, served, droplet, next_droplet, open_place, load, again
):
    before = agent.running()
    with load(served["port"]) as clients:
        caller = waiting(agent, next_droplet, open_place)
        caller.kill()
        agent.kill_supervisor()
        new = [one for one in agent.instances() if one["id"] not in ids(before)]
        if again == "restart":
            agent.json("restart", "shop")
        elif again == "run":
            agent.detached(droplet, "--instances", "2", "--balance", str(served["port"]))
        else:
            agent.json("run", next_droplet, "--replace", "shop")
        agent.until(lambda: not [pid for one in new for pid in agent.marked(one["id"])])
        clients.wait_for_more()
    assert clients.lost == []
    seen = agent.application()
    assert (seen["running"], len(seen["instances"])) == (2, 2)
    assert (ids(seen["instances"]) == ids(before)) == (again == "run")
    assert (seen["droplet"] == str(next_droplet)) == (again == "replace")
    assert not (agent.state / "shop" / "replacement.json").exists()


def test_what_cannot_be_replaced_is_said(agent, droplet, next_droplet, free_port):
    done = agent.stager("run", next_droplet, "--replace", "nonsense")
    assert (done.returncode, "Nothing is called nonsense" in done.stderr) == (2, True)
    assert not agent.state.exists() or list(agent.state.iterdir()) == []
    agent.detached(droplet)
    done = agent.stager("run", next_droplet, "--replace", "shop", "--balance", str(free_port))
    assert (done.returncode, "another balancer" in done.stderr) == (2, True)
    done = agent.stager("run", next_droplet, "--replace", "shop", "--name", "other")
    assert done.returncode == 2


def test_another_number_is_no_other_wish(agent, droplet):
    agent.detached(droplet, COLOUR="red")
    assert len(agent.json("run", droplet, "--instances", "3")["instances"]) == 3
    assert {agent.environment_of(one)["COLOUR"] for one in agent.running()} == {"red"}
    done = agent.stager("run", droplet, "--instances", "2", "--memory", "80M")
    assert (done.returncode, "--replace shop" in done.stderr) == (2, True)
    assert len(agent.running()) == 3
    agent.json("run", droplet, "--instances", "1")
    assert len(agent.instances()) == 1
