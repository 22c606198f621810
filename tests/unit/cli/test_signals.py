"""Signals and the deadline end a command once, in an orderly way."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref

import pytest

from stager.cli.signals import orderly_end
from stager.errors import Interrupted, StepTimedOut

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def dispositions_as_before():
    before = {number: signal.getsignal(number) for number in [*SIGNALS, signal.SIGALRM]}
    yield
    for number, action in before.items():
        signal.signal(number, action)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def signal_ourselves(number):
    os.kill(os.getpid(), number)
    time.sleep(5)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_an_error_that_names_it(number):
    with pytest.raises(Interrupted) as caught, orderly_end():
        signal_ourselves(number)
    assert caught.value.brief == f"Ended by {number.name}."
    assert caught.value.exit_code == 130


def test_a_second_signal_does_not_disturb_the_cleaning_up():
    cleaned = []

    def work():
        with orderly_end(timeout=30):
            try:
                signal_ourselves(signal.SIGTERM)
            finally:
                for number in SIGNALS:
                    os.kill(os.getpid(), number)
                cleaned.append("all")

    with pytest.raises(Interrupted):
        work()
    assert cleaned == ["all"]
    for number in SIGNALS:  # neither when it is on its way out
        os.kill(os.getpid(), number)


def test_the_deadline_is_an_error_that_says_how_long():
    with pytest.raises(StepTimedOut) as caught, orderly_end(timeout=0.05):
        time.sleep(5)
    assert caught.value.brief == "It took longer than the 0.05 seconds that --timeout allows."
    assert caught.value.exit_code == 42


def test_the_deadline_names_what_was_being_done():
    with pytest.raises(StepTimedOut) as caught, orderly_end(0.05, lambda: "npm run build"):
        time.sleep(5)
    assert caught.value.brief == (
        "It took longer than the 0.05 seconds that --timeout allows: npm run build was not done yet."
    )


def test_what_ends_in_time_is_not_disturbed_and_leaves_the_signals_as_they_were():
    numbers = [*SIGNALS, signal.SIGALRM]
    before = [signal.getsignal(number) for number in numbers]
    with orderly_end(timeout=60):
        pass
    assert [signal.getsignal(number) for number in numbers] == before


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with orderly_end():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("timeout", "expected"), [(None, Interrupted), (0.05, StepTimedOut)])
def test_it_ends_also_when_that_comes_where_python_drops_what_is_raised(timeout, expected):
    class Thing:
        pass

    def is_gone(_reference):
        if timeout is None:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)

    def work():
        things = [Thing()]
        references = [weakref.ref(things[0], is_gone)]
        with orderly_end(timeout):
            things.clear()
            time.sleep(5)
        assert not references

    hook = sys.unraisablehook
    with pytest.raises(expected):
        work()
    assert sys.unraisablehook is hook
