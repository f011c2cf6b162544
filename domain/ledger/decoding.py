"""Stored bytes to events, as fast as they can be read: for folding very many of them.

What stands in the log was checked when it came in, and nothing can change it; so values are taken as they are, by
a reader made once for each event type from its fields. Whatever is not quite as expected (an older data version, a
field this does not know) goes through the mapper, which checks everything and is the one that says what is wrong.
"""

import types
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import orjson
from pydantic_core import PydanticUndefined

from domain.events.envelope import Event, Recorded
from domain.events.fields import REGISTRY, Personal, parse_personal
from domain.ledger.codec import CanonicalTranscoder, LedgerEvent, LedgerMapper
from domain.ledger.recorder import stored

Convert = Callable[[Any], Any]
_mapper = LedgerMapper(CanonicalTranscoder())
_as_it_is = (str, int, bool, dict)


class _UnknownError(Exception):
    """A value or a type this module does not know how to read."""


_UNREADABLE = (_UnknownError, KeyError, TypeError, ValueError, AttributeError)

Place = tuple[datetime, datetime, int, int]
"""An event's place in the order of the world: time, recorded time, position, version. In UTC, without saying so."""


class Stored(Recorded):
    """An event as it is fetched to be folded: its place is known, and it is read once somebody looks into it.

    `kind` is its type's wire name. What only the log itself is about (digests, its clock) is not there.
    """

    __slots__ = ("_row", "kind", "place")
    kind: str
    place: Place
    _row: Sequence[Any] | None

    def __getattr__(self, name: str) -> Any:
        """Return what was not there yet: the event, read now."""
        if name != "event":
            return _ABSENT[name]
        assert self._row is not None  # it goes when the event comes
        subject, version, kind, state, *_ = self._row
        try:
            event = _read(state)
        except _UNREADABLE:
            event = _checked(LedgerEvent(subject, version, kind, state))
        _put_event(self, event)
        _put_row(self, None)
        return event


def stored_of(row: Sequence[Any]) -> Stored:
    """Return the event of a row of the queries by which read models are folded; reading it may raise later."""
    _, version, kind, _, position, occurred_at, recorded_at = row
    made = Stored.__new__(Stored)
    _put_version(made, version)
    _put_position(made, position)
    _put_kind(made, kind)
    _put_place(made, (occurred_at, recorded_at, position, version))
    _put_row(made, row)
    return made


def recorded_of(row: Sequence[Any]) -> Recorded:
    """Return the event of a row of the log's queries, its personal data sealed; raises MapperDeserialisationError."""
    _, version, _, state, position, appended_at, digest, fingerprint = row
    try:
        event = _read(state)
    except _UNREADABLE:
        event = _checked(stored(row))
    return Recorded(event, version, position, appended_at, digest, fingerprint)


def _checked(event: LedgerEvent) -> Event:
    recorded: Recorded = _mapper.to_domain_event(event)
    return recorded.event


def _read(state: bytes) -> Event:
    raw = orjson.loads(state)
    kind: Any = REGISTRY[raw["type"]]
    if raw["dataversion"] != kind.VERSION:
        raise _UnknownError
    event = Event.__new__(Event)
    for name, put in _ATTRIBUTES:
        put(event, raw[name])
    for name, put in _OPTIONAL:
        put(event, raw.get(name))
    time, recordedtime = raw["time"], raw["recordedtime"]
    _TIME(event, datetime.fromisoformat(time))
    _RECORDED(event, event.time if recordedtime == time else datetime.fromisoformat(recordedtime))
    _DATA(event, _reader(kind)(raw["data"]))
    return event


@cache
def _reader(kind: Any) -> Convert:
    """Return what makes a payload, or a value in one, of its JSON object."""
    fields = [
        (f.alias or name, getattr(kind, name).__set__, _converter(f.annotation), f.default)
        for name, f in kind.__pydantic_fields__.items()
    ]

    def read(data: dict[str, Any]) -> Any:
        made = object.__new__(kind)
        for name, put, convert, default in fields:
            given = data.get(name)
            if given is not None:
                put(made, given if convert is None else convert(given))
            elif default is PydanticUndefined:
                raise _UnknownError
            else:
                put(made, default)
        return made

    return read


def _converter(kind: Any) -> Convert | None:
    """Return what makes a field's value of its JSON value, None where it is the value itself."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _converter(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        (only,) = (a for a in get_args(kind) if a is not type(None))
        return _converter(only)
    if origin is tuple:
        one = _converter(get_args(kind)[0])
        return tuple if one is None else lambda values: tuple(map(one, values))
    if kind is date:
        return date.fromisoformat
    if kind is datetime:
        return datetime.fromisoformat
    if kind is Personal:
        return parse_personal
    if origin is Literal or kind in _as_it_is or origin is dict:
        return None
    if hasattr(kind, "__pydantic_fields__"):
        return _reader(kind)
    raise _UnknownError(kind)


def _setter(of: type, name: str) -> Callable[[Any, Any], None]:
    put: Callable[[Any, Any], None] = getattr(of, name).__set__
    return put


_ATTRIBUTES = [(n, _setter(Event, n)) for n in ("id", "source", "subject", "actor", "channel", "region")]
_OPTIONAL = [(n, _setter(Event, n)) for n in ("actororg", "correlationid", "causationid", "evidenceref")]
_TIME, _RECORDED, _DATA = (_setter(Event, n) for n in ("time", "recordedtime", "data"))
_put_event, _put_version, _put_position = (_setter(Recorded, n) for n in ("event", "version", "position"))
_put_kind, _put_place, _put_row = (_setter(Stored, n) for n in ("kind", "place", "_row"))
_ABSENT = {"appended_at": None, "digest": b"", "fingerprint": b""}
