import bz2
import contextlib
import gzip
import io
import lzma
import os
import random
import shutil
import stat
import subprocess
import tarfile
import time

import pytest
import zstandard

from stager.archive.allowance import Allowance
from stager.archive.complaint import droplet, upload
from stager.archive.reader import members, unpack
from stager.errors import DiskFull, DropletCorrupt, PackError, SourceUnreadable, UnsafeSource
from stager.model.entry import Kind

UPLOAD = upload("'app.tar'")


def tar_of(*described, dialect=tarfile.PAX_FORMAT):
    """A tar of (name, what): bytes for a file, None for a directory, or a dict of TarInfo attributes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=dialect) as archive:
        for name, what in described:
            info = tarfile.TarInfo(name)
            data = b""
            if what is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(what, bytes):
                data = what
            else:
                data = what.get("data", b"")
                for key, value in what.items():
                    if key != "data":
                        setattr(info, key, value)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def link(target):
    return {"type": tarfile.SYMTYPE, "linkname": target}


def hard_link(target):
    return {"type": tarfile.LNKTYPE, "linkname": target}


def unpacked(data, directory, complaint=UPLOAD, allowance=None):
    return unpack(io.BytesIO(data), directory, complaint, allowance or Allowance(complaint))


def names_in(directory):
    return sorted(os.path.relpath(os.path.join(at, name), directory)
                  for at, below, files in os.walk(directory) for name in (*below, *files))  # fmt: skip


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_of_tar_is_unpacked(tmp_path, dialect):
    long = "d" * 90 + "/" + "n" * 99
    data = tar_of(
        ("app", None),
        ("app/a.txt", b"one"),
        ("app/run", {"mode": 0o700, "data": b"#!"}),
        (long, b"far"),
        ("app/link", link("a.txt")),
        ("app/hard", hard_link("app/run")),
        ("app/empty", b""),
        dialect=dialect,
    )
    assert unpacked(data, tmp_path) is False
    assert (tmp_path / "app/a.txt").read_bytes() == b"one"
    assert (tmp_path / long).read_bytes() == b"far"
    assert os.readlink(tmp_path / "app/link") == "a.txt"
    assert (tmp_path / "app/empty").read_bytes() == b""
    run, hard = (os.lstat(tmp_path / "app" / name) for name in ("run", "hard"))
    assert stat.S_IMODE(run.st_mode) == stat.S_IMODE(hard.st_mode) == 0o755
    assert run.st_ino != hard.st_ino
    assert (tmp_path / "app/hard").read_bytes() == b"#!"


def test_what_gnu_tar_writes_is_what_it_packed(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(50):
        path = source / f"d{number % 5}" / ("n" * number * 4 + f"-{number}")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(number * 100))
    os.symlink("d0/" + "x" * 150, source / "dangling")
    os.link(path, source / "again")
    data = subprocess.run(["tar", "-C", source, "-c", "."], capture_output=True, check=True).stdout
    out = tmp_path / "out"
    out.mkdir()
    assert unpacked(data, out) is True
    assert subprocess.run(["diff", "-r", "--no-dereference", source, out], check=False).returncode == 0


@pytest.mark.parametrize(
    "compress",
    [
        bytes,
        gzip.compress,
        lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
        zstandard.compress,
        lambda data: zstandard.compress(data[:700]) + zstandard.compress(data[700:]),
        lzma.compress,
        bz2.compress,
    ],
    ids=["plain", "gzip", "gzip-members", "zstd", "zstd-frames", "xz", "bzip2"],
)
def test_every_compression_is_read_and_its_truncation_noticed(tmp_path, compress):
    payload = random.Random(1).randbytes(3000)
    data = compress(tar_of(("a", payload), ("b", payload)))
    whole = tmp_path / "whole"
    whole.mkdir()
    unpacked(data, whole)
    assert (whole / "b").read_bytes() == payload
    cuts = {len(data) // 7, len(data) // 2, len(data) - 8}
    # Of a plain tar, tar itself does not miss the padding behind the first block of zeros.
    for number, cut in enumerate(cuts if compress is not bytes else {512, 1024, 5000, 3584 * 2}):
        directory = tmp_path / str(number)
        directory.mkdir()
        with pytest.raises(SourceUnreadable) as caught:
            unpacked(data[:cut], directory)
        assert caught.value.brief == "'app.tar' cannot be read as an archive."


def test_a_tar_that_was_cut_between_two_members_is_not_taken_for_whole(tmp_path):
    data = tar_of(("a", b"x" * 512), ("b", b"y" * 512))
    with pytest.raises(SourceUnreadable) as caught:
        unpacked(data[:1024], tmp_path)
    assert str(caught.value) == (
        "'app.tar' cannot be read as an archive.\n"
        "It is cut short: after 1,024 unpacked bytes the mark of its end is missing.\n"
        "Make the archive again and hand it in whole: .zip, .tar, .tar.gz, .tar.zst, .tar.xz or .tar.bz2."
    )


@pytest.mark.parametrize(
    ("data", "details"),
    [
        (b"", "It is empty."),
        (b"x", "It does not begin like a tar, compressed or not."),
        (b"<html>404</html>" * 100, "It does not begin like a tar, compressed or not."),
        (bytes(range(256)) * 8, "It does not begin like a tar, compressed or not."),
        (gzip.compress(b""), "It is empty."),
        (gzip.compress(b"hello" * 500), "It does not begin like a tar, compressed or not."),
        (tar_of(("a", b"x")) + b"more", "There are more bytes behind its end: two archives in one file?"),
        (tar_of(("a", b"x")) * 2, "There are more bytes behind its end: two archives in one file?"),
        (
            tar_of(("a", b""), ("b", b"")).replace(b"b", b"c", 1),
            "After 512 unpacked bytes there is no tar header: bad checksum.",
        ),
        (tar_of(("a", b"x" * 5000))[:3000], "It is cut short: it ends after 3,000 unpacked bytes."),
    ],
    ids=["empty", "short", "html", "binary", "empty-gzip", "gzip-of-text", "garbage-behind", "two-tars",
         "bad-header", "cut-in-a-file"],
)  # fmt: skip
def test_garbage_is_unreadable(tmp_path, data, details):
    with pytest.raises(SourceUnreadable) as caught:
        unpacked(data, tmp_path)
    assert caught.value.details == details
    assert caught.value.exit_code == 11
    with pytest.raises(DropletCorrupt) as caught:
        list(members(io.BytesIO(data)))
    assert caught.value.details == details
    assert caught.value.brief == "The droplet cannot be read as an archive."


def test_damage_in_compressed_bytes_is_noticed(tmp_path):
    data = bytearray(gzip.compress(tar_of(("a", random.Random(2).randbytes(50_000)))))
    data[len(data) // 2] ^= 1
    with pytest.raises(SourceUnreadable) as caught:
        unpacked(bytes(data), tmp_path)
    assert "damaged or cut short" in caught.value.details or "no tar header" in caught.value.details


def test_no_single_flipped_or_missing_byte_ends_otherwise_than_well(tmp_path):
    data = tar_of(("a/b", b"x" * 600), ("l", link("a/b")), ("ü" * 80, b"y"), ("h", hard_link("a/b")))
    dice = random.Random(3)
    for number in range(400):
        broken = bytearray(data)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(broken) // 2)
            broken[at] = dice.randrange(256)
        if number % 3 == 0:
            del broken[dice.randrange(len(broken)) :]
        directory = tmp_path / str(number)
        directory.mkdir()
        with contextlib.suppress(SourceUnreadable, UnsafeSource):
            unpacked(bytes(broken), directory)
        shutil.rmtree(directory)


@pytest.mark.parametrize(
    ("described", "details"),
    [
        ([("/etc/x", b"")], "'/etc/x' has an absolute name."),
        ([("../x", b"")], "'../x' leads out of the archive: '..' is a part of its name."),
        ([("d", {"type": tarfile.CHRTYPE})], "'d' is a character device."),
        ([("d", {"type": tarfile.BLKTYPE})], "'d' is a block device."),
        ([("f", {"type": tarfile.FIFOTYPE})], "'f' is a FIFO."),
        ([("z", {"type": b"Z"})], "'z' is of a type that stager does not know, b'Z'."),
        ([("s", {"type": tarfile.GNUTYPE_SPARSE})], "'s' is stored as a sparse file."),
        ([("l", link("/etc"))], "'l' is a symbolic link to an absolute path, '/etc'."),
        ([("l", link("../x"))], "'l' is a symbolic link that leads out, to '../x'."),
        ([("l", link("d")), ("l/x", b"")], "'l/x' lies below 'l', which is a symbolic link."),
        ([("a", b""), ("a", b"")], "'a' is there twice, the first time as a file."),
        ([("h", hard_link("/etc/passwd"))], "'h' is a hard link that leads out, to '/etc/passwd'."),
        ([("h", hard_link("../x"))], "'h' is a hard link that leads out, to '../x'."),
        ([("l", link("a")), ("h", hard_link("l"))],
         "'h' is a hard link to 'l', which is no earlier file of the archive."),
        ([("a", {"pax_headers": {"path": "../x"}})],
         "'../x' leads out of the archive: '..' is a part of its name."),
        ([("a", {"pax_headers": {"path": "x\0y"}})], "'x\\x00y' has a NUL character in its name."),
        ([("", b"x")], "'' has no name."),
    ],
)  # fmt: skip
def test_what_must_not_be_unpacked_is_refused(tmp_path, described, details):
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(UnsafeSource) as caught:
        unpacked(tar_of(*described), inside)
    assert caught.value.details == details
    assert caught.value.exit_code == 12
    assert names_in(tmp_path) in (["inside"], ["inside", "inside/a"])
    with pytest.raises(DropletCorrupt) as caught:
        list(members(io.BytesIO(tar_of(*described))))
    assert caught.value.exit_code == 62


def test_odd_names_survive(tmp_path):
    names = [
        "with space", "'quotes\"", "new\nline", "-rf", "..data", "*?[x]", "$(id)", "tab\t", "\\back", "ünï",
        os.fsdecode(b"\xff\xfe latin"), "x" * 255, "ä" * 127, " ", "#",
    ]  # fmt: skip
    for dialect in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        directory = tmp_path / str(dialect)
        directory.mkdir()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=dialect, encoding="utf-8") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name))
        if dialect == tarfile.PAX_FORMAT:
            assert b"hdrcharset" in buffer.getvalue()
        unpacked(buffer.getvalue(), directory)
        assert sorted(os.listdir(directory)) == sorted(names)


def test_modes_do_not_depend_on_the_umask(tmp_path):
    data = tar_of(
        ("d/e/f", {"mode": 0o4777, "data": b"x"}), ("d", {"type": b"5", "mode": 0o1777}), ("g", b"")
    )
    before = os.umask(0o077)
    try:
        unpacked(data, tmp_path)
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE(os.lstat(tmp_path / name).st_mode) for name in ("d", "d/e", "d/e/f", "g")}
    assert modes == {"d": 0o755, "d/e": 0o755, "d/e/f": 0o755, "g": 0o644}


def test_files_are_never_written_over_what_is_there(tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"safe")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a").symlink_to(outside)
    with pytest.raises(PackError):
        unpacked(tar_of(("a", b"evil")), inside)
    assert outside.read_bytes() == b"safe"


def test_a_hard_link_counts_as_the_bytes_that_it_copies(tmp_path):
    described = [("a", b"x" * 1000), *((f"h{number}", hard_link("a")) for number in range(10))]
    unpack_into = tmp_path / "fits"
    unpack_into.mkdir()
    unpacked(tar_of(*described), unpack_into, allowance=Allowance(UPLOAD, max_size=11_000))
    unpack_into = tmp_path / "fits-not"
    unpack_into.mkdir()
    with pytest.raises(UnsafeSource):
        unpacked(tar_of(*described), unpack_into, allowance=Allowance(UPLOAD, max_size=10_999))


def test_a_bomb_is_refused_before_anything_of_it_is_written(tmp_path):
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 40
    data = gzip.compress(info.tobuf() + bytes(1 << 20))
    with pytest.raises(UnsafeSource) as caught:
        unpacked(data, tmp_path)
    assert caught.value.details == "It unpacks to at least 1024 GiB; 2 GiB are allowed."
    assert names_in(tmp_path) == []


def test_endless_zeros_behind_the_end_are_refused(tmp_path):
    compressor = gzip.compress(tar_of(("a", b"x"))) + gzip.compress(bytes(65 << 20), 1)
    with pytest.raises(SourceUnreadable) as caught:
        unpacked(compressor, tmp_path)
    assert caught.value.details == "There are more than 64 MiB of zeros behind its end."


@pytest.mark.parametrize(
    ("records", "details"),
    [
        (b"garbage", "An extended header is malformed."),
        (b"99 path=x\n", "An extended header is malformed."),
        (b"0 path=x\n", "An extended header is malformed."),
        (b"-9 path=x\n", "An extended header is malformed."),
        (b"11 size=-1\n", "The size of 'a' is no number."),
    ],
)
def test_a_malformed_extended_header_is_damage(tmp_path, records, details):
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", len(records)
    data = info.tobuf() + records.ljust(512, b"\0") + tar_of(("a", b""))
    with pytest.raises(SourceUnreadable) as caught:
        unpacked(data, tmp_path)
    assert caught.value.details == details


def test_a_global_header_may_comment_but_not_name(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"comment": "0123abcd"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    unpacked(buffer.getvalue(), tmp_path)
    assert names_in(tmp_path) == ["a"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"path": "evil"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(SourceUnreadable) as caught:
        unpacked(buffer.getvalue(), tmp_path)
    assert caught.value.details == "A global header names a path or a size."


def test_a_full_disk_is_said_to_be_full(tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", no_space)
    with pytest.raises(DiskFull) as caught:
        unpacked(tar_of(("a", b"x")), tmp_path)
    assert caught.value.brief == "No space is left to unpack 'app.tar'."
    assert caught.value.details == f"{tmp_path}/a: No space left on device"


def test_the_members_of_a_droplet_are_streamed():
    big = random.Random(4).randbytes(3 << 20)
    data = tar_of(
        ("app", None),
        ("app/run", {"mode": 0o755, "data": b"#!"}),
        ("app/big", big),
        ("app/evil", {"mode": 0o6755, "data": b""}),
        ("app/link", link("run")),
    )
    seen = []
    for member in members(io.BytesIO(zstandard.compress(data))):
        content = b""
        while member.body and member.path != "app/run" and (piece := member.body.read()):
            assert len(piece) <= 1 << 20
            content += piece
        seen.append((member.path, member.kind, member.mode, member.size, member.target, member.is_privileged))
        assert content == (big if member.path == "app/big" else b"")
    assert seen == [
        ("app", Kind.DIRECTORY, 0o644, 0, "", False),
        ("app/run", Kind.FILE, 0o755, 2, "", False),
        ("app/big", Kind.FILE, 0o644, 3 << 20, "", False),
        ("app/evil", Kind.FILE, 0o6755, 0, "", True),
        ("app/link", Kind.LINK, 0o644, 0, "run", False),
    ]


def test_a_droplet_has_no_hard_links():
    with pytest.raises(DropletCorrupt) as caught:
        list(members(io.BytesIO(tar_of(("a", b"x"), ("b", hard_link("a"))))))
    assert caught.value.details == "'b' is a hard link to 'a'."


def test_a_droplet_without_an_allowance_may_be_larger_than_an_upload():
    info = tarfile.TarInfo("zeros")
    info.size = 3 << 30
    reading = members(io.BytesIO(info.tobuf()), droplet("x.tar"))
    assert next(reading).size == 3 << 30


def test_many_members_take_little_time():
    data = tar_of(*((f"d{number // 100}/f{number}", b"x" * 300) for number in range(20_000)))
    started = time.process_time()
    assert sum(len(member.body.read()) for member in members(io.BytesIO(data))) == 20_000 * 300
    # 0.2 s where it was measured. Unpacking costs what the file system takes on top of that: 13 µs a file in
    # a tmpfs, and on a busy disk so much that it cannot be tested.
    assert time.process_time() - started < 3
