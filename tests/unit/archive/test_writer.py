import gzip
import hashlib
import io
import os
import random
import resource
import subprocess
import sys
import tarfile
import threading
import tracemalloc
import types
from dataclasses import replace
from pathlib import Path

import pytest

from stager.archive import digest_list, droplet_directory, source_file
from stager.archive.blocks import BLOCK_BYTES, FULL_BYTES, MOST_BLOCKS, Blocks
from stager.archive.compression import Compression, open_stream
from stager.archive.droplet_directory import DropletDirectory
from stager.archive.droplet_file import DropletFile
from stager.archive.needles import Hit, Needle
from stager.archive.source_file import CHUNK_BYTES
from stager.archive.writer import DropletWriter
from stager.errors import DiskFull, OutputNotWritable, SourceChanged, SourceUnreadable
from stager.model.entry import Entry, Kind, file_of_bytes

MTIME = 1_700_000_000
COMPRESSED = [Compression.PLAIN, Compression.GZIP, Compression.ZSTD]
MANIFEST = b"schema: 1\n"

NAMES = [
    "app/index.php",
    "app/.htaccess",
    "app/-rf",
    'app/it\'s "quoted" $(x) and `y`',
    "app/two\nlines",
    "app/back\\slash",
    "app/return\r",
    "app/" + os.fsdecode(b"caf\xe9-\xff\xfe"),
    "app/" + "n" * 255,
    "app/" + "/".join(["directory"] * 40) + "/deep.php",
]


def _entry(path, source, mode=0o644):
    return Entry(path, Kind.FILE, mode, str(source), os.stat(source).st_size)


def _tree(directory):
    """Files with all these names, a large one, an executable, an empty file and directory, and links."""
    entries = []
    chosen = random.Random(5)
    for number, name in enumerate(NAMES):
        source = directory / f"source{number}"
        source.write_bytes(chosen.randbytes(number * 700))
        entries.append(_entry(name, source))
    large = directory / "large"
    large.write_bytes(chosen.randbytes(2 * CHUNK_BYTES + 12_345))
    script = directory / "script"
    script.write_bytes(b"#!/bin/sh\n")
    return [
        *entries,
        _entry("app/large.bin", large),
        _entry("app/bin/run", script, 0o755),
        Entry("app/empty", Kind.DIRECTORY, 0o755, ""),
        Entry("app/to-script", Kind.LINK, 0o777, "bin/run"),
        Entry("app/to-far", Kind.LINK, 0o777, "../" + "t" * 150),
    ]


def _pack(entries, compression=Compression.GZIP, **options):
    file = io.BytesIO()
    with DropletWriter(DropletFile(file, compression, MTIME), **options) as writer:
        layers = [
            writer.add_layer("dependencies", [file_of_bytes("deps/x", b"dependency")]),
            writer.add_layer("app", entries),
            writer.add_layer("launch", [file_of_bytes("startup", b"#!/bin/bash\n", 0o755)]),
        ]
        writer.add_manifest(MANIFEST)
        packed = writer.finish()
    return file.getvalue(), packed, layers


def _assert_is_the_tree(root, entries):
    root = os.fsencode(root)
    for entry in entries:
        path = os.path.join(root, os.fsencode(entry.path))
        found = os.lstat(path)
        if entry.kind is Kind.LINK:
            assert os.readlink(path) == os.fsencode(entry.source)
            continue
        assert found.st_mode & 0o7777 == entry.mode
        assert found.st_mtime_ns == MTIME * 10**9
        if entry.kind is Kind.FILE:
            with open(path, "rb") as packed, open(entry.source, "rb") as source:
                assert packed.read() == source.read()


def _assert_sha256sum_agrees(root):
    outcome = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", digest_list.NAME],
        cwd=root,
        capture_output=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, b"", b"")
    with open(os.path.join(root, digest_list.NAME), "rb") as text:
        listed = {line.path for line in digest_list.parse(text)}
    found = {
        os.path.relpath(os.path.join(directory, name), root)
        for directory, _, names in os.walk(root)
        for name in names
        if not os.path.islink(os.path.join(directory, name))
    }
    assert listed == found - {digest_list.NAME}


#: Debian's busybox does not know zstd.
READERS = [(program, compression) for program in ("tar", "bsdtar") for compression in COMPRESSED] + [
    ("busybox", compression) for compression in COMPRESSED if compression is not Compression.ZSTD
]


@pytest.mark.parametrize(("program", "compression"), READERS)
def test_a_droplet_unpacks_to_the_same_tree(tmp_path, compression, program):
    entries = _tree(tmp_path)
    data, packed, _ = _pack(entries, compression)
    droplet = tmp_path / f"droplet.{compression.value}"
    droplet.write_bytes(data)
    root = tmp_path / "un packed"
    root.mkdir()
    # Debian's busybox has to be told that it is a gzip.
    argv = {"busybox": ["busybox", "tar", *(["-z"] if compression is Compression.GZIP else [])]}
    outcome = subprocess.run(
        [*argv.get(program, [program]), "-xpf", droplet], cwd=root, capture_output=True, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    _assert_is_the_tree(root, entries)
    _assert_sha256sum_agrees(root)
    assert packed.files == sum(entry.kind is Kind.FILE for entry in entries) + 4


@pytest.mark.parametrize("compression", COMPRESSED)
def test_pythons_tarfile_reads_a_droplet(tmp_path, compression):
    entries = _tree(tmp_path)
    data, _, _ = _pack(entries, compression)
    with tarfile.open(fileobj=open_stream(io.BytesIO(data)), mode="r|") as tar:
        names = [member.name for member in tar]
    assert names == [
        "deps/x",
        *(entry.path for entry in entries),
        "startup",
        "droplet.yaml",
        "droplet.sha256",
    ]


@pytest.mark.parametrize("compression", COMPRESSED)
def test_the_result_says_what_was_written(tmp_path, compression):
    data, packed, layers = _pack(_tree(tmp_path), compression)
    assert packed.size_bytes == len(data)
    assert packed.sha256 == hashlib.sha256(data).hexdigest()
    assert [member.name for member in packed.members] == ["dependencies", "app", "launch", "manifest"]
    assert [member.layer for member in packed.members[:3]] == layers
    end = 0
    for member in packed.members:
        assert member.offset == end
        end += member.compressed_bytes
    assert open_stream(io.BytesIO(data[end:])).read() == bytes(1024)


def test_each_layer_is_complete_in_itself(tmp_path):
    entries = _tree(tmp_path)
    data, packed, _ = _pack(entries)
    app = packed.members[1]
    alone = data[app.offset : app.offset + app.compressed_bytes]
    with tarfile.open(fileobj=open_stream(io.BytesIO(alone)), mode="r|") as tar:
        assert [member.name for member in tar] == [entry.path for entry in entries]
    file = io.BytesIO()
    with DropletWriter(DropletFile(file, Compression.GZIP, MTIME)) as writer:
        writer.add_layer("app", entries)
        writer.finish()
    assert file.getvalue().startswith(alone)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_two_times_the_same_is_the_same_bytes(tmp_path, compression):
    entries = _tree(tmp_path)
    assert _pack(entries, compression) == _pack(iter(entries), compression)


def test_a_layers_digest_is_that_of_its_listing():
    digest = hashlib.sha256(b"hello").hexdigest()
    listing = f"644 {digest}  app/a\n755 {digest}  app/b\n755 -  app/c\n777 -> a\\040b  app/d\n"
    entries = [
        file_of_bytes("app/a", b"hello"),
        file_of_bytes("app/b", b"hello", 0o755),
        Entry("app/c", Kind.DIRECTORY, 0o755, ""),
        Entry("app/d", Kind.LINK, 0o777, "a b"),
    ]
    _, _, layers = _pack(entries)
    assert layers[1].digest == hashlib.sha256(listing.encode()).hexdigest()
    assert (layers[1].name, layers[1].files, layers[1].bytes) == ("app", 2, 10)


def test_a_layers_digest_does_not_depend_on_how_it_is_compressed(tmp_path):
    entries = _tree(tmp_path)
    digests = {tuple(layer.digest for layer in _pack(entries, compression)[2]) for compression in COMPRESSED}
    assert len(digests) == 1


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 2000])
def test_a_layer_of_links_and_directories_is_counted_to_the_last(count):
    entries = [Entry(f"app/{number:05d}", Kind.LINK, 0o777, "x") for number in range(count)]
    listing = "".join(f"777 -> x  app/{number:05d}\n" for number in range(count))
    _, _, layers = _pack(entries)
    assert layers[1].digest == hashlib.sha256(listing.encode()).hexdigest()


# Sources that do not stay as they were


def _replace_os(monkeypatch, module, **functions):
    """Other functions in ``os``, for one module only."""
    monkeypatch.setattr(module, "os", types.SimpleNamespace(**{**vars(os), **functions}))


def _shrink(path):
    os.truncate(path, os.path.getsize(path) - 1)


def _grow(path):
    with open(path, "ab") as file:
        file.write(b"x")


def _replace_by_fifo(path):
    os.unlink(path)
    os.mkfifo(path)


def _replace_by_link(path):
    os.rename(path, f"{path}.moved")
    os.symlink(f"{path}.moved", path)


def _replace_by_directory(path):
    os.unlink(path)
    os.mkdir(path)


CHANGES = [_shrink, _grow, os.unlink, _replace_by_fifo, _replace_by_link, _replace_by_directory]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [10, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_source_that_changed_is_named(tmp_path, change, size):
    source = tmp_path / "file"
    source.write_bytes(bytes(size))
    entry = _entry("app/\x1b[31mfile\xff.php", source)
    change(source)
    with pytest.raises(SourceChanged) as raised:
        _pack([entry])
    assert raised.value.brief == "A file changed while it was being packed."
    assert raised.value.details.startswith("app/\\x1b[31mfile\xff.php: it ")


@pytest.mark.parametrize("change", CHANGES[1:])
def test_an_empty_source_that_changed_is_noticed(tmp_path, change):
    source = tmp_path / "file"
    source.write_bytes(b"")
    entry = _entry("app/file", source)
    change(source)
    with pytest.raises(SourceChanged):
        _pack([entry])


@pytest.mark.parametrize("change", [_shrink, _grow])
def test_a_source_that_changes_while_it_is_read_is_noticed(tmp_path, change):
    source = tmp_path / "file"
    source.write_bytes(bytes(3 * CHUNK_BYTES))
    chunks = source_file.read_chunks("app/file", str(source), 3 * CHUNK_BYTES)
    next(chunks)
    change(source)
    with pytest.raises(SourceChanged):
        list(chunks)


@pytest.mark.parametrize("size", [100, 2 * CHUNK_BYTES])
def test_a_source_that_reads_short_is_completed(tmp_path, monkeypatch, size):
    source = tmp_path / "file"
    source.write_bytes(random.Random(3).randbytes(size))
    expected = _pack([_entry("app/file", source)])
    _replace_os(
        monkeypatch,
        source_file,
        read=lambda descriptor, most: os.read(descriptor, max(1, most // 3)),
        readv=lambda descriptor, rooms: os.readv(descriptor, [rooms[0][: max(1, len(rooms[0]) // 3)]]),
    )
    assert _pack([_entry("app/file", source)]) == expected


@pytest.mark.parametrize("size", [10, 2 * CHUNK_BYTES])
@pytest.mark.parametrize("calls", [["open"], ["read", "readv"]])
def test_a_source_that_cannot_be_read_is_named(tmp_path, monkeypatch, size, calls):
    source = tmp_path / "file"
    source.write_bytes(bytes(size))
    entry = _entry("app/secret", source)

    def denied(*arguments):
        raise PermissionError(13, "Permission denied")

    _replace_os(monkeypatch, source_file, **dict.fromkeys(calls, denied))
    with pytest.raises(SourceUnreadable) as raised:
        _pack([entry])
    assert raised.value.details == f"app/secret: Permission denied ({source})"


@pytest.mark.parametrize("size", [2, 4, CHUNK_BYTES + 1])
def test_bytes_that_are_not_as_many_as_announced_are_refused(size):
    with pytest.raises(SourceChanged) as raised:
        _pack([Entry("app/x", Kind.FILE, 0o644, b"abc", size)])
    assert raised.value.details == f"app/x: it was announced with {size} bytes, and has 3"


@pytest.mark.parametrize("size", [CHUNK_BYTES, CHUNK_BYTES + 1, 2 * BLOCK_BYTES + 700])
def test_bytes_of_any_size_are_packed(size):
    data = random.Random(7).randbytes(size)
    packed = _pack([file_of_bytes("app/x", data), file_of_bytes("app/y", b"behind it")])[0]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        assert tar.extractfile("app/x").read() == data
        assert tar.extractfile("app/y").read() == b"behind it"


def test_the_longest_names_leave_room_for_the_largest_file_that_is_read_at_once(tmp_path):
    source = tmp_path / "file"
    source.write_bytes(random.Random(9).randbytes(CHUNK_BYTES))
    name = "/".join(["app", *["n" * 255] * 15, "n" * 250])
    # In front of it a block that is one byte short of being full.
    filling = file_of_bytes("app/filling", bytes(FULL_BYTES - 512 - 1))
    packed = _pack([filling, _entry(name, source)], Compression.PLAIN)[0]
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.extractfile(name).read() == source.read_bytes()


# Outputs that fail


def _noise(count=40, size=500_000):
    chosen = random.Random(1)
    return [file_of_bytes(f"app/{number}", chosen.randbytes(size)) for number in range(count)]


def _compressing_threads():
    return [thread for thread in threading.enumerate() if thread.name == "stager-compress"]


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("buffering", [0, -1])
def test_a_full_disk_ends_it_at_once(compression, buffering):
    taken = []
    with (
        open("/dev/full", "wb", buffering=buffering) as full,
        pytest.raises(DiskFull) as raised,
        DropletWriter(DropletFile(full, compression, MTIME)) as writer,
    ):
        writer.add_layer("app", (taken.append(entry) or entry for entry in _noise()))
    assert raised.value.details == "/dev/full: No space left on device"
    assert len(taken) < 40
    assert not _compressing_threads()


def test_a_small_droplet_on_a_full_disk_fails_before_finish_returns():
    full = open("/dev/full", "wb")  # noqa: SIM115 - closing it fails too
    with DropletWriter(DropletFile(full, Compression.GZIP, MTIME)) as writer:
        writer.add_manifest(MANIFEST)
        with pytest.raises(DiskFull):
            writer.finish()
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_a_limit_on_the_size_of_files_is_told_as_a_full_disk(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_writer import MTIME, _noise, Compression, DiskFull, DropletFile, DropletWriter
file = open({os.fspath(tmp_path / "x")!r}, "wb", buffering=0)
try:
    with DropletWriter(DropletFile(file, Compression.GZIP, MTIME)) as writer:
        writer.add_layer("app", _noise())
except DiskFull as error:
    print(error.details)
"""
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000)),
    )
    assert outcome.stdout == f"{tmp_path / 'x'}: File too large\n"


def test_a_reader_that_goes_away_is_an_output_that_cannot_be_written():
    reading, writing = os.pipe()
    os.close(reading)
    with (
        open(writing, "wb", buffering=0) as file,
        pytest.raises(OutputNotWritable) as raised,
        DropletWriter(DropletFile(file, Compression.ZSTD, MTIME)) as writer,
    ):
        writer.add_layer("app", _noise())
    assert raised.value.details == "the output: Broken pipe"


def test_an_error_among_the_entries_stops_the_thread_and_comes_through():
    def entries():
        yield from _noise(8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _pack(entries())
    assert not _compressing_threads()


def test_a_droplet_is_written_to_a_pipe_whole():
    reading, writing = os.pipe()
    received = []
    with open(reading, "rb") as source:
        thread = threading.Thread(target=lambda: received.append(source.read()))
        thread.start()
        with (
            open(writing, "wb", buffering=0) as file,
            DropletWriter(DropletFile(file, Compression.GZIP, MTIME)) as writer,
        ):
            writer.add_layer("app", _noise(6))
            packed = writer.finish()
        thread.join()
    assert hashlib.sha256(received[0]).hexdigest() == packed.sha256


def _with_all_its_blocks(form):
    """How many are made otherwise depends on which of the two threads is ahead."""
    for block in [form._blocks.take() for _ in range(MOST_BLOCKS - 1)]:
        form._blocks.give_back(block)
    return form


@pytest.mark.parametrize("compression", [Compression.PLAIN, Compression.GZIP])
def test_memory_does_not_grow_with_the_number_of_entries(compression):
    def peak(count):
        folder = "app/" + "directory" * 8
        entries = (file_of_bytes(f"{folder}/file{number}", b"x" * 300) for number in range(count))
        with (
            open(os.devnull, "wb") as file,
            DropletWriter(_with_all_its_blocks(DropletFile(file, compression, MTIME))) as writer,
        ):
            tracemalloc.start()
            try:
                writer.add_layer("app", entries)
                writer.add_manifest(MANIFEST)
                writer.finish()
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(10)
    # The list of digests is longer than the two pieces of it that are read back at once in both.
    assert peak(30_000) < peak(15_000) + 500_000


def test_a_block_that_came_back_is_the_next_one():
    blocks = Blocks()
    first = blocks.take()
    second = blocks.take()
    assert first is not second
    blocks.give_back(first)
    assert blocks.take() is first


# Needles

NEEDLES = (Needle("build path", b"/home/someone/work-1234"), Needle("TOKEN", b"s3cr3t"), Needle("empty", b""))


def _hits(entries):
    return _pack(entries, Compression.PLAIN, needles=NEEDLES)[1].hits


def test_needles_are_found_in_bytes_names_and_targets_once_a_file():
    entries = [
        file_of_bytes("app/clean", b"/home/someone/work-123 s3cr3"),
        file_of_bytes("app/dirty", b"x /home/someone/work-1234 s3cr3t s3cr3t"),
        file_of_bytes("app/s3cr3t", b"s3cr3t"),
        Entry("app/d-s3cr3t", Kind.DIRECTORY, 0o755, ""),
        Entry("app/link", Kind.LINK, 0o777, "/home/someone/work-1234/app"),
    ]
    assert _hits(entries) == (
        Hit("build path", "app/dirty"),
        Hit("TOKEN", "app/dirty"),
        Hit("TOKEN", "app/s3cr3t"),
        Hit("TOKEN", "app/d-s3cr3t"),
        Hit("build path", "app/link"),
    )


@pytest.mark.parametrize("before", range(25))
def test_a_needle_is_found_across_the_border_of_two_chunks(tmp_path, before):
    source = tmp_path / "large"
    data = bytearray(2 * CHUNK_BYTES + 10)
    start = CHUNK_BYTES - before
    data[start : start + 23] = b"/home/someone/work-1234"
    source.write_bytes(data)
    assert _hits([_entry("app/large", source)]) == (Hit("build path", "app/large"),)


def test_a_needle_is_found_in_the_last_byte_of_a_large_file(tmp_path):
    source = tmp_path / "large"
    source.write_bytes(bytes(2 * CHUNK_BYTES - 3) + b"s3cr3t")
    assert _hits([_entry("app/large", source)]) == (Hit("TOKEN", "app/large"),)


def test_the_end_of_one_file_and_the_start_of_the_next_are_no_needle(tmp_path):
    sources = [tmp_path / "one", tmp_path / "two"]
    sources[0].write_bytes(bytes(2 * CHUNK_BYTES) + b"s3c")
    sources[1].write_bytes(b"r3t" + bytes(2 * CHUNK_BYTES))
    assert _hits([_entry("app/one", sources[0]), _entry("app/two", sources[1])]) == ()


def test_a_needle_in_every_file_does_not_fill_the_memory():
    assert len(_hits(file_of_bytes(f"app/{number}", b"s3cr3t") for number in range(1500))) == 1000


# Layers that were packed before


@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_layer_packed_before_is_appended_as_it_is(tmp_path, compression):
    entries = _tree(tmp_path)
    data, packed, _ = _pack(entries, compression)
    cached = replace(packed.members[1], offset=3)
    stored = io.BytesIO(b"xxx" + data[packed.members[1].offset :])
    lines = [
        digest_list.line_of(os.fsencode(entry.path), hashlib.sha256(content).hexdigest().encode())
        for entry in entries
        if entry.kind is Kind.FILE
        for content in [Path(entry.source).read_bytes()]
    ]
    file = io.BytesIO()
    with DropletWriter(DropletFile(file, compression, MTIME)) as writer:
        writer.add_layer("dependencies", [file_of_bytes("deps/x", b"dependency")])
        writer.append_layer(cached, stored, lines)
        writer.add_layer("launch", [file_of_bytes("startup", b"#!/bin/bash\n", 0o755)])
        writer.add_manifest(MANIFEST)
        assert writer.finish() == packed
    assert file.getvalue() == data


def test_a_stored_layer_that_is_cut_short_is_noticed(tmp_path):
    data, packed, _ = _pack(_tree(tmp_path))
    with (
        pytest.raises(SourceChanged),
        DropletWriter(DropletFile(io.BytesIO(), Compression.GZIP, 0)) as writer,
    ):
        writer.append_layer(packed.members[1], io.BytesIO(data[:5000]), [])


@pytest.mark.parametrize("compression", COMPRESSED)
def test_another_manifest_leaves_all_layers_as_they_are(tmp_path, compression):
    entries = _tree(tmp_path)
    first, second = io.BytesIO(), io.BytesIO()
    with DropletWriter(DropletFile(first, compression, MTIME)) as writer:
        writer.add_layer("app", entries)
        listed = writer.listed()
        writer.add_manifest(b"a manifest\n")
        packed = writer.finish()
    with DropletWriter(DropletFile(second, compression, MTIME)) as writer:
        writer.append_layer(packed.members[0], first, [listed])
        writer.add_manifest(MANIFEST)
        again = writer.finish()
    third = io.BytesIO()
    with DropletWriter(DropletFile(third, compression, MTIME)) as writer:
        writer.add_layer("app", entries)
        writer.add_manifest(MANIFEST)
        assert writer.finish() == again
    assert second.getvalue() == third.getvalue()


# The form of a directory


def _pack_directory(root, entries, **options):
    with DropletWriter(DropletDirectory(str(root), MTIME), **options) as writer:
        layers = [
            writer.add_layer("dependencies", [file_of_bytes("deps/x", b"dependency")]),
            writer.add_layer("app", entries),
            writer.add_layer("launch", [file_of_bytes("startup", b"#!/bin/bash\n", 0o755)]),
        ]
        writer.add_manifest(MANIFEST)
        return writer.finish(), layers


def test_a_directory_holds_what_the_tar_would(tmp_path):
    entries = _tree(tmp_path)
    root = tmp_path / "a droplet"
    before = os.umask(0o077)
    try:
        packed, layers = _pack_directory(root, entries)
    finally:
        os.umask(before)
    _assert_is_the_tree(root, entries)
    _assert_sha256sum_agrees(root)
    assert layers == _pack(entries)[2]
    for directory, _, _ in os.walk(root):
        assert os.stat(directory).st_mode & 0o7777 == 0o755
        assert os.stat(directory).st_mtime == MTIME
    assert packed.sha256 == hashlib.sha256((root / "droplet.sha256").read_bytes()).hexdigest()
    assert packed.size_bytes == sum(
        os.lstat(os.path.join(directory, name)).st_size
        for directory, _, names in os.walk(root)
        for name in names
        if not os.path.islink(os.path.join(directory, name))
    )


def test_no_file_of_a_directory_is_written_through_a_link(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    entries = [Entry("app/x", Kind.LINK, 0o777, str(outside)), file_of_bytes("app/x/y", b"")]
    with pytest.raises(OutputNotWritable):
        _pack_directory(tmp_path / "droplet", entries)
    assert os.listdir(outside) == []


def test_a_directory_that_is_there_is_not_written_into(tmp_path):
    with pytest.raises(OutputNotWritable):
        _pack_directory(tmp_path, [])


def test_a_directory_on_a_full_disk_is_told_and_leaves_no_descriptor(tmp_path, monkeypatch):
    before = len(os.listdir("/proc/self/fd"))

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    _replace_os(monkeypatch, droplet_directory, write=full)
    with pytest.raises(DiskFull):
        _pack_directory(tmp_path / "droplet", _noise(1))
    assert len(os.listdir("/proc/self/fd")) == before
