import io
import os
import subprocess
import tarfile

import pytest

from stager.archive.tar_headers import BLOCK, END, TarHeaders, padding

MTIME = 1_700_000_000
HEADERS = TarHeaders(MTIME)

NAMES = {
    "short": b"app/index.php",
    "exactly 100": b"app/" + b"n" * 96,
    "101 with a slash": b"app/" + b"d" * 50 + b"/" + b"n" * 46,
    "101 without a usable slash": b"a/" + b"n" * 99,
    "prefix of 155": b"p" * 155 + b"/" + b"n" * 100,
    "prefix of 156": b"p" * 156 + b"/" + b"n" * 99,
    "255 bytes in one component": b"app/" + b"n" * 255,
    "a deep path": b"/".join([b"directory"] * 60),
    "not UTF-8": b"app/caf\xe9-\xff\xfe",
    "UTF-8": "app/übergröße/日本".encode(),
    "newline": b"app/two\nlines",
    "blanks and quotes": b'app/it\'s "quoted" \\ $(x)',
    "leading dash": b"-rf",
    "carriage return": b"app/x\r",
    "long and not UTF-8": b"app/" + b"\xfe" * 200,
}


def _members(data):
    with tarfile.open(fileobj=io.BytesIO(data + END), mode="r:") as tar:
        return tar.getmembers()


def _bytes_of(name):
    return name.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_file_says_its_name_mode_and_size_and_nobodys_name(name, mode):
    (member,) = _members(HEADERS.file(name, mode, 5) + b"12345" + padding(5))
    assert (_bytes_of(member.name), member.mode, member.size) == (name, mode, 5)
    assert member.isreg()
    assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", MTIME)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("size", [0, 5, 1 << 20, 9 << 30])
def test_a_file_put_into_a_block_has_the_same_header_there(name, size):
    block = memoryview(bytearray(b"\xff" * 4096))
    end = HEADERS.put_file(block, 100, name, 0o755, size)
    assert bytes(block[100:end]) == HEADERS.file(name, 0o755, size)
    assert set(block[:100]) == set(block[end:]) == {0xFF}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_directory_says_its_name(name):
    (member,) = _members(HEADERS.directory(name, 0o755))
    assert (_bytes_of(member.name), member.mode, member.isdir()) == (name, 0o755, True)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("target", [b"../x", b"t" * 100, b"t" * 101, b"\xff" * 300])
def test_a_link_says_its_name_and_its_target(name, target):
    (member,) = _members(HEADERS.link(name, target))
    assert (_bytes_of(member.name), _bytes_of(member.linkname), member.issym()) == (name, target, True)


@pytest.mark.parametrize("size", [0, 1, BLOCK, (1 << 33) - 1, 1 << 33, 1 << 40])
def test_sizes_from_8_gib_are_told_too(size):
    assert tarfile.TarInfo.frombuf(HEADERS.file(b"app/x", 0o644, size), "utf-8", "strict").size == size


def test_both_ways_to_a_files_header_give_the_same_bytes():
    assert HEADERS.file(b"app/x", 0o644, 7) == HEADERS._any(b"app/x", 0o644, 7, b"0", b"")


def test_headers_are_whole_blocks():
    for name in NAMES.values():
        assert len(HEADERS.file(name, 0o644, 1)) % BLOCK == 0


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024])
def test_padding_fills_the_last_block(size):
    assert (size + len(padding(size))) % BLOCK == 0
    assert len(padding(size)) < BLOCK
    assert not any(padding(size))


@pytest.mark.parametrize("program", ["tar", "bsdtar", "busybox"])
def test_other_programs_unpack_all_these_names(program, tmp_path):
    archive = tmp_path / "names.tar"
    target = b"somewhere/" + b"t" * 150
    names = NAMES.values()
    parts = [HEADERS.file(name, 0o755, 3) + b"abc" + padding(3) for name in names]
    archive.write_bytes(b"".join([*parts, HEADERS.link(b"app/link", target), END]))
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    argv = ["busybox", "tar"] if program == "busybox" else [program]
    outcome = subprocess.run([*argv, "-xf", archive], cwd=unpacked, capture_output=True, check=False)
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    for name in names:
        path = bytes(unpacked) + b"/" + name
        with open(path, "rb") as file:
            assert file.read() == b"abc"
    assert os.readlink(bytes(unpacked) + b"/app/link") == target
