"""A balancer as it is kept: told who serves, started again, and no more than that."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from stager.errors import CouldNotVerify, HostToolMissing
from stager.launch.agent import balancer as balancers
from stager.launch.agent import front as module
from stager.launch.agent.events import read_events
from stager.launch.agent.front import Front
from stager.launch.agent.records import EnvironmentRecord, InstanceRecord


class Fake:
    """What a Balancer would be told."""

    port = 8080

    def __init__(self):
        self.applied = []
        self.problem = None
        self.process = None
        self.is_drained = True

    def apply(self, servers):
        if self.problem is not None:
            raise self.problem
        self.process = type("Process", (), {"pid": 7})
        self.applied.append([server.name for server in servers])
        return True

    def wait_until_drained(self, _seconds):
        return self.is_drained

    def stop(self):
        self.process = None


@pytest.fixture
def application(open_application):
    return open_application(balance=8080)


@pytest.fixture
def opened(application, monkeypatch):
    fakes = []

    def make(_application):
        fakes.append(Fake())
        return fakes[-1]

    monkeypatch.setattr(module, "balancer_of", make)
    serving = [InstanceRecord("shop", 0, "a", port=1)]
    front = Front(application, lambda: serving, lambda: None)
    front.fakes, front.serving = fakes, serving
    front.start()
    yield front
    front.stop()


def events_of(application):
    return [event["event"] for event in read_events(application.place.events_file)]


def test_nothing_is_started_for_nobody(opened):
    opened.settle()
    opened.serving.clear()
    other = Fake()
    opened.balancer = other
    opened.settle()
    assert (other.applied, opened.fakes[0].applied[0]) == ([], ["0-a"])


def test_one_that_died_is_started_again_and_that_is_told(opened, application):
    opened.settle()
    opened.balancer.process = None
    end = threading.Event()
    for _ in range(200):
        if "balancer-lost" in events_of(application):
            break
        end.wait(0.05)
    assert events_of(application) == ["balancer", "balancer-lost"]


def test_who_cannot_be_handed_over_to_leaves_things_as_they_were(opened, application, monkeypatch):
    opened.settle()
    before = opened.balancer

    def make(_application):
        fake = Fake()
        fake.problem = CouldNotVerify("it does not change")
        return fake

    monkeypatch.setattr(module, "balancer_of", make)
    with pytest.raises(CouldNotVerify, match="does not change"):
        opened.hand_over(application, lambda: [InstanceRecord("shop", 0, "b", port=2)])
    opened.settle()
    assert opened.balancer is before
    assert before.applied[-1] == ["0-a"]
    assert opened.failure is None


def test_what_fails_is_told_once_and_tried_again(opened, application):
    opened.settle()
    opened.balancer.problem = CouldNotVerify("no")
    for _ in range(3):
        with pytest.raises(CouldNotVerify):
            opened.settle()
    opened.balancer.problem = None
    opened.settle()
    assert events_of(application) == ["balancer", "balancer-failed"]


def test_nobody_waits_for_a_front_that_is_stopped(opened):
    opened.settle()
    opened.stop()
    with pytest.raises(CouldNotVerify, match="being stopped"):
        opened.settle()
    assert not opened.drain()
    assert opened.is_settled


def test_a_host_without_haproxy_is_told_which_package_has_it(monkeypatch):
    monkeypatch.setattr(balancers, "_PATH", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(HostToolMissing) as caught:
        balancers.find_haproxy()
    assert "install --no-install-recommends haproxy" in caught.value.resolution


def test_behind_a_balancer_an_instance_listens_on_the_loopback_alone(application):
    given = EnvironmentRecord({"VCAP_APP_HOST": "192.0.2.1"})
    application = dataclasses.replace(application, given=given)
    record = InstanceRecord("shop", 0, "a", port=1)
    assert application.environment(record)["VCAP_APP_HOST"] == "127.0.0.1"
    application.record = dataclasses.replace(application.record, balance=0)
    assert application.environment(record)["VCAP_APP_HOST"] == "192.0.2.1"
