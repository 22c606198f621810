"""Output is complete or absent, wherever it should go."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from stager.errors import DiskFull, OutputNotWritable
from stager.phases import unpublished as module
from stager.phases.unpublished import UnpublishedDirectory, UnpublishedFile, unpublished_at


def names(path):
    return sorted(entry.name for entry in path.iterdir())


@pytest.fixture(params=["without a name", "under another name"])
def unnamed(request, monkeypatch):
    """Files without a name, and what is done where the file system has none."""
    if request.param == "under another name":
        really = os.open

        def refuse(path, flags, *rest, **options):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return really(path, flags, *rest, **options)

        monkeypatch.setattr(module.os, "open", refuse)
    return request.param


def test_a_file_has_its_name_when_it_is_published_and_not_before(tmp_path, unnamed):
    final = tmp_path / "a.tar.gz"
    one = UnpublishedFile(final, "tar.gz")
    one.file.write(b"whole")
    assert not final.exists()
    assert len(names(tmp_path)) == (0 if unnamed == "without a name" else 1)
    one.publish()
    one.discard()
    assert final.read_bytes() == b"whole"
    assert names(tmp_path) == ["a.tar.gz"]


def test_a_file_that_is_discarded_leaves_nothing(tmp_path, unnamed):
    one = UnpublishedFile(tmp_path / "a.tar.gz", "tar.gz")
    one.file.write(b"half")
    one.discard()
    assert names(tmp_path) == []


def test_what_had_the_name_is_replaced_at_once_and_stays_until_then(tmp_path, unnamed):
    final = tmp_path / "a.tar.gz"
    final.write_bytes(b"older")
    with final.open("rb") as older:
        one = UnpublishedFile(final, "tar.gz")
        one.file.write(b"newer")
        assert final.read_bytes() == b"older"
        one.publish()
        one.discard()
        assert older.read() == b"older"
    assert final.read_bytes() == b"newer"
    assert names(tmp_path) == ["a.tar.gz"]


def test_a_link_is_replaced_and_what_it_leads_to_is_not(tmp_path, unnamed):
    (tmp_path / "other").write_bytes(b"theirs")
    (tmp_path / "a.tar.gz").symlink_to("other")
    one = UnpublishedFile(tmp_path / "a.tar.gz", "tar.gz")
    one.publish()
    one.discard()
    assert not (tmp_path / "a.tar.gz").is_symlink()
    assert (tmp_path / "other").read_bytes() == b"theirs"


def test_the_umask_decides_who_may_read_it(tmp_path, unnamed):
    before = os.umask(0o027)
    try:
        one = UnpublishedFile(tmp_path / "a.tar.gz", "tar.gz")
        one.publish()
        one.discard()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.tar.gz").stat().st_mode) == 0o640


def test_again_is_another_file_for_the_same_place(tmp_path, unnamed):
    one = UnpublishedFile(tmp_path / "a.tar.gz", "tar.gz")
    one.file.write(b"first")
    other = one.again()
    other.file.write(b"second")
    one.discard()
    other.publish()
    other.discard()
    assert (tmp_path / "a.tar.gz").read_bytes() == b"second"
    assert names(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("name", ["x" * 248 + ".tar.gz", "漢" * 82 + ".tar.gz"], ids=["latin", "han"])
@pytest.mark.parametrize("format_", ["tar.gz", "dir"])
def test_a_name_may_be_as_long_as_names_can_be(tmp_path, unnamed, name, format_):
    one = unpublished_at(tmp_path / name, format_)
    if format_ == "dir":
        one.path.mkdir()
    one.publish()
    one.discard()
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("format_", ["tar.gz", "dir"])
def test_a_name_that_is_too_long_is_an_error_of_the_output(tmp_path, unnamed, format_):
    one = unpublished_at(tmp_path / ("x" * 300), format_)
    if format_ == "dir":
        one.path.mkdir()
    with pytest.raises(OutputNotWritable) as caught:
        one.publish()
    one.discard()
    assert "File name too long" in caught.value.details
    assert names(tmp_path) == []


def test_a_name_in_the_working_directory_is_one(tmp_path, monkeypatch, unnamed):
    monkeypatch.chdir(tmp_path)
    one = UnpublishedFile(Path("a.tar.gz"), "tar.gz")
    one.publish()
    one.discard()
    assert names(tmp_path) == ["a.tar.gz"]


def test_a_directory_that_does_not_exist_is_named(tmp_path):
    for format_ in ("tar.gz", "dir"):
        with pytest.raises(OutputNotWritable) as caught:
            unpublished_at(tmp_path / "no/a", format_)
        assert caught.value.brief == f"The directory {tmp_path}/no does not exist."
        assert caught.value.resolution == "Make it first, or name another place with -o."


def test_a_file_in_a_files_place_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    for format_ in ("tar.gz", "dir"):
        with pytest.raises(OutputNotWritable):
            unpublished_at(tmp_path / "file/a", format_)


def test_a_file_never_takes_the_place_of_a_directory(tmp_path):
    with pytest.raises(OutputNotWritable) as caught:
        UnpublishedFile(tmp_path, "tar.gz")
    assert caught.value.brief == f"{tmp_path} is a directory."


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskFull), (errno.EIO, OutputNotWritable), (errno.EROFS, OutputNotWritable)],
)
def test_what_the_system_refuses_is_called_by_its_name_and_leaves_nothing(
    tmp_path, monkeypatch, unnamed, number, kind
):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    one = UnpublishedFile(tmp_path / "a.tar.gz", "tar.gz")
    monkeypatch.setattr(module.os, "fsync", refuse)
    with pytest.raises(kind) as caught:
        one.publish()
    one.discard()
    assert os.strerror(number) in caught.value.details
    assert names(tmp_path) == []


def test_a_rename_that_fails_leaves_nothing(tmp_path, unnamed):
    final = tmp_path / "a.tar.gz"
    one = UnpublishedFile(final, "tar.gz")
    final.mkdir()  # somebody else was quicker
    with pytest.raises(OutputNotWritable):
        one.publish()
    one.discard()
    assert names(tmp_path) == ["a.tar.gz"]


def tried_by(account, format_, places):
    """What another user gets, in a copy of this process: the interpreter may lie where only root can look."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgid(account.gid)
        os.setuid(account.uid)
        for place in places:
            try:
                unpublished_at(place, format_)
                outcome = "fine"
            except Exception as error:  # noqa: BLE001  (its name is what is asked for)
                outcome = type(error).__name__
            os.write(writing, f"{outcome}\n".encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as outcomes:
        told = outcomes.read().split()
    os.waitpid(pid, 0)
    return told


@pytest.mark.parametrize("format_", ["tar.gz", "dir"])
def test_a_place_that_may_not_be_written_to_is_an_error_of_the_output(tmp_path, unprivileged_user, format_):
    (tmp_path / "closed/there").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed").chmod(0o755)
    places = [tmp_path / "closed/there/a", tmp_path / "closed"]
    # A directory is made by the writer, later: only then the system says no.
    places += [tmp_path / "closed/there", tmp_path / "listed/a"] if format_ == "tar.gz" else []
    assert tried_by(unprivileged_user, format_, places) == ["OutputNotWritable"] * len(places)


def made(final):
    one = UnpublishedDirectory(final)
    one.path.mkdir()
    (one.path / "droplet.yaml").write_text("schema: 1\n")
    (one.path / "app").mkdir()
    (one.path / "app/new").touch()
    return one


def test_a_directory_has_its_name_when_it_is_published(tmp_path):
    final = tmp_path / "out"
    one = made(final)
    assert not final.exists()
    one.publish()
    one.discard()
    assert names(tmp_path) == ["out"]
    assert names(final) == ["app", "droplet.yaml"]


def test_a_directory_that_is_discarded_leaves_nothing(tmp_path):
    made(tmp_path / "out").discard()
    assert names(tmp_path) == []


@pytest.mark.parametrize("older", [(), ("droplet.yaml", "old")])
def test_an_empty_directory_and_an_older_droplet_make_room(tmp_path, older):
    final = tmp_path / "out"
    final.mkdir()
    for name in older:
        (final / name).touch()
    one = made(final)
    one.publish()
    one.discard()
    assert names(tmp_path) == ["out"]
    assert names(final) == ["app", "droplet.yaml"]


def test_what_is_no_droplet_is_never_overwritten(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/precious").touch()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("folder", "file", "dangling"):
        with pytest.raises(OutputNotWritable) as caught:
            UnpublishedDirectory(tmp_path / name)
        assert caught.value.brief == f"{tmp_path / name} exists, and is no droplet."
    assert names(tmp_path) == ["dangling", "file", "folder"]


@pytest.mark.parametrize("name", [".", "..", "../here"])
def test_the_working_directory_may_be_named(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/droplet.yaml").touch()
    (tmp_path / "here/inner").mkdir()
    monkeypatch.chdir(tmp_path / ("here/inner" if name == ".." else "here"))
    one = made(Path(name))
    one.publish()
    one.discard()
    assert names(tmp_path) == ["here"]
    assert names(tmp_path / "here") == ["app", "droplet.yaml"]


def test_when_a_directory_cannot_be_renamed_the_older_one_is_back(tmp_path, monkeypatch):
    final = tmp_path / "out"
    final.mkdir()
    (final / "droplet.yaml").write_text("older")
    one = made(final)
    really = type(one.path).rename

    def refuse(path, target):
        if path == one.path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really(path, target)

    monkeypatch.setattr(type(one.path), "rename", refuse)
    with pytest.raises(OutputNotWritable):
        one.publish()
    one.discard()
    assert (final / "droplet.yaml").read_text() == "older"
    assert names(tmp_path) == ["out"]
