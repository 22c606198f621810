"""What a supervisor finds that comes after one that was killed."""

from __future__ import annotations

import pytest

from stager.launch.agent.adopting import look_for_living
from stager.launch.agent.application import Application
from stager.launch.agent.droplets import Unpacked
from stager.launch.agent.events import Events
from stager.launch.agent.overview import look_at
from stager.launch.agent.places import StateDirectory
from stager.launch.agent.records import ApplicationRecord, EnvironmentRecord, InstanceRecord
from stager.model.droplet import Manifest
from stager.model.plan import Process


@pytest.fixture
def application(tmp_path):
    state = StateDirectory(tmp_path / "state")
    state.make()
    place = state.application("shop")
    place.make()
    process = Process("web", ("true",))
    record = ApplicationRecord("shop", "/d", "ab")
    place.write(record)
    droplet = Unpacked(tmp_path, Manifest("1", (), (process,)), "ab")
    events = Events(place.events_file, lambda _: None)
    return Application(place, record, EnvironmentRecord(), droplet, process, None, events)


def test_nobody_goes_on_waiting_to_start_an_instance_again(application):
    place = application.place.instance(0, "abcd")
    place.make()
    place.write(InstanceRecord("shop", 0, "abcd", state="backoff", reason="exit", next_start=1e12))
    (seen,) = look_at(application.place).instances
    assert (seen.state, seen.reason, seen.next_start) == ("crashed", "exit", None)
    left = look_for_living(application)
    assert (left.living, left.others) == ({}, [])
    assert (place.read().state, place.read().next_start) == ("crashed", None)
