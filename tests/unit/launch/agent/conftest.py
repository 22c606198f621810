"""An application as its supervisor knows it, of a droplet that nobody has to start."""

from __future__ import annotations

import pytest

from stager.launch.agent.application import Application
from stager.launch.agent.droplets import Unpacked
from stager.launch.agent.events import Events
from stager.launch.agent.places import StateDirectory
from stager.launch.agent.records import ApplicationRecord, EnvironmentRecord
from stager.model.droplet import Manifest
from stager.model.plan import Process


@pytest.fixture
def open_application(tmp_path):
    """Open ``shop``, of which something more may be asked: ``open_application(balance=8080)``."""

    def open_(**asked):
        state = StateDirectory(tmp_path / "state")
        state.make()
        place = state.application("shop")
        place.make()
        process = Process("web", ("true",))
        record = ApplicationRecord("shop", "/d", "ab", **asked)
        droplet = Unpacked(tmp_path, Manifest("1", (), (process,)), "ab")
        events = Events(place.events_file, lambda _: None)
        return Application(place, record, EnvironmentRecord(), droplet, process, None, events)

    return open_
