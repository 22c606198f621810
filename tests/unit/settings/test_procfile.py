"""``Procfile``: commands run as written, and a bad line is named."""

import pytest

from stager.errors import ConfigurationError
from stager.settings.procfile import read_procfile


def commands(text):
    section = read_procfile(text)
    return (
        {name: value.text for name, value in section.entries["processes"].entries.items()}
        if section.entries
        else {}
    )


def error_of(text):
    with pytest.raises(ConfigurationError) as caught:
        read_procfile(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web: php -S 0.0.0.0:$PORT\n", {"web": "php -S 0.0.0.0:$PORT"}),
        ("web: a\nworker: b", {"web": "a", "worker": "b"}),
        ("web: a\r\nworker: b\r\n", {"web": "a", "worker": "b"}),
        ("\n# a comment\n  # another\n\nweb:a\n", {"web": "a"}),
        ('web: "php -S" # not a comment\n', {"web": '"php -S" # not a comment'}),
        ("web:\t  echo a: b && echo 'ü'\n", {"web": "echo a: b && echo 'ü'"}),
        ("web: echo a\\ \n", {"web": "echo a\\ "}),
        ("my-worker_2: a\n", {"my-worker_2": "a"}),
        ("web: a\u2028b\x85c\x0bd\n", {"web": "a\u2028b\x85c\x0bd"}),
        ("", {}),
        ("# nothing\n", {}),
    ],
)
def test_a_command_is_kept_as_written(text, expected):
    assert commands(text) == expected


def test_each_process_knows_its_line():
    section = read_procfile("# first\nweb: a\n\nworker: b\n")
    origins = {name: value.origin for name, value in section.entries["processes"].entries.items()}
    assert origins == {"web": "Procfile line 2", "worker": "Procfile line 4"}


@pytest.mark.parametrize(
    ("line", "brief", "hint"),
    [
        ("- web: a", "not a process.", "A Procfile is not YAML: it has no lists."),
        ("  --more words", "not a process.", "a command cannot be continued on the next line"),
        ("web a", "not a process.", "The line is: web a"),
        ("we b: a", "not a process.", "The line is: we b: a"),
        ("web:", "there is no command.", "The line is: web:"),
        ("web:   ", "there is no command.", "The line is: web:"),
        (": a", "not a process.", "The line is: : a"),
        ("web\x1b[2J", "not a process.", "The line is: web\\x1b[2J"),
    ],
)
def test_a_line_that_is_no_process_is_named(line, brief, hint):
    error = error_of(f"worker: a\n{line}\n")
    assert error.brief == f"Procfile line 2: {brief}"
    assert hint in error.details
    assert error.resolution.startswith("Write `")


def test_a_type_that_stands_there_twice_is_an_error_with_both_lines():
    error = error_of("web: a\nworker: b\nweb: c\n")
    assert error.brief == "Procfile line 3: the process type 'web' stands here for the second time."
    assert error.details == "The first one is in line 1."
