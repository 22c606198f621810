import os
import random
import socket
import stat
import subprocess
import time
import tracemalloc

import pytest

from stager.errors import DiskFull, PackError, SourceChanged, SourceUnreadable, UnsafeSource
from stager.model.entry import Entry, Kind
from stager.model.source_tree import SourceTree
from stager.source.ignoring import Ignoring
from stager.source.index import index_directory
from stager.source.materialise import materialise
from stager.source.tree import Tree


def lay(root, *paths):
    for path in paths:
        place = root / path.rstrip("/")
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.encode(errors="surrogateescape"))


@pytest.fixture
def app(tmp_path):
    root = tmp_path / "app"
    lay(root, "index.php", "composer.json", "public/index.php", "src/A.php", "src/Deep/B.php",
        "vendor/autoload.php", "vendor/x/Y.php", "web/node_modules/z.js", "web/z.js",
        "empty/", ".env")  # fmt: skip
    (root / "bin").write_text("#!/bin/sh\n")
    (root / "bin").chmod(0o750)
    (root / "current").symlink_to("public")
    (root / "link.php").symlink_to("src/../index.php")
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    return root


def paths(entries):
    return [entry.path for entry in entries]


def test_buildpacks_see_names_and_kinds(app):
    tree: SourceTree = Tree.of_directory(app)
    assert tree.name == "app"
    for path in (
        "",
        "index.php",
        "src",
        "src/Deep",
        "current",
        "current/index.php",
        "dangling",
        "./src",
        "src/..",
    ):
        assert tree.has(path), path
    for path in ("nope", "index.php/x", "src/a.php", "..", "../app", "current/nope", "dangling/x", "loop/x"):
        assert not tree.has(path), path
    assert [path for path in ("index.php", "link.php", "current/index.php", "bin") if tree.is_file(path)] == [
        "index.php", "link.php", "current/index.php", "bin",
    ]  # fmt: skip
    assert not any(
        tree.is_file(path) for path in ("", "src", "current", "dangling", "loop", "nope", "../app/bin")
    )
    assert all(tree.is_directory(path) for path in ("", "src", "current", "empty", "src/Deep/../Deep"))
    assert not any(tree.is_directory(path) for path in ("index.php", "dangling", "loop", "nope", ".."))
    assert [path for path in ("bin", "index.php", "src", "nope") if tree.is_executable(path)] == ["bin"]


def test_children_are_sorted(app):
    tree = Tree.of_directory(app)
    assert tree.children("src") == ("A.php", "Deep")
    assert tree.children("current") == ("index.php",)
    assert tree.children("empty") == tree.children("nope") == tree.children("index.php") == ()
    assert list(tree.children()) == sorted(os.listdir(app))


def test_files_are_found_by_name_and_not_in_dependencies(app):
    tree = Tree.of_directory(app)
    assert list(tree.files("*.php")) == ["index.php", "public/index.php", "src/A.php", "src/Deep/B.php"]
    assert list(tree.files("*.php", depth=1)) == ["index.php"]
    assert list(tree.files("*.php", depth=2)) == ["index.php", "public/index.php", "src/A.php"]
    assert list(tree.files("*.js")) == ["web/z.js"]
    assert list(tree.files("[AB].php")) == ["src/A.php", "src/Deep/B.php"]
    assert next(tree.files()) == ".env"


def test_bytes_and_texts_are_read_through_links_inside(app):
    tree = Tree.of_directory(app)
    assert tree.read_bytes("current/index.php") == b"public/index.php"
    assert tree.read_bytes("link.php", limit=5) == b"index"
    (app / "bom").write_bytes(b"\xef\xbb\xbfa\xffb")
    assert Tree.of_directory(app).read_text("bom") == "a\ufffdb"


@pytest.mark.parametrize("path", ["nope", "src", "dangling", "loop", "../app/bin", "/etc/passwd", "", "a\0b"])
def test_what_is_no_file_cannot_be_read(app, path):
    with pytest.raises(SourceUnreadable) as caught:
        Tree.of_directory(app).read_bytes(path)
    assert str(caught.value) == f"There is no file {path!r} in the source.\nAdd it, or correct the name."


def test_a_file_that_became_a_link_since_is_not_followed(app):
    tree = Tree.of_directory(app)
    (app / "index.php").unlink()
    (app / "index.php").symlink_to("/etc/passwd")
    with pytest.raises(SourceUnreadable) as caught:
        tree.read_bytes("index.php")
    assert caught.value.brief == "'index.php' in the source cannot be read."


def test_entries_come_in_the_order_of_a_tar(tmp_path):
    lay(tmp_path, "a/b", "a-b", "a.b", "a0", "a/", "Z", "z", "ä", os.fsdecode(b"\xff"), "\U0001f600", "e/")
    got = [
        entry.path + ("/" if entry.kind is Kind.DIRECTORY else "")
        for entry in Tree.of_directory(tmp_path).entries()
    ]
    assert got == sorted(got, key=os.fsencode)
    assert got[:7] == ["app/", "app/Z", "app/a-b", "app/a.b", "app/a/", "app/a/b", "app/a0"]
    # U+1F600 is F0 9F … in UTF-8, before the byte FF, though its code point is larger than the escape's.
    assert got[-2:] == ["app/\U0001f600", "app/\udcff"]


def test_entries_say_where_bytes_lie(app):
    entries = {entry.path: entry for entry in Tree.of_directory(app).entries()}
    assert entries["app"] == Entry("app", Kind.DIRECTORY, 0o755, "")
    assert entries["app/bin"] == Entry("app/bin", Kind.FILE, 0o755, f"{app}/bin", 10)
    assert entries["app/src/A.php"] == Entry("app/src/A.php", Kind.FILE, 0o644, f"{app}/src/A.php", 9)
    assert entries["app/src"] == Entry("app/src", Kind.DIRECTORY, 0o755, "")
    assert entries["app/link.php"].source == "src/../index.php"
    assert entries["app/link.php"].kind is Kind.LINK


def test_entries_can_be_parted_between_layers(app):
    lay(app, "vendor-not/x", "src/vendor/x")
    tree = Tree.of_directory(app)
    everything = paths(tree.entries())
    dependencies = paths(tree.entries(below="vendor"))
    assert dependencies == ["app/vendor", "app/vendor/autoload.php", "app/vendor/x", "app/vendor/x/Y.php"]
    rest = paths(tree.entries(leave_out=["vendor", "nope"]))
    assert set(rest) | set(dependencies) == set(everything)
    assert not set(rest) & set(dependencies)
    assert "app/vendor-not/x" in rest
    assert paths(tree.entries("", below="src", leave_out=["src/vendor", "src/A.php"])) == [
        "src", "src/Deep", "src/Deep/B.php",
    ]  # fmt: skip
    assert paths(tree.entries(below="vendor/x", leave_out=["vendor"])) == []
    assert paths(tree.entries(below="nope")) == paths(tree.entries(below="index.php")) == []
    assert paths(tree.entries(""))[0] == ".env"


def test_totals_are_of_regular_files(app):
    tree = Tree.of_directory(app)
    found = [place for place in app.rglob("*") if place.is_file() and not place.is_symlink()]
    assert tree.file_count == len([place for place in found if "current" not in place.parts])
    assert tree.byte_count == sum(entry.size for entry in tree.entries() if entry.kind is Kind.FILE)


def test_odd_names_are_kept_as_they_are(tmp_path):
    names = ["with space", "'quotes\"", "new\nline", "-rf", "..data", "*", "$(id)", "\\", "x" * 255, " ", "#",
             os.fsdecode(b"\xff\xfe"), "a:b", "ünï", "~", "\x1b[31m"]  # fmt: skip
    lay(tmp_path, *names)
    tree = Tree.of_directory(tmp_path)
    assert set(tree.children()) == set(names)
    for name in names:
        assert tree.read_bytes(name) == os.fsencode(name)


def test_an_empty_tree_is_a_tree(tmp_path):
    tree = Tree.of_directory(tmp_path)
    assert paths(tree.entries()) == ["app"]
    assert (tree.file_count, tree.byte_count, tree.children()) == (0, 0, ())


def test_hard_links_are_just_files(tmp_path):
    lay(tmp_path, "a")
    os.link(tmp_path / "a", tmp_path / "b")
    assert [entry.kind for entry in Tree.of_directory(tmp_path).entries("")] == [Kind.FILE, Kind.FILE]


@pytest.mark.parametrize("what", ["a FIFO", "a socket", "a character device"])
def test_special_files_are_refused(tmp_path, monkeypatch, what):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    if what == "a FIFO":
        os.mkfifo("control")
    elif what == "a socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("control")
    else:
        try:
            os.mknod("control", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    with pytest.raises(UnsafeSource) as caught:
        Tree.of_directory(tmp_path)
    assert str(caught.value) == (
        f"The source holds {what}.\n"
        f"'run/control' is {what}; only files, directories and symbolic links can be packed.\n"
        "Remove it, or name it in .stagerignore."
    )


def test_an_absolute_link_is_refused(tmp_path):
    (tmp_path / "conf").symlink_to("/etc")
    with pytest.raises(UnsafeSource) as caught:
        Tree.of_directory(tmp_path)
    assert str(caught.value) == (
        "The source holds a symbolic link to an absolute path.\n"
        "'conf' leads to '/etc', which may be anything where the droplet runs.\n"
        "Make it relative, put there what it leads to, or name it in .stagerignore."
    )


@pytest.mark.parametrize(
    "links",
    [
        {"out": ".."},
        {"d/out": "../../app-evil"},
        {"in": ".", "out": "in/in/../x"},
        {"a": "b", "b": "c", "c": "d/../.."},
    ],
)
def test_a_link_that_leads_out_is_refused(tmp_path, links):
    root = tmp_path / "app"
    lay(root, "d/x")
    lay(tmp_path, "app-evil/x")
    for path, target in links.items():
        (root / path).symlink_to(target)
    with pytest.raises(UnsafeSource) as caught:
        Tree.of_directory(root)
    assert caught.value.brief == "The source holds a symbolic link that leads out of it."
    path, target = caught.value.details.removesuffix(".").split(" leads to ")
    assert links[path.strip("'")] == target.strip("'")
    assert (
        caught.value.resolution
        == "Let it end inside, put there what it leads to, or name it in .stagerignore."
    )


def test_more_bytes_than_the_cap_are_refused(tmp_path):
    lay(tmp_path, "x")
    os.truncate(tmp_path / "x", 5000)
    assert Tree.of_directory(tmp_path, max_size=5000).byte_count == 5000
    with pytest.raises(UnsafeSource) as caught:
        Tree.of_directory(tmp_path, max_size=4999)
    assert str(caught.value) == (
        "The source is too large.\nIts files have at least 5,000 bytes; 4,999 bytes are allowed.\n"
        "Name in .stagerignore what the application does not need, or give a --max-size."
    )
    os.truncate(tmp_path / "x", (2 << 30) + 1)
    with pytest.raises(UnsafeSource, match="2 GiB are allowed"):
        Tree.of_directory(tmp_path)


def test_a_deep_tree_is_walked_without_recursion(tmp_path):
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        tree = Tree.of_directory(tmp_path)
        assert len(list(tree.entries())) == 1501
        assert list(tree.files()) == []
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_a_copy_has_bytes_links_and_execute_bits(app, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    before = os.umask(0o077)
    try:
        materialise(Tree.of_directory(app), copy)
    finally:
        os.umask(before)
    assert subprocess.run(["diff", "-r", "--no-dereference", app, copy], check=False).returncode == 0
    assert stat.S_IMODE(os.lstat(copy / "bin").st_mode) == 0o755
    assert stat.S_IMODE(os.lstat(copy / "index.php").st_mode) == 0o644
    assert stat.S_IMODE(os.lstat(copy / "src/Deep").st_mode) == 0o755
    (copy / "index.php").write_bytes(b"changed")
    assert (app / "index.php").read_bytes() == b"index.php"


def test_a_copy_is_made_where_the_kernel_does_not_copy(app, tmp_path, monkeypatch):
    big = random.Random(6).randbytes(20 << 20)
    (app / "big").write_bytes(big)
    copied = os.copy_file_range
    calls = []

    def fails_after_the_first(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(18, "Invalid cross-device link")
        return copied(*arguments)

    monkeypatch.setattr(os, "copy_file_range", fails_after_the_first)
    copy = tmp_path / "copy"
    copy.mkdir()
    materialise(Tree.of_directory(app), copy)
    assert (copy / "big").read_bytes() == big
    assert (copy / "index.php").read_bytes() == b"index.php"


@pytest.mark.parametrize(
    ("number", "error", "brief"),
    [
        (28, DiskFull, "No space is left to copy the source for a step."),
        (5, PackError, "The source could not be copied for a step."),
    ],
)
def test_a_copy_that_cannot_be_written_is_the_hosts_fault(app, tmp_path, monkeypatch, number, error, brief):
    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", fails)
    copy = tmp_path / "copy"
    copy.mkdir()
    with pytest.raises(error) as caught:
        materialise(Tree.of_directory(app), copy)
    assert caught.value.brief == brief
    assert os.strerror(number) in caught.value.details


@pytest.mark.parametrize("replace", [lambda place: None, lambda place: place.symlink_to("/etc/passwd")])
def test_a_file_that_vanished_before_it_was_copied_is_named(app, tmp_path, replace):
    tree = Tree.of_directory(app)
    (app / "src/A.php").unlink()
    replace(app / "src/A.php")
    copy = tmp_path / "copy"
    copy.mkdir()
    with pytest.raises(SourceChanged) as caught:
        materialise(tree, copy)
    assert caught.value.details == f"'{app}/src/A.php' is no longer there."


def test_fifty_thousand_files_take_little_time_and_memory(tmp_path):
    for directory in range(500):
        place = tmp_path / f"package-{directory // 20}" / f"module-{directory:04d}"
        place.mkdir(parents=True)
        at = os.open(place, os.O_RDONLY)
        for number in range(100):
            os.mknod(f"some-file-name-{number:03d}.php", 0o644, dir_fd=at)
        os.close(at)
    ignoring = Ignoring()
    started = time.process_time()
    index = index_directory(os.fspath(tmp_path), ignoring)
    seconds = time.process_time() - started
    assert index.files == 50_000
    # 5 µs a file where it was measured, when nothing else ran.
    assert seconds < 5
    del index
    tracemalloc.start()
    tree = Tree.of_directory(tmp_path, ignoring=ignoring)
    held, _ = tracemalloc.get_traced_memory()
    assert held < 8 << 20
    tracemalloc.reset_peak()
    assert sum(1 for _ in tree.entries()) == 50_000 + 500 + 25 + 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Entries are made one at a time.
    assert peak - held < 1 << 18
