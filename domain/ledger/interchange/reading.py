"""Lines to arrivals, as fast as they can be checked: for very many of them.

A line is looked at by what its event type was found to consist of, once for each type, and by what was found right
before: a source, a stream, an actor, a day come again and again. Whatever is not quite as expected (a null, a time
written otherwise, a seal, an older version, anything wrong) goes the checked way of `lines.py`, which is the one that
says what is wrong. What both make of a line is the same: tests/test_import_reading.py holds them equal.
"""

import types
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
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
    IDENTIFIER_MAX_CHARS,
    REFERENCE_MAX_CHARS,
    REGISTRY,
    SOURCE_MAX_CHARS,
    Payload,
    Personal,
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
SHAPES_MAX = 1_000  # orders of attributes: a source writes its own, always the same

_INSTANT_CHARS = 25  # 2014-12-09T11:00:00+08:00
_FRACTION_CHARS = 7  # .123456
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
        self._subjects = _Subjects()
        self._sources = _Sources()
        self._actors = _Actors()
        self._regions = _Regions()
        self._shapes = _Shapes()
        self._days = _Days()
        self._clocks = _Clocks()

    def read(self, number: int, line: bytes) -> Arrival | None:
        """Return the event of a line that is as most are; None where it has to go the checked way."""
        if b"null" in line:
            return None
        try:
            return self._read(number, line)
        except _UNUSUAL:
            return None

    def checked(self, number: int, line: bytes | None, raw: dict[str, Any] | None = None) -> Arrival:
        """Return the event of a line, looked at in every way; raises MalformedError that names the field."""
        raw = read_object(line) if raw is None else raw
        arrival = read_arrival(number, line or b"", raw)
        fingerprint = arrival.seal.fingerprint if arrival.seal else self._fingerprint(arrival.body)
        return arrival._replace(
            fingerprint=fingerprint,
            columns=b"".join(
                (
                    bulk.text(arrival.subject),
                    bulk.text(arrival.kind.__name__),
                    bulk.text(arrival.source),
                    bulk.text(arrival.id),
                    bulk.moments_and_proof(arrival.occurred, arrival.recorded, fingerprint),
                )
            ),
        )

    def _read(self, number: int, line: bytes) -> Arrival:
        raw = orjson.loads(line)
        form = _form(raw["type"])
        encoded_subject = self._check_envelope(raw, form.kind)
        occurred = recorded = self._moment(raw["time"])
        if raw["recordedtime"] != raw["time"]:
            recorded = self._moment(raw["recordedtime"])
        if occurred > recorded + _SKEW:
            raise _UnusualError
        payload = self._checked_data(raw["data"], form)
        body = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
        fingerprint = self._fingerprint(body)
        source, event_id = raw["source"], raw["id"]
        moments = bulk.moments_and_proof(occurred, recorded, fingerprint)
        return Arrival(
            number,
            line,
            form.kind,
            source,
            event_id,
            raw["subject"],
            self._regions[raw["region"]],
            occurred,
            recorded,
            _event(raw, payload) if form.looked_into else None,
            None,
            body,
            fingerprint,
            b"".join((encoded_subject, form.encoded, self._sources[source], bulk.text(event_id), moments)),
        )

    def _check_envelope(self, raw: dict[str, Any], kind: type[Payload]) -> bytes:
        """Look at the attributes, leave out what is not stored, and return the subject as a row has it."""
        shape = self._shapes[tuple(raw)]
        version, event_id = raw["dataversion"], raw["id"]
        stream_kind, encoded_subject = self._subjects[raw["subject"]]
        if (
            raw["specversion"] != "1.0"
            or type(version) is not int
            or version != kind.VERSION
            or stream_kind != kind.STREAM
            or raw["channel"] not in CHANNELS
            or len(event_id) > IDENTIFIER_MAX_CHARS
            or "#" in event_id
        ):
            raise _UnusualError
        _check_text(event_id)
        self._actors[raw["actor"]]
        for name in shape.optional:
            if len(raw[name]) > REFERENCE_MAX_CHARS:
                raise _UnusualError
            _check_text(raw[name])
        if shape.typed and raw.pop("datacontenttype") != "application/json":
            raise _UnusualError
        return encoded_subject

    def _checked_data(self, data: Any, form: "_Form") -> Payload:
        """Return the payload of data that is stored as it came."""
        payload = form.validate(data)
        for name in form.texts:
            value = data.get(name)
            if value is not None and (type(value) is not str or len(value) > 19) and _may_be_instant(value):
                raise _UnusualError
        for name in form.moments:
            if name in data:
                self._moment(data[name])
        return payload

    def _moment(self, written: str) -> int:
        """Return a time as PostgreSQL counts it, if it is written as it is stored; raises where it is not."""
        if len(written) == _INSTANT_CHARS:
            return self._days[written[:11] + written[19:]] + self._clocks[written[11:19]]
        digits = written[20:26]
        if (
            len(written) != _INSTANT_CHARS + _FRACTION_CHARS
            or written[19] != "."
            or not (digits.isascii() and digits.isdecimal())
            or digits == "000000"
        ):
            raise _UnusualError
        return self._days[written[:11] + written[26:]] + self._clocks[written[11:19]] + int(digits)


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


def _check_text(value: str) -> None:
    """Raise _UnusualError where a text may be wrong, or be written otherwise in the fingerprint."""
    if not value or not value.isprintable() or _may_be_instant(value):
        raise _UnusualError


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


class _Sources(_Memory[str, bytes]):
    """Sources: how a row has them."""

    def learn(self, text: str) -> bytes:
        _check_text(text_attribute({"source": text}, "source", SOURCE_MAX_CHARS))
        return bulk.text(text)


class _Actors(_Memory[str, str]):
    """Actors."""

    def learn(self, text: str) -> str:
        return check_actor(text_attribute({"actor": text}, "actor"))


class _Regions(_Memory[str, str]):
    """Regions: one object for all their events."""

    def learn(self, text: str) -> str:
        return check_region(text_attribute({"region": text}, "region"))


class _Days(_Memory[str, int]):
    """Days with an offset, `2014-12-09T+08:00`: when they begin."""

    def learn(self, text: str) -> int:
        written = text[:11] + "00:00:00" + text[11:]
        begins = parse_instant(written)
        if begins.isoformat() != written:
            raise _UnusualError
        return bulk.microseconds(begins)


class _Clocks(_Memory[str, int]):
    """Times of day to the second, `11:00:00`: how far into the day they are. There are no more than 86,400."""

    limit = 100_000

    def learn(self, text: str) -> int:
        at = time.fromisoformat(text)
        if at.isoformat() != text:
            raise _UnusualError
        return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000


class _Shape(NamedTuple):
    """Which of the attributes that need not be there are: texts, and a content type."""

    optional: tuple[str, ...]
    typed: bool


class _Shapes(_Memory[tuple[str, ...], _Shape]):
    """Orders of attributes."""

    limit = SHAPES_MAX

    def learn(self, text: tuple[str, ...]) -> _Shape:
        given = frozenset(text)
        if not _REQUIRED <= given <= ATTRIBUTES:
            raise _UnusualError
        return _Shape(tuple(name for name in OPTIONAL if name in given), "datacontenttype" in given)


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
