"""Work that a child does beside us."""

from __future__ import annotations

import os
import time

import pytest

from stager.execution.ahead import begun_ahead


def open_files():
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = open_files()
    yield
    assert open_files() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_its_result_is_there_once():
    with begun_ahead(lambda: b"x" * 3_000_000) as ahead:
        assert ahead.result() == b"x" * 3_000_000
        assert ahead.result() is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_where_it_failed_nobody_is_told(error, capfd):
    def work():
        raise error("it failed")

    with begun_ahead(work) as ahead:
        assert ahead.result() is None
    assert capfd.readouterr() == ("", "")


def test_who_does_not_wait_ends_it():
    def work():
        time.sleep(600)
        return b""

    started = time.monotonic()
    with begun_ahead(work):
        pass
    assert time.monotonic() - started < 300


def test_where_no_process_can_be_had_nothing_is_done_ahead(monkeypatch):
    def no_more():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_more)
    with begun_ahead(lambda: b"") as ahead:
        assert ahead is None
