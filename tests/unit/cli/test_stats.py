import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stager.launch.agent.history import History, Sample
from stager.launch.agent.identity import this_process
from stager.launch.agent.places import StateDirectory
from stager.launch.agent.records import ApplicationRecord, InstanceRecord

MIB = 1 << 20


@pytest.fixture
def state(tmp_path):
    """A state directory in which this very process is both instances of an application."""
    directory = StateDirectory(tmp_path / "state")
    directory.make()
    application = directory.application("shop")
    application.make()
    application.write(ApplicationRecord("shop", "/x", "0" * 64, instances=2))
    me, now = this_process(), time.time()
    for index in range(2):
        place = application.instance(index, f"{index}aaaabbbb")
        place.make()
        where = {"pid": me.pid, "start_time": me.start_time, "boot": me.boot}
        place.write(
            InstanceRecord("shop", index, f"{index}aaaabbbb", state="running", means="cgroup1", **where)
        )
        history = History(place.history_file, 60)
        for number in range(40):
            moment = now - 2 * (39 - number)
            history.add(Sample(moment, number * 0.5, (10 + number) * MIB, MIB, 2, 3, None))
        history.close()
    return directory.path


def test_a_table_has_each_instance(stager_cli, state):
    done = stager_cli("stats", "--state-dir", state, environment={"COLUMNS": "70"})
    assert (done.returncode, done.stderr) == (0, "")
    title, first, second = done.stdout.splitlines()
    assert title.startswith("INSTANCE")
    assert first.startswith("shop/0")
    assert second.startswith("shop/1")
    assert "49 MiB" in first
    assert max(map(len, (title, first, second))) <= 70


@pytest.mark.parametrize("name", ["1aaaabbbb", "1aaa"])
def test_an_instance_is_named_by_the_beginning_of_its_id(stager_cli, state, name):
    done = stager_cli("stats", name, "--json", environment={"STAGER_STATE_DIR": state})
    assert [one["index"] for one in json.loads(done.stdout)["instances"]] == [1]


def test_a_document_has_what_is_now_the_peaks_and_the_last_samples(stager_cli, state):
    document = json.loads(stager_cli("stats", "shop", "--json", "--state-dir", state).stdout)
    assert document["schema"] == 1
    first = document["instances"][0]
    assert (first["name"], first["index"], first["state"], first["means"]) == (
        "shop",
        0,
        "running",
        "cgroup1",
    )
    assert (first["now"]["memory"], first["now"]["fds"], first["now"]["cpu_share"]) == (49 * MIB, None, 0.25)
    assert first["peak"] == {"memory": 49 * MIB, "disk": MIB, "tasks": 3, "fds": 0, "cpu_share": 0.25}
    assert len(first["samples"]) == 30
    assert first["limits"]["memory"] == 512 * MIB


def test_a_page_is_written_whole_and_named(stager_cli, state, tmp_path):
    page = tmp_path / "usage.html"
    done = stager_cli("stats", "--state-dir", state, "--html", page)
    assert (done.returncode, done.stdout) == (0, f"{page}\n")
    assert page.read_text().endswith("</html>\n")
    assert sorted(os.listdir(tmp_path)) == ["state", "usage.html"]
    done = stager_cli("stats", "--state-dir", state, "--html", tmp_path / "nowhere" / "page")
    assert done.returncode != 0
    assert "the page" in done.stderr


def test_an_unknown_name_says_what_there_is(stager_cli, state):
    done = stager_cli("stats", "shoe", "--state-dir", state)
    assert (done.returncode, done.stdout) == (2, "")
    assert "shop" in done.stderr


def test_where_nothing_runs_it_says_so(stager_cli, tmp_path):
    done = stager_cli("stats", "--state-dir", tmp_path / "none")
    assert (done.returncode, done.stdout) == (0, "There are no instances.\n")


def test_watching_goes_on_until_it_is_interrupted(state):
    argv = [Path(sys.executable).with_name("stager"), "stats", "--watch", "--json", "--state-dir", state]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        documents = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert [len(document["instances"]) for document in documents] == [2, 2]
