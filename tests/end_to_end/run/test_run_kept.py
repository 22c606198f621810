"""Applications as they were asked for: restarted, replaced, stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STAGER = str(Path(sys.executable).with_name("stager"))


def test_a_job_that_ends_well_ends_the_run_well(agent, droplet):
    done = agent.stager("run", droplet, "-t", "job")
    assert done.returncode == 0, done.stderr
    assert list(agent.state.iterdir()) == []


def test_a_worker_is_ready_when_it_still_runs_after_a_moment(agent, droplet):
    process, document, _ = agent.run(droplet, "-t", "worker")
    (instance,) = document["instances"]
    assert instance["state"] == "running"
    process.terminate()
    assert process.wait(30) == 0
    assert not agent.marked(instance["id"])


def test_what_crashes_is_started_again_on_its_port_and_its_neighbour_does_not_notice(agent, droplet):
    first, second = agent.detached(droplet, "--instances", "2")["instances"]
    agent.crash(first)
    backing_off = agent.until(lambda: [one for one in agent.instances() if one["state"] == "backoff"])[0]
    assert (backing_off["exit_code"], backing_off["reason"]) == (9, "exit")
    assert backing_off["next_start"] > time.time() - 1
    again = agent.until(lambda: [one for one in agent.running() if one["index"] == 0])[0]
    assert (again["port"], again["restarts"]) == (first["port"], 1)
    assert second in agent.running()
    os.kill(again["pid"], signal.SIGKILL)
    died = agent.until(
        lambda: [one for one in agent.instances() if one["id"] == again["id"] and one["signal"]]
    )[0]
    assert (died["signal"], died["reason"]) == (signal.SIGKILL, "signal")


def test_a_crash_loop_backs_off_and_never_keeps_more_than_some_logs(agent, droplet, open_place):
    agent.detached(droplet, BROKEN=open_place / "broken")
    (open_place / "broken").touch()
    agent.crash(agent.running()[0])
    seen = agent.until(
        lambda: [one for one in agent.instances() if one["state"] == "backoff" and one["restarts"] == 1]
    )[0]
    assert seen["exit_code"] == 7
    assert 1 < seen["next_start"] - seen["ended_at"] < 30  # two seconds, and what its end takes
    text = agent.stager("ps").stdout
    assert "again in" in text


@pytest.mark.parametrize(
    ("policy", "path", "code"), [("never", "/crash", 60), ("never", "/end", 0), ("on-failure", "/end", 0)]
)
def test_what_is_not_to_be_restarted_ends_the_run(agent, droplet, policy, path, code):
    process, document, _ = agent.run(droplet, "--restart", policy)
    agent.crash(document["instances"][0], path)
    assert process.wait(30) == code, process.err.read_text()


def test_always_means_after_a_good_end_too(agent, droplet):
    (instance,) = agent.detached(droplet, "--restart", "always")["instances"]
    agent.crash(instance, "/end")
    again = agent.until(lambda: [one for one in agent.running() if one["id"] != instance["id"]])[0]
    assert again["restarts"] == 1


def test_it_can_be_stopped_while_it_starts(agent, droplet, open_place):
    process = agent.begin(droplet, MODE="slow", STARTING=open_place / "starting")
    agent.until((open_place / "starting").exists)
    (instance,) = agent.instances()
    assert instance["state"] == "starting"
    process.terminate()
    assert process.wait(30) == 0
    assert not agent.marked(instance["id"])
    assert list(agent.state.iterdir()) == []


def test_stop_may_be_said_twice_and_at_once(agent, droplet):
    (instance,) = agent.detached(droplet)["instances"]
    both = [subprocess.Popen([STAGER, "stop", "shop", "--state-dir", agent.state]) for _ in range(2)]
    assert [one.wait(30) for one in both] == [0, 0]
    assert agent.stager("stop", "shop").returncode == 0
    assert not agent.marked(instance["id"])
    assert list(agent.state.iterdir()) == []


def test_one_instance_can_be_stopped_and_comes_back_with_a_restart(agent, droplet):
    first, second = agent.detached(droplet, "--instances", "2")["instances"]
    agent.json("stop", second["id"][:6])
    assert [one["id"] for one in agent.running()] == [first["id"]]
    assert not agent.marked(second["id"])
    agent.json("restart", "shop")
    now = agent.running()
    assert [one["index"] for one in now] == [0, 1]
    assert first["id"] not in {one["id"] for one in now}


def test_a_restart_of_one_instance_leaves_the_other_alone(agent, droplet):
    first, second = agent.detached(droplet, "--instances", "2")["instances"]
    agent.json("restart", second["id"])
    now = agent.running()
    assert now[0]["id"] == first["id"]
    assert now[1]["id"] != second["id"]
    assert now[1]["port"] == second["port"]


def test_a_restart_that_fails_leaves_the_others_serving(agent, droplet, open_place):
    both = agent.detached(droplet, "--instances", "2", BROKEN=open_place / "broken")["instances"]
    old = {one["id"] for one in both}
    (open_place / "broken").touch()
    done = agent.stager("restart", "shop")
    assert done.returncode == 61
    assert "does not start again" in done.stderr
    # Whichever came first is gone; the other one was not touched.
    (left,) = agent.running()
    assert left["id"] in old
    (open_place / "broken").unlink()
    agent.until(lambda: len(agent.running()) == 2 and old.isdisjoint(one["id"] for one in agent.running()))


def test_starting_and_stopping_again_and_again_leaves_nothing(agent, droplet):
    private = set(Path("/tmp").glob("stager.*"))
    for _ in range(4):
        (instance,) = agent.detached(droplet)["instances"]
        private_now = agent.environment_of(instance)["STAGER_SOCKETS"]
        assert Path(private_now) not in private
        agent.json("stop", instance["name"])
        assert agent.is_nothing_left(instance, private_now)
