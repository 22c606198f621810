import pytest

from stager.archive.allowance import DEFAULT_MAX_SIZE, MAX_MEMBERS, Allowance, in_units
from stager.archive.complaint import droplet, upload
from stager.archive.members import MAX_STEPS, Ledger, resolve
from stager.errors import DropletCorrupt, SourceUnreadable, UnsafeSource
from stager.model.entry import Kind

MIB = 1 << 20


def ledger():
    return Ledger(upload("'app.tar'"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b", "a/b"),
        ("./a//b/", "a/b"),
        (".", ""),
        ("./", ""),
        ("..data", "..data"),
        ("a/..b/c..", "a/..b/c.."),
        ("...", "..."),
        ("-rf", "-rf"),
        ("a\nb", "a\nb"),
        ("\udcff", "\udcff"),
        ("ä" * 127, "ä" * 127),
        ("\\windows\\x", "\\windows\\x"),
    ],
)
def test_a_name_is_cleaned(name, path):
    assert ledger().clean(name) == path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "'/etc/passwd' has an absolute name."),
        ("//x", "'//x' has an absolute name."),
        ("../x", "'../x' leads out of the archive: '..' is a part of its name."),
        ("a/../b", "'a/../b' leads out of the archive: '..' is a part of its name."),
        ("a/..", "'a/..' leads out of the archive: '..' is a part of its name."),
        ("a\0b", "'a\\x00b' has a NUL character in its name."),
    ],
)
def test_a_name_that_leads_out_is_refused(name, why):
    with pytest.raises(UnsafeSource) as caught:
        ledger().clean(name)
    assert caught.value.brief == "'app.tar' holds something that must not be unpacked."
    assert caught.value.details == why
    assert caught.value.resolution == "Make the archive again without it."


@pytest.mark.parametrize("name", ["a" * 256, "ä" * 128, "x/" + "\udcff" * 256, "ab/" * 1400])
def test_a_name_longer_than_linux_allows_is_refused(name):
    with pytest.raises(UnsafeSource, match="must not be unpacked") as caught:
        ledger().clean(name)
    assert "has a name of more than 255 bytes, or 4,096 with its parents" in caught.value.details


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (("a", Kind.FILE), ("a", Kind.FILE), "'a' is there twice, the first time as a file."),
        (("a", Kind.FILE), ("a", Kind.DIRECTORY), "'a' is there twice, the first time as a file."),
        (("a", Kind.DIRECTORY), ("a", Kind.FILE), "'a' is there twice, the first time as a directory."),
        (("a", Kind.DIRECTORY), ("a", Kind.DIRECTORY), "'a' is there twice, the first time as a directory."),
        (("a/b", Kind.FILE), ("a", Kind.FILE), "'a' is there twice, the first time as a directory."),
        (("a/b", Kind.FILE), ("a", Kind.LINK), "'a' is there twice, the first time as a directory."),
        (("a", Kind.FILE), ("a/b", Kind.FILE), "'a/b' lies below 'a', which is a file."),
        (("a", Kind.LINK), ("a/b", Kind.FILE), "'a/b' lies below 'a', which is a symbolic link."),
        (("a", Kind.LINK), ("a/b/c", Kind.DIRECTORY), "'a/b/c' lies below 'a', which is a symbolic link."),
    ],
)
def test_a_member_that_contradicts_an_earlier_one_is_refused(first, second, why):
    book = ledger()
    book.admit(*first, "target" if first[1] is Kind.LINK else "")
    with pytest.raises(UnsafeSource) as caught:
        book.admit(*second, "target" if second[1] is Kind.LINK else "")
    assert caught.value.details == why


def test_a_directory_may_follow_what_lies_in_it():
    book = ledger()
    book.admit("app/vendor/x", Kind.FILE)
    book.admit("app/vendor", Kind.DIRECTORY)
    book.admit("app", Kind.DIRECTORY)
    with pytest.raises(UnsafeSource):
        book.admit("app", Kind.DIRECTORY)


def test_a_common_beginning_is_no_common_directory():
    book = ledger()
    book.admit("x", Kind.FILE)
    book.admit("x-evil/y", Kind.FILE)
    book.admit("x.d", Kind.LINK, "x-evil")
    book.finish()


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ({"a": "/etc"}, "'a' is a symbolic link to an absolute path, '/etc'."),
        ({"a": ".."}, "'a' is a symbolic link that leads out, to '..'."),
        ({"d/a": "../../x"}, "'d/a' is a symbolic link that leads out, to '../../x'."),
        ({"a": "b", "b": ".."}, "'b' is a symbolic link that leads out, to '..'."),
        ({"a": "b/..", "b": "../x"}, "'a' is a symbolic link that leads out, to 'b/..'."),
        ({"d/in": ".", "a": "d/in/../.."}, "'a' is a symbolic link that leads out, to 'd/in/../..'."),
        # As text, deep/../.. stays inside; but deep is a link to the root.
        ({"deep": ".", "a": "deep/../x"}, "'a' is a symbolic link that leads out, to 'deep/../x'."),
        ({"a": "../app-evil/x"}, "'a' is a symbolic link that leads out, to '../app-evil/x'."),
        ({"a": ""}, "'a' is a symbolic link whose target is no path."),
        ({"a": "b\0c"}, "'a' is a symbolic link whose target is no path."),
    ],
)
def test_a_link_that_leads_out_is_refused(links, why):
    book = ledger()

    def read():
        for path, target in links.items():
            book.admit(path, Kind.LINK, target)
        book.finish()

    with pytest.raises(UnsafeSource) as caught:
        read()
    assert caught.value.details == why


def test_links_that_stay_inside_are_fine():
    book = ledger()
    for path, target in {
        "current": "releases/2",
        "public/a": "../current/../x",
        "dangling": "nowhere/at/all",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "root": ".",
        "d/up": "..",
    }.items():
        book.admit(path, Kind.LINK, target)
    book.finish()
    assert resolve("public/a", book.links.get).path == "releases/x"
    assert resolve("loop/x", book.links.get).is_loop
    assert resolve("d/up/d/up/current", book.links.get).path == "releases/2"


def test_a_way_of_forty_links_ends_and_of_forty_one_is_a_loop():
    links = {f"l{number}": f"l{number + 1}" for number in range(60)}
    assert resolve("l20", links.get) == ("l60", False, False)
    assert resolve("l19", links.get).is_loop


def test_a_way_that_takes_too_long_to_walk_is_taken_to_lead_out():
    links = {f"l{number}": "d/../" * 300 + f"l{number + 1}" for number in range(30)}
    assert resolve("l0", links.get).escapes
    assert not resolve("/".join("d" * MAX_STEPS), links.get).escapes


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("later", "'x' is a hard link to 'later', which is no earlier file of the archive."),
        ("directory", "'x' is a hard link to 'directory', which is no earlier file of the archive."),
        ("link", "'x' is a hard link to 'link', which is no earlier file of the archive."),
        ("/etc/passwd", "'x' is a hard link that leads out, to '/etc/passwd'."),
        ("../file", "'x' is a hard link that leads out, to '../file'."),
    ],
)
def test_a_hard_link_leads_to_an_earlier_file_only(target, why):
    book = ledger()
    book.admit("file", Kind.FILE)
    book.admit("directory", Kind.DIRECTORY)
    book.admit("link", Kind.LINK, "file")
    assert book.hard_link("x", "./file") == "file"
    with pytest.raises(UnsafeSource) as caught:
        book.hard_link("x", target)
    assert caught.value.details == why


def test_names_that_would_fill_the_memory_are_refused():
    book = ledger()

    def read():
        for number in range(200):
            book.admit(f"{number}/" + "a/" * 2000, Kind.FILE)

    with pytest.raises(UnsafeSource) as caught:
        read()
    assert caught.value.details == "The names in it take more than 256 MiB."


def test_a_droplet_is_corrupt_where_an_upload_is_unsafe_or_unreadable():
    assert isinstance(upload("x").damaged("y"), SourceUnreadable)
    assert isinstance(upload("x").refused("y", "z"), UnsafeSource)
    assert isinstance(droplet().damaged("y"), DropletCorrupt)
    error = droplet().refused("y", "is a FIFO")
    assert isinstance(error, DropletCorrupt)
    assert str(error) == (
        "The droplet holds something that must not be unpacked.\n'y' is a FIFO.\n"
        "Do not start it. Build it again, or fetch it again from where it was built."
    )


def test_more_than_the_cap_is_refused_before_it_is_unpacked():
    allowance = Allowance(upload("'app.zip'"), max_size=10 * MIB)
    allowance.promise(10 * MIB)
    with pytest.raises(UnsafeSource) as caught:
        allowance.promise(1)
    assert str(caught.value) == (
        "'app.zip' is too large.\nIt unpacks to at least 11 MiB; 10 MiB are allowed.\n"
        "Leave out what the application does not need, or allow more with --max-size."
    )


def test_the_default_cap_is_two_gibibytes():
    Allowance(upload("x")).promise(DEFAULT_MAX_SIZE)
    with pytest.raises(UnsafeSource):
        Allowance(upload("x")).promise(DEFAULT_MAX_SIZE + 1)


def test_a_hundredfold_is_taken_for_a_bomb():
    allowance = Allowance(upload("'app.zip'"), compressed=lambda: 3 * MIB)
    allowance.promise(300 * MIB)
    with pytest.raises(UnsafeSource) as caught:
        allowance.promise(20 * MIB)
    assert str(caught.value) == (
        "'app.zip' is too large.\n"
        "Its 3 MiB unpack to at least 320 MiB: more than 100 times as much, as a decompression bomb does.\n"
        "If that is meant, say how much it may be: --max-size 640M."
    )


def test_a_small_archive_may_be_compressed_as_well_as_it_can():
    Allowance(upload("x"), compressed=lambda: 1).promise(64 * MIB)


def test_a_size_that_was_given_says_that_it_is_meant():
    Allowance(upload("x"), max_size=1 << 40, compressed=lambda: 1).promise(1 << 39)


def test_of_a_stream_only_what_has_come_is_compared():
    read = [1 * MIB]
    allowance = Allowance(upload("x"), compressed=lambda: read[0], is_stream=True)
    allowance.promise(500 * MIB)
    allowance.spend(100 * MIB)
    with pytest.raises(UnsafeSource):
        allowance.spend(1)
    read[0] = 2 * MIB
    allowance.spend(1)


def test_too_many_members_are_refused():
    allowance = Allowance(upload("'x'"), members=MAX_MEMBERS - 1)
    allowance.promise(0)
    with pytest.raises(UnsafeSource) as caught:
        allowance.promise(0)
    assert caught.value.details == "It holds more than 1,000,000 files and directories."


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 bytes"), (5000, "5,000 bytes"), (10241, "11 KiB"), (64 * MIB, "64 MiB"),
     (2 << 30, "2 GiB"), ((2 << 30) + 1, "2049 MiB"), (20 << 30, "20 GiB")],
)  # fmt: skip
def test_sizes_are_rounded_up(size, text):
    assert in_units(size) == text
