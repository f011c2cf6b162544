"""Events to stored bytes and back, by stable name: the one lasting format.

The stored bytes are the canonical JSON of the CloudEvent: keys sorted, no white space, absent fields left out,
personal data sealed. Digests are over exactly these bytes. What was stored once is read for ever: older data
versions are brought up to date on reading, never in the log.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from datetime import datetime
from typing import Any

import orjson
from eventsourcing.persistence import (
    Compressor,
    Mapper,
    MapperDeserialisationError,
    Notification,
    StoredEvent,
    Transcoder,
)

from domain.events.envelope import Event, Recorded, data_wire, event_type, parse_event, wire
from domain.events.fields import MalformedError, Personal
from domain.events.links import links_of

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTS: dict[tuple[str, int], Upcast] = {}
"""For (event type, data version): how to bring such data one version up. None is needed yet."""

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
GENESIS = b"recount stream 1\n"
"""What the first digest of a stream chains to, with the stream's name."""


@dataclass(frozen=True)
class LedgerEvent(StoredEvent):
    """A stored event with what the ledger keeps beside its bytes.

    `originator_id` is the stream, `topic` the event type's wire name, `state` the canonical bytes.
    """

    source: str = ""
    event_id: str = ""
    occurred_at: datetime | None = None
    recorded_at: datetime | None = None
    fingerprint: bytes = b""
    links: Sequence[str] = ()
    position: int = 0
    appended_at: datetime | None = None
    digest: bytes = field(default=b"")


def _plain(value: Any) -> Any:
    if isinstance(value, Personal):
        return value.wire()
    if is_dataclass(value):
        return data_wire(value)
    raise TypeError(f"{type(value).__name__} has no place in an event")


def canonical(event: Event) -> bytes:
    """Return an event's canonical bytes, its personal data as it is: in clear or sealed."""
    return orjson.dumps(wire(event), default=_plain, option=_CANONICAL)


def storable(event: Event) -> bytes:
    """Return an event's bytes as they may be stored; raises ValueError where personal data is not sealed."""
    for name in event.data.PERSONAL:
        personal = getattr(event.data, name)
        if personal is not None and personal.clear is not None:
            raise ValueError(f"{event.type}.{name} is personal data and must be sealed before it is stored")
    return canonical(event)


def genesis(subject: str) -> bytes:
    """Return what the first digest of a stream chains to (32 bytes)."""
    return hashlib.sha256(GENESIS + subject.encode()).digest()


def chain(previous: bytes, state: bytes) -> bytes:
    """Return the digest (32 bytes) of stored bytes after the digest before them: SHA-256 of both."""
    return hashlib.sha256(previous + state).digest()


def upcast(raw: Mapping[str, Any], upcasts: Mapping[tuple[str, int], Upcast] = UPCASTS) -> Mapping[str, Any]:
    """Return a CloudEvents object with its data at the vocabulary's current version.

    Raises MalformedError where the version is newer than this program, or no way leads up from it.
    """
    name, version = raw.get("type"), raw.get("dataversion")
    if not isinstance(name, str) or type(version) is not int:
        return raw  # parse_event says what is wrong with it
    current = event_type(name).VERSION
    if version == current:
        return raw
    data = raw.get("data")
    if version > current or version < 1 or not isinstance(data, dict):
        raise MalformedError("dataversion", f"should be {current}, or an older version from 1 on")
    while version < current:
        step = upcasts.get((name, version))
        if step is None:
            raise MalformedError("dataversion", f"{version} of {name} can't be read any more")
        data, version = step(dict(data)), version + 1
    return {**raw, "data": data, "dataversion": current}


class CanonicalTranscoder(Transcoder):
    """The library's transcoder interface over canonical JSON."""

    def encode(self, obj: Any) -> bytes:
        """Return canonical bytes."""
        return canonical(obj) if isinstance(obj, Event) else orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)

    def decode(self, data: bytes) -> Any:
        """Return the JSON value."""
        return orjson.loads(data)


class LedgerMapper(Mapper[str]):
    """The library's mapper, by stable names instead of Python's module paths."""

    def __init__(
        self, transcoder: Transcoder, compressor: Compressor | None = None, cipher: Any | None = None
    ) -> None:
        if compressor is not None or cipher is not None:
            raise ValueError("digests are over the stored bytes: they are neither compressed nor encrypted")
        super().__init__(transcoder)

    def to_stored_event(self, domain_event: Any) -> LedgerEvent:
        """Return the stored form; personal data has to be sealed by now."""
        recorded: Recorded = domain_event
        event = recorded.event
        return LedgerEvent(
            originator_id=event.subject,
            originator_version=recorded.version,
            topic=event.type,
            state=storable(event),
            source=event.source,
            event_id=event.id,
            occurred_at=event.time,
            recorded_at=event.recordedtime,
            fingerprint=recorded.fingerprint,
            links=links_of(event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:
        """Return the event with its place in the ledger; raises MapperDeserialisationError."""
        try:
            event = parse_event(upcast(self.transcoder.decode(stored_event.state)))
        except ValueError as error:
            raise MapperDeserialisationError(
                f"{stored_event.originator_id} version {stored_event.originator_version}"
                f" ({stored_event.topic}) can't be read: {error}"
            ) from error
        if isinstance(stored_event, LedgerEvent):
            return Recorded(
                event,
                stored_event.originator_version,
                stored_event.position,
                stored_event.appended_at,
                stored_event.digest,
                stored_event.fingerprint,
            )
        position = stored_event.id if isinstance(stored_event, Notification) else 0
        return Recorded(event, stored_event.originator_version, position)
