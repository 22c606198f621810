import os
from pathlib import Path

import pytest

from stager.errors import ConfigurationError, SourceUnreadable
from stager.source.ignoring import ignoring_for
from stager.source.tree import Tree


def lay(root, *paths):
    for path in paths:
        place = root / path.rstrip("/")
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"x")


def kept(root, patterns=(), excluded=()):
    tree = Tree.of_directory(root, ignoring=ignoring_for(os.fspath(root), patterns, excluded))
    return [entry.path for entry in tree.entries("") if entry.path != ".stagerignore"]


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("docs/", ["a.psd", "build", "build/docs", "build/x", "keep.psd", "src", "src/a.psd"]),
        ("*.psd\n!keep.psd", ["build", "build/docs", "build/x", "docs", "docs/y", "keep.psd", "src"]),
        ("/build", ["a.psd", "docs", "docs/y", "keep.psd", "src", "src/a.psd"]),
        ("build/*\n!build/x",
         ["a.psd", "build", "build/x", "docs", "docs/y", "keep.psd", "src", "src/a.psd"]),
        ("build/**\n!build/x",
         ["a.psd", "build", "build/x", "docs", "docs/y", "keep.psd", "src", "src/a.psd"]),
        ("build\n!build/x", ["a.psd", "docs", "docs/y", "keep.psd", "src", "src/a.psd"]),
        ("# docs/\n\n  \n\\#x",
         ["a.psd", "build", "build/docs", "build/x", "docs", "docs/y", "keep.psd", "src", "src/a.psd"]),
        ("docs", ["a.psd", "build", "build/x", "keep.psd", "src", "src/a.psd"]),
        ("*\n!/src/\n!*.psd", ["a.psd", "keep.psd", "src", "src/a.psd"]),
        ("\ufeffdocs\r\nbuild/\r\n*.psd\r\n", ["src"]),
        ("*\n!*/\n!*.psd", ["a.psd", "build", "docs", "keep.psd", "src", "src/a.psd"]),
        ("src/**/a.psd", ["a.psd", "build", "build/docs", "build/x", "docs", "docs/y", "keep.psd", "src"]),
    ],
)  # fmt: skip
def test_patterns_mean_what_they_mean_in_a_gitignore(tmp_path, lines, left):
    # build/docs is a file: a pattern that ends in a slash is for directories.
    lay(tmp_path, "docs/y", "build/x", "build/docs", "src/a.psd", "a.psd", "keep.psd")
    (tmp_path / ".stagerignore").write_bytes(lines.encode())
    assert kept(tmp_path) == left


def test_all_ignore_files_count_and_the_later_has_the_last_word(tmp_path):
    lay(tmp_path, "a", "b", "c", "d", "e")
    (tmp_path / ".slugignore").write_text("a\nb\nc\nd\n.*ignore\n")
    (tmp_path / ".cfignore").write_text("!b\n!c")
    (tmp_path / ".stagerignore").write_text("c\n!d\n")
    assert kept(tmp_path) == ["b", "d", "e"]
    assert kept(tmp_path, ["!c", "d", "/e"]) == ["b", "c"]


def test_what_nobody_wants_is_left_out_always(tmp_path):
    lay(
        tmp_path, ".git/HEAD", "sub/.git", ".svn/x", ".hg/x", ".bzr/x", "CVS/x", "_darcs/x", ".DS_Store",
        "a/.DS_Store",        "__MACOSX/._x", ".stager-cache/x", "app.droplet.tar.gz", "x.droplet.tar.zst",
        ".x.droplet.tar.gz.part", "__pycache__/a.pyc", "a/__pycache__/b.pyc", ".venv/pyvenv.cfg",
        ".venv/lib/x", "a/env/pyvenv.cfg",
        # These are the user's own.
        ".gitignore", ".gitattributes", ".stager/apache/x.conf", "a/app.droplet.tar.gz", "CVS.txt", ".env",
        "droplet.tar.gz", "venv/index.php",
    )  # fmt: skip
    assert kept(tmp_path) == [
        ".env", ".gitattributes", ".gitignore", ".stager", ".stager/apache", ".stager/apache/x.conf",
        "CVS.txt", "a", "a/app.droplet.tar.gz", "droplet.tar.gz", "sub",
        "venv", "venv/index.php",
    ]  # fmt: skip


def test_output_report_and_cache_are_left_out_where_they_lie_inside(tmp_path, monkeypatch):
    root = tmp_path / "app"
    lay(root, "out/x.tar", "out/y", "cache/z", "cache-not/z", "report.json", "report.json.txt")
    lay(tmp_path, "elsewhere/x")
    (root / "link.tar").symlink_to("out/y")
    monkeypatch.chdir(root)
    excluded = [Path("out/x.tar"), root / "cache", Path("../app/report.json"), tmp_path / "elsewhere",
                tmp_path, root, root / "not-there-yet.tar", root / "link.tar"]  # fmt: skip
    assert kept(root, (), excluded) == ["cache-not", "cache-not/z", "out", "report.json.txt"]


def test_excluded_paths_are_found_through_links(tmp_path):
    lay(tmp_path, "real/out.tar", "real/x")
    (tmp_path / "link").symlink_to("real")
    assert kept(tmp_path / "link", (), [tmp_path / "real/out.tar"]) == ["x"]
    assert kept(tmp_path / "real", (), [tmp_path / "link/out.tar"]) == ["x"]


def test_what_is_ignored_is_never_looked_at(tmp_path):
    lay(tmp_path, "node_modules/deep/x", "a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "absolute").symlink_to("/etc/passwd")
    (tmp_path / "node_modules/out").symlink_to("../../..")
    assert kept(tmp_path, ["pipe", "absolute", "node_modules/"]) == ["a"]


def test_names_that_no_pattern_can_spell_are_matched_all_the_same(tmp_path):
    odd = os.fsdecode(b"\xff.log")
    lay(tmp_path, "a\nb.log", "d\nd/x.log", odd, "x.log\n", "-x.log", " .log", "a", "new\nline")
    assert kept(tmp_path, ["*.log"]) == ["a", "d\nd", "new\nline", "x.log\n"]
    (tmp_path / ".stagerignore").write_bytes(b"\xff.*\n")
    assert odd not in kept(tmp_path)


@pytest.mark.parametrize(
    "pattern", ["!", "[", "a[", "x\\", "[z-a]", "/", "a/[/b", "[[:nope:]]x", "!/", "x[]"]
)
def test_a_malformed_pattern_is_named_with_its_file_and_line(tmp_path, pattern):
    (tmp_path / ".cfignore").write_text(f"# fine\ndocs/\n{pattern}\n")
    with pytest.raises(ConfigurationError) as caught:
        ignoring_for(os.fspath(tmp_path))
    assert str(caught.value) == (
        f"The pattern {pattern!r} cannot be understood.\nIt is .cfignore line 3.\n"
        "Patterns are written as in a .gitignore: docs/  *.psd  /build  !keep.psd"
    )


def test_a_malformed_pattern_of_the_settings_is_named(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        ignoring_for(os.fspath(tmp_path), ["docs/", "!"])
    assert caught.value.details == "It is ignore: '!' in the settings."


def test_which_rule_left_a_file_out(tmp_path):
    lay(tmp_path, "composer.json", "docs/a/index.php", "x.psd", ".git/HEAD", "kept", "out.tar")
    (tmp_path / ".slugignore").write_text("# mine\n\ncomposer.json\ndocs/\n")
    ignoring = ignoring_for(os.fspath(tmp_path), ["*.psd"], [tmp_path / "out.tar"])
    tree = Tree.of_directory(tmp_path, ignoring=ignoring)
    assert tree.ignored_by("composer.json") == ".slugignore line 3"
    assert tree.ignored_by("docs") == ".slugignore line 4"
    assert tree.ignored_by("docs/a/index.php") == ".slugignore line 4"
    assert tree.ignored_by("x.psd") == "ignore: '*.psd' in the settings"
    assert tree.ignored_by(".git/HEAD") == "stager itself"
    assert tree.ignored_by("out.tar") == "stager itself"
    assert tree.ignored_by("kept") is None
    assert tree.ignored_by("docs/not-there") is None
    assert tree.ignored_by("not-there.psd") is None


def test_an_ignore_file_that_is_no_file_is_not_opened(tmp_path):
    root = tmp_path / "app"
    lay(root, "a", "b", "rules/mine")
    lay(tmp_path, "outside")
    (tmp_path / "outside").write_text("a\n")
    (root / "rules/mine").write_text("b\nrules\n.*ignore\n")
    os.mkfifo(root / ".cfignore")
    (root / ".slugignore").symlink_to("../outside")
    (root / ".stagerignore").symlink_to("rules/mine")
    assert kept(root) == ["a"]


def test_an_enormous_ignore_file_is_refused(tmp_path):
    (tmp_path / ".stagerignore").write_bytes(b"x\n" * (1 << 20))
    with pytest.raises(ConfigurationError, match=r"\.stagerignore has more than 1 MiB"):
        ignoring_for(os.fspath(tmp_path))


def test_an_ignore_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / ".stagerignore").write_text("x")

    def denied(path, *_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(SourceUnreadable) as caught:
        ignoring_for(os.fspath(tmp_path))
    monkeypatch.undo()
    assert caught.value.brief == ".stagerignore cannot be read."
