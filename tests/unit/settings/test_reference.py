"""``docs/stager.yml.md`` says what the definition says."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from stager.registry import BUILT_IN, load_registry
from stager.settings import json_schema, load_settings, reference_table
from stager.settings.environment import RESERVED

PAGE = (Path(__file__).parents[3] / "docs" / "stager.yml.md").read_text(encoding="utf-8")
REGISTRY = load_registry()
INSTALLED = REGISTRY.options
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


class Source:
    def __init__(self, text):
        self._content = text.encode()

    def children(self, path=""):
        return ("stager.yml",)

    def is_file(self, path):
        return True

    def read_bytes(self, path, *, limit=0):
        return self._content[:limit]


@pytest.mark.parametrize("section", ["", *sorted(name.rpartition(".")[2] for name in BUILT_IN)])
def test_every_key_is_in_the_reference_as_it_is_defined(section):
    """Where this fails, put ``reference_table(options, section)`` into the page in place of the old table."""
    assert not section or section in INSTALLED, REGISTRY.problems
    assert reference_table(INSTALLED, section) in PAGE


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_of_the_reference_is_valid(block):
    settings, warnings = load_settings(Source(block), options_by_runtime=INSTALLED)
    assert settings.origins
    assert warnings == ()
    jsonschema.Draft202012Validator(json_schema(INSTALLED)).validate(yaml.safe_load(block))


def test_the_reference_names_no_variable_that_does_not_exist():
    table = "".join(reference_table(INSTALLED, section) for section in ("", *INSTALLED))
    known = {*RESERVED, *re.findall(r"STAGER_[A-Z_]+", table)}
    assert set(re.findall(r"STAGER_[A-Z_]*[A-Z]", PAGE)) <= known


def test_a_bar_in_a_table_is_escaped():
    for line in reference_table(INSTALLED, "").splitlines():
        assert len(re.findall(r"(?<!\\)\|", line)) == 6
