"""A slot with instances that are no processes: what it does between them."""

from __future__ import annotations

import dataclasses
import os
import time

import pytest

from stager.launch.agent import slot as module
from stager.launch.agent.events import read_events
from stager.launch.agent.slot import Slot
from stager.launch.agent.watching import Watch


@pytest.fixture
def application(open_application):
    return open_application()


def events_of(application):
    return [event["event"] for event in read_events(application.place.events_file)]


def test_delays_double_up_to_a_minute_and_a_loop_is_told_once(application, monkeypatch):
    delays = []

    def begin(*_):
        if len(delays) == 8:
            application.record = dataclasses.replace(application.record, is_stopped=True)
        raise PermissionError(13, "Permission denied")

    class Hurried:
        def __init__(self, seconds):
            delays.append(seconds)
            self.is_over = True

        @classmethod
        def after(cls, seconds):
            return cls(seconds)

    monkeypatch.setattr(module, "begin", begin)
    monkeypatch.setattr(module, "Deadline", Hurried)
    slot = Slot(application, 0, None, Watch(), lambda: None)
    slot.run()
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert "Permission denied" in slot.failure.text
    assert events_of(application).count("crash-loop") == 1


def test_a_wait_for_the_next_start_ends_when_it_is_not_wanted_any_more(application, monkeypatch):
    def begin(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "begin", begin)
    monkeypatch.setattr(module, "FIRST_DELAY", 60.0)
    slot = Slot(application, 0, None, Watch(), lambda: None)
    slot.start()
    end = time.monotonic() + 30
    while not slot.is_settled and time.monotonic() < end:
        time.sleep(0.01)
    application.record = dataclasses.replace(application.record, is_stopped=True)
    slot.wake()
    slot.join(30)
    assert slot.is_done


def test_trouble_of_our_own_is_told_and_ends_the_slot(application, monkeypatch):
    def begin(*_):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(module, "begin", begin)
    changes = []
    slot = Slot(application, 0, None, Watch(), lambda: changes.append(1))
    slot.run()
    assert slot.is_done
    assert changes
    assert "nobody foresaw this" in slot.failure.text


def test_a_slot_gives_its_descriptors_back(application):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        Slot(application, 0, None, Watch(), lambda: None)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
