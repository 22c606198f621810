"""Where a droplet goes, and what the options of a build mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stager.cli.build import _output, _size, _stem
from stager.cli.doctor import _document, _text
from stager.cli.inspect import _measured_fit
from stager.cli.options import make_request
from stager.errors import UsageError
from stager.model.host import HostTool
from stager.model.memory import MIB, Share, WorkerModel

OPTIONS = {
    "source": "app", "runtimes": (), "memory": None, "disk": None, "fds": None, "environment": (),
    "build_environment": (), "services": None, "config": None, "settings": (), "max_size": None,
    "cache_dir": None, "no_cache": False, "offline": False,
}  # fmt: skip


def requested(**options):
    return make_request(**{**OPTIONS, **options})


@pytest.mark.parametrize(
    ("source", "output", "format_", "expected"),
    [
        ("/x/shop", None, None, ("shop.droplet.tar.gz", "tar.gz")),
        ("/x/shop/", None, "tar.zst", ("shop.droplet.tar.zst", "tar.zst")),
        ("/x/shop", None, "dir", ("shop.droplet", "dir")),
        ("/x/shop-1.2.zip", None, None, ("shop-1.2.droplet.tar.gz", "tar.gz")),
        ("-", None, None, ("app.droplet.tar.gz", "tar.gz")),
        ("/", None, None, ("app.droplet.tar.gz", "tar.gz")),
        ("x", "y.tgz", None, ("y.tgz", "tar.gz")),
        ("x", "y.tar.zst", None, ("y.tar.zst", "tar.zst")),
        ("x", "y.tzst", None, ("y.tzst", "tar.zst")),
        ("x", "y.bin", "tar.gz", ("y.bin", "tar.gz")),
        ("x", "y.tar.gz", "tar.zst", ("y.tar.gz", "tar.zst")),
        ("x", "y", "dir", ("y", "dir")),
    ],
)
def test_place_and_format_follow_from_each_other(source, output, format_, expected):
    place, chosen = _output(source, Path(output) if output else None, format_)
    assert (str(place), chosen) == expected


@pytest.mark.parametrize("name", ["y", "y.zip", "y.tar", "tar.gz.x"])
def test_a_name_that_says_no_format_is_an_error(name):
    with pytest.raises(UsageError) as caught:
        _output("x", Path(name), None)
    assert caught.value.brief == f"The name {name} does not say which format the droplet should have."
    assert "--format" in caught.value.resolution


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.zip", "a"), ("a.b.tar.gz", "a.b"), ("a.tgz", "a"), ("a.tar", "a"), (".zip", ".zip"), ("", "app"),
        ("a.d", "a.d"), ("a.tar.xz", "a"), ("a.tar.bz2", "a"), ("a.tar.zst", "a"),
    ],
)  # fmt: skip
def test_a_source_is_called_by_its_name_without_suffixes(name, stem):
    assert _stem(name) == stem


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (12_345_678, "12.3 MB"), (5e9, "5.00 GB")],
)
def test_sizes_read_well(count, text):
    assert _size(count) == text


def test_options_become_settings_and_a_value_may_hold_anything():
    request = requested(
        runtimes=("node", "php"),
        memory="1G",
        settings=("php.document_root=a=b",),
        environment=("A=", "B=x=y z"),
        build_environment=("C=1",),
    )
    assert {key: value for key, value in request.flags.items() if value is not None} == {
        "runtime": ("node", "php"),
        "memory": "1G",
        "php.document_root": "a=b",
        "env.A": "",
        "env.B": "x=y z",
        "build_env.C": "1",
    }


@pytest.mark.parametrize(
    ("option", "name"),
    [("settings", "--set"), ("environment", "--env"), ("build_environment", "--build-env")],
)
@pytest.mark.parametrize("value", ["KEY", "=value", ""])
def test_a_pair_that_is_none_is_an_error_of_usage(option, name, value):
    with pytest.raises(UsageError) as caught:
        requested(**{option: (value,)})
    assert caught.value.brief == f"{name} wants KEY=VALUE."


def test_the_cache_is_the_users_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert requested().cache_directory == tmp_path / "stager"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert requested().cache_directory == tmp_path / ".cache/stager"
    assert requested(cache_dir=Path("here")).cache_directory == Path("here")
    assert requested(cache_dir=Path("here"), no_cache=True).cache_directory is None


def test_services_are_passed_on_as_they_were_written(tmp_path):
    text = '{ "mysql":  [{"name": "d\\u00e9"}] }\n'
    (tmp_path / "s.json").write_text(text)
    assert requested(services=tmp_path / "s.json").services == text


@pytest.mark.parametrize("text", ["", "x", "[]", '"x"', b"\xff"])
def test_services_that_are_no_object_are_an_error_of_usage(tmp_path, text):
    (tmp_path / "s.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match="--services: cannot read"):
        requested(services=tmp_path / "s.json")
    with pytest.raises(UsageError, match="--services: cannot read"):
        requested(services=tmp_path)


def test_how_many_measured_workers_fit_is_what_is_left_divided():
    model = WorkerModel(32, 128, shares=(Share("S", 8, 16, 128),))
    assert _measured_fit(model, {"worker_bytes": 20 * MIB}, 512 * MIB) == (512 - 32 - 64) // 20
    assert _measured_fit(model, {"worker_bytes": 20 * MIB}, 10 * MIB) == 0
    assert _measured_fit(model, {}, 512 * MIB) is None


def test_doctor_names_what_is_missing_and_the_one_line_that_mends_it(programs):
    programs("there", "echo version 1.5")
    tools = {
        "one": (
            HostTool("there", "is there", "p1", ("there",), (), ("-v",), r"version (\S+)"),
            HostTool("needed", "does it", "pack-b", ("no-such-b",)),
        ),
        "two": (HostTool("nice", "helps", "pack-a", ("no-such-a",), optional=True),),
    }
    document = _document(tools)
    assert json.loads(json.dumps(document)) == document
    one, two = document["runtimes"]
    assert (one["ok"], one["missing"]) == (False, ["needed"])
    assert (two["ok"], two["missing"]) == (True, ["nice"])
    assert document["install"] == "apt-get install -y --no-install-recommends pack-a pack-b"
    text = _text(document)
    assert text.startswith("one: not ready\n")
    assert "two: ready" in text
    assert f"  ✓ there 1.5 ({one['tools'][0]['path']})" in text
    assert "  ✗ needed is missing: does it (package pack-b)" in text
    assert "  - nice is missing: helps (package pack-a)" in text
    assert text.endswith(f"  {document['install']}")


def test_doctor_is_content_where_nothing_is_missing():
    document = _document({})
    assert document == {"schema": 1, "runtimes": [], "install": ""}
    assert "Nothing is missing." in _text(document)
