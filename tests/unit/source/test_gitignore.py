import os
import random
import subprocess
import time

import pytest

from stager.source.gitignore import Patterns, understand

ATOMS = (
    "a", "b", "foo", "bar", "x.c", "*", "**", "***", "?", "[ab]", "[!a]", "[^b]", "[a-c]*", "[]a]", "a*",
    "*a*",
    "a*b*",
    "*.c", "x.?", "f?o", "\\a", "[[:alpha:]]*", "[[:alnum:].]??", "#a", "\\#a", "b ", "b\\ ",
)  # fmt: skip
NAMES = ("a", "b", "foo", "bar", "x.c", "aa", "fxo", "#a", "b ", "]")


def any_pattern(dice):
    text = "/".join(dice.choice(ATOMS) for _ in range(dice.choice((1, 1, 1, 2, 2, 3))))
    return (
        ("!" if dice.random() < 0.3 else "")
        + ("/" if dice.random() < 0.2 else "")
        + text
        + ("/" if dice.random() < 0.3 else "")
    )


def lay_any_tree(dice, root, depth=0):
    root.mkdir()
    for name in NAMES:
        if depth < 2 and dice.random() < 0.4:
            lay_any_tree(dice, root / name, depth + 1)
        elif dice.random() < 0.5:
            (root / name).touch()


def what_git_keeps(root, lines):
    environment = {"PATH": os.environ["PATH"], "HOME": os.fspath(root), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", root], check=True, env=environment)
    (root / ".git/info/exclude").write_text("\n".join(lines) + "\n")
    command = ["git", "-C", root, "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    return {name for name in listed.decode().split("\0") if name}


def what_we_keep(root, lines):
    understood = [understand(line) for line in lines if not line.startswith("#")]
    patterns = Patterns(understood)
    kept = set()

    def walk(prefix):
        for entry in os.scandir(root / prefix):
            path = prefix + entry.name
            place = patterns.decisive(path, entry.name, is_directory=entry.is_dir())
            if entry.name == ".git" or (place is not None and not understood[place].is_negated):
                continue
            if entry.is_dir():
                walk(path + "/")
            else:
                kept.add(path)

    walk("")
    return kept


@pytest.mark.parametrize("seed", range(12))
def test_git_decides_the_same(tmp_path, seed):
    dice = random.Random(seed)
    for number in range(3):
        root = tmp_path / str(number)
        lay_any_tree(dice, root)
        lines = [any_pattern(dice) for _ in range(dice.randint(1, 6))]
        assert what_we_keep(root, lines) == what_git_keeps(root, lines), lines


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["x/a/b", "a/xb", "a", "ab"]),
        ("**/a/b", ["a/b", "x/a/b"], ["xa/b"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "x/a/b"]),
        ("/a", ["a"], ["x/a"]),
        ("a", ["a", "x/a"], ["ab", "x/ab"]),
        ("a/*", ["a/b"], ["a/b/c", "a"]),
        ("é?", ["éx", "éü"], ["é"]),
        ("[à-ü]", ["é"], ["e", "/"]),
        ("x[!a]y", ["xby"], ["xay", "x/y"]),
        ("*.log", [".log", "a\nb.log", "\udcff.log"], ["log", "a.log\n"]),
        ("-[-]", ["--"], ["-"]),
        ("a**b/c", ["axb/c", "ab/c"], ["a/b/c"]),
        ("a/**/**/b/**/c", ["a/b/c", "a/x/b/y/c", "a/b/x/b/c"], ["a/c", "a/x/c", "a/bb/c"]),
        ("a*b*c*d", ["abcd", "axbbxcd", "abcbcd"], ["abdc", "abc"]),
    ],
)
def test_a_pattern_matches(pattern, matching, others):
    patterns = Patterns([understand(pattern)])
    assert [path for path in matching + others if _matches(patterns, path)] == matching


def _matches(patterns, path):
    return patterns.decisive(path, path.rpartition("/")[2], is_directory=False) is not None


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 60 + "*b", "a" * 254),
        ("**/a/" * 60 + "b", "a/" * 400 + "a"),
        ("*[ab]a" * 40 + "*c", "ab" * 127),
        ("**/*a*a*a/" * 30 + "b", "aaaaaaa/" * 400 + "a"),
    ],
)
def test_no_pattern_of_an_upload_can_keep_a_build_busy(pattern, path):
    patterns = Patterns([understand(pattern)])
    started = time.process_time()
    assert not _matches(patterns, path)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "pattern", ["", "!", "/", "!/", "[", "a[b", "x\\", "[z-a]", "[[:nope:]]", "a/[/]b", "[]", "[!]"]
)
def test_what_matches_nothing_is_not_understood(pattern):
    with pytest.raises(ValueError):
        understand(pattern)
