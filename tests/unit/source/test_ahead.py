"""An index that was made ahead is the one that would have been made now, or none."""

from __future__ import annotations

import dataclasses
import os

import pytest

from stager.source.ahead import index_as_bytes, index_of_bytes
from stager.source.ignoring import ignoring_for
from stager.source.index import index_directory
from stager.source.opening import locate_source


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("three")
    (tmp_path / "a/run").write_text("#!/bin/sh\n")
    (tmp_path / "a/run").chmod(0o755)
    (tmp_path / "a-link").symlink_to("a/b")
    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    (tmp_path / ".stagerignore").write_text("*.log\n")
    (tmp_path / "x.log").touch()
    return tmp_path


def test_it_is_the_same(root):
    ignoring = ignoring_for(os.fspath(root))
    index = index_of_bytes(index_as_bytes(os.fspath(root), ()), ignoring)
    assert dataclasses.astuple(index) == dataclasses.astuple(index_directory(os.fspath(root), ignoring))


def test_what_left_out_something_else_is_not_taken(root):
    data = index_as_bytes(os.fspath(root), ())
    assert index_of_bytes(data, ignoring_for(os.fspath(root), ["*.txt"])) is None
    assert index_of_bytes(data, ignoring_for(os.fspath(root), (), [root / "a/b"])) is None


@pytest.mark.parametrize("limit", [None, 1 << 20])
def test_a_source_has_what_it_has_now_or_then(root, limit):
    data = index_as_bytes(os.fspath(root), ())
    (root / "later").touch()
    location = locate_source(os.fspath(root), workspace=lambda: root)
    # Only an index that was made up to the same size can stand for another one.
    assert location.index(ahead=data, max_size=limit).tree.has("later") is (limit is not None)
    assert location.index(["b"], ahead=data).tree.has("later")
