"""A droplet is read in one pass, and what is none is refused with the reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import socket
import subprocess
import tarfile

import pytest

from stager.archive import digest_list
from stager.archive.compression import Compression
from stager.archive.droplet_content import read_droplet
from stager.archive.droplet_directory import DropletDirectory
from stager.archive.droplet_file import DropletFile
from stager.archive.writer import DropletWriter
from stager.errors import DropletCorrupt
from stager.model.droplet import Manifest
from stager.model.entry import Entry, Kind, file_of_bytes
from stager.model.plan import Process
from stager.phases.pack import manifest_text

MANIFEST = Manifest("1", (), (Process("web", ("serve",)),))
APP = (
    Entry("app", Kind.DIRECTORY, 0o755, ""),
    file_of_bytes("app/" + os.fsdecode(b"caf\xe9 \n x"), b"odd"),
    file_of_bytes("app/run", b"#!/bin/sh\n", 0o755),
    Entry("app/link", Kind.LINK, 0o777, "run"),
)
LAUNCH = (file_of_bytes("startup", b"start", 0o755), Entry("logs", Kind.DIRECTORY, 0o755, ""))
PATHS = [entry.path for entry in (*APP, *LAUNCH)]


def write(form):
    from dataclasses import replace

    with DropletWriter(form) as writer:
        layers = (writer.add_layer("app", APP), writer.add_layer("launch", LAUNCH))
        manifest = replace(MANIFEST, layers=layers)
        writer.add_manifest(manifest_text(manifest))
        writer.finish()
    return manifest


@pytest.fixture(params=["tar.gz", "tar.zst", "dir"])
def droplet(request, tmp_path):
    path = tmp_path / "droplet"
    if request.param == "dir":
        return path, write(DropletDirectory(str(path), 0)), "dir"
    kind = Compression.ZSTD if request.param == "tar.zst" else Compression.GZIP
    with path.open("wb") as file:
        return path, write(DropletFile(file, kind, 0)), request.param


def test_everything_in_it_is_told(droplet):
    path, manifest, format_ = droplet
    content = read_droplet(path)
    assert content.path == path
    assert content.format == format_
    assert content.manifest == manifest
    assert set(content.members) == {*PATHS, "droplet.yaml", "droplet.sha256"}
    assert content.members["app/run"].digest == hashlib.sha256(b"#!/bin/sh\n").hexdigest()
    assert (content.members["app/run"].kind, content.members["app/run"].mode) == (Kind.FILE, 0o755)
    assert (content.members["app/link"].kind, content.members["app/link"].digest) == (Kind.LINK, "run")
    assert content.members["logs"].kind is Kind.DIRECTORY
    assert {
        name: seen.digest for name, seen in content.members.items() if name in content.listed
    } == content.listed
    assert set(content.listed) == {entry.path for entry in (*APP, *LAUNCH) if entry.kind is Kind.FILE} | {
        "droplet.yaml"
    }
    assert content.layers == (() if format_ == "dir" else manifest.layers)
    assert content.files == 5
    assert content.bytes == sum(seen.size for seen in content.members.values())
    if format_ != "dir":
        assert content.size_bytes == path.stat().st_size


def test_sizes_are_told_by_folder_the_largest_first(droplet):
    path, _, _ = droplet
    sizes = read_droplet(path).by_folder
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
    assert sizes["app/"] == len(b"odd" + b"#!/bin/sh\n")
    assert sizes["startup"] == 5
    assert "logs/" not in sizes


def test_nothing_is_hashed_where_nobody_asks(droplet):
    path, _, _ = droplet
    content = read_droplet(path, is_hashing=False)
    assert {seen.digest for seen in content.members.values() if seen.kind is Kind.FILE} == {""}
    assert content.layers == ()
    assert content.listed
    assert content.files == 5


def test_it_is_unpacked_on_the_way_as_tar_would(droplet, tmp_path):
    path, _, format_ = droplet
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    before = os.umask(0o077)
    try:
        read_droplet(path, destination=ours)
    finally:
        os.umask(before)
    if format_ == "dir":
        assert list(ours.iterdir()) == []
        return
    subprocess.run(["tar", "-xf", path, "-C", theirs], check=True)
    subprocess.run(["diff", "-r", "--no-dereference", ours, theirs], check=True)
    assert (ours / "app/run").stat().st_mode & 0o777 == 0o755


def test_an_open_file_is_read_and_left_open(tmp_path):
    with (tmp_path / "x").open("wb+") as file:
        manifest = write(DropletFile(file, Compression.GZIP, 0))
        content = read_droplet(tmp_path / "elsewhere", file=file)
        assert content.manifest == manifest
        assert not file.closed


def told(path):
    with pytest.raises(DropletCorrupt) as caught:
        read_droplet(path)
    assert caught.value.resolution
    return caught.value


def test_what_is_not_there_and_what_cannot_be_read_say_so(tmp_path):
    error = told(tmp_path / "no")
    assert (error.brief, error.slug) == (f"There is no droplet {tmp_path}/no.", "droplet-unreadable")
    (tmp_path / "file").touch()
    error = told(tmp_path / "file/x")
    assert (error.brief, error.details) == (f"{tmp_path}/file/x cannot be read.", "Not a directory")
    assert "File name too long" in told(tmp_path / ("x" * 300)).details


def test_a_pipe_is_no_droplet(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, gzip.compress(b"x"))
    os.close(writing)
    try:
        assert "cannot be read" in told(type(tmp_path)(f"/dev/fd/{reading}")).brief
    finally:
        os.close(reading)


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b", gzip.compress(b"text" * 500, mtime=0)])
def test_what_is_no_archive_is_no_droplet(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    assert told(tmp_path / "x").exit_code == 62


def archive(tmp_path, **files):
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_an_archive_without_a_manifest_is_no_droplet(tmp_path):
    error = told(archive(tmp_path, index_php=b"<?php"))
    assert error.brief == f"{tmp_path}/x.tar.gz is no droplet."
    assert error.details == "It is an archive, and has no droplet.yaml."


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a: [",
        b"\xff\xfe\xff",
        b"a: \x00",
        b"? [a]\n: b",
        b"day: 2026-13-45",
        b"x: !!int y",
        b"x: !!python/object/apply:os.system ['true']",
        b"[" * 5000,
        b"schema: 1\nstager_version: '1'",
        b"&a [*a]",
    ],
)
def test_a_manifest_that_is_none_is_corrupt_and_nothing_worse(tmp_path, text):
    error = told(archive(tmp_path, droplet_yaml=text))
    assert error.brief == "The droplet's manifest cannot be read."
    assert error.details.startswith("droplet.yaml: ")


def test_a_list_of_digests_that_is_none_is_corrupt(tmp_path):
    error = told(archive(tmp_path, droplet_yaml=manifest_text(MANIFEST), droplet_sha256=b"x\n"))
    assert error.brief == "The droplet's list of digests cannot be read."


def test_a_directory_that_is_no_droplet_is_refused(tmp_path):
    error = told(tmp_path)
    assert error.brief == f"{tmp_path} is no droplet."
    assert error.details == "It has no droplet.yaml."


def test_a_directory_with_a_socket_in_it_is_refused_by_name(tmp_path):
    write(DropletDirectory(str(tmp_path / "d"), 0))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "d/s"))
        error = told(tmp_path / "d")
    assert "'s' is neither file, directory nor link." in error.details


def test_a_directory_in_which_something_cannot_be_read_is_refused(tmp_path, unprivileged_user):
    write(DropletDirectory(str(tmp_path / "d"), 0))
    (tmp_path / "d").chmod(0o755)
    (tmp_path / "d/startup").chmod(0o700)
    pid = os.fork()
    if pid == 0:
        os.setuid(unprivileged_user.uid)
        try:
            read_droplet(tmp_path / "d")
        except DropletCorrupt as error:
            os._exit(7 if error.details == "Permission denied" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_the_list_of_digests_is_what_sha256sum_reads(droplet, tmp_path):
    path, _, format_ = droplet
    if format_ != "dir":
        (tmp_path / "out").mkdir()
        read_droplet(path, destination=tmp_path / "out")
        path = tmp_path / "out"
    done = subprocess.run(["sha256sum", "--check", "--quiet", digest_list.NAME], cwd=path, check=False)
    assert done.returncode == 0
