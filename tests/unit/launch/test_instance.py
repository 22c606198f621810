from __future__ import annotations

import json
import os
import time

import pytest

from stager.launch.instance import Instance, Launch
from stager.model.memory import MIB
from stager.model.plan import Limits


@pytest.fixture
def start(tmp_path):
    """Starts a droplet whose startup and stop are what is given."""
    started = []

    def begin(startup, stop="exit 0", **options):
        for name, text in (("startup", startup), ("stop", stop)):
            (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
            (tmp_path / name).chmod(0o755)
        started.append(Instance(Launch(tmp_path, **options), 4711))
        return started[-1]

    yield begin
    for instance in started:
        instance.end()


def test_the_port_is_the_instances_whatever_the_caller_sets(tmp_path):
    launch = Launch(tmp_path, environment={"PORT": "1", "LANG": "de", "A": "b"}, limits=Limits(64 * MIB))
    environment = launch.start_environment(4711, "the-id")
    assert (environment["PORT"], environment["LANG"], environment["A"]) == ("4711", "de", "b")
    application = json.loads(environment["VCAP_APPLICATION"])
    assert application["instance_id"] == "the-id"
    assert application["limits"] == {"mem": 64, "disk": 1024, "fds": 1024}
    assert "STAGER_RUN_DIR" not in environment


def test_startup_is_told_its_port_and_type_from_the_root_directory(start, tmp_path):
    instance = start('echo "$PWD $*"; exit 3', process="worker")
    assert instance.started.wait(20) == 3
    assert (tmp_path / "logs/boot.log").read_text() == "/ -p 4711 -t worker\n"


def test_workers_are_asked_for_their_user(start):
    instance = start("exec setsid sleep 60")
    # startup itself is no worker: until it has become the server there is none.
    end = time.monotonic() + 20
    while not (uids := instance.worker_uids()) and time.monotonic() < end:
        time.sleep(0.01)
    assert uids == {os.geteuid()}
    instance.end = lambda: None
    Instance.end(instance)
    assert instance.worker_uids() == frozenset()


def test_a_directory_that_startup_cannot_have_made_is_never_removed(start, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    instance = start(f"export STAGER_SOCKETS='{precious}'; exec sleep 60")
    while "sleep" not in {stat.name for stat in instance.observe()}:
        pass
    assert instance.sockets_directory() is None
    instance.end()
    instance.end = lambda: None
    assert precious.is_dir()


def test_a_startup_that_was_interrupted_while_it_began_does_not_run(start, monkeypatch):
    class Interrupted(Exception):
        pass

    def interrupt(self, root, since, marks=()):
        original(self, root, since, marks)
        if marks:
            raise Interrupted

    from stager.launch.processes import Tree

    original = Tree.__init__
    monkeypatch.setattr(Tree, "__init__", interrupt)
    with pytest.raises(Interrupted):
        start("exec sleep 60")


def test_a_process_that_is_just_ending_hides_nothing(start, monkeypatch):
    instance = start("exec sleep 60")
    members = instance.tree.members()
    monkeypatch.setattr(instance.tree, "members", lambda: members)
    assert not instance.is_opaque()
    # As another user's, whose descriptors only root may see.
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *_: False)
        assert instance.is_opaque()
    os.kill(instance.started.pid, 9)
    assert instance.started.wait(20) == -9
    assert not instance.is_opaque()
