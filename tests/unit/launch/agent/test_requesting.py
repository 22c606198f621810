"""A replacement as it is written down, by one process for another."""

from __future__ import annotations

import dataclasses
import signal

import pytest

from stager.errors import CouldNotVerify, Interrupted, UsageError, VerificationFailed
from stager.launch.agent import requesting
from stager.launch.agent.identity import this_process
from stager.launch.agent.places import StateDirectory
from stager.launch.agent.records import ApplicationRecord, EnvironmentRecord, InstanceRecord
from stager.launch.agent.requesting import (
    answer,
    ask,
    commit,
    demand_quiet,
    read_request,
    settle,
    write_request,
)

OLD = ApplicationRecord("shop", "/old", "aa")
NEW = dataclasses.replace(OLD, droplet="/new", generation=1)
ENVIRONMENT = EnvironmentRecord({"COLOUR": "blue"})


@pytest.fixture
def place(tmp_path):
    state = StateDirectory(tmp_path / "state")
    state.make()
    place = state.application("shop")
    place.make()
    place.write(OLD)
    return place


@pytest.fixture
def request_(place):
    return write_request(place, NEW, ENVIRONMENT)


def test_what_took_over_half_is_ended_by_the_next(place, request_):
    # Died between the two files.
    place.write(NEW)
    settle(place, is_dropping=False)
    assert (place.read(), place.read_environment()) == (NEW, ENVIRONMENT)
    assert read_request(place) is None


def test_what_has_not_taken_over_stays_asked_for_unless_it_is_dropped(place, request_):
    settle(place, is_dropping=False)
    assert read_request(place) == request_
    settle(place, is_dropping=True)
    assert read_request(place) is None
    assert (place.read(), place.read_environment()) == (OLD, EnvironmentRecord())


def test_secrets_are_for_their_owner_alone(place, request_):
    assert place.replacement_file.stat().st_mode & 0o777 == 0o600


def test_only_what_somebody_carries_out_keeps_others_waiting(place, request_):
    demand_quiet(place)
    place.write_supervisor(this_process())
    with pytest.raises(UsageError, match="is being replaced"):
        demand_quiet(place)


def test_who_asks_gets_the_answer_and_the_error(place, request_):
    def succeed(place):
        commit(place, request_)
        answer(place, request_, {"seconds": 1.5})

    assert ask(place, request_, signal.SIGUSR1, succeed) == {"seconds": 1.5}
    assert (read_request(place), place.answer_file.exists()) == (None, False)
    again = write_request(place, dataclasses.replace(NEW, generation=2), ENVIRONMENT)

    def fail(place):
        answer(place, again, VerificationFailed("It is broken.", resolution="Mend it.", slug="not-replaced"))

    with pytest.raises(VerificationFailed, match="broken") as caught:
        ask(place, again, signal.SIGUSR1, fail)
    assert (caught.value.slug, caught.value.resolution) == ("not-replaced", "Mend it.")


def test_who_asks_is_told_of_what_took_over_although_nobody_lived_to_say_it(place, request_):
    old = place.instance(0, "abcd")
    old.make()
    old.write(InstanceRecord("shop", 0, "abcd", state="running"))
    looks = []

    def look(number):
        looks.append(number)
        old.write(InstanceRecord("shop", 0, "abcd", state="stopped"))

    def go_on(place):
        place.write(NEW)
        settle(place, is_dropping=False)
        place.write_supervisor(this_process())

    before = signal.signal(signal.SIGUSR1, lambda number, _: look(number))
    try:
        outcome = ask(place, request_, signal.SIGUSR1, go_on)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert outcome["gap_seconds"] is None
    # Not before the old one was gone.
    assert looks == [signal.SIGUSR1]


def test_a_supervisor_that_cannot_be_had_is_not_started_for_ever(place, request_):
    starts = []
    with pytest.raises(CouldNotVerify, match="Nobody says"):
        ask(place, request_, signal.SIGUSR1, starts.append)
    assert len(starts) == requesting._MOST_STARTS


def test_another_ones_answer_is_not_mine(place, request_):
    mine = write_request(place, NEW, ENVIRONMENT)
    answer(place, request_, {"seconds": 1.0})
    assert read_request(place) == mine
    with pytest.raises(CouldNotVerify):
        ask(place, mine, signal.SIGUSR1, lambda place: settle(place, is_dropping=True))


@pytest.mark.parametrize("is_late", [False, True])
def test_who_is_interrupted_is_told_what_came_of_it(place, request_, is_late):
    def interrupt(place):
        if is_late:
            commit(place, request_)
        raise Interrupted("Ended by SIGINT.")

    with pytest.raises(Interrupted) as caught:
        ask(place, request_, signal.SIGUSR1, interrupt)
    assert ("too late" in caught.value.resolution) == is_late
    assert (read_request(place) is None) == (not is_late)
