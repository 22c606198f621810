"""What may be written for each kind of value, and the whole text of what is said of anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal, Optional

import pytest

from stager.errors import ConfigurationError
from stager.settings.definition import define
from stager.settings.environment import read_environment
from stager.settings.flags import read_flags
from stager.settings.yaml_file import read_yaml

CORE = "runtime, memory, disk, fds, processes, env, build_env, ignore, health, hooks, grace, php"


class Level(Enum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class Inner:
    path: str = ""
    depth: int = 1


@dataclass(frozen=True)
class Every:
    text: str = ""
    maybe: Optional[str] = None  # noqa: UP045  plugins may be written this way, too
    whole: int = 0
    real: float = 0.0
    truth: bool = False
    size: Annotated[int, "bytes"] = 0
    pause: int = field(default=0, metadata={"unit": "seconds"})
    choice: Literal["one", "two"] = "one"
    level: Level = Level.LOW
    number: Literal[1, 2] = 1
    many: tuple[str, ...] = ()
    several: Sequence[int] = ()
    unique: frozenset[str] = frozenset()
    listed: list[bool] = field(default_factory=list)
    perhaps: tuple[str, ...] | None = None
    table: Mapping[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    inner: Inner = Inner()
    optional: Inner | None = None
    inners: Mapping[str, Inner] = field(default_factory=dict)
    either: int | bool | str | tuple[str, ...] = 0


@dataclass(frozen=True, slots=True)
class Php:
    document_root: str | None = None
    server: Literal["mod_php", "fpm"] = "mod_php"
    ini: Mapping[str, str] = field(default_factory=dict)


def read(text, options=Every):
    root = define({"x": options}, {}).root
    return root.read_fields(read_yaml(text, "stager.yml"), "")


def attribute(key, value):
    return getattr(read(f"x: {{{key}: {value}}}")["x"], key)


@pytest.mark.parametrize(
    ("key", "written", "expected"),
    [
        ("text", "plain", "plain"),
        ("text", "1.10", "1.10"),
        ("text", "0755", "0755"),
        ("text", "1:30", "1:30"),
        ("text", "2024-01-01", "2024-01-01"),
        ("text", '"yes"', "yes"),
        ("text", "=", "="),
        ("text", "!!str 5", "5"),
        ("text", '"zwölf 🎉"', "zwölf 🎉"),
        ("maybe", "a", "a"),
        ("maybe", "~", None),
        ("whole", "-5", -5),
        ("whole", "+5", 5),
        ("whole", "0", 0),
        ("real", "5", 5.0),
        ("real", ".5", 0.5),
        ("real", "1.5e+3", 1500.0),
        ("truth", "yes", True),
        ("truth", "Off", False),
        ("size", "512M", 512 << 20),
        ("size", '"1.5 GiB"', 3 << 29),
        ("size", "100", 100),
        ("pause", "2m", 120),
        ("pause", "90", 90),
        ("choice", "two", "two"),
        ("level", "high", Level.HIGH),
        ("number", "2", 2),
        ("many", "[a, 1.0]", ("a", "1.0")),
        ("many", "", ()),
        ("several", "[1, 2]", (1, 2)),
        ("unique", "[a, a, b]", frozenset({"a", "b"})),
        ("listed", "[on, no]", [True, False]),
        ("perhaps", "[a]", ("a",)),
        ("perhaps", "", None),
        (
            "table",
            "{a: yes, b: 0755, 8080: 1.10, on: x}",
            {"a": "yes", "b": "0755", "8080": "1.10", "on": "x"},
        ),
        ("table", "", {}),
        ("counts", "{a: 1}", {"a": 1}),
        ("inner", "{path: a}", Inner("a")),
        ("inner", "", Inner()),
        ("optional", "{depth: 2}", Inner(depth=2)),
        ("optional", "", None),
        ("inners", "{/api: {path: a}}", {"/api": Inner("a")}),
        ("either", "5", 5),
        ("either", "on", True),
        ("either", "words", "words"),
        ("either", "[a]", ("a",)),
    ],
)
def test_a_value_is_read_as_it_is_meant(key, written, expected):
    value = attribute(key, written)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("key", "written", "brief", "resolution"),
    [
        ("text", "[a]", "'x.text' has to be text, not a list.", "For example: some text"),
        ("text", "", "'x.text' has to be text, not empty.", 'Give it a value; the empty text is written "".'),
        (
            "text",
            "no",
            "'x.text' has to be text, not the boolean no.",
            'If it is meant as text, put it in quotes: "no".',
        ),
        ("whole", "1.0", "'x.whole' has to be a whole number, not the number 1.0.", "For example: 5"),
        ("whole", "010", "'x.whole' has to be a whole number, not the number 010.", "For example: 5"),
        ("whole", "'5'", "'x.whole' has to be a whole number, not the text '5'.", "Remove the quotes."),
        (
            "whole",
            "",
            "'x.whole' has to be a whole number, not empty.",
            "Give it a value, or remove the line.",
        ),
        ("whole", "true", "'x.whole' has to be a whole number, not the boolean true.", "For example: 5"),
        ("real", ".inf", "'x.real' has to be a number, not the number .inf.", "For example: 0.5"),
        ("real", ".nan", "'x.real' has to be a number, not the number .nan.", "For example: 0.5"),
        ("truth", "1", "'x.truth' has to be true or false, not the number 1.", "For example: true"),
        ("truth", '"yes"', "'x.truth' has to be true or false, not the text 'yes'.", "Remove the quotes."),
        ("size", "-5M", "'x.size' has to be a size in bytes, not the text '-5M'.", "For example: 64M"),
        (
            "size",
            "9" * 50,
            f"'x.size' has to be a size in bytes, not the number {'9' * 50}.",
            "For example: 64M",
        ),
        (
            "pause",
            "1.5s",
            "'x.pause' has to be a duration in seconds, not the text '1.5s'.",
            "For example: 30s",
        ),
        (
            "choice",
            "twoo",
            "'x.choice' has to be one of one, two, not the text 'twoo'.",
            "Did you mean 'two'?",
        ),
        ("choice", "x", "'x.choice' has to be one of one, two, not the text 'x'.", "Choose one of these."),
        ("many", "a", "'x.many' has to be a list, not the text 'a'.", "For example: [some text]"),
        ("several", "[1, b]", "'x.several' has to be a whole number, not the text 'b'.", "For example: 5"),
        ("table", "[a]", "'x.table' has to be a mapping, not a list.", "For example: {name: some text}"),
        ("counts", "{a: b}", "'x.counts.a' has to be a whole number, not the text 'b'.", "For example: 5"),
        (
            "inner",
            "a",
            "'x.inner' has to be a section with keys, not the text 'a'.",
            "Its keys are path, depth.",
        ),
        (
            "inner",
            "{pth: a, path: b}",
            "unknown key 'x.inner.pth'.",
            "Did you mean 'x.inner.path'? Known keys in 'x.inner' are path, depth.",
        ),
        (
            "inners",
            "{a: {b: 1}}",
            "unknown key 'x.inners.a.b'.",
            "Known keys in 'x.inners.a' are path, depth.",
        ),
        (
            "either",
            "{a: 1}",
            "'x.either' has to be a whole number or true or false or a list or text, not a mapping.",
            "For example: 5",
        ),
    ],
)
def test_any_other_value_is_an_error_that_says_what_was_seen(key, written, brief, resolution):
    with pytest.raises(ConfigurationError) as caught:
        read(
            f"x:\n  text: a\n  {key}: {written}\n"
            if key != "text"
            else f"x:\n  whole: 1\n  {key}: {written}\n"
        )
    assert caught.value.brief == f"stager.yml line 3: {brief}"
    assert caught.value.resolution == resolution
    assert caught.value.fault == "application"


@pytest.mark.parametrize(
    ("written", "brief", "resolution"),
    [
        ("memroy: 512M", "unknown key 'memroy'.", f"Did you mean 'memory'? Known keys are {CORE}."),
        ("build-env: {}", "unknown key 'build-env'.", f"Did you mean 'build_env'? Known keys are {CORE}."),
        (
            "document_root: a",
            "unknown key 'document_root'.",
            f"Did you mean 'php.document_root'? Known keys are {CORE}.",
        ),
        ("ruby: {}", "unknown key 'ruby'.", f"Known keys are {CORE}."),
        (
            "php: {docroot: a}",
            "unknown key 'php.docroot'.",
            "Did you mean 'php.document_root'? Known keys in 'php' are document_root, server, ini.",
        ),
        ("memory: lots", "'memory' has to be a size in bytes, not the text 'lots'.", "For example: 512M"),
        (
            "memory: 512",
            "'memory' has to be at least 1M and at most 8T, not the number 512.",
            "A number without a unit counts bytes. Did you mean 512M?",
        ),
        (
            "memory: 9T",
            "'memory' has to be at least 1M and at most 8T, not the text '9T'.",
            "For example: 512M",
        ),
        (
            "fds: 15",
            "'fds' has to be at least 16 and at most 1048576, not the number 15.",
            "For example: 1024",
        ),
        ("grace: -1", "'grace' has to be a duration in seconds, not the number -1.", "For example: 10"),
        ("grace: 2h", "'grace' has to be at least 0 and at most 3600, not the text '2h'.", "For example: 10"),
        (
            "health: {timeout: 0}",
            "'health.timeout' has to be at least 1 and at most 3600, not the number 0.",
            "For example: 60",
        ),
        ("health: {path: healthz}", "'health.path' cannot be the text 'healthz'.", "For example: /healthz"),
        ("runtime: [php, a b]", "'runtime' cannot be the text 'a b'.", 'For example: ["php"]'),
        ("env: {A-B: c}", "'A-B' cannot be a name in 'env'.", "For example: APP_ENV"),
        ("processes: {a b: c}", "'a b' cannot be a name in 'processes'.", "For example: worker"),
        (
            'processes: {web: " "}',
            "'processes.web' cannot be the text ' '.",
            "For example: php artisan queue:work",
        ),
        (
            "processes: {web: {command: a}}",
            "'processes.web' has to be a list or text, not a mapping.",
            "For example: php artisan queue:work",
        ),
        (
            "processes: {web: []}",
            "'processes.web' is an empty list.",
            "For example: php artisan queue:work",
        ),
        ('"a\\e[31m": 1', "unknown key 'a\\x1b[31m'.", f"Known keys are {CORE}."),
        (
            'env: {A: "\\0"}',
            "'env.A' holds a character that no file and no environment variable can carry.",
            "Remove the NUL character or the lone surrogate.",
        ),
    ],
)
def test_keys_of_the_core_are_checked(written, brief, resolution):
    with pytest.raises(ConfigurationError) as caught:
        read_php(written)
    assert caught.value.brief == f"stager.yml line 1: {brief}"
    assert caught.value.resolution == resolution


def read_php(written):
    return define({"php": Php}, {}).root.read_fields(read_yaml(written, "stager.yml"), "")


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("text", "a, b", "a, b"),
        ("text", "true", "true"),
        ("maybe", "x", "x"),
        ("whole", " 5 ", 5),
        ("truth", "1", True),
        ("truth", "FALSE", False),
        ("size", "1G", 1 << 30),
        ("choice", "two", "two"),
        ("level", "high", Level.HIGH),
        ("many", "a, b,,c", ("a", "b", "c")),
        ("several", "1,2", (1, 2)),
        ("perhaps", "a,b", ("a", "b")),
        ("inner.depth", "3", 3),
        ("optional.depth", "3", 3),
        ("table.a.b", "x=y", {"a.b": "x=y"}),
        ("counts.a", "7", {"a": 7}),
        ("either", "no", False),
        ("either", "a,b", "a,b"),
    ],
)
def test_flags_and_variables_are_read_by_the_same_reader(key, given, expected):
    definition = define({"x": Every}, {})
    sections = [read_flags({f"x.{key}": given}, definition)]
    if not key.startswith(("table", "counts")):
        name = "STAGER_X_" + key.upper().replace(".", "_")
        sections.append(read_environment({name: given}, definition)[0])
    for section in sections:
        value = definition.root.read_fields(section, "")["x"]
        for name in key.split(".")[: 1 if isinstance(expected, dict) else 2]:
            value = getattr(value, name)
        assert value == expected
