"""The JSON Schema and the reader say the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import jsonschema
import pytest
import yaml

from stager.errors import ConfigurationError
from stager.settings import json_schema, load_settings


@dataclass(frozen=True, slots=True)
class Inner:
    depth: int = 1


ABOUT_ROOT = {"help": "The folder that is served.", "example": "public"}


@dataclass(frozen=True, slots=True)
class Options:
    document_root: str | None = field(
        default=None, metadata={"help": "The folder that is served.", "example": "public"}
    )
    server: Literal["mod_php", "fpm"] | None = None
    upload: int = field(default=2 << 20, metadata={"unit": "bytes", "least": 1024, "example": "2M"})
    debug: bool = False
    ratio: float = 0.5
    ini: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    inner: Inner = Inner()


@dataclass(frozen=True, slots=True)
class Demanding:
    name: str


INSTALLED = {"php": Options, "python_wsgi": Inner, "demanding": Demanding}
SCHEMA = json_schema(INSTALLED, {"python": "python_wsgi"})


class Source:
    def __init__(self, text):
        self._content = text.encode()

    def children(self, path=""):
        return ("stager.yml",)

    def is_file(self, path):
        return True

    def read_bytes(self, path, *, limit=0):
        return self._content[:limit]


def schema_accepts(text):
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text) or {})


def reader_accepts(text):
    try:
        load_settings(Source(text), options_by_runtime=INSTALLED, aliases={"python": "python_wsgi"})
    except ConfigurationError:
        return False
    return True


VALID = """
runtime: php
runtime: [php, node]
runtime:
memory: 512M
memory: 536870912
memory: 1.5 GiB
disk: 1G
fds: 64
grace: 0
grace: 1m30s
grace: 2.5
processes: {web: serve, worker: [php, w.php, 5]}
processes:
env: {A: yes, B: 0755, C: 1.10, d_1: ''}
build_env: {PORT: 1}
ignore: docs/
ignore: [a, '*.b']
ignore: []
health: {path: /healthz, timeout: 60}
health: {path: ''}
health: {timeout: 60s}
hooks: {before_build: a, after_build: b}
php:
php: {}
php: {document_root: ~}
php: {document_root: public, server: fpm}
php: {upload: 2048}
php: {upload: 8M}
php: {debug: true, ratio: 1}
php: {ini: {a: on, b: 1}, extensions: [intl]}
php: {inner: {depth: 2}}
python_wsgi: {depth: 1}
python: {depth: 1}
demanding: {name: x}
php: {document_root: 8.2}
""".strip().splitlines()

INVALID = """
memroy: 512M
runtime: {php: 1}
runtime: [[php]]
runtime: 'a b'
memory: lots
memory: -1
memory: 512
memory: [1]
memory:
memory: true
memory: 9000000000000000
fds: '64'
fds: 1.5
fds: 15
fds: 2000000
grace: soon
grace: 4000
processes: [web]
processes: {'a b': c}
processes: {web: {command: c}}
processes: {web: ' '}
processes: {web: true}
processes: {web: []}
processes: {web: }
env: [A]
env: {A: [1]}
env: {A: }
env: {1A: b}
env: {A-B: c}
env: {PORT: 1}
env: {VCAP_SERVICES: x}
env: {STAGER_LOGS: files}
ignore: {a: b}
ignore: [[a]]
ignore: true
health: /healthz
health: {path: healthz}
health: {path: '/a b'}
health: {timeout: 0}
health: {pfad: /}
hooks: [a]
hooks: {before: a}
hooks: {before_build: [a]}
php: public
php: {docroot: a}
php: {document_root: [a]}
php: {server: apache}
php: {upload: 5}
php: {upload: much}
php: {debug: 'true'}
php: {debug: 1}
php: {ratio: half}
php: {ini: [a]}
php: {ini: {a: {b: c}}}
php: {extensions: intl}
php: {extensions: {a: b}}
php: {inner: {deep: 1}}
php: {document_root: true}
python: {deep: 1}
ruby: {}
demanding: {}
""".strip().splitlines()


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("text", ["", *VALID])
def test_what_is_valid_passes_both(text):
    assert (reader_accepts(text), schema_accepts(text)) == (True, True)


@pytest.mark.parametrize("text", INVALID)
def test_what_the_reader_refuses_the_schema_refuses(text):
    assert (reader_accepts(text), schema_accepts(text)) == (False, False)


def test_an_editor_has_something_to_show():
    assert SCHEMA["properties"]["memory"]["default"] == "512M"
    assert SCHEMA["properties"]["memory"]["title"] == "memory"
    assert SCHEMA["properties"]["grace"]["default"] == 10
    php = SCHEMA["properties"]["php"]["properties"]
    assert php["document_root"]["description"] == "The folder that is served."
    assert php["document_root"]["examples"] == ["public"]
    assert php["upload"]["default"] == "2M"
    assert php["server"]["anyOf"][0] == {"enum": ["mod_php", "fpm"]}
    for name, key in SCHEMA["properties"].items():
        assert key.get("description") or key.get("$ref"), name


def test_examples_and_defaults_of_the_schema_are_valid_by_it():
    def walk(schema):
        for key, item in schema.get("properties", {}).items():
            for value in [*item.get("examples", []), *([item["default"]] if "default" in item else [])]:
                jsonschema.validate(value, {**item, "properties": item.get("properties", {})})
                checked.append(key)
            walk(item)

    checked = []
    walk(SCHEMA)
    assert {"memory", "env", "processes", "path", "timeout", "before_build", "upload"} <= set(checked)


def test_a_runtime_whose_options_cannot_be_read_does_not_take_the_schema_down():
    schema = json_schema({"php": Options, "broken": dict})
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "cannot be read" in schema["properties"]["broken"]["description"]
    assert schema["properties"]["php"] == SCHEMA["properties"]["php"]
