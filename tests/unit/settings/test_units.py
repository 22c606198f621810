"""Sizes and durations."""

import re

import pytest

from stager.settings.units import DURATION_PATTERN, SIZE_PATTERN, bytes_of, seconds_of, written_size

SIZES = {
    "0": 0,
    "536870912": 536870912,
    "512M": 512 << 20,
    "512m": 512 << 20,
    "512MB": 512 << 20,
    "512 MiB": 512 << 20,
    "1G": 1 << 30,
    "1.5G": 3 << 29,
    "2T": 2 << 40,
    "4K": 4096,
    "10B": 10,
}
NO_SIZES = [
    "",
    "M",
    "-1M",
    "+1M",
    "1.M",
    ".5G",
    "1,5G",
    "1e9",
    "1_000",
    "512MM",
    "512Mi",
    "0x10",
    "1 G B",
    "٣M",
    "1M\n",
]
DURATIONS = {
    "0": 0,
    "60": 60,
    "1.5": 1.5,
    "60s": 60,
    "2m": 120,
    "1h": 3600,
    "500ms": 0.5,
    "1m30s": 90,
    "1m 30s": 90,
    "2M": 120,
}
NO_DURATIONS = ["", "s", "-1s", "1:30", "1d", "m1", "1e3", ".5", "1s2", "٣s"]


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_a_size_in_bytes(text, size):
    assert bytes_of(text) == size
    assert re.search(SIZE_PATTERN, text)


@pytest.mark.parametrize("text", NO_SIZES)
def test_what_is_no_size(text):
    assert bytes_of(text) is None
    assert not re.search(SIZE_PATTERN.replace("$", r"\Z"), text)


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_duration_in_seconds(text, seconds):
    assert seconds_of(text) == seconds
    assert re.search(DURATION_PATTERN, text)


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration(text):
    assert seconds_of(text) is None
    assert not re.search(DURATION_PATTERN, text)


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 400 + ".5G", "9" * 5000 + "s"])
def test_a_number_of_thousands_of_digits_is_refused_quietly(text):
    assert bytes_of(text) is None
    assert seconds_of(text) is None


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 3 << 19, 512 << 20, 1 << 30, 8 << 40])
def test_a_size_is_written_so_that_it_reads_the_same(size):
    assert bytes_of(written_size(size)) == size


def test_a_size_is_written_short():
    assert [written_size(512 << 20), written_size(1 << 30), written_size(3 << 29)] == ["512M", "1G", "1536M"]
