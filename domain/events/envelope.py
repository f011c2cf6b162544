"""The envelope an event travels in: who, when, where, and when it became known.

CloudEvents 1.0 with the extension attributes of the vocabulary. This module knows the attributes' names and
forms, and nothing of how they are stored or sent.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, cast

from pydantic import TypeAdapter, ValidationError

from domain.events.fields import (
    IDENTIFIER_MAX_CHARS,
    REFERENCE_MAX_CHARS,
    REGISTRY,
    SOURCE_MAX_CHARS,
    MalformedError,
    Payload,
    StreamKind,
    parse_instant,
    problems_of,
)
from domain.frozen import frozen

Channel = Literal["store", "hotline", "web", "app", "dealer", "field", "system", "media", "regulator"]
CHANNELS: frozenset[str] = frozenset(Channel.__args__)  # type: ignore[attr-defined]
ACTOR_KINDS = frozenset({"customer", "staff", "dealer", "system", "regulator"})

ATTRIBUTES = frozenset(
    [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "recordedtime",
        "actor",
        "actororg",
        "channel",
        "region",
        "dataversion",
        "correlationid",
        "causationid",
        "evidenceref",
        "datacontenttype",
        "data",
    ]
)
OPTIONAL = ("actororg", "correlationid", "causationid", "evidenceref")
REGION_MAX_CHARS = 40  # with its prefix it names a PostgreSQL schema (63 bytes at most)


@frozen
class Event:
    """Something that happened, as it stands in the log or arrives from outside."""

    id: str
    source: str
    subject: str
    time: datetime
    recordedtime: datetime
    actor: str
    channel: str
    region: str
    data: Payload
    actororg: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    evidenceref: str | None = None

    @property
    def type(self) -> str:
        """The wire name of the event's type."""
        return type(self.data).__name__

    @property
    def stream_id(self) -> str:
        """The subject without its kind."""
        return self.subject.partition("/")[2]


@frozen
class Recorded:
    """An event with its place in the ledger.

    `version` counts from 1 within the stream, `position` from 1 within the ledger; `appended_at` is the
    ledger's own clock; `digest` chains the stored bytes to those before them in the stream; `fingerprint` is
    the keyed digest of the event as it arrived.
    """

    event: Event
    version: int
    position: int = 0
    appended_at: datetime | None = None
    digest: bytes = b""
    fingerprint: bytes = b""

    @property
    def originator_id(self) -> str:
        """The stream, by the event sourcing library's name for it."""
        return self.event.subject

    @property
    def originator_version(self) -> int:
        """The version, by the event sourcing library's name for it."""
        return self.version


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REGION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?\Z", re.ASCII)
_SUBJECT = re.compile(r"(party|account|dealer|case|rulebook)/[^\s/\x00-\x1f\x7f\ud800-\udfff]{1,128}\Z")
_ADAPTERS: dict[str, TypeAdapter[Any]] = {}


def text_attribute(raw: Mapping[str, Any], name: str, max_chars: int = REFERENCE_MAX_CHARS) -> str:
    """Return a required text attribute; raises MalformedError that names it."""
    value = raw.get(name)
    if value is None:
        raise MalformedError(name, "is missing")
    if not isinstance(value, str) or not value or len(value) > max_chars or _CONTROL.search(value):
        raise MalformedError(
            name, f"should be text of 1 to {max_chars} characters without control characters"
        )
    return value


def event_id(raw: Mapping[str, Any]) -> str:
    """Return an event's id; raises MalformedError. `#` is kept for references (`source#id`)."""
    found = text_attribute(raw, "id", IDENTIFIER_MAX_CHARS)
    if "#" in found:
        raise MalformedError("id", "should have no #: a reference is source#id")
    return found


def instant_attribute(raw: Mapping[str, Any], name: str) -> datetime:
    """Return a required time attribute; raises MalformedError that names it."""
    if raw.get(name) is None:
        raise MalformedError(name, "is missing")
    try:
        return parse_instant(raw[name])
    except ValueError as error:
        raise MalformedError(name, str(error)) from None


def check_actor(actor: str) -> str:
    """Return the actor if it is `kind/ID`; raises MalformedError otherwise."""
    kind, _, name = actor.partition("/")
    if kind not in ACTOR_KINDS or not name or any(c.isspace() for c in name):
        raise MalformedError("actor", f"should be one of {', '.join(sorted(ACTOR_KINDS))}, a slash and an ID")
    return actor


def check_channel(channel: str) -> str:
    """Return the channel if it is one; raises MalformedError otherwise."""
    if channel not in CHANNELS:
        raise MalformedError("channel", f"should be one of {', '.join(sorted(CHANNELS))}")
    return channel


def check_region(region: str) -> str:
    """Return the region if it is `province.city`; raises MalformedError otherwise."""
    if len(region) > REGION_MAX_CHARS or not _REGION.match(region):
        raise MalformedError("region", "should be province and city in lower case, as heilongjiang.harbin")
    return region


def check_subject(subject: str) -> str:
    """Return the subject if it is `kind/ID`; raises MalformedError otherwise."""
    if not _SUBJECT.match(subject):
        raise MalformedError(
            "subject", "should be party, account, dealer, case or rulebook, a slash and an ID"
        )
    return subject


def ledger_of(region: str) -> str:
    """Return the name of the ledger a region's events stand in: its province."""
    return region.partition(".")[0]


def kind_of(subject: str) -> StreamKind:
    """Return the kind of a checked subject."""
    return cast("StreamKind", subject.partition("/")[0])


def event_type(name: str) -> type[Payload]:
    """Return the event type of a wire name; raises MalformedError where there is none."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise MalformedError("type", "is not an event type of the vocabulary") from None


def prepare() -> None:
    """Build every event type's checks now. They are built on first use otherwise, which short commands like."""
    for name, kind in REGISTRY.items():
        _ADAPTERS[name] = TypeAdapter(kind)
        _ADAPTERS[name].rebuild()


def payload_of(name: str, data: object) -> Payload:
    """Return checked data of the named type; raises MalformedError that names the field."""
    kind = event_type(name)
    if not isinstance(data, dict):
        raise MalformedError("data", "is missing" if data is None else "should be an object")
    adapter = _ADAPTERS.get(name)
    if adapter is None:
        adapter = _ADAPTERS[name] = TypeAdapter(kind)
    try:
        return cast("Payload", adapter.validate_python(data))
    except ValidationError as error:
        problem = problems_of(error, "data")[0]
        raise MalformedError(problem.field, problem.reason) from None


def parse_event(raw: Mapping[str, Any]) -> Event:
    """Return the event of a CloudEvents object at the vocabulary's current version.

    Raises MalformedError that names the first attribute or field that is not as it should be.
    """
    unknown = raw.keys() - ATTRIBUTES
    if unknown:
        raise MalformedError(min(unknown), "is not an attribute of the envelope")
    if raw.get("specversion") != "1.0":
        raise MalformedError("specversion", 'should be "1.0"')
    if raw.get("datacontenttype", "application/json") != "application/json":
        raise MalformedError("datacontenttype", "should be application/json")
    type_name = text_attribute(raw, "type", IDENTIFIER_MAX_CHARS)
    kind = event_type(type_name)
    subject = check_subject(text_attribute(raw, "subject"))
    if kind_of(subject) != kind.STREAM:
        raise MalformedError("subject", f"should be {kind.STREAM}/ID for a {type_name}")
    version = raw.get("dataversion")
    if type(version) is not int or version != kind.VERSION:
        raise MalformedError("dataversion", "is missing" if version is None else f"should be {kind.VERSION}")
    return Event(
        id=event_id(raw),
        source=text_attribute(raw, "source", SOURCE_MAX_CHARS),
        subject=subject,
        time=instant_attribute(raw, "time"),
        recordedtime=instant_attribute(raw, "recordedtime"),
        actor=check_actor(text_attribute(raw, "actor")),
        channel=check_channel(text_attribute(raw, "channel")),
        region=check_region(text_attribute(raw, "region")),
        data=payload_of(type_name, raw.get("data")),
        **{name: text_attribute(raw, name) for name in OPTIONAL if raw.get(name) is not None},
    )


_WIRE_FIELDS: dict[type[Payload], tuple[tuple[str, str], ...]] = {}


def data_wire(data: Any) -> dict[str, Any]:
    """Return a payload's or value's fields by wire name, without the absent ones; values as they are."""
    kind = type(data)
    fields = _WIRE_FIELDS.get(kind)
    if fields is None:
        fields = tuple((n, f.alias or n) for n, f in kind.__pydantic_fields__.items())
        _WIRE_FIELDS[kind] = fields
    return {wire: v for name, wire in fields if (v := getattr(data, name)) is not None}


def wire(event: Event) -> dict[str, Any]:
    """Return the event as a CloudEvents object: dates, times, values and personal data still as objects."""
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.time,
        "recordedtime": event.recordedtime,
        "actor": event.actor,
        "channel": event.channel,
        "region": event.region,
        "dataversion": event.data.VERSION,
        "data": data_wire(event.data),
    }
    for name in OPTIONAL:
        given = getattr(event, name)
        if given is not None:
            found[name] = given
    return found
