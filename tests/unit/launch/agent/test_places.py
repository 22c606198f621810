from __future__ import annotations

import json

import pytest

from stager.errors import OutputNotWritable, UsageError
from stager.launch.agent.places import StateDirectory, write_json
from stager.launch.agent.records import ApplicationRecord, InstanceLimits, InstanceRecord


def application(tmp_path, name="shop"):
    state = StateDirectory(tmp_path / "state")
    state.make()
    place = state.application(name)
    place.make()
    return place


def test_what_was_written_is_read_again(tmp_path):
    place = application(tmp_path)
    record = ApplicationRecord("shop", "/d.tar.gz", "ab", ports=(1, 2), limits=InstanceLimits(memory=5))
    place.write(record)
    assert place.read() == record
    instance = place.instance(2, "abc")
    instance.make()
    instance.write(InstanceRecord("shop", 2, "abc", started_at=1.5))
    assert [one.read() for one in place.instances()] == [InstanceRecord("shop", 2, "abc", started_at=1.5)]


def test_keys_of_another_version_do_no_harm(tmp_path):
    place = application(tmp_path)
    document = {
        "name": "shop",
        "droplet": "/d",
        "droplet_sha256": "ab",
        "later": 1,
        "limits": {"memory": 7, "x": 2},
    }
    write_json(place.application_file, document)
    record = place.read()
    assert (record.limits.memory, record.restart) == (7, "on-failure")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 5}'])
def test_a_record_that_makes_no_sense_is_none(tmp_path, text):
    place = application(tmp_path)
    place.application_file.write_text(text)
    assert place.read() is None


def test_secrets_are_for_their_owner_alone(tmp_path):
    place = application(tmp_path)
    place.write_environment(place.read_environment())
    assert place.environment_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", ".hidden", "a\n", "x" * 101, "ä"])
def test_a_name_cannot_leave_the_directory(tmp_path, name):
    with pytest.raises(UsageError):
        StateDirectory(tmp_path).application(name)


def test_a_place_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        StateDirectory(tmp_path / "file" / "state").make()


def test_a_write_that_fails_leaves_the_old_record_and_no_other_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
