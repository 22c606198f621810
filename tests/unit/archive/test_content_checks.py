"""What is said of a droplet that does not hold what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stager.archive.content_checks import check_content
from stager.archive.droplet_content import Content, Seen
from stager.model.droplet import Layer, Manifest
from stager.model.entry import Kind
from stager.model.finding import Finding

LAYER = Layer("app", "0" * 64, 1, 1, 1)


def file(digest="d", mode=0o644):
    return Seen(Kind.FILE, mode, 1, digest)


def folder(mode=0o755):
    return Seen(Kind.DIRECTORY, mode, 0, "")


GOOD = Content(
    Path("x"),
    "tar.gz",
    1,
    Manifest("1", (), (), layers=(LAYER,)),
    {
        "app": folder(),
        "app/link": Seen(Kind.LINK, 0o777, 0, "x"),
        "app/x": file(),
        "startup": file(mode=0o755),
        "stop": file(mode=0o755),
        "droplet.yaml": file(),
        "droplet.sha256": file("own"),
    },
    {"app/x": "d", "startup": "d", "stop": "d", "droplet.yaml": "d"},
    (LAYER,),
)


def changed(format_="tar.gz", without=(), listed=None, layers=(LAYER,), **members):
    kept = {path: seen for path, seen in {**GOOD.members, **members}.items() if path not in without}
    return replace(
        GOOD, format=format_, members=kept, listed=GOOD.listed if listed is None else listed, layers=layers
    )


def test_a_droplet_that_is_what_it_says_has_no_findings():
    assert check_content(GOOD) == []


@pytest.mark.parametrize(
    ("content", "check", "path", "message"),
    [
        (
            changed(**{"app/x": file("other")}),
            "digests",
            "app/x",
            "its digest is not the one in droplet.sha256",
        ),
        (changed(**{"app/y": file()}), "names", "app/y", "it is not in droplet.sha256"),
        (changed(without=["app/x"]), "names", "app/x", "it is in droplet.sha256, and missing"),
        (changed(**{"app/x": folder()}), "names", "app/x", "it is in droplet.sha256, and missing"),
        (changed(without=["droplet.sha256"]), "names", "droplet.sha256", "it is missing"),
        (changed(without=["app"]), "names", "app", "every droplet has it, and this one does not"),
        (changed(**{"app/x": file(mode=0o666)}), "modes", "app/x", "its mode 666 is neither 644 nor 755"),
        (changed(app=folder(0o777)), "modes", "app", "its mode 777 is neither 644 nor 755"),
        (
            changed(**{"app/x": file(mode=0o4755)}),
            "modes",
            "app/x",
            "its mode 4755 has set-user-id, set-group-id or sticky",
        ),
        (changed(startup=file(mode=0o644)), "modes", "startup", "it cannot be executed"),
        (
            changed(layers=(replace(LAYER, digest="1" * 64),)),
            "layers",
            "droplet.yaml",
            "the layer app is not what the manifest says",
        ),
    ],
)
def test_one_thing_that_is_wrong_is_one_finding(content, check, path, message):
    assert check_content(content) == [Finding(check, "error", message, path)]


def test_a_script_that_is_missing_is_an_error_whether_it_was_listed_or_not():
    listed = {path: digest for path, digest in GOOD.listed.items() if path != "stop"}
    (finding,) = check_content(changed(without=["stop"], listed=listed))
    assert finding == Finding("names", "error", "every droplet has it, and this one does not", "stop")


def test_a_directory_that_has_run_holds_what_a_run_leaves_and_other_modes():
    made = {"logs/stdout.log": file(), "run/x": file(), "tmp/y": file(), "run.pid": file()}
    group_writable = {"app/x": file(mode=0o664), "app": folder(0o775)}
    assert check_content(changed("dir", layers=(), **made, **group_writable)) == []
    assert len(check_content(changed(**made))) == 4
