import hashlib
import io
import os
import subprocess

import pytest

from stager.archive.digest_list import Digest, DigestList, line_of, link_line_of, parse
from stager.errors import DiskFull, DropletCorrupt, OutputNotWritable

NAMES = [
    b"app/plain",
    b"app/two\nlines",
    b"app/back\\slash",
    b"app/back\\nslash",
    b"app/return\r",
    b"app/mid\rdle",
    b"app/all\\\n\r\\",
    b"app/caf\xe9\xff",
    b"app/" + b"n" * 255,
    b"-dash",
    b"app/  blanks  ",
    b" leading",
    b"*star",
    b"\\first",
]
DIGEST = b"0123456789abcdef" * 4


def _made(directory):
    for number, name in enumerate(NAMES):
        path = os.path.join(os.fsencode(directory), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"%d" % number)
    return b"".join(
        line_of(name, hashlib.sha256(b"%d" % number).hexdigest().encode())
        for number, name in enumerate(NAMES)
    )


def test_the_lines_are_those_that_sha256sum_writes(tmp_path):
    text = _made(tmp_path)
    outcome = subprocess.run([b"sha256sum", b"--", *NAMES], cwd=tmp_path, capture_output=True, check=True)
    assert text == outcome.stdout


def test_sha256sum_checks_them(tmp_path):
    text = _made(tmp_path)
    outcome = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet"],
        cwd=tmp_path,
        input=text,
        capture_output=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, b"", b"")


def test_what_was_written_is_read_back():
    text = b"".join(line_of(name, DIGEST) for name in NAMES)
    expected = [Digest(os.fsdecode(name), DIGEST.decode()) for name in NAMES]
    assert list(parse(io.BytesIO(text))) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"garbage\n",
        DIGEST + b"  \n",
        DIGEST + b" app/x\n",
        DIGEST + b" *app/x\n",
        DIGEST + b"  app/x",
        DIGEST[:-1] + b"   app/x\n",
        DIGEST.upper() + b"  app/x\n",
        b"\\" + DIGEST + b"  app/bad\\t\n",
        b"\\" + DIGEST + b"  app/bad\\\n",
        b"\xff" * 100_000,
    ],
)
def test_a_line_that_sha256sum_does_not_write_is_named(line):
    with pytest.raises(DropletCorrupt) as raised:
        list(parse(io.BytesIO(line_of(b"app/good", DIGEST) + line)))
    assert raised.value.details == "droplet.sha256, line 2: it is not a line that sha256sum writes"


def test_a_links_line_has_one_meaning():
    assert link_line_of(b"b  c", b"a") == b"777 -> a  b  c\n"
    assert link_line_of(b"c", b"a  b") == b"777 -> a\\040\\040b  c\n"
    assert link_line_of(b"x\n777 -> y  z", b"t") == b"777 -> t  x\\n777 -> y  z\n"


def test_a_growing_list_keeps_its_text_and_can_be_read_twice(tmp_path):
    lines = [line_of(b"app/%06d" % number, DIGEST) for number in range(10_000)]
    digests = DigestList(str(tmp_path))
    for line in lines:
        digests.add(line)
    assert digests.size == sum(map(len, lines))
    assert os.listdir(tmp_path) == []
    for _ in range(2):
        descriptor = digests.fileno()
        with os.fdopen(os.dup(descriptor), "rb") as file:
            assert file.read() == b"".join(lines)
    digests.add(lines[0])
    with os.fdopen(os.dup(digests.fileno()), "rb") as file:
        assert file.read() == b"".join([*lines, lines[0]])
    digests.close()


def test_a_place_for_the_list_that_is_not_there_is_an_error_of_ours(tmp_path):
    with pytest.raises(OutputNotWritable) as raised:
        DigestList(str(tmp_path / "missing"))
    assert str(tmp_path / "missing") in raised.value.details


def test_a_full_disk_under_the_list_is_told(tmp_path, monkeypatch):
    digests = DigestList(str(tmp_path))
    digests.add(b"line\n")
    with open("/dev/full", "wb", buffering=0) as full, monkeypatch.context() as patched:
        patched.setattr(digests, "_file", full)
        with pytest.raises(DiskFull):
            digests.fileno()
    digests.close()
