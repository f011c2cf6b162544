"""How a command is made and asked: the decorator that registers it, and who asks, when and where.

A command is in the imperative (`SubscribePackage`), the event it may lead to in the past
(`PackageSubscribed`). Its fields are of the same checked types as an event's. What the domain computes itself
(a late fee's base, a blacklist entry's amount) is no field of a command: nobody may ask for another figure.

This module must not know any single command.
"""

from collections.abc import Callable
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, TypeVar, cast, dataclass_transform

from annotated_types import Ge, Gt
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.fields import FieldInfo

from domain.events.envelope import OPTIONAL, check_actor, kind_of, text_attribute
from domain.events.fields import CHECKED, LIST_MAX_ITEMS, Identifier, MalformedError, Payload, StreamKind
from domain.frozen import frozen

ACTORS_KEPT = 4_096  # actors that were checked are kept: the same ask all day

SomeIdentifiers = Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=LIST_MAX_ITEMS)]
"""At least one identifier."""


class Command:
    """What every command has in common: which stream it is asked of, where, and what it may lead to."""

    __slots__ = ()
    STREAM: ClassVar[StreamKind]
    ROUTE: ClassVar[str]
    """The path below the stream's own address; empty for the command that opens it."""
    OPENS: ClassVar[bool]
    """Whether it may be the first thing that happens in its stream."""
    EMITS: ClassVar[tuple[type[Payload], ...]]
    PERSONAL: ClassVar[bool]
    """Whether it may bring personal data, which is sealed with its owner's key."""
    ENDOGENOUS: ClassVar[bool]
    """Whether it is an act of the operator's own, which can't be dated back."""


COMMANDS: dict[str, type[Command]] = {}
"""Every command by its name."""

K = TypeVar("K", bound=Command)
P = TypeVar("P", bound=Payload)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def command(
    stream: StreamKind, *, route: str, opens: bool = False, emits: tuple[type[Payload], ...]
) -> Callable[[type[K]], type[K]]:
    """Make a class a command of a stream: frozen, slotted, checked, and known by its name."""

    def register(cls: type[K]) -> type[K]:
        made: Any = checked_dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)(cls)
        made.STREAM, made.ROUTE, made.OPENS, made.EMITS = stream, route, opens, emits
        made.PERSONAL = any(kind.PERSONAL for kind in emits)
        made.ENDOGENOUS = any(kind.ENDOGENOUS for kind in emits)
        name = made.__name__
        if name in COMMANDS:
            raise TypeError(f"two commands are named {name}")
        COMMANDS[name] = made
        return cast("type[K]", made)

    return register


@frozen
class Asked:
    """A command, who asks, and when and where it happened.

    `time` is when it happened. `expected_version` is the version of the addressed stream that the asker has seen
    (If-Match); the ledger checks it, not the decision. Raises MalformedError where the subject is not of the
    command's stream, or who asks or a reference could not stand in an event.
    """

    subject: str
    command: Command
    actor: str
    channel: str
    region: str
    time: datetime
    actororg: str | None = None
    evidenceref: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    expected_version: int | None = None

    def __post_init__(self) -> None:
        if kind_of(self.subject) != self.command.STREAM:
            name = type(self.command).__name__
            raise MalformedError("subject", f"should be {self.command.STREAM}/ID for {name}")
        # What can't be read back must never be stored: its whole stream would be lost.
        _check_actor(self.actor)
        for name in OPTIONAL:
            value = getattr(self, name)
            if value is not None:
                text_attribute({name: value}, name)

    @property
    def stream_id(self) -> str:
        """The subject without its kind."""
        return self.subject.partition("/")[2]


@lru_cache(maxsize=ACTORS_KEPT)
def _check_actor(actor: str) -> None:
    """Check that an actor could stand in an event; raises MalformedError, each time."""
    check_actor(text_attribute({"actor": actor}, "actor"))


@frozen
class Draft:
    """An event to be appended; the ledger adds its id and the rest of the envelope from what was asked."""

    subject: str
    data: Payload


def event_id(command_id: str, number: int) -> str:
    """Return the id of an event that commands executed under one id lead to; they are numbered from 1."""
    return f"{command_id}.{number}"


def to_event(kind: type[P], source: Command, **computed: Any) -> P:
    """Return an event with the command's fields of the same names, and with those that were computed.

    What was checked with the command is not checked again where the event's field asks for no more; what was computed
    is. Raises pydantic's ValidationError.
    """
    of: Any = kind
    by: Any = type(source)
    fields = _copying(of, by)
    if computed.keys() <= fields.keys():
        try:
            made = object.__new__(kind)
            for name, (put, copied) in fields.items():
                if name in computed:
                    put(made, _check_of(of, name)(computed[name]))
                elif copied:
                    put(made, getattr(source, name))
                else:
                    put(made, _check_of(of, name)(getattr(source, name, _default_of(of, name))))
            if hasattr(of, "__post_init__"):
                of.__post_init__(made)
        except ValueError:
            pass  # the event's own checks name what is wrong
        else:
            return made
    shared = {name: getattr(source, name) for name in fields if hasattr(source, name)}
    return kind(**{**shared, **computed})


@cache
def _copying(kind: Any, source: Any) -> dict[str, tuple[Callable[[Any, Any], None], bool]]:
    """Return for each field of an event how it is set, and whether a command's value is right for it as it is."""
    given = source.__pydantic_fields__
    return {
        name: (getattr(kind, name).__set__, name in given and _asks_no_more(field, given[name]))
        for name, field in kind.__pydantic_fields__.items()
    }


def _asks_no_more(field: FieldInfo, given: FieldInfo) -> bool:
    """Whether what was checked as `given` is right as `field`: its type is the same, and it keeps every bound."""
    kept = given.metadata
    return field.annotation == given.annotation and all(
        bound in kept or (isinstance(bound, Ge) and Gt(cast("Any", bound.ge)) in kept)
        for bound in field.metadata
    )


@cache
def _check_of(kind: Any, name: str) -> Callable[[Any], Any]:
    """Return what checks one field of an event."""
    field = kind.__pydantic_fields__[name]
    form = field.annotation
    for bound in field.metadata:
        form = Annotated[form, bound]
    return TypeAdapter(form).validator.validate_python


def _default_of(kind: Any, name: str) -> object:
    """Return what a field is where nothing is given; no check lets through what stands for `required`."""
    return kind.__pydantic_fields__[name].default


# -- forms that more than one command has to keep -----------------------------------------------------------


def in_order(start: date, end: date | None, field: str) -> None:
    """Check that a period is at least one day long; raises MalformedError that names its end."""
    if end is not None and end <= start:
        raise MalformedError(field, "should be after the period's start: the end is exclusive")


def not_reversed(start: date, end: date, field: str) -> None:
    """Check that a period does not end before it starts; raises MalformedError that names its end."""
    if end < start:
        raise MalformedError(field, "should not be before the period's start")


def one_debt(charge_id: str | None, fee_id: str | None) -> None:
    """Check that a charge or a fee is named, and not both; raises MalformedError otherwise."""
    if (charge_id is None) == (fee_id is None):
        raise MalformedError("charge_id", "should be given, or else fee_id: exactly one of the two")


def no_repeats(items: tuple[object, ...] | None, field: str) -> None:
    """Check that a list names nothing twice; raises MalformedError that names it."""
    if items is not None and len(set(items)) != len(items):
        raise MalformedError(field, "should name each only once")
