"""Classes that are made more quickly are what the standard library would have made."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from stager.model.frozen import dataclass


def declared(decorator):
    @decorator(frozen=True, slots=True)
    class Point:
        """A place."""

        x: int
        y: int = 0
        label: str = dataclasses.field(default="", compare=False)
        tags: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    return Point


@pytest.fixture(params=[dataclass, dataclasses.dataclass], ids=["ours", "the standard library's"])
def point(request):
    return declared(request.param)


def test_equality_and_hash_look_at_what_is_compared(point):
    assert point(1, 2, "a") == point(1, 2, "b")
    assert hash(point(1, 2, "a")) == hash(point(1, 2, "b"))
    assert point(1) != point(2)
    assert point(1) != (1, 0, "", ())
    assert point(1, tags=("t",)) != point(1)


def test_it_shows_its_fields(point):
    assert repr(point(1, label="a", tags=("t",))).endswith("Point(x=1, y=0, label='a')")


@pytest.mark.parametrize("name", ["x", "unheard_of"])
def test_nothing_can_be_set_or_deleted(point, name):
    one = point(1)
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
        setattr(one, name, 2)
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
        delattr(one, name)
    assert one == point(1)


def test_it_is_a_dataclass(point):
    one = point(1, label="a")
    assert dataclasses.replace(one, y=5) == point(1, 5)
    assert dataclasses.asdict(one) == {"x": 1, "y": 0, "label": "a", "tags": ()}
    assert copy.deepcopy(one) == copy.copy(one) == one
    assert point.__doc__ == "A place."
    with pytest.raises(TypeError):
        point()


@pytest.mark.parametrize("decorator", [dataclass, dataclasses.dataclass])
def test_another_may_inherit_from_it(point, decorator):
    @decorator(frozen=True, slots=True)
    class Pixel(point):
        colour: str = "black"

    assert Pixel(1, colour="red") != Pixel(1)
    assert Pixel(1).x == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pixel(1).colour = "red"


def test_what_a_class_says_itself_stays():
    @dataclass(frozen=True, slots=True)
    class Loud:
        text: str

        def __post_init__(self):
            object.__setattr__(self, "text", self.text.upper())

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 7

        def __repr__(self):
            return self.text + "!"

    assert repr(Loud("a")) == "A!"
    assert Loud("a") == 3
    assert hash(Loud("a")) == 7


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One."""

    name: str


def test_without_fields_with_names_only_and_over_a_pipe():
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())
    with pytest.raises(TypeError):
        Named("a")
    assert pickle.loads(pickle.dumps(Named(name="a"))) == Named(name="a")
