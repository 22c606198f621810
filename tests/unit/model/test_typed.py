"""Plain data becomes dataclasses again, or is refused with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from stager.model.typed import WrongShape, read


@dataclass(frozen=True)
class Inner:
    number: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner | None
    kind: Literal["a", "b"] = "a"
    by_name: Mapping[str, float] = field(default_factory=dict)
    either: tuple[str, ...] | Inner = ()


def test_nested_data_becomes_nested_dataclasses():
    document = {
        "inner": {"number": 1, "words": ["x"]},
        "kind": "b",
        "by_name": {"a": 1, "b": 2.5},
        "either": {"number": 3},
    }
    assert read(Outer, document, "it") == Outer(Inner(1, ("x",)), "b", {"a": 1, "b": 2.5}, Inner(3))
    assert read(Outer, {"inner": None, "either": ["y"]}, "it") == Outer(None, either=("y",))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "it is a list, not a mapping"),
        ({}, "it.inner is missing"),
        ({"inner": None, "other": 1}, "it.other is not known"),
        ({"inner": {"number": "1"}}, "it.inner.number is text, not a whole number"),
        ({"inner": {"number": 1, "words": [1]}}, "it.inner.words[0] is a whole number, not text"),
        ({"inner": None, "kind": "c"}, "it.kind is text, not a or b"),
        ({"inner": None, "kind": ["a"]}, "it.kind is a list, not a or b"),
        ({"inner": None, "by_name": {"a": False}}, "it.by_name.a is true or false, not a number"),
        ({"inner": None, "by_name": {None: 1.0}}, "it.by_name has the key None, which is not text"),
        ({"inner": None, "either": "x"}, "it.either is text, not a mapping"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(document, said):
    with pytest.raises(WrongShape) as caught:
        read(Outer, document, "it")
    assert str(caught.value) == said
