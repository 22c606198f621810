import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import pwd
import random
import socket
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib

import pytest
import zstandard

from stager.errors import SourceUnreadable, StagerError, UnsafeSource, UsageError
from stager.model.entry import Kind
from stager.source.opening import DEFAULT_MAX_SIZE, locate_source, open_source

COMPRESSIONS = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.zst": zstandard.compress,
    ".tar.xz": lzma.compress,
    ".tar.bz2": bz2.compress,
}
MEND = "Make the archive again and hand it in whole: .zip, .tar, .tar.gz, .tar.zst, .tar.xz or .tar.bz2."


@pytest.fixture
def workspace(tmp_path):
    """A callable, as open_source wants it, that refuses to be called twice."""
    place = tmp_path / "workspace"

    def make():
        place.mkdir()
        return place

    make.place = place
    return make


def never():
    raise AssertionError("no workspace is needed for this")


def tar_of(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(*members, compression=zipfile.ZIP_DEFLATED):
    """A zip of (name, data[, Unix mode]) members, as Info-ZIP makes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data, *mode in members:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.compress_type = compression
            info.external_attr = (mode[0] if mode else stat.S_IFREG | 0o644) << 16
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of duplicate names
                archive.writestr(info, data)
    return buffer.getvalue()


def put(path, data):
    path.write_bytes(data)
    return os.fspath(path)


def listing(source):
    return [entry.path for entry in source.tree.entries("")]


def test_a_directory_is_opened_where_it_lies(tmp_path):
    root = tmp_path / "my app"
    root.mkdir()
    (root / "index.php").write_bytes(b"x")
    source = open_source(os.fspath(root), workspace=never)
    assert (source.kind, source.tree.name, source.notes) == ("directory", "my app", ())
    assert source.tree.root == root
    (tmp_path / "link").symlink_to(root)
    linked = open_source(os.fspath(tmp_path / "link"), workspace=never)
    assert (linked.tree.name, listing(linked)) == ("link", ["index.php"])


def test_here_is_called_what_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    for text in (".", "./", "../shop/", "../shop/../shop"):
        assert open_source(text, workspace=never).tree.name == "shop"


def test_an_empty_directory_is_no_error_here(tmp_path):
    source = open_source(os.fspath(tmp_path), workspace=never)
    assert (source.tree.file_count, source.tree.children()) == (0, ())


@pytest.mark.parametrize("name", ["missing", "missing/deeper", "file/deeper", "nul\0", ""])
def test_a_missing_source_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(SourceUnreadable) as caught:
        open_source(name, workspace=never)
    assert str(caught.value) == (
        f"There is no {name!r}.\n"
        "Name a directory, a .zip, a .tar (plain or compressed), or - for a tar on stdin."
    )


def as_nobody(action):
    """What ``action`` raises for somebody who is not root: [exit code, text], or None."""
    if os.geteuid() != 0:
        return _raised(action)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            os.write(writing, json.dumps(_raised(action)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


def _raised(action):
    try:
        action()
    except StagerError as error:
        return [error.exit_code, str(error)]
    return None


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for name in ("app", "app/secret", "closed"):
        (tmp_path / name).mkdir()
    (tmp_path / "app/secret/x").write_bytes(b"x")
    put(tmp_path / "app.tar", tar_of(a=b""))
    (tmp_path / "app.tar").chmod(0)
    (tmp_path / "app/secret").chmod(0)
    (tmp_path / "closed").chmod(0)
    mend = "Make it readable for the user that runs stager"
    closed = (
        "The source cannot be read.\n{0!r}: Permission denied\n" + mend + ", or name it in .stagerignore."
    )
    try:
        assert as_nobody(lambda: open_source("app.tar", workspace=never)) == [
            11, f"'app.tar' cannot be read.\nPermission denied.\n{mend}.",
        ]  # fmt: skip
        assert as_nobody(lambda: open_source("closed", workspace=never)) == [
            11, closed.format("closed"),
        ]  # fmt: skip
        assert as_nobody(lambda: open_source("app", workspace=never)) == [
            11, closed.format("app/secret"),
        ]  # fmt: skip
        assert as_nobody(lambda: open_source("app", workspace=never, ignore=["secret/"])) is None
        (tmp_path / "app/secret").chmod(0o444)
        assert as_nobody(lambda: open_source("app", workspace=never)) == [
            11, closed.format("app/secret/x"),
        ]  # fmt: skip
    finally:
        for name in ("app/secret", "closed"):
            (tmp_path / name).chmod(0o755)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_every_kind_of_tar_is_unpacked(tmp_path, workspace, suffix):
    data = COMPRESSIONS[suffix](tar_of(**{"index.php": b"<?php", "src/A.php": b""}))
    source = open_source(put(tmp_path / f"shop{suffix}", data), workspace=workspace)
    assert (source.kind, source.tree.name, source.notes) == ("archive", "shop", ())
    assert listing(source) == ["index.php", "src", "src/A.php"]
    assert source.tree.read_text("index.php") == "<?php"


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_every_kind_of_tar_comes_through_a_pipe(workspace, suffix):
    data = COMPRESSIONS[suffix](tar_of(**{"index.php": os.urandom(300_000), "x": b""}))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        for start, end in ((0, 1), (1, 5), *((at, at + 4000) for at in range(5, len(data), 4000))):
            os.write(writing, data[start:end])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb", buffering=0) as stdin:
        source = open_source("-", workspace=workspace, stdin=stdin)
    assert os.waitpid(child, 0)[1] == 0
    assert (source.tree.name, listing(source)) == ("app", ["index.php", "x"])
    assert source.tree.byte_count == 300_000


def test_the_bytes_tell_what_an_archive_is_not_its_name(tmp_path, workspace):
    source = open_source(put(tmp_path / "upload", zip_of(("a", b"x"), ("b", b"y"))), workspace=workspace)
    assert (source.tree.name, listing(source)) == ("upload", ["a", "b"])


def test_a_fifo_is_read_like_a_pipe(tmp_path, workspace):
    os.mkfifo(tmp_path / "fifo")
    child = os.fork()
    if child == 0:
        put(tmp_path / "fifo", tar_of(a=b"", b=b""))
        os._exit(0)
    assert listing(open_source(os.fspath(tmp_path / "fifo"), workspace=workspace)) == ["a", "b"]
    os.waitpid(child, 0)


def test_a_zip_through_a_pipe_is_refused_with_a_way_out():
    with pytest.raises(SourceUnreadable) as caught:
        open_source("-", workspace=never, stdin=io.BytesIO(zip_of(("a", b"x"))))
    assert str(caught.value) == (
        "Standard input cannot be read as an archive.\n"
        "It is a .zip, which is read from its end, and a pipe has none.\n"
        "Hand it in as a file: stager build app.zip. Through a pipe comes a .tar, plain or compressed."
    )


@pytest.mark.parametrize("data", [b"", b"\x1f", b"hello", gzip.compress(tar_of(a=b"x" * 9999), mtime=0)[:60]])
def test_garbage_through_a_pipe_is_unreadable(workspace, data):
    with pytest.raises(SourceUnreadable) as caught:
        open_source("-", workspace=workspace, stdin=io.BytesIO(data))
    assert caught.value.brief == "Standard input cannot be read as an archive."
    assert caught.value.resolution == MEND


def test_without_standard_input_a_dash_is_a_mistake():
    with pytest.raises(UsageError) as caught:
        open_source("-", workspace=never)
    assert caught.value.brief == "No archive comes through standard input."


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\x03\x04", b"PK\x05\x06", b"PK\x03\x04" * 100, b"%PDF-1.4" * 200]
)
def test_garbage_is_unreadable(tmp_path, workspace, data):
    with pytest.raises(SourceUnreadable) as caught:
        open_source(put(tmp_path / "app.zip", data), workspace=workspace)
    assert caught.value.brief == f"'{tmp_path}/app.zip' cannot be read as an archive."
    assert caught.value.resolution == MEND


def test_one_directory_and_nothing_else_is_the_root(tmp_path, workspace):
    data = zip_of(
        ("app-main/", b"", 0o40755), ("app-main/index.php", b"x"), ("__MACOSX/._x", b""), (".DS_Store", b"")
    )
    source = open_source(put(tmp_path / "app.zip", data), workspace=workspace)
    assert listing(source) == ["index.php"]
    assert source.tree.name == "app"
    assert source.notes == (
        "The archive holds one directory, 'app-main', which is taken as the application's root.",
    )


def test_one_file_beside_the_directory_makes_it_an_ordinary_one(tmp_path, workspace):
    source = open_source(
        put(tmp_path / "a.tar", tar_of(**{"public/x": b"", ".env": b""})), workspace=workspace
    )
    assert (listing(source), source.notes) == ([".env", "public", "public/x"], ())


def test_a_tar_that_names_its_root_is_taken_at_its_word(tmp_path, workspace):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in (".", "./public"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
    source = open_source(put(tmp_path / "a.tar", buffer.getvalue()), workspace=workspace)
    assert (listing(source), source.notes) == (["public"], ())


def test_a_link_out_of_the_only_directory_is_out(tmp_path, workspace):
    data = zip_of(("app/", b"", 0o40755), ("app/x", b"../app/y", stat.S_IFLNK | 0o777))
    with pytest.raises(UnsafeSource) as caught:
        open_source(put(tmp_path / "a.zip", data), workspace=workspace)
    assert caught.value.details == "'x' leads to '../app/y'."


def test_settings_can_be_read_before_it_is_known_what_is_ignored(tmp_path, workspace):
    for name in ("stager.yml", "secret.psd"):
        (tmp_path / name).write_text(f"of {name}")
    (tmp_path / "Procfile").symlink_to("stager.yml")
    (tmp_path / "out.yml").symlink_to("/etc/passwd")
    (tmp_path / "fine.psd").symlink_to("/nowhere")
    location = locate_source(os.fspath(tmp_path), workspace=never)
    assert location.read("stager.yml") == location.read("Procfile") == b"of stager.yml"
    assert location.read("missing.yml") is location.read("out.yml") is location.read(".") is None
    (tmp_path / "out.yml").unlink()
    assert listing(location.index(["*.psd"])) == ["Procfile", "stager.yml"]


def test_a_zip_keeps_modes_links_and_names(tmp_path, workspace):
    data = zip_of(
        ("run", b"#!", stat.S_IFREG | 0o755),
        ("setuid", b"", stat.S_IFREG | 0o4644),
        ("d/", b"", stat.S_IFDIR | 0o700),
        ("d/link", b"../run", stat.S_IFLNK | 0o777),
        ("no-mode", b"x", 0),
        ("e/f/g", b""),
        ("with space", b""),
        ("-rf", b""),
        ("new\nline", b""),
        ("ünï", b""),
        ("x" * 255, b""),
    )
    source = open_source(put(tmp_path / "a.zip", data), workspace=workspace)
    entries = {entry.path: entry for entry in source.tree.entries("")}
    assert {path for path, entry in entries.items() if entry.mode == 0o755 and entry.kind is Kind.FILE} == {
        "run"
    }
    assert entries["d/link"].source == "../run"
    assert {"e/f/g", "with space", "-rf", "new\nline", "ünï", "x" * 255, "no-mode"} <= set(entries)


def test_names_of_a_zip_are_what_its_maker_meant(tmp_path, workspace):
    raw = "ä.txt".encode()
    field = struct.pack("<HHBI", 0x7075, 5 + len(raw), 1, zlib.crc32(b"?.txt")) + raw
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (name, system, extra) in enumerate(
            [("%%%.txt", 3, b""), ("dir\\win.txt", 0, b""), ("X.txt", 3, field), ("Y_.txt", 0, b"")]
        ):
            info = zipfile.ZipInfo(name)
            info.create_system, info.extra = system, extra
            info.external_attr = stat.S_IFREG << 16 if system else 0
            archive.writestr(info, str(number))
    data = buffer.getvalue().replace(b"%%%.txt", b"\xff\xc3\xa9.txt")
    data = data.replace(b"X.txt", b"?.txt").replace(b"Y_.txt", b"Y\x84.txt")
    source = open_source(put(tmp_path / "a.zip", data), workspace=workspace)
    assert {path: source.tree.read_bytes(path) for path in source.tree.files()} == {
        "\udcffé.txt": b"0",
        "dir/win.txt": b"1",
        "ä.txt": b"2",
        "Yä.txt": b"3",
    }


@pytest.mark.parametrize(
    ("members", "details"),
    [
        ([("/etc/x", b"")], "'/etc/x' has an absolute name."),
        ([("../x", b"")], "'../x' leads out of the archive: '..' is a part of its name."),
        ([("a/../../x", b"")], "'a/../../x' leads out of the archive: '..' is a part of its name."),
        ([("f", b"", stat.S_IFIFO)], "'f' is a FIFO."),
        ([("f", b"", stat.S_IFCHR)], "'f' is a character device."),
        ([("f", b"", stat.S_IFBLK)], "'f' is a block device."),
        ([("f", b"", stat.S_IFSOCK)], "'f' is a socket."),
        ([("a", b""), ("a", b"")], "'a' is there twice, the first time as a file."),
        ([("a", b""), ("a/b", b"")], "'a/b' lies below 'a', which is a file."),
        ([("l", b"d", stat.S_IFLNK), ("l/x", b"")], "'l/x' lies below 'l', which is a symbolic link."),
        ([("l", b"/etc", stat.S_IFLNK)], "'l' is a symbolic link to an absolute path, '/etc'."),
        ([("l", b"../x", stat.S_IFLNK)], "'l' is a symbolic link that leads out, to '../x'."),
        ([("l", b"", stat.S_IFLNK)], "'l' is a symbolic link whose target is no path."),
        ([("l", b"x" * 5000, stat.S_IFLNK)], "'l' is a symbolic link whose target is no path."),
        ([(".", b"x", stat.S_IFREG)], "'.' has no name."),
    ],
)  # fmt: skip
def test_what_must_not_be_in_a_zip_is_refused_before_anything_is_written(
    tmp_path, workspace, members, details
):
    with pytest.raises(UnsafeSource) as caught:
        open_source(put(tmp_path / "a.zip", zip_of(*members, ("z", b"z"))), workspace=workspace)
    assert caught.value.details == details
    assert os.listdir(workspace.place / "source") == []


def test_an_encrypted_zip_is_unreadable(tmp_path, workspace):
    data = bytearray(zip_of(("secret.txt", b"x")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(SourceUnreadable) as caught:
        open_source(put(tmp_path / "a.zip", bytes(data)), workspace=workspace)
    assert caught.value.details == "'secret.txt' in it is encrypted."
    assert caught.value.resolution == "Make the archive again without a password."


def test_an_unknown_compression_is_unreadable(tmp_path, workspace):
    data = bytearray(zip_of(("a", b"x" * 100)))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(signature) + offset] = 97
    with pytest.raises(SourceUnreadable, match="cannot be read as an archive") as caught:
        open_source(put(tmp_path / "a.zip", bytes(data)), workspace=workspace)
    assert caught.value.details.startswith("It is compressed in a way that stager does not know")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_zip_is_unreadable(tmp_path, workspace, share):
    data = zip_of(*((f"f{number}", os.urandom(500)) for number in range(20)))
    with pytest.raises(SourceUnreadable) as caught:
        open_source(put(tmp_path / "a.zip", data[: int(len(data) * share)]), workspace=workspace)
    assert "It is cut short: its directory, which comes last, is missing." in caught.value.details


def test_damage_in_a_zip_is_noticed(tmp_path, workspace):
    data = bytearray(zip_of(("a", os.urandom(5000))))
    data[2500] ^= 0xFF
    with pytest.raises(SourceUnreadable) as caught:
        open_source(put(tmp_path / "a.zip", bytes(data)), workspace=workspace)
    assert caught.value.details.startswith(("It is damaged or cut short", "It cannot be read"))


@pytest.mark.parametrize("compression", [0, 8, 12, 14], ids=["stored", "deflate", "bzip2", "lzma"])
def test_no_damage_of_a_zip_ends_otherwise_than_well(tmp_path, compression):
    dice = random.Random(compression)
    link = ("l", b"a/b", stat.S_IFLNK | 0o777)
    data = zip_of(("a/b", b"x" * 500), ("ü" * 20, dice.randbytes(99)), link, compression=compression)
    for number in range(150):
        broken = bytearray(data)
        for _ in range(dice.randrange(1, 5)):
            broken[dice.randrange(len(broken))] = dice.choice((0, 1, 0xFF, dice.randrange(256)))
        if number % 5 == 0:
            del broken[dice.randrange(len(broken)) :]
        place = tmp_path / str(number)
        place.mkdir()
        with contextlib.suppress(SourceUnreadable, UnsafeSource):
            open_source(put(place / "a.zip", broken), workspace=lambda place=place: place)


def lying(data, size):
    """The same zip with another unpacked size of its only member."""
    data = bytearray(data)
    struct.pack_into("<I", data, data.index(b"PK\x03\x04") + 22, size)
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, size)
    return bytes(data)


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_zip_that_lies_about_a_size_is_unreadable(tmp_path, workspace, size):
    data = lying(zip_of(("a", b"x" * 5000)), size)
    with pytest.raises(SourceUnreadable):
        open_source(put(tmp_path / "a.zip", data), workspace=workspace)
    written = workspace.place / "source/a"
    assert not written.exists() or written.stat().st_size <= size


def test_members_that_share_bytes_are_refused(tmp_path, workspace):
    data = bytearray(zip_of(("a", os.urandom(500)), ("b", os.urandom(500))))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 1)
    struct.pack_into("<I", data, second + 42, 10)
    with pytest.raises(UnsafeSource) as caught:
        open_source(put(tmp_path / "a.zip", bytes(data)), workspace=workspace)
    assert caught.value.details == "'b' shares its bytes with another member, as in a decompression bomb."


def test_an_empty_zip_is_an_empty_tree(tmp_path, workspace):
    assert listing(open_source(put(tmp_path / "a.zip", zip_of()), workspace=workspace)) == []


def test_a_zip_bomb_is_refused_before_anything_is_written(tmp_path, workspace):
    data = zip_of(("zeros", bytes(80 << 20)), ("z", b""))
    path = put(tmp_path / "bomb.zip", data)
    with pytest.raises(UnsafeSource) as caught:
        open_source(path, workspace=workspace)
    kibibytes = -(-len(data) >> 10)
    assert str(caught.value) == (
        f"'{path}' is too large.\n"
        f"Its {kibibytes} KiB unpack to at least 80 MiB: more than 100 times as much, "
        "as a decompression bomb does.\n"
        "If that is meant, say how much it may be: --max-size 160M."
    )
    assert os.listdir(workspace.place / "source") == []
    workspace.place.joinpath("source").rmdir()
    workspace.place.rmdir()
    assert open_source(path, workspace=workspace, max_size=160 << 20).tree.byte_count == 80 << 20


def test_a_zip_over_the_cap_is_refused(tmp_path, workspace):
    with pytest.raises(UnsafeSource) as caught:
        open_source(
            put(tmp_path / "a.zip", zip_of(("a", b"x" * 3000), ("b", b"y" * 3000))),
            workspace=workspace,
            max_size=5000,
        )
    assert caught.value.details == "It unpacks to at least 6,000 bytes; 5,000 bytes are allowed."


def test_a_zip_of_too_many_members_is_refused_before_its_directory_is_read(tmp_path, workspace):
    data = bytearray(zip_of(("a", b"x")))
    struct.pack_into("<I", data, data.index(b"PK\x05\x06") + 12, 50_000_000)
    with pytest.raises(UnsafeSource) as caught:
        open_source(put(tmp_path / "a.zip", bytes(data)), workspace=workspace)
    assert caught.value.details == "Its directory has 50,000,000 bytes; 46,000,000 are allowed."


def test_a_tar_bomb_is_refused_by_its_header(tmp_path, workspace):
    info = tarfile.TarInfo("zeros")
    info.size = 80 << 20
    data = gzip.compress(info.tobuf() + bytes(info.size + 1024), 1)
    with pytest.raises(UnsafeSource) as caught:
        open_source(put(tmp_path / "a.tar.gz", data), workspace=workspace)
    assert "unpack to at least 80 MiB: more than 100 times as much" in caught.value.details
    assert os.listdir(workspace.place / "source") == []


def test_a_bomb_through_a_pipe_is_stopped_on_its_way(workspace):
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 30
    data = zstandard.compress(info.tobuf()) + zstandard.compress(bytes(16 << 20)) * 64
    with pytest.raises(UnsafeSource) as caught:
        open_source("-", workspace=workspace, stdin=io.BytesIO(data))
    assert caught.value.brief == "Standard input is too large."
    assert (workspace.place / "source/zeros").stat().st_size <= 66 << 20


def test_a_large_file_that_hardly_compresses_may_come_first_through_a_pipe(workspace):
    data = tar_of(a=os.urandom(1 << 20) * 70, b=b"")
    source = open_source("-", workspace=workspace, stdin=io.BytesIO(data))
    assert source.tree.byte_count == 70 << 20


def test_the_cap_is_two_gibibytes_unless_said_otherwise(tmp_path, workspace):
    assert DEFAULT_MAX_SIZE == 2 << 30
    info = tarfile.TarInfo("zeros")
    info.size = DEFAULT_MAX_SIZE + 1
    with pytest.raises(UnsafeSource) as caught:
        open_source(put(tmp_path / "a.tar", info.tobuf()), workspace=workspace)
    assert "2 GiB are allowed" in caught.value.details


def test_ignore_files_of_an_archive_count(tmp_path, workspace):
    data = tar_of(**{".cfignore": b"docs/\n", "docs/x": b"", "a": b"", ".git/HEAD": b""})
    source = open_source(put(tmp_path / "a.tar", data), workspace=workspace, ignore=["*.psd"])
    assert listing(source) == [".cfignore", "a"]
    assert source.tree.ignored_by("docs/x") == ".cfignore line 1"


def test_a_socket_is_no_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(SourceUnreadable) as caught:
            open_source("s", workspace=never)
    assert caught.value.brief == "'s' cannot be read."
