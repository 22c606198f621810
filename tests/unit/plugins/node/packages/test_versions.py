"""Which Node is asked for, where, and which of the host's it is."""

import json

import pytest

from stager.errors import ConfigurationError, HostToolMissing, UnsupportedVersion
from stager.model.host import HostFacts, ToolFact
from stager.plugins.node.host_tools import NODES
from stager.plugins.node.packages.versions import Wanted, choose_node, wanted_versions
from stager.plugins.node.reading.manifest import read_package
from stager.plugins.node.reading.ranges import is_allowed
from stager.source.tree import Tree

VERSIONS = ("16.20.2", "18.0.0", "18.17.1", "19.9.0", "20.0.0", "20.11.1", "20.20.2", "22.12.0", "23.1.0")


def tree(root, files):
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Tree.of_directory(root)


def asked(root, files, option=None):
    source = tree(root, files)
    return [(one.constraint, one.where) for one in wanted_versions(source, read_package(source), option)]


def host(*versions):
    paths = tuple(f"/opt/node-{version}/bin/node" for version in versions)
    if not versions:
        return HostFacts.of(ToolFact("node"))
    return HostFacts.of(ToolFact("node", paths[0], versions[0], matches=paths, versions=versions))


def majors(constraint):
    return sorted({int(one.split(".")[0]) for one in VERSIONS if is_allowed(one, constraint)})


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("*", [16, 18, 19, 20, 22, 23]),
        ("x", [16, 18, 19, 20, 22, 23]),
        ("latest", [16, 18, 19, 20, 22, 23]),
        ("node", [16, 18, 19, 20, 22, 23]),
        ("current", [16, 18, 19, 20, 22, 23]),
        ("lts/*", [16, 18, 20, 22]),
        ("lts", [16, 18, 20, 22]),
        ("lts/-1", [16, 18, 20, 22]),
        ("lts/iron", [20]),
        ("lts/Hydrogen", [18]),
        ("lts-jod", [22]),
        ("20", [20]),
        ("v20", [20]),
        ("=20", [20]),
        ("20.x", [20]),
        ("20.x.x", [20]),
        ("20.*", [20]),
        ("^20", [20]),
        ("~20", [20]),
        ("~> 20", [20]),
        (">=18 <21", [18, 19, 20]),
        (">= 18.0.0 < 21", [18, 19, 20]),
        (">=18, <21", [18, 19, 20]),
        (">=18 && <21", [18, 19, 20]),
        ("^18 || ^20", [18, 20]),
        ("^18||>=22", [18, 22, 23]),
        ("18 || 20", [18, 20]),
        ("18 - 20", [18, 19, 20]),
        ("> 18", [19, 20, 22, 23]),
        (">18", [19, 20, 22, 23]),
        ("<=20", [16, 18, 19, 20]),
        ("<20", [16, 18, 19]),
        (">=v18.0.0", [18, 19, 20, 22, 23]),
        ("^18.18.0 || ^20.9.0 || >=21.1.0", [20, 22, 23]),
        (">=20.0.0-0", [20, 22, 23]),
        ("* >=20", [20, 22, 23]),
        ("||", [16, 18, 19, 20, 22, 23]),
    ],
)
def test_ranges_mean_what_npm_says(constraint, expected):
    assert majors(constraint) == expected


@pytest.mark.parametrize(
    ("version", "constraint", "is_one"),
    [
        ("20.20.2", "20.11.1", True),
        ("20.11.1", "v20.11.1", True),
        ("20.5.0", "20.11.1", False),
        ("20.20.2", "20.11", True),
        ("20.5.0", "20.11", False),
        ("22.0.0", "20.11.1", False),
        ("20.20.2", "~20.11.1", False),
        ("20.11.7", "~20.11.1", True),
        ("20.20.2", "<20.20.2", False),
        ("20.20.2", "20.11.1 - 20.20.2", True),
    ],
)
def test_a_plain_version_is_that_one_or_a_later_one_of_its_major(version, constraint, is_one):
    assert is_allowed(version, constraint) is is_one


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({".nvmrc": "v20.11.1\n"}, [("v20.11.1", ".nvmrc line 1")]),
        ({".nvmrc": "\n# ours\n20 # iron\n"}, [("20", ".nvmrc line 3")]),
        ({".nvmrc": "lts/*"}, [("lts/*", ".nvmrc line 1")]),
        ({".nvmrc": "lts/iron\r\n"}, [("lts/iron", ".nvmrc line 1")]),
        ({".nvmrc": "node"}, [("node", ".nvmrc line 1")]),
        ({".nvmrc": ""}, []),
        ({".nvmrc": "system"}, []),
        ({".nvmrc": "v20\n".encode("utf-16")}, [("v20", ".nvmrc line 1")]),
        ({".nvmrc": b"\xef\xbb\xbf18\n"}, [("18", ".nvmrc line 1")]),
        ({".node-version": "20.9.0"}, [("20.9.0", ".node-version line 1")]),
        ({".tool-versions": "ruby 3.3\nnodejs 20.11.0 18.0.0\n"}, [("20.11.0", ".tool-versions line 2")]),
        ({".tool-versions": "node latest:20\n"}, [("20", ".tool-versions line 1")]),
        ({".tool-versions": "nodejs ref:main\npython 3.11\nnodejs\n"}, []),
        ({"mise.toml": "[tools]\nnode = '22'\n"}, [("22", "mise.toml: tools.node")]),
        ({".mise.toml": "[tools]\nnode = ['20', '18']\n"}, [("20", ".mise.toml: tools.node")]),
        ({"mise.toml": "[tools\n"}, []),
        ({"package.json": '{"engines": {"node": ">=18"}}'}, [(">=18", "package.json: engines.node")]),
        ({"package.json": '{"engines": {"node": "*"}}'}, []),
        ({"package.json": '{"engines": {"npm": ">=9"}}'}, []),
        ({"package.json": '{"engines": {"node": 20}}'}, [("20", "package.json: engines.node")]),
        ({"package.json": '{"volta": {"node": "20.1.0"}}'}, [("20.1.0", "package.json: volta.node")]),
        ({"package.json": '{"volta": {"extends": "../x"}}'}, []),
        ({"package.json": '{"packageManager": "yarn@4.1.0"}'}, []),
        (
            {"package.json": '{"devEngines": {"runtime": {"name": "node", "version": "22.x"}}}'},
            [("22.x", "package.json: devEngines.runtime")],
        ),
        (
            {"package.json": '{"devEngines":{"runtime":{"name":"node","version":"9","onFail":"warn"}}}'},
            [],
        ),
        ({"package.json": '{"devEngines": {"runtime": [{"name": "bun", "version": "1"}, 3]}}'}, []),
        (
            {"package.json": '{"engines": {"node": "^20"}}', ".nvmrc": "20", ".node-version": "20.1.0"},
            [
                ("^20", "package.json: engines.node"),
                ("20", ".nvmrc line 1"),
                ("20.1.0", ".node-version line 1"),
            ],
        ),
    ],
)
def test_whoever_asks_is_named(tmp_path, files, expected):
    assert asked(tmp_path, files) == expected


def test_the_setting_counts_alone(tmp_path):
    files = {"package.json": '{"engines": {"node": "^16"}}', ".nvmrc": "nonsense"}
    assert asked(tmp_path, files, "20") == [("20", "node.version")]


@pytest.mark.parametrize(
    "text", ["twenty", "20 | 22", "lts/nobody", ">=", "^", "20..1", "$(id)", "é", "1.2.3.4"]
)
def test_what_is_no_version_is_refused_with_its_place(tmp_path, text):
    with pytest.raises(ConfigurationError, match=r"\.nvmrc line 1"):
        asked(tmp_path, {".nvmrc": text})


@pytest.mark.parametrize("text", ["iojs", "iojs-v3.3.1", "unstable", "nightly", "v8-canary"])
def test_what_is_no_release_of_node_is_refused(tmp_path, text):
    with pytest.raises(UnsupportedVersion, match=r"\.nvmrc line 1"):
        asked(tmp_path, {".nvmrc": text})


def test_the_default_node_is_taken_where_it_fits():
    node = choose_node(host("20.20.2", "22.12.0"), (Wanted(">=18", "x"),))
    assert (node.path, node.version, node.major, node.note) == (
        "/opt/node-20.20.2/bin/node",
        "20.20.2",
        20,
        "",
    )


def test_another_is_taken_where_the_default_does_not_fit():
    assert (
        choose_node(host("18.0.0", "20.9.0", "22.12.0", "23.1.0"), (Wanted(">=20", "x"),)).version
        == "22.12.0"
    )
    assert choose_node(host("18.0.0", "20.9.0", "20.11.1"), (Wanted("20.x", "x"),)).version == "20.11.1"
    assert choose_node(host("18.0.0", "23.1.0"), (Wanted(">=20", "x"),)).version == "23.1.0"


def test_a_later_one_than_was_asked_for_is_noted():
    node = choose_node(host("20.20.2"), (Wanted("v20.11.1", ".nvmrc line 1"),))
    assert node.note == (
        ".nvmrc line 1 asks for Node 20.11.1; this host has 20.20.2, which runs what an earlier 20 does."
    )


def test_what_is_asked_where_and_what_is_there_are_named():
    with pytest.raises(UnsupportedVersion) as caught:
        choose_node(host("20.20.2", "18.0.0"), (Wanted(">=22", "package.json: engines.node"),))
    assert caught.value.exit_code == 31
    assert caught.value.brief == "This host has no Node >=22, which package.json: engines.node asks for."
    assert "20.20.2  /opt/node-20.20.2/bin/node" in caught.value.details
    assert "18.0.0  /opt/node-18.0.0/bin/node" in caught.value.details
    assert "Install Node 26" in caught.value.resolution or "Install Node 24" in caught.value.resolution


def test_of_several_who_ask_the_one_that_refuses_is_named():
    wanted = (Wanted(">=18", "package.json: engines.node"), Wanted("22", ".nvmrc line 1"))
    with pytest.raises(UnsupportedVersion) as caught:
        choose_node(host("20.20.2"), wanted)
    assert caught.value.brief == "This host has no Node 22, which .nvmrc line 1 asks for."
    assert "engines.node: >=18" in caught.value.details
    assert "Install Node 22" in caught.value.resolution


def test_files_that_contradict_each_other_are_said_to():
    wanted = (Wanted("^18", "package.json: engines.node"), Wanted("20", ".nvmrc line 1"))
    with pytest.raises(UnsupportedVersion) as caught:
        choose_node(host("20.20.2"), wanted)
    assert caught.value.slug == "contradicting-versions"
    assert "package.json: engines.node: ^18" in caught.value.details
    assert ".nvmrc line 1: 20" in caught.value.details


def test_ranges_that_meet_in_the_middle_of_a_major_do_not_contradict():
    wanted = (Wanted(">=20.11.1", "a"), Wanted("<=20.11.1", "b"))
    with pytest.raises(UnsupportedVersion) as caught:
        choose_node(host("20.20.2"), wanted)
    assert caught.value.slug == "unsupported-version"


def test_a_host_without_node_is_another_error():
    with pytest.raises(HostToolMissing) as caught:
        choose_node(host(), ())
    assert "nodejs" in caught.value.resolution


def test_a_droplet_looks_for_its_major_version():
    tool = choose_node(host("20.20.2"), ()).run_tools()
    assert (tool.start_arguments, tool.start_pattern, tool.variable) == (
        ("--version",),
        "v20.*",
        "STAGER_NODE",
    )
    assert (tool.package, tool.when) == ("nodejs", "run")


def test_releases_alone_are_told_from_what_node_prints():
    import re

    for output, version in (("v20.20.2\n", "20.20.2"), ("v23.0.0-nightly2024\n", None), ("20.1\n", None)):
        found = re.search(NODES.version_pattern, output)
        assert (found[1] if found else None) == version


def test_odd_engines_never_crash(tmp_path):
    for value in (
        "",
        " ",
        "0",
        "-1",
        "9" * 400,
        ">" * 50,
        "|| ||",
        "x.x.x",
        "1.x.3",
        "\n20\n",
        "20\x00",
        "٢٠",
    ):
        try:
            asked(tmp_path, {"package.json": json.dumps({"engines": {"node": value}})})
        except (ConfigurationError, UnsupportedVersion) as error:
            assert "engines.node" in error.brief  # noqa: PT017  (some are fine)
