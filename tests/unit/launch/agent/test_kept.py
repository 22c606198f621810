from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from stager.errors import OutputNotWritable, UsageError
from stager.execution.spawn import Account
from stager.launch.agent import control, crashed
from stager.launch.agent.identity import boot_id, this_process
from stager.launch.agent.overview import find, look_at
from stager.launch.agent.passage import demand_passage
from stager.launch.agent.places import StateDirectory
from stager.launch.agent.records import ApplicationRecord, InstanceRecord
from stager.launch.agent.supervisor import forget


@pytest.fixture
def state(tmp_path):
    state = StateDirectory(tmp_path / "state")
    state.make()
    return state


def application(directory, name="shop", count=0, **changes):
    place = directory.application(name)
    place.make()
    place.write(ApplicationRecord(name, "/d", "ab"))
    for number in range(count):
        instance = place.instance(0, f"{number:04}{name}")
        instance.make()
        record = InstanceRecord(name, 0, f"{number:04}{name}", state="crashed", ended_at=float(number))
        instance.write(replace(record, **changes))
    return place


def test_only_the_newest_crashes_are_kept(state):
    place = application(state, count=9)
    crashed.prune(place)
    assert [record.ended_at for _, record in crashed.find(place)] == [8.0, 7.0, 6.0, 5.0, 4.0]


def test_threads_that_remove_the_same_at_the_same_time_do_not_disturb_each_other(state):
    place = application(state, count=60)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(crashed.prune, [place] * 4)) == [None] * 4
    assert len(crashed.find(place)) == crashed.MOST_KEPT


def test_a_back_off_goes_on_when_nothing_is_kept_of_what_crashed(state):
    place = application(state, count=1)
    ((instance, record),) = crashed.find(place)
    ended = SimpleNamespace(place=instance, record=record, note=pytest.fail)
    instance.remove()
    with crashed.backing_off(ended, 1e12):
        assert place.instances() == ()


def test_what_is_forgotten_leaves_nothing_unless_something_crashed(state):
    place = application(state, count=1, state="stopped")
    forget(place, is_keeping=False)
    assert list(state.path.iterdir()) == []
    place = application(state, count=1, state="backoff")
    forget(place, is_keeping=False)
    assert [record.state for _, record in crashed.find(place)] == ["crashed"]
    assert not place.droplets.exists()


def test_what_is_kept_goes_one_by_one_and_the_last_takes_its_application_along(state):
    place = application(state, count=2)
    for identifier in ("0000shop", "0001shop"):
        assert place.read().without == ()
        control.stop_instance(*find(state, identifier), lambda _: None)
    assert list(state.path.iterdir()) == []


def test_to_remove_what_is_kept_leaves_those_alone_that_run(state):
    place = application(state, count=1)
    place.write_supervisor(this_process())
    control.stop_instance(*find(state, "0000shop"), lambda _: None)
    assert place.instances() == ()
    assert place.read().without == ()


def test_a_record_alone_does_not_make_a_process_run(state):
    place = application(state, count=1, state="running", pid=2**22 - 1, start_time=5, boot=boot_id())
    (seen,) = look_at(place).instances
    assert (seen.state, seen.reason) == ("crashed", "lost")
    us = this_process()
    place = application(state, "b", 1, state="running", pid=us.pid, start_time=us.start_time, boot=us.boot)
    assert look_at(place).instances[0].state == "running"


def test_an_instance_is_found_by_the_beginning_of_its_id(state):
    application(state, "a", 2)
    application(state, "b", 1)
    assert find(state, "a")[1] is None
    assert find(state, "0001")[1].id == "0001a"
    assert find(state, "000") == (None, None)
    with pytest.raises(UsageError, match="Several"):
        find(state, "0000")


def test_a_place_that_was_removed_under_the_lock_is_not_locked_by_who_waited(state):
    place = application(state)
    outcome = []

    def wait():
        try:
            with place.lock():
                outcome.append("locked")
        except FileNotFoundError:
            outcome.append("gone")

    with place.lock():
        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join(0.1)
        assert outcome == []
        place.remove()
    waiter.join(5)
    assert outcome == ["gone"]
    with place.lock(is_making=True):
        assert place.path.is_dir()


def test_a_directory_that_lets_nobody_through_is_named(tmp_path):
    stranger = Account("stranger", 54321, 54321, (54321,))
    open_place = tmp_path / "open"
    open_place.mkdir()
    open_place.chmod(0o711)
    demand_passage(open_place, stranger)
    demand_passage(open_place, None)
    open_place.chmod(0o700)
    demand_passage(open_place, Account("me", os.getuid(), os.getgid()))
    with pytest.raises(OutputNotWritable) as caught:
        demand_passage(open_place, stranger)
    assert str(open_place) in caught.value.details
