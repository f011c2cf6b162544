"""What a line of the interchange format is: how it is read, and what makes it a bad one."""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import orjson

from domain.calendar import CLOCK_SKEW
from domain.events.envelope import Event, parse_event
from domain.events.fields import MalformedError, Payload
from domain.ledger.bulk import microseconds
from domain.ledger.codec import canonical, upcast
from domain.ledger.sealing import as_arrived, has_clear_data, has_sealed_data

LINE_MAX_BYTES = (
    1_048_576  # a hundred times the longest honest event; a file without line ends stays harmless
)
CHUNK_BYTES = 1_572_864
"""Some 4,000 lines: read at once and landed at once, some 40 ms of either."""
SEAL_ATTRIBUTES = ("streamversion", "digest", "fingerprint")
"""What a sealed export adds to each event: its version, its chained digest, its keyed fingerprint."""
KEY_TYPE = "recount.PartyKey"
DEPLOYMENT_TYPE = "recount.Deployment"


class Refusal(NamedTuple):
    """A line that did not land, and why."""

    line: int
    field: str
    reason: str
    text: bytes | None
    """None where it holds personal data of a party that was erased: nothing keeps a copy of it."""


class Seal(NamedTuple):
    """What a sealed line says of itself."""

    version: int
    digest: bytes
    fingerprint: bytes


class Arrival(NamedTuple):
    """A line that has the form of an event, and what of it is stored, but for its place."""

    line: int
    text: bytes
    kind: type[Payload]
    source: str
    id: str
    subject: str
    region: str
    recorded: int
    """When it became known, as PostgreSQL counts moments."""
    event: Event | None
    """The event itself, where landing looks into it (what it ties its stream to, personal data, its erasure, a seal),
    or where what is stored may differ from `body`."""
    seal: Seal | None
    body: bytes
    """Of a sealed line the bytes that were stored elsewhere, and will be stored here; of a plain one the bytes
    over which its fingerprint is taken, which are also what is stored where `event` is not there."""
    fingerprint: bytes = b""
    columns: bytes = b""


class Chunk(NamedTuple):
    """Some of a file's lines, whole ones: they are read at once. `first` is the number of the first."""

    first: int
    text: bytes

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first - 1 + self.text.count(b"\n") + (not self.text.endswith(b"\n"))


def chunks_of(source: BinaryIO) -> Iterator[Chunk]:
    """Return a file in chunks; of a line that is too long only its beginning."""
    first = 1
    while text := source.read(CHUNK_BYTES):
        if not text.endswith(b"\n"):
            rest = source.readline(LINE_MAX_BYTES + 2)
            text += rest
            while rest and not rest.endswith(b"\n"):
                rest = source.readline(LINE_MAX_BYTES)
        chunk = Chunk(first, text)
        yield chunk
        first = chunk.last + 1


def lines_of(source: BinaryIO, first: int = 1) -> Iterator[tuple[int, bytes | None]]:
    """Return a file's lines by number from `first`, without their ends; None for one that is too long."""
    number = first - 1
    while True:
        line = source.readline(LINE_MAX_BYTES + 2)
        if not line:
            return
        number += 1
        if len(line) > LINE_MAX_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = source.readline(LINE_MAX_BYTES)
            yield number, None
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        yield number, line.rstrip(b"\r\n")


def read_object(line: bytes | None) -> dict[str, Any]:
    """Return a line's JSON object; raises MalformedError that says what is wrong with the line."""
    if line is None:
        raise MalformedError("(line)", f"should be at most {LINE_MAX_BYTES} bytes long")
    if not line.strip():
        raise MalformedError("(line)", "is empty: should be one JSON object")
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as wrong:
            raise MalformedError("(line)", f"is not UTF-8 (byte {wrong.start + 1})") from None
        raise MalformedError("(line)", f"is not JSON (column {error.colno}): {error.msg}") from None
    if not isinstance(raw, dict):
        raise MalformedError("(line)", "should be a JSON object")
    return raw


def read_arrival(number: int, line: bytes, raw: dict[str, Any]) -> Arrival:
    """Return the event a line holds; raises MalformedError that names the field."""
    seal = _seal_of(raw)
    body = {k: v for k, v in raw.items() if k not in SEAL_ATTRIBUTES} if seal else raw
    event = parse_event(upcast(body))
    if event.time > event.recordedtime + CLOCK_SKEW:
        raise MalformedError("time", "should not be later than recordedtime")
    if seal is None:
        if has_sealed_data(event):
            raise MalformedError("data", "holds sealed personal data without the seal of its export")
        return _arrival(number, line, event, None, as_arrived(raw))
    if has_clear_data(event):
        raise MalformedError("data", "holds personal data in clear under the seal of an export")
    state = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    if body["dataversion"] == event.data.VERSION and state != canonical(event):
        raise MalformedError("(line)", "is not written as it was stored: a sealed export is taken as it is")
    return _arrival(number, line, event, seal, state)


def _arrival(number: int, line: bytes, event: Event, seal: Seal | None, body: bytes) -> Arrival:
    return Arrival(
        number,
        line,
        type(event.data),
        event.source,
        event.id,
        event.subject,
        event.region,
        microseconds(event.recordedtime),
        event,
        seal,
        body,
    )


def _seal_of(raw: dict[str, Any]) -> Seal | None:
    given = [name for name in SEAL_ATTRIBUTES if name in raw]
    if not given:
        return None
    if len(given) != len(SEAL_ATTRIBUTES):
        missing = next(name for name in SEAL_ATTRIBUTES if name not in raw)
        raise MalformedError(missing, f"is missing beside {given[0]}")
    if type(raw["streamversion"]) is not int or raw["streamversion"] < 1:
        raise MalformedError("streamversion", "should be a version from 1 on")
    return Seal(raw["streamversion"], _hex32(raw, "digest"), _hex32(raw, "fingerprint"))


def _hex32(raw: dict[str, Any], name: str) -> bytes:
    try:
        value = bytes.fromhex(raw[name])
    except (TypeError, ValueError):
        value = b""
    if len(value) != 32:
        raise MalformedError(name, "should be 32 bytes in hex")
    return value
