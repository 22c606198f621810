import random
import tarfile

import pytest

from stager.archive.header import _quick, _thorough, decode


def block(dialect=tarfile.USTAR_FORMAT, **attributes):
    info = tarfile.TarInfo("app/index.php")
    info.size = 1234
    for key, value in attributes.items():
        setattr(info, key, value)
    return info.tobuf(dialect, "utf-8", "surrogateescape")[-512:]


@pytest.mark.parametrize(
    ("header", "is_quick"),
    [
        (block(), True),
        (block(mode=0o6755), True),
        (block(type=tarfile.DIRTYPE), True),
        (block(name="d" * 120 + "/" + "n" * 90), True),
        (block(name="ä\udcff\n x"), True),
        (block(dialect=tarfile.GNU_FORMAT), False),
        (block(dialect=tarfile.GNU_FORMAT, size=1 << 40), False),
        (block(type=tarfile.SYMTYPE, linkname="x"), False),
        (block(type=tarfile.AREGTYPE, name="old/"), False),
        (block(type=tarfile.CONTTYPE), False),
    ],
)
def test_the_quick_way_says_what_tarfile_says(header, is_quick):
    quick = _quick(header)
    assert (quick is not None) is is_quick
    assert decode(header) == _thorough(header) == (quick or _thorough(header))


def test_an_old_directory_is_a_directory_and_every_file_a_file():
    assert decode(block(type=tarfile.AREGTYPE, name="old/")).type == b"5"
    assert decode(block(type=tarfile.AREGTYPE)).type == decode(block(type=tarfile.CONTTYPE)).type == b"0"
    assert decode(block(type=tarfile.GNUTYPE_SPARSE)).type == b"S"


def test_damage_is_judged_alike():
    dice = random.Random(5)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(block(name="a" * dice.randrange(1, 100), mode=dice.randrange(0o7777)))
        for _ in range(dice.randrange(1, 3)):
            damaged[dice.randrange(512)] = dice.choice(b"\x00 07_+-/u\xff")
        quick = _quick(bytes(damaged))
        try:
            thorough = _thorough(bytes(damaged))
        except tarfile.HeaderError:
            assert quick is None
            refused += 1
        else:
            assert quick in (None, thorough)
    assert 1000 < refused < 3000


@pytest.mark.parametrize("data", [b"", b"x" * 511, bytes(512), b"\xff" * 512, block()[:511]])
def test_what_is_no_header_is_an_error(data):
    with pytest.raises(tarfile.HeaderError):
        decode(data)
