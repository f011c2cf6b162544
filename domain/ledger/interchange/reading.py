"""Lines to arrivals, as fast as they can be checked: for very many of them.

A line is looked at by what its event type was found to consist of, once for each type, and by what was found right
before: a source, a stream, an actor, a day come again and again. Whatever is not quite as expected (a null, a time
written otherwise, a seal, an older version, anything wrong) goes the checked way of `lines.py`, which is the one that
says what is wrong. What both make of a line is the same: tests/test_import_reading.py holds them equal.
"""

import types
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import orjson
from pydantic import TypeAdapter

from domain.calendar import CLOCK_SKEW
from domain.events.envelope import (
    ATTRIBUTES,
    CHANNELS,
    OPTIONAL,
    Event,
    check_actor,
    check_region,
    check_subject,
    kind_of,
    text_attribute,
)
from domain.events.fields import (
    DAYS_KEPT,
    IDENTIFIER_MAX_CHARS,
    REFERENCE_MAX_CHARS,
    REGISTRY,
    SOURCE_MAX_CHARS,
    Payload,
    Personal,
    parse_day,
    parse_instant,
)
from domain.events.links import LINKING, OWNERS
from domain.events.party import PersonalDataErased
from domain.ledger import bulk
from domain.ledger.interchange.lines import Arrival, read_arrival, read_object
from domain.ledger.vault import Secrets

KNOWN_MAX = (
    10_000  # texts of one kind that are remembered as right: some 2 MB, of the longest there may be 25 MB
)

_INSTANT_CHARS = 25  # 2014-12-09T11:00:00+08:00
_FRACTION_CHARS = 7  # .123456
_SOME_DAY = "2000-01-01"
_SOME_DAY_BEGINS = 0  # PostgreSQL counts from it
_TIMES_COLONS = 2 * 3  # of time and recordedtime
_SKEW = CLOCK_SKEW // (datetime.resolution)
_REQUIRED = ATTRIBUTES - {*OPTIONAL, "datacontenttype"}


K = TypeVar("K")
V = TypeVar("V")


class _UnusualError(Exception):
    """A line that goes the checked way."""


_UNUSUAL = (_UnusualError, KeyError, TypeError, ValueError, AttributeError)


class Reader:
    """Reads lines into arrivals, fingerprints and columns included. It remembers, and belongs to one thread."""

    def __init__(self, secrets: Secrets) -> None:
        self._fingerprint = secrets.fingerprint
        self._forms = _Forms()
        self._subjects = _Subjects()
        self._sources = _Sources()
        self._actors = _Actors()
        self._regions = _Regions()
        self._days = _Days()
        self._clocks = _Clocks()

    def read(self, number: int, line: bytes) -> Arrival | None:
        """Return the event of a line that is as most are; None where it has to go the checked way."""
        try:
            return self._read(number, line)
        except _UNUSUAL:
            return None

    def checked(self, number: int, line: bytes | None, raw: dict[str, Any] | None = None) -> Arrival:
        """Return the event of a line, looked at in every way; raises MalformedError that names the field."""
        raw = read_object(line) if raw is None else raw
        arrival = read_arrival(number, line or b"", raw)
        assert arrival.event is not None, "what was checked is an event"
        fingerprint = arrival.seal.fingerprint if arrival.seal else self._fingerprint(arrival.body)
        return arrival._replace(
            fingerprint=fingerprint,
            columns=bulk.columns(
                b"".join(map(bulk.text, (arrival.subject, arrival.kind.__name__, arrival.source))),
                arrival.id,
                bulk.microseconds(arrival.event.time),
                arrival.recorded,
                fingerprint,
            ),
        )

    def _read(self, number: int, line: bytes) -> Arrival:
        raw = orjson.loads(line)
        form = self._forms[raw["type"]]
        subject, source, event_id, data = raw["subject"], raw["source"], raw["id"], raw["data"]
        stream_kind, encoded_subject = self._subjects[subject]
        encoded_source, colons = self._sources[source]
        self._actors[raw["actor"]]
        version = raw["dataversion"]
        if (
            raw["specversion"] != "1.0"
            or type(version) is not int
            or version != form.kind.VERSION
            or stream_kind != form.kind.STREAM
            or raw["channel"] not in CHANNELS
            or not 0 < len(event_id) <= IDENTIFIER_MAX_CHARS
            or "#" in event_id
            or not event_id.isprintable()
        ):
            raise _UnusualError
        payload = form.validate(data)
        occurred = recorded = self._moment(raw["time"])
        if raw["recordedtime"] != raw["time"]:
            recorded = self._moment(raw["recordedtime"])
            if occurred > recorded + _SKEW:
                raise _UnusualError
        region = self._regions[raw["region"]]
        # Every attribute that there has to be was looked at: where there are no more, these are all there are.
        if len(raw) != len(_REQUIRED):
            self._check_optional(raw)
        body = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
        # Where no colon stands but those after names, in the two times and in the source, no other text is a time.
        if body.count(b":") != len(raw) + _TIMES_COLONS + colons + len(data) or None in data.values():
            self._check_values(raw, form)
        fingerprint = self._fingerprint(body)
        columns = bulk.columns(
            encoded_subject + form.encoded + encoded_source, event_id, occurred, recorded, fingerprint
        )
        event = _event(raw, payload) if form.looked_into else None
        return Arrival(
            number,
            line,
            form.kind,
            source,
            event_id,
            subject,
            region,
            recorded,
            event,
            None,
            body,
            fingerprint,
            columns,
        )

    def _check_optional(self, raw: dict[str, Any]) -> None:
        """Look at the attributes that need not be there, and leave out what is not stored."""
        if (
            not raw.keys() <= ATTRIBUTES
            or raw.pop("datacontenttype", "application/json") != "application/json"
        ):
            raise _UnusualError
        for name in OPTIONAL:
            value = raw.get(name, "-")
            if not 0 < len(value) <= REFERENCE_MAX_CHARS or not value.isprintable():
                raise _UnusualError

    def _check_values(self, raw: dict[str, Any], form: "_Form") -> None:
        """Raise _UnusualError where what arrived may be written otherwise in the fingerprint: a time, or a null."""
        data = raw["data"]
        if b"null" in orjson.dumps(data) or any(
            _may_be_instant(raw.get(name, "")) for name in ("id", *OPTIONAL)
        ):
            raise _UnusualError
        for name in form.texts:
            value = data.get(name)
            if value is not None and _may_be_instant(value):
                raise _UnusualError
        for name in form.moments:
            if name in data:
                self._moment(data[name])

    def _moment(self, written: str) -> int:
        """Return a time as PostgreSQL counts it, if it is written as it is stored; raises where it is not."""
        if len(written) == _INSTANT_CHARS:
            return self._days[written[:10]] + self._clocks[written[10:]]
        digits = written[20:26]
        if (
            len(written) != _INSTANT_CHARS + _FRACTION_CHARS
            or written[19] != "."
            or not (digits.isascii() and digits.isdecimal())
            or digits == "000000"
        ):
            raise _UnusualError
        return self._days[written[:10]] + self._clocks[written[10:19] + written[26:]] + int(digits)


def _event(raw: Mapping[str, Any], payload: Payload) -> Event:
    time_, recordedtime = raw["time"], raw["recordedtime"]
    return Event(
        id=raw["id"],
        source=raw["source"],
        subject=raw["subject"],
        time=datetime.fromisoformat(time_),
        recordedtime=datetime.fromisoformat(recordedtime),
        actor=raw["actor"],
        channel=raw["channel"],
        region=raw["region"],
        data=payload,
        actororg=raw.get("actororg"),
        correlationid=raw.get("correlationid"),
        causationid=raw.get("causationid"),
        evidenceref=raw.get("evidenceref"),
    )


def _may_be_instant(value: Any) -> bool:
    """Whether a text could be a time, of which the fingerprint has one way of writing; a list: one of its texts."""
    if type(value) is str:
        return len(value) > 19 and value[10] in "Tt" and value[4] == "-"
    if type(value) is list:
        return any(map(_may_be_instant, value))
    raise _UnusualError


# -- what was found right before ----------------------------------------------------------------------------


class _Memory(dict[K, V]):
    """What is remembered of texts that come again; `learn` raises where one is not right."""

    limit = KNOWN_MAX

    def __missing__(self, text: K) -> V:
        """Look at a text that is new."""
        found = self.learn(text)
        if len(self) >= self.limit:
            self.clear()
        self[text] = found
        return found

    def learn(self, text: K) -> V:
        """Return what is remembered of a text."""
        raise NotImplementedError


class _Subjects(_Memory[str, tuple[str, bytes]]):
    """Streams: their kind, and how a row has them."""

    def learn(self, text: str) -> tuple[str, bytes]:
        subject = check_subject(text_attribute({"subject": text}, "subject"))
        return kind_of(subject), bulk.text(subject)


class _Sources(_Memory[str, tuple[bytes, int]]):
    """Sources: how a row has them, and how many colons they have."""

    def learn(self, text: str) -> tuple[bytes, int]:
        source = text_attribute({"source": text}, "source", SOURCE_MAX_CHARS)
        if not source.isprintable() or _may_be_instant(source):
            raise _UnusualError
        return bulk.text(source), source.count(":")


class _Actors(_Memory[str, str]):
    """Actors."""

    def learn(self, text: str) -> str:
        return check_actor(text_attribute({"actor": text}, "actor"))


class _Regions(_Memory[str, str]):
    """Regions: one object for all their events."""

    def learn(self, text: str) -> str:
        return check_region(text_attribute({"region": text}, "region"))


class _Days(_Memory[str, int]):
    """Days, `2014-12-09`: when they begin in UTC."""

    limit = DAYS_KEPT

    def learn(self, text: str) -> int:
        return bulk.microseconds(datetime.combine(parse_day(text), time(), UTC))


class _Clocks(_Memory[str, int]):
    """Times of day to the second with their offset, `T11:00:00+08:00`: how far into a day of UTC's they are."""

    limit = 100_000  # those of one offset are 86,400

    def learn(self, text: str) -> int:
        at = parse_instant(_SOME_DAY + text)
        if at.isoformat() != _SOME_DAY + text:
            raise _UnusualError
        return bulk.microseconds(at) - _SOME_DAY_BEGINS


# -- what an event type consists of -------------------------------------------------------------------------


class _Form(NamedTuple):
    """How the data of an event type is looked at."""

    kind: type[Payload]
    validate: Callable[[Any], Payload]
    texts: tuple[str, ...]
    """Fields whose text, or one of whose texts, could be a time by chance."""
    moments: tuple[str, ...]
    """Fields that are times."""
    encoded: bytes
    looked_into: bool
    """Whether landing looks into the event itself: at whom it ties the stream to, at what is sealed or erased."""


class _Forms(_Memory[str, _Form]):
    """Event types: how their data is looked at."""

    def learn(self, text: str) -> _Form:
        return _form(text)


@cache
def _form(name: str) -> _Form:
    """Return how a type's data is looked at; raises _UnusualError where its bytes may differ from what is stored."""
    kind: Any = REGISTRY[name]
    texts, moments = [], []
    for field_name, field in kind.__pydantic_fields__.items():
        if field.default is not None and not field.is_required():
            raise _UnusualError  # it would be stored where it did not come
        nature = _nature(field.annotation)
        wire = field.alias or field_name
        if nature is str:
            texts.append(wire)
        elif nature is datetime:
            moments.append(wire)
    validate: Callable[[Any], Payload] = TypeAdapter(kind).validator.validate_python
    looked_into = bool(
        kind.OPENS or kind.PERSONAL or issubclass(kind, (*OWNERS, *LINKING, PersonalDataErased))
    )
    if any(f.alias for f in kind.__pydantic_fields__.values()):
        validate = _by_wire_name(validate, [n for n, f in kind.__pydantic_fields__.items() if f.alias])
    return _Form(kind, validate, tuple(texts), tuple(moments), bulk.text(name), looked_into)


def _by_wire_name(validate: Callable[[Any], Payload], others: list[str]) -> Callable[[Any], Payload]:
    """Return a check that does not take Python's names of fields for the wire's."""

    def check(data: Any) -> Payload:
        if not data.keys().isdisjoint(others):
            raise _UnusualError
        return validate(data)

    return check


def _nature(annotation: Any) -> type:
    """Return what a field's JSON is: str a text or texts, datetime a time, object what can be neither."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _nature(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        (only,) = (a for a in get_args(annotation) if a is not type(None))
        return _nature(only)
    if origin is tuple:
        nature = _nature(get_args(annotation)[0])
        if nature is datetime:
            raise _UnusualError
        return nature
    if annotation in (str, Personal):
        return str
    if annotation is datetime:
        return datetime
    if origin is Literal or annotation in (int, bool, date):
        return object
    fields = getattr(annotation, "__pydantic_fields__", None)
    if fields and all(_nature(f.annotation) is object and f.is_required() for f in fields.values()):
        return object
    raise _UnusualError
