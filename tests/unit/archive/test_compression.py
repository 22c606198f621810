import bz2
import gzip
import io
import lzma
import os
import random
import subprocess
import threading
import zlib

import pytest
import zstandard

from stager.archive.compression import BrokenStream, Compression, compression_of, compressor, open_stream

WORDS = [b"function", b"return", b"public", b"$this->", b"array", b"\n", b"  ", b"class Foo", b"{", b"}"]


def _text(size, seed=1):
    chosen = random.Random(seed).choices(WORDS, k=size // 4)
    return b" ".join(chosen)[:size]


def _member(compression, data):
    made = compressor(compression)
    return made.compress(data) + made.flush()


CONTENT = _text(3_000_000)
ENCODERS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "our gzip": lambda data: _member(Compression.GZIP, data),
    "our zstd": lambda data: _member(Compression.ZSTD, data),
    "zstd": zstandard.compress,
    "zstd without a size": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
    "xz": lambda data: lzma.compress(data, preset=0),
    "bzip2": bz2.compress,
}


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
def test_every_compression_is_told_by_its_first_bytes(encode):
    assert open_stream(io.BytesIO(encode(CONTENT))).read() == CONTENT


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
def test_concatenated_members_are_one_stream(encode):
    parts = [_text(100_000, seed) for seed in range(3)]
    whole = b"".join(encode(part) for part in (*parts, b"", parts[0]))
    assert open_stream(io.BytesIO(whole)).read() == b"".join((*parts, parts[0]))


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
def test_a_stream_is_read_from_a_pipe_that_gives_little_at_a_time(encode):
    data = encode(CONTENT[:200_000])
    reading, writing = os.pipe()

    def feed():
        with open(writing, "wb", buffering=0) as file:
            file.writelines(data[start : start + 3001] for start in range(0, len(data), 3001))

    thread = threading.Thread(target=feed)
    with open(reading, "rb", buffering=0) as file:
        thread.start()
        assert open_stream(file).read() == CONTENT[:200_000]
        assert not file.closed
    thread.join()


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "plain"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99, -1])
def test_a_stream_that_is_cut_short_is_broken(name, kept):
    data = ENCODERS[name](CONTENT[:500_000] + os.urandom(500_000))
    cut = data[:-1] if kept == -1 else data[: int(len(data) * kept)]
    with pytest.raises(BrokenStream):
        open_stream(io.BytesIO(cut)).read()


@pytest.mark.parametrize("name", ["our gzip", "our zstd"])
def test_a_stream_that_is_cut_at_any_byte_is_broken(name):
    data = ENCODERS[name](CONTENT[:3000])
    for kept in range(6, len(data)):
        with pytest.raises(BrokenStream):
            open_stream(io.BytesIO(data[:kept])).read()


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "plain"])
def test_a_damaged_stream_is_broken(name):
    data = bytearray(ENCODERS[name](CONTENT))
    for place in range(len(data) // 3, len(data) // 3 + 40):
        data[place] ^= 0xFF
    # Without a checksum in the frame zstd may be able to decode the damage.
    if name in {"zstd", "zstd without a size"}:
        data[4:9] = b"\xff" * 5
    with pytest.raises(BrokenStream):
        open_stream(io.BytesIO(bytes(data))).read()


@pytest.mark.parametrize("name", ["our gzip", "our zstd"])
def test_garbage_behind_the_last_member_is_broken(name):
    with pytest.raises(BrokenStream):
        open_stream(io.BytesIO(ENCODERS[name](CONTENT[:1000]) + b"garbage and more garbage")).read()


def test_an_error_of_the_system_is_not_taken_for_a_broken_stream():
    class Failing(io.RawIOBase):
        def read(self, size=-1):
            if size > 6:
                raise OSError(5, "Input/output error")
            return gzip.compress(b"x")[:size]

    with pytest.raises(OSError, match="Input/output error"):
        open_stream(Failing()).read()


def test_a_bomb_costs_no_memory_before_it_is_read():
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 30))
    stream = open_stream(io.BytesIO(bomb))
    assert len(bomb) < 100_000
    assert stream.read(1 << 20) == bytes(1 << 20)


def test_an_empty_input_is_an_empty_stream():
    assert open_stream(io.BytesIO(b"")).read() == b""


def test_a_gzip_member_has_neither_name_nor_time():
    assert _member(Compression.GZIP, b"x")[3:8] == bytes(5)


def test_bare_tools_read_our_members(tmp_path):
    for compression, program in ((Compression.GZIP, "gzip"), (Compression.ZSTD, "zstd")):
        path = tmp_path / f"x.{compression.value}"
        path.write_bytes(_member(compression, CONTENT) + _member(compression, b"more"))
        outcome = subprocess.run([program, "-dc", path], capture_output=True, check=True)
        assert outcome.stdout == CONTENT + b"more"


def test_zstds_bytes_do_not_depend_on_the_number_of_cores():
    data = _text(20_000_000)
    allowed = os.sched_getaffinity(0)
    everywhere = _member(Compression.ZSTD, data)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert _member(Compression.ZSTD, data) == everywhere
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("name", "compression"),
    [
        ("out.tar.gz", Compression.GZIP),
        ("OUT.TGZ", Compression.GZIP),
        ("a.b.tar.zst", Compression.ZSTD),
        ("out.tar", Compression.PLAIN),
        ("out.zip", None),
        ("tar.gz.txt", None),
    ],
)
def test_a_files_name_asks_for_a_compression(name, compression):
    assert compression_of(name) is compression


def test_the_error_classes_are_known_by_their_names():
    from isal import isal_zlib

    with pytest.raises(Exception, match="Error -") as raised:
        isal_zlib.decompress(b"garbage")
    assert type(raised.value).__name__ in {"IsalError", "error"}
    assert zlib.error.__name__ == "error"
