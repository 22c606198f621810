import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest

from stager.launch.agent.history import CAPACITY, History, Sample, cpu_shares, read_history


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.bin"


def sample(number):
    return Sample(1000.0 + number, number / 2, number << 20, number << 30, number, number + 1, number % 9)


def fill(path, numbers, capacity=10):
    history = History(path, capacity)
    for number in numbers:
        history.add(sample(number))
    history.close()


def test_what_was_added_is_read_oldest_first(path):
    fill(path, range(4))
    assert read_history(path) == tuple(map(sample, range(4)))
    assert read_history(path, last=2) == (sample(2), sample(3))


def test_the_oldest_make_room_and_the_file_keeps_its_size(path):
    fill(path, range(3))
    size = path.stat().st_size
    fill(path, range(3, 25))
    assert read_history(path) == tuple(map(sample, range(15, 25)))
    assert path.stat().st_size == size


def test_an_hour_takes_little(path):
    History(path).close()
    assert path.stat().st_size == 64 * (1 + CAPACITY)


def test_another_writer_goes_on_where_the_last_one_was_killed(path):
    fill(path, range(12))
    fill(path, range(12, 14))
    assert read_history(path) == tuple(map(sample, range(4, 14)))


def test_what_cannot_be_seen_stays_unknown(path):
    history = History(path, 4)
    history.add(Sample(1.0, fds=None))
    history.close()
    assert read_history(path)[0].fds is None


def test_a_slot_that_was_half_written_is_left_out(path):
    fill(path, range(5))
    with path.open("r+b") as file:
        file.seek(64 * 3 + 20)
        file.write(b"\xff\xff")
    assert read_history(path) == tuple(map(sample, (0, 1, 3, 4)))


@pytest.mark.parametrize(
    "content", [b"", b"x", b"x" * 5000, b"stager history 1\0\0\0\0", b"stager history 1"]
)
def test_a_file_that_is_no_history_has_no_samples_and_begins_anew(path, content):
    path.write_bytes(content)
    assert read_history(path) == ()
    fill(path, range(3))
    assert read_history(path) == tuple(map(sample, range(3)))


def test_another_capacity_begins_anew(path):
    fill(path, range(8), capacity=10)
    fill(path, range(8), capacity=5)
    assert read_history(path) == tuple(map(sample, range(3, 8)))


def test_no_file_has_no_samples(path):
    assert read_history(path) == ()


def test_a_link_is_not_written_through(path, tmp_path):
    (tmp_path / "precious").write_text("kept")
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="Too many levels"):
        History(path)
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_disk_that_is_full_loses_a_sample_and_nothing_else(path, monkeypatch):
    history = History(path, 4)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        history.add(sample(0))
    history.add(sample(1))
    history.close()
    assert read_history(path) == (sample(1),)


WRITER = """
import sys
from pathlib import Path
from stager.launch.agent.history import History, Sample
history = History(Path(sys.argv[1]), 50)
number = 0
while True:
    history.add(Sample(float(number), float(number), number, number, number, number, number))
    number += 1
    if number == 200: print("on", flush=True)
"""


def test_readers_see_only_whole_samples_while_it_is_written_and_after_a_kill(path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    wrong, seen = [], []

    def look():
        while writer.poll() is None:
            samples = read_history(path)
            wrong.extend(one for one in samples if one.memory != one.at or one.disk != one.at)
            wrong.extend((a, b) for a, b in pairwise(samples) if a.at >= b.at)
            seen.append(len(samples))

    readers = [threading.Thread(target=look) for _ in range(3)]
    try:
        assert writer.stdout.readline() == b"on\n"
        for reader in readers:
            reader.start()
        end = time.monotonic() + 30
        while len(seen) < 20 and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
        writer.stdout.close()
    for reader in readers:
        reader.join(30)
    assert wrong == []
    assert len(seen) >= 20
    left = read_history(path)
    assert len(left) >= 49
    history = History(path, 50)
    history.add(Sample(left[-1].at + 1))
    history.close()
    assert read_history(path)[-1].at == left[-1].at + 1


def test_shares_of_a_core_are_between_two_samples():
    samples = [Sample(10.0, 1.0), Sample(12.0, 2.0), Sample(14.0, 2.0), Sample(14.0, 3.0), Sample(13.0, 1.0)]
    assert cpu_shares(samples) == (0.5, 0.0, 0.0, 0.0)
    assert cpu_shares(samples[:1]) == ()
