"""YAML: lines, duplicates, aliases, and everything that is no YAML."""

import time

import pytest
import yaml

from stager.errors import ConfigurationError
from stager.settings import yaml_file
from stager.settings.values import Scalar
from stager.settings.yaml_file import read_yaml


@pytest.fixture(autouse=True, params=["with libyaml", "without libyaml"])
def loader(request, monkeypatch):
    """PyYAML is at times built without libyaml; both parsers have to give the same."""
    if request.param == "without libyaml":
        monkeypatch.delattr(yaml, "CSafeLoader")
    return request.param


def plain(value):
    if isinstance(value, Scalar):
        return value.text
    if hasattr(value, "items"):
        return [plain(item) for item in value.items]
    return {name: plain(item) for name, item in value.entries.items()}


def error_of(text):
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(text, "stager.yml")
    return caught.value


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "{}\n", "\n\n"])
def test_a_file_without_settings_is_empty(text):
    assert read_yaml(text, "stager.yml").entries == {}


def test_each_value_knows_the_line_of_its_key():
    section = read_yaml("# first\na:\n  b: |\n    text\n  c:\n    - 1\n    - 2\n", "stager.yml")
    inner = section.entries["a"]
    assert inner.origin == "stager.yml line 2"
    assert inner.entries["b"] == Scalar("text\n", "text", "stager.yml line 3")
    assert inner.entries["c"].origin == "stager.yml line 5"
    assert [item.origin for item in inner.entries["c"].items] == ["stager.yml line 6", "stager.yml line 7"]


def test_aliases_and_merge_keys_are_resolved_and_own_keys_win():
    text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nall:\n  <<: [*one, *two]\n  a: 3\nsame: *one\n"
    assert plain(read_yaml(text, "stager.yml"))["all"] == {"a": "3", "b": "1", "c": "2"}
    assert plain(read_yaml(text, "stager.yml"))["same"] == {"a": "1", "b": "1"}


def test_a_key_that_stands_there_twice_is_an_error_with_both_lines():
    error = error_of("a: 1\nenv:\n  X: 1\n  Y: 2\n  'X': 3\n")
    assert error.brief == "stager.yml line 5: the key 'X' stands here for the second time."
    assert error.details == "The first one is in line 3."
    assert error.resolution == "Remove one of the two."


@pytest.mark.parametrize(
    ("text", "brief", "resolution"),
    [
        (
            "- a\n",
            "1: the settings have to be a mapping of keys to values.",
            "Write `key: value`, for example `memory: 512M`.",
        ),
        (
            "\nmemory\n",
            "2: the settings have to be a mapping of keys to values.",
            "Write `key: value`, for example `memory: 512M`.",
        ),
        (
            "a: !!python/name:os.system x\n",
            "1: the tag !!python/name:os.system has no meaning here.",
            "Write plain values, without `!tags`.",
        ),
        ("a: !secret x\n", "1: the tag !secret has no meaning here.", "Write plain values, without `!tags`."),
        ("a: !!set {x}\n", "1: the tag !!set has no meaning here.", "Write plain values, without `!tags`."),
        ("? [a, b]\n: c\n", "1: a key has to be text.", "Write `key: value`."),
        ("a:\n  <<: text\n", "2: `<<` takes a mapping.", "Write `<<: *name`, where &name marks a mapping."),
    ],
)
def test_what_is_yaml_but_no_settings_is_an_error(text, brief, resolution):
    error = error_of(text)
    assert (error.brief, error.resolution) == (f"stager.yml line {brief}", resolution)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("memory: 1G\nenv: {A: b\n", 2, "quoted"),
        ("memory: 1G\nenv: *nobody\n", 2, "quoted"),
        ("a: b: c\n", 1, "quoted"),
        ("env:\n\tA: b\n", 2, "replace the tabs"),
        ("a: 1\n---\nb: 2\n", 2, "remove the line `---`"),
        ("a: 1\nb: @x\n", 2, "quoted"),
        ("a: 1\nb: \x07\n", 2, "quoted"),
    ],
)
def test_a_syntax_error_has_its_line_and_column(text, line, hint):
    error = error_of(text)
    assert error.brief.startswith(f"stager.yml line {line}: not valid YAML, at column ")
    assert hint in error.resolution
    assert error.details.endswith(".")


def test_the_column_of_a_syntax_error_is_counted_from_one():
    assert error_of("a: 1\nb: @x\n").brief == "stager.yml line 2: not valid YAML, at column 4."
    assert error_of("a: 1\nb: \x07\n").brief == "stager.yml line 2: not valid YAML, at column 4."


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a\n  <<: *a\n",
        "[" * 500_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "a: [" + "1," * 300_000 + "1]\n",
    ],
    ids=[
        "laughs",
        "list in itself",
        "mapping in itself",
        "merged into itself",
        "brackets",
        "braces",
        "dashes",
        "long",
    ],
)
def test_a_file_made_to_exhaust_the_reader_is_refused_at_once(text):
    before = time.process_time()
    error = error_of(text)
    assert "too large or too deeply nested" in error.brief
    assert time.process_time() - before < 5


def test_a_file_of_many_settings_is_read():
    lines = "".join(f"  NAME_{number}: value {number}\n" for number in range(yaml_file.MAX_NODES // 4))
    assert len(read_yaml(f"env:\n{lines}", "stager.yml").entries["env"].entries) == yaml_file.MAX_NODES // 4
