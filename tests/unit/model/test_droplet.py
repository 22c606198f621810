"""droplet.yaml: what is written is read back, and whatever else is there is called corrupt, never a bug."""

from __future__ import annotations

import copy
import json
import random

import pytest
import yaml

from stager.errors import DropletCorrupt
from stager.model.droplet import Layer, Manifest, Runtime, plain
from stager.model.host import HostTool
from stager.model.memory import Share, WorkerModel
from stager.model.plan import Companion, Health, Limits, Process, Shell
from stager.phases.pack import manifest_text

ODD = 'it\'s "quoted" $(id) `id` \\ é 漢 \U0001f600 \x1b\x85\u2028 #: - yes: [1]\n\n end \t'
MANIFEST = Manifest(
    stager_version="1.2.3",
    runtimes=(Runtime("php", {"php": "8.2", "composer": "2"}), Runtime("node")),
    processes=(
        Process(
            "web",
            ("serve", "-p", "${PORT}", ODD),
            stop_signal="WINCH",
            grace=2.5,
            drains=False,
            companions=(Companion("side", ("side", "x"), "QUIT", "${STAGER_SOCKETS}/s"),),
            workers=WorkerModel(1, 2, limit_variable="L", shares=(Share("S", 8, 1, 2),)),
            checks=(("serve", "-t"), ("other",)),
            environment={"A": ODD},
        ),
        Process("worker", Shell(ODD), grace=10),
    ),
    environment={"EMPTY": "", "NUMBER": "1e3", "BOOLEAN": "yes", "NOTHING": "null", "DATE": "2026-01-01"},
    limits=Limits(1 << 29, 1 << 30, 256),
    health=Health("/healthz", 12),
    tools=(HostTool("apache2", "serves", "apache2", ("apache2",), ("/x/*",), variable="HTTPD", when="run"),),
    writable=("app/tmp",),
    layers=(Layer("app", "0" * 64, 3, 4, 5),),
    measured={"worker_bytes": 12_345},
)
MINIMAL = Manifest("1", (), (Process("web", ("x",)),))


def parsed(manifest):
    return yaml.safe_load(manifest_text(manifest))


@pytest.mark.parametrize("manifest", [MANIFEST, MINIMAL])
def test_what_was_written_is_read_back(manifest):
    assert Manifest.from_document(parsed(manifest)) == manifest


def test_the_document_is_plain_data():
    document = MANIFEST.as_document()
    assert json.loads(json.dumps(document)) == document
    assert document["processes"]["worker"]["command"] == {"shell": ODD}
    assert document["processes"]["web"]["command"] == ["serve", "-p", "${PORT}", ODD]
    assert list(document)[:4] == ["schema", "stager_version", "runtimes", "processes"]


def test_the_text_is_ascii_and_says_who_made_it():
    text = manifest_text(MANIFEST)
    assert text.isascii()
    assert text.startswith(b"# The manifest of this droplet, made by stager.")


def test_a_process_is_found_by_its_type():
    assert MANIFEST.process("worker") == MANIFEST.processes[1]
    assert MANIFEST.process("clock") is None


def test_plain_leaves_nothing_of_a_dataclass():
    assert plain({"a": (Shell("x"), Limits(1, 2, 3))}) == {
        "a": [{"shell": "x"}, {"memory": 1, "disk": 2, "fds": 3}]
    }


def told(document):
    with pytest.raises(DropletCorrupt) as caught:
        Manifest.from_document(document)
    assert caught.value.brief == "The droplet's manifest cannot be read."
    assert caught.value.details.startswith("droplet.yaml: ")
    assert caught.value.resolution == "Build the droplet again with this version of stager."
    return caught.value.details.removeprefix("droplet.yaml: ")


@pytest.mark.parametrize("document", [None, [], "text", 5, True])
def test_what_is_no_mapping_is_no_manifest(document):
    assert told(document) == "it is not a mapping"


@pytest.mark.parametrize(("schema", "said"), [(2, "schema 2 is not 1"), (None, "schema None is not 1")])
def test_another_schema_is_refused(schema, said):
    assert told({**MINIMAL.as_document(), "schema": schema}) == said


@pytest.mark.parametrize("key", sorted(set(MINIMAL.as_document()) - {"schema", "private_files"}))
def test_a_key_that_is_missing_is_named(key):
    document = MINIMAL.as_document()
    del document[key]
    assert told(document) == f"the key '{key}' is missing"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["stager_version"], 1, "stager_version is a whole number, not text"),
        (["processes"], [], "processes is a list, not a mapping"),
        (["processes"], {}, "processes is empty"),
        (["processes", "web"], "x", "processes.web is text, not a mapping"),
        (["processes", "web", "command"], "x", "processes.web.command is text, not a mapping"),
        (["processes", "web", "command"], {"text": "x"}, "processes.web.command.shell is nothing, not text"),
        (["processes", "web", "drains"], 1, "processes.web.drains is a whole number, not true or false"),
        (["processes", "web", "grace"], "1", "processes.web.grace is text, not a number"),
        (["processes", "web", "grace"], True, "processes.web.grace is true or false, not a number"),
        (["processes", "web", "checks"], ["x"], "processes.web.checks[0] is text, not a list"),
        (["processes", "web", "workers", "worker_mib"], 0, "processes.web.workers divides by zero"),
        (["processes", "web", "workers", "shares", 0, "divisor"], 0, "processes.web.workers divides by zero"),
        (["processes", "web", "type"], "x", "processes.web.type is not known"),
        (["processes", "web", "color"], "x", "processes.web.color is not known"),
        (["environment", "NUMBER"], 1000, "environment.NUMBER is a whole number, not text"),
        (["environment"], {1: "x"}, "environment has the key 1, which is not text"),
        (["limits", "memory"], "512M", "limits.memory is text, not a whole number"),
        (["limits", "memory"], True, "limits.memory is true or false, not a whole number"),
        (["limits", "memory"], 5.5, "limits.memory is a number, not a whole number"),
        (["health"], None, "health is nothing, not a mapping"),
        (["tools", 0, "programs"], "x", "tools[0].programs is text, not a list"),
        (["tools", 0, "when"], "never", "tools[0].when is text, not build or run or both"),
        (["writable"], {"x": 1}, "writable is a mapping, not a list"),
        (["layers", 0, "files"], None, "layers[0].files is nothing, not a whole number"),
        (["layers", 0], {"name": "app"}, "layers[0].digest is missing"),
        (["measured", "worker_bytes"], "1", "measured.worker_bytes is text, not a whole number"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_place(path, value, said):
    document = parsed(MANIFEST)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert told(document) == said


def places(value, path=()):
    """Every place in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@pytest.mark.parametrize("value", [None, 0, -1, 1.5, True, "", "x", [], ["x"], [[]], {}, {"x": 1}, {1: 2}])
def test_whatever_stands_anywhere_it_is_read_or_called_corrupt(value):
    whole = parsed(MANIFEST)
    for path in list(places(whole))[1:]:
        document = copy.deepcopy(whole)
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        try:
            read = Manifest.from_document(document)
        except DropletCorrupt:
            continue
        assert Manifest.from_document(read.as_document()) == read, path


def test_whatever_is_missing_it_is_read_or_called_corrupt():
    whole = parsed(MANIFEST)
    for path in list(places(whole))[1:]:
        document = copy.deepcopy(whole)
        place = document
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        try:
            Manifest.from_document(document)
        except DropletCorrupt:
            continue


def test_random_environments_survive_yaml():
    chosen = random.Random(11)
    letters = [chr(code) for code in (*range(1, 0x180), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0x1F600)]
    for _ in range(50):
        value = "".join(chosen.choices(letters, k=40))
        manifest = Manifest("1", (), MINIMAL.processes, environment={"V": value})
        assert Manifest.from_document(parsed(manifest)).environment == {"V": value}
