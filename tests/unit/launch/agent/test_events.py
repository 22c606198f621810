from __future__ import annotations

from stager.launch.agent import events
from stager.launch.agent.events import Events, read_events


def test_events_are_told_and_written(tmp_path):
    told = []
    Events(tmp_path / "events.jsonl", told.append).tell("ready", "it is ready\n", index=3)
    (event,) = read_events(tmp_path / "events.jsonl")
    assert (told, event["event"], event["text"], event["index"]) == (
        ["it is ready\n"],
        "ready",
        "it is ready\n",
        3,
    )


def test_the_older_half_goes_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "MOST_BYTES", 5000)
    path = tmp_path / "events.jsonl"
    log = Events(path, lambda _: None)
    for number in range(500):
        log.tell("x", "y", number=number)
        assert path.stat().st_size < 5200
    numbers = [event["number"] for event in read_events(path)]
    assert numbers == list(range(numbers[0], 500))
    assert [one.name for one in tmp_path.iterdir()] == ["events.jsonl"]


def test_a_place_that_cannot_be_written_to_ends_nothing(tmp_path):
    told = []
    Events(tmp_path / "missing" / "events.jsonl", told.append).tell("ready", "text")
    assert told == ["text"]


def test_a_line_that_was_cut_short_is_left_out(tmp_path):
    (tmp_path / "e").write_text('{"event": "a"}\n{"eve')
    assert read_events(tmp_path / "e") == [{"event": "a"}]
