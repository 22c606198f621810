"""``STAGER_*`` and flags: their names follow from the definition, and errors use them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from stager.errors import ConfigurationError
from stager.settings import parse_size
from stager.settings.definition import define
from stager.settings.environment import RESERVED, read_environment, variables
from stager.settings.flags import read_flags
from stager.settings.values import EMPTY, origins


@dataclass(frozen=True)
class Options:
    document_root: str = ""
    memory_limit: str = "128M"
    ini: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Greedy:
    dir: str = ""


DEFINITION = define({"php": Options}, {})


def flag_error(flags):
    with pytest.raises(ConfigurationError) as caught:
        DEFINITION.root.read_fields(read_flags(flags, DEFINITION), "")
    assert caught.value.fault == "usage"
    return caught.value


def test_every_key_that_is_no_mapping_has_a_variable():
    assert variables(DEFINITION) == {
        "STAGER_RUNTIME": "runtime",
        "STAGER_MEMORY": "memory",
        "STAGER_DISK": "disk",
        "STAGER_FDS": "fds",
        "STAGER_IGNORE": "ignore",
        "STAGER_HEALTH_PATH": "health.path",
        "STAGER_HEALTH_TIMEOUT": "health.timeout",
        "STAGER_HEALTH_CHECK": "health.check",
        "STAGER_HEALTH_STATE_FILE": "health.state_file",
        "STAGER_HOOKS_BEFORE_BUILD": "hooks.before_build",
        "STAGER_HOOKS_AFTER_BUILD": "hooks.after_build",
        "STAGER_GRACE": "grace",
        "STAGER_PHP_DOCUMENT_ROOT": "php.document_root",
        "STAGER_PHP_MEMORY_LIMIT": "php.memory_limit",
    }


def test_a_variable_that_means_something_else_is_never_a_setting():
    assert "STAGER_RUN_DIR" in RESERVED
    definition = define({"run": Greedy}, {})
    assert "STAGER_RUN_DIR" not in variables(definition)
    assert read_environment({"STAGER_RUN_DIR": "/tmp"}, definition) == (EMPTY, ())


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("STAGER_MEMROY", "it is not a setting of stager; did you mean STAGER_MEMORY?"),
        ("STAGER_PHP_DOCROOT", "it is not a setting of stager; did you mean STAGER_PHP_DOCUMENT_ROOT?"),
        ("STAGER_CACHEDIR", "it is not a setting of stager; did you mean STAGER_CACHE_DIR?"),
        ("STAGER_ZZZ", "it is not a setting of stager."),
        ("STAGER_PHP_INI", "'php.ini' is a mapping and has no variable; set it in stager.yml."),
        ("STAGER_ENV", "'env' is a mapping and has no variable; set it in stager.yml."),
    ],
)
def test_an_unknown_variable_is_a_warning_without_its_value(name, warning):
    section, warnings = read_environment({name: "hush", "OTHER": "x", "STAGER_LOGS": "files"}, DEFINITION)
    assert section == EMPTY
    assert warnings == (f"{name} is ignored: {warning}",)


def test_an_empty_variable_counts_as_not_set():
    assert read_environment({"STAGER_MEMORY": ""}, DEFINITION) == (EMPTY, ())


def test_errors_name_the_variable():
    section, _ = read_environment({"STAGER_FDS": "x"}, DEFINITION)
    with pytest.raises(ConfigurationError) as caught:
        DEFINITION.root.read_fields(section, "")
    assert caught.value.brief == "environment STAGER_FDS: 'fds' has to be a whole number, not the text 'x'."
    assert caught.value.fault == "usage"


@pytest.mark.parametrize(
    ("flags", "brief", "resolution"),
    [
        (
            {"php.docroot": "a"},
            "--set php.docroot: unknown key 'php.docroot'.",
            "Did you mean 'php.document_root'? Known keys in 'php' are document_root, memory_limit, ini.",
        ),
        (
            {"memory": "a"},
            "--memory: 'memory' has to be a size in bytes, not the text 'a'.",
            "For example: 512M",
        ),
        (
            {"memory.a": "1"},
            "--set memory.a: 'memory' has to be a size in bytes, not a mapping.",
            "For example: 512M",
        ),
        ({"env.A-B": "1"}, "--env A-B: 'A-B' cannot be a name in 'env'.", "For example: APP_ENV"),
        (
            {"build_env": {"A B": "1"}},
            "--build-env A B: 'A B' cannot be a name in 'build_env'.",
            "For example: COMPOSER_NO_AUDIT",
        ),
        (
            {"runtime": ("php", "a b")},
            "--runtime: 'runtime' cannot be the text 'a b'.",
            'For example: ["php"]',
        ),
        (
            {"php": "1"},
            "--set php: 'php' has to be a section with keys, not the text '1'.",
            "Its keys are document_root, memory_limit, ini.",
        ),
        (
            {"php.": "1"},
            "--set php.: unknown key 'php.'.",
            "Known keys in 'php' are document_root, memory_limit, ini.",
        ),
    ],
)
def test_errors_name_the_flag(flags, brief, resolution):
    error = flag_error(flags)
    assert (error.brief, error.resolution) == (brief, resolution)


def test_a_flag_that_was_not_given_sets_nothing():
    assert read_flags({"memory": None, "runtime": (), "ignore": [], "env": {}}, DEFINITION) == EMPTY


def test_the_origin_of_a_flag_is_how_it_was_typed():
    section = read_flags(
        {"memory": "1G", "runtime": ["php"], "env": {"A": "1"}, "php.ini.a.b": "1"}, DEFINITION
    )
    assert dict(origins(section)) == {
        "memory": "--memory",
        "runtime": "--runtime",
        "env.A": "--env A",
        "php.ini.a.b": "--set php.ini.a.b",
    }


@pytest.mark.parametrize("value", ["", " x ", "a=b", "'\"$()`", "line\nline", "\udcff", "ü" * 20_000])
def test_values_for_the_environment_arrive_unchanged(value):
    section = read_flags({"env.A": value}, DEFINITION)
    assert DEFINITION.root.read_fields(section, "")["env"] == {"A": value}


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
def test_a_value_that_no_environment_can_carry_is_refused(value):
    error = flag_error({"env.A": value})
    assert (
        error.brief
        == "--env A: 'env.A' holds a character that no file and no environment variable can carry."
    )


def test_sizes_outside_the_settings_are_read_alike():
    assert parse_size(" 1.5G ", "--max-size") == 3 << 29
    with pytest.raises(ConfigurationError) as caught:
        parse_size("lots", "--max-size")
    assert caught.value.brief == "--max-size: a size in bytes is expected, not the text 'lots'."
    assert caught.value.resolution == "Write for example 512M, 1.5G or 536870912."
    assert caught.value.fault == "usage"
