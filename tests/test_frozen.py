"""Frozen dataclasses that are made as fast as open ones are frozen dataclasses all the same."""

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from domain.frozen import frozen


@frozen
class Point:
    """A point, made our way."""

    x: int
    y: int = 2
    name: str | None = None

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x should not be negative")


@dataclass(frozen=True, slots=True)
class Plain:
    """The same, made the library's way."""

    x: int
    y: int = 2
    name: str | None = None


def test_it_is_made_by_place_by_name_and_with_defaults() -> None:
    """Given its fields in any form, when it is made, it has them."""
    assert (Point(1, 3).y, Point(y=3, x=1).y, Point(1).y, Point(1).name) == (3, 3, 2, None)


@pytest.mark.parametrize("field_name", ["x", "other"])
def test_nothing_can_be_set(field_name: str) -> None:
    """Given an object, when a field is set, a known or a new one, it is refused and stays."""
    point = Point(1)
    with pytest.raises((FrozenInstanceError, TypeError)):
        setattr(point, field_name, 5)
    assert point == Point(1)


def test_nothing_can_be_deleted() -> None:
    """Given an object, when a field is deleted, it is refused."""
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert point.x == 1


def test_it_is_of_its_own_class() -> None:
    """Given an object, its class is the one that made it, and it has no room for more."""
    assert type(Point(1)) is Point
    assert not hasattr(Point(1), "__dict__")


class Named(Point):
    """A point with a text, and no room for more."""

    __slots__ = ()

    @property
    def text(self) -> str:
        return f"{self.name} at {self.x}"


class Marked(Point):
    """A point with room for more."""

    __slots__ = ("mark",)
    mark: str


def test_what_is_made_of_a_subclass_is_of_that_class() -> None:
    """Given classes that inherit from it, their objects are theirs, checked, frozen and copied as such."""
    named, marked = Named(1, name="here"), dataclasses.replace(Marked(1), y=3)
    assert (type(named), named.text) == (Named, "here at 1")
    assert (type(marked), marked.y) == (Marked, 3)
    assert named != Point(1, name="here")
    with pytest.raises(ValueError, match="should not be negative"):
        Named(-1)
    with pytest.raises(FrozenInstanceError):
        setattr(named, "x", 2)  # noqa: B010 - mypy knows that it is refused
    assert copy.copy(named) == pickle.loads(pickle.dumps(named)) == named


def test_it_behaves_as_the_library_s() -> None:
    """Given both forms, equality, hash, text, signature and copies are the same."""
    ours, theirs = Point(1, 3), Plain(1, 3)
    assert repr(ours).replace("Point", "Plain") == repr(theirs)
    assert hash(ours) == hash(theirs)
    assert ours == Point(1, 3) != Point(1, 4)
    assert dataclasses.replace(ours, y=7) == Point(1, 7)
    assert copy.copy(ours) == copy.deepcopy(ours) == pickle.loads(pickle.dumps(ours)) == ours
    assert list(inspect.signature(Point).parameters) == list(inspect.signature(Plain).parameters)


def test_its_own_check_is_made() -> None:
    """Given a field that its own check refuses, when it is made, the check's error comes."""
    with pytest.raises(ValueError, match="should not be negative"):
        Point(-1)


@pytest.mark.parametrize("given", [(), (1, 2, "a", 4)])
def test_missing_and_surplus_fields_are_errors(given: tuple[object, ...]) -> None:
    """Given too few or too many fields, when it is made, that is a TypeError as with any class."""
    with pytest.raises(TypeError):
        Point(*given)  # type: ignore[arg-type]


def test_a_field_may_have_any_name() -> None:
    """Given fields that are named as what makes objects, then they have their values."""

    @frozen
    class Told:
        made: int
        opened: bool = False

    assert (Told(1, opened=True).made, Told(1, opened=True).opened, type(Told(1)) is Told) == (1, True, True)


def test_what_is_made_anew_for_each_object_is_refused() -> None:
    """Given a class with a factory of defaults, when it is to be frozen our way, it is told so at once."""
    with pytest.raises(TypeError, match=r"Listed\.items should have a plain default"):

        @frozen
        class Listed:
            items: list[int] = field(default_factory=list)
