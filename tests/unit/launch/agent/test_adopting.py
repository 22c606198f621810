"""What a supervisor finds that comes after one that was killed."""

from __future__ import annotations

import pytest

from stager.launch.agent.adopting import look_for_living
from stager.launch.agent.overview import look_at
from stager.launch.agent.records import InstanceRecord


@pytest.fixture
def application(open_application):
    application = open_application()
    application.place.write(application.record)
    return application


def test_nobody_goes_on_waiting_to_start_an_instance_again(application):
    place = application.place.instance(0, "abcd")
    place.make()
    place.write(InstanceRecord("shop", 0, "abcd", state="backoff", reason="exit", next_start=1e12))
    (seen,) = look_at(application.place).instances
    assert (seen.state, seen.reason, seen.next_start) == ("crashed", "exit", None)
    left = look_for_living(application)
    assert (left.living, left.others) == ({}, [])
    assert (place.read().state, place.read().next_start) == ("crashed", None)
