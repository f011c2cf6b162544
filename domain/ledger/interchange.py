"""CloudEvents in and out, a line an event (JSONL, UTF-8), in bounded memory whatever the file's length.

In: every line ends as appended, repeated or refused (or as a key, in a sealed export); what is refused goes to
the reject file with its number, field and reason, and nothing else is lost. Observed history is checked for
form, never for conduct. Out: sealed (the stored bytes, with what proves and unlocks them) or in clear.
"""

import base64
import binascii
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

import orjson
import psycopg
import structlog
from eventsourcing.persistence import IntegrityError

from domain.calendar import CLOCK_SKEW
from domain.events.case import ComplaintReceived, InvestigationOpened
from domain.events.envelope import (
    Event,
    Recorded,
    check_subject,
    kind_of,
    ledger_of,
    parse_event,
    text_attribute,
)
from domain.events.fields import IDENTIFIER_MAX_CHARS, MalformedError
from domain.ledger.application import Ledger, PostgresKeys, Q
from domain.ledger.codec import LedgerEvent, canonical, chain, genesis, upcast
from domain.ledger.database import Connection
from domain.ledger.deployment import Deployment, SubjectError
from domain.ledger.recorder import Head, append, heads
from domain.ledger.sealing import Ownership, as_arrived, has_clear_data, has_sealed_data, seal_all
from domain.ledger.vault import VaultError

LINE_MAX_BYTES = (
    1_048_576  # a hundred times the longest honest event; a file without line ends stays harmless
)
BATCH_LINES = 500  # some 30 ms of writing: the position counter is never held for longer than that
BATCH_MAX_BYTES = 4_194_304
EXPORT_PAGE = 1_000
RETRIES_MAX = 20  # how often a batch is tried again after another writer was first

SEAL_ATTRIBUTES = ("streamversion", "digest", "fingerprint")
"""What a sealed export adds to each event: its version, its chained digest, its keyed fingerprint."""
KEY_TYPE = "recount.PartyKey"
DEPLOYMENT_TYPE = "recount.Deployment"
CASE_OPENERS = (ComplaintReceived, InvestigationOpened)
NEVER_OPENED = "was never opened in this ledger: its opening event should come first"

log = structlog.get_logger(__name__)


class Refusal(NamedTuple):
    """A line that did not land, and why."""

    line: int
    field: str
    reason: str
    text: bytes


@dataclass(slots=True)
class Tally:
    """What became of a file's lines; their sum is the number of lines."""

    appended: int = 0
    repeated: int = 0
    refused: int = 0
    keys: int = 0
    ledgers: Counter[str] = field(default_factory=Counter)

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return self.appended + self.repeated + self.refused + self.keys


class Seal(NamedTuple):
    """What a sealed line says of itself."""

    version: int
    digest: bytes
    fingerprint: bytes


class Arrival(NamedTuple):
    """A line that has the form of an event."""

    line: int
    text: bytes
    event: Event
    seal: Seal | None
    body: bytes
    """Of a sealed line the bytes that were stored elsewhere, and will be stored here; of a plain one the bytes
    over which its fingerprint is taken."""


# -- lines --------------------------------------------------------------------------------------------------


def lines_of(source: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Return a file's lines by number from 1, without their ends; None for one that is too long."""
    number = 0
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
        return Arrival(number, line, event, None, as_arrived(raw))
    if has_clear_data(event):
        raise MalformedError("data", "holds personal data in clear under the seal of an export")
    state = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    if body["dataversion"] == event.data.VERSION and state != canonical(event):
        raise MalformedError("(line)", "is not written as it was stored: a sealed export is taken as it is")
    return Arrival(number, line, event, seal, state)


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


# -- in -----------------------------------------------------------------------------------------------------


class Importer:
    """Brings observed history into a deployment. `refuse` is called for every line that does not land."""

    def __init__(
        self,
        deployment: Deployment,
        refuse: Callable[[Refusal], None],
        clock: Callable[[], datetime],
        progress: Callable[[Tally], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self._deployment = deployment
        self._refuse = refuse
        self._clock = clock
        self._progress = progress
        self._batch: list[Arrival] = []
        self._batch_bytes = 0
        self._own_seal = False  # whether a sealed export told, and proved, that it is of this deployment

    def run(self, source: BinaryIO) -> Tally:
        """Import a whole file; may be stopped anywhere and run again."""
        for number, line in lines_of(source):
            self._take(number, line)
            if len(self._batch) >= BATCH_LINES or self._batch_bytes >= BATCH_MAX_BYTES:
                self._flush()
        self._flush()
        return self.tally

    def _take(self, number: int, line: bytes | None) -> None:
        try:
            raw = read_object(line)
            text = line or b""
            if raw.get("type") in (KEY_TYPE, DEPLOYMENT_TYPE):
                self._flush()
                self._take_key(raw)
                self.tally.keys += 1
                return
            arrival = read_arrival(number, text, raw)
        except (MalformedError, SubjectError, VaultError) as error:
            problem = error.problem if isinstance(error, MalformedError) else None
            self._reject(
                number,
                line or b"",
                problem.field if problem else "(line)",
                problem.reason if problem else str(error),
            )
            return
        self._batch.append(arrival)
        self._batch_bytes += len(text)

    def _take_key(self, raw: dict[str, Any]) -> None:
        """Take a sealed export's line that is no event: whose export it is, or a party's key."""
        data = raw.get("data")
        if not isinstance(data, dict):
            raise MalformedError("data", "should be an object")
        try:
            wrapped = base64.b64decode(data["wrapped"], validate=True) if data.get("wrapped") else None
        except (TypeError, binascii.Error, ValueError):
            raise MalformedError("data.wrapped", "should be a wrapped key in base64") from None
        if raw["type"] == DEPLOYMENT_TYPE:
            self._own_seal = False
            if wrapped is None:
                raise MalformedError("data.wrapped", "is missing")
            if not self._deployment.adopt(wrapped):
                raise MalformedError(
                    "data.wrapped",
                    "is another deployment's: import a plain export, or into an empty database",
                )
            self._own_seal = True
            return
        self._keep_key(raw, data.get("proof"), wrapped)

    def _keep_key(self, raw: dict[str, Any], proof: object, wrapped: bytes | None) -> None:
        key_id, region = text_attribute(raw, "id", IDENTIFIER_MAX_CHARS), text_attribute(raw, "region")
        owner = check_subject(text_attribute(raw, "subject"))
        expected = self._deployment.secrets.key_line(key_id, owner, _b64(wrapped or b""))
        if not self._own_seal or not isinstance(proof, str) or not hmac.compare_digest(proof, expected):
            raise MalformedError("data.proof", "does not show that the key is this deployment's")
        ledger = self._deployment.ledger_for(region)
        given: dict[str, Any] = {"key_ids": [key_id], "owners": [owner]}
        with ledger.journal.database.transaction(ledger.schema) as connection:
            if wrapped is None:
                connection.execute(Q["add_destroyed_keys"], given)
            else:
                self._deployment.master.unwrap(wrapped)
                connection.execute(Q["add_keys"], {**given, "wrapped": [wrapped]})

    def _reject(self, number: int, line: bytes, where: str, reason: str) -> None:
        self.tally.refused += 1
        self._refuse(Refusal(number, where, reason, line))

    def _flush(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        by_ledger: dict[str, list[Arrival]] = {}
        for arrival in batch:
            if arrival.seal is not None and not self._own_seal:
                self._reject(arrival.line, arrival.text, "digest", "was not sealed by this deployment")
            else:
                by_ledger.setdefault(ledger_of(arrival.event.region), []).append(arrival)
        for name, arrivals in by_ledger.items():
            self._land(name, arrivals)
        if batch and self._progress is not None:
            self._progress(self.tally)

    def _land(self, name: str, arrivals: list[Arrival]) -> None:
        """Land one ledger's part of a batch; a ledger is made only where something opens in it."""
        known = self._deployment.ledger(name) is not None
        if not known and not any(a.event.data.OPENS for a in arrivals):
            for arrival in arrivals:
                self._reject(arrival.line, arrival.text, "subject", NEVER_OPENED)
            return
        try:
            ledger = self._deployment.ledger_for(arrivals[0].event.region)
        except SubjectError as error:
            for arrival in arrivals:
                self._reject(arrival.line, arrival.text, "region", str(error))
            return
        outcome = land_all(ledger, arrivals, self._clock())
        self.tally.appended += outcome.appended
        self.tally.ledgers[ledger.region] += outcome.appended
        self.tally.repeated += outcome.repeated
        for refusal in outcome.refusals:
            self._reject(refusal.line, refusal.text, refusal.field, refusal.reason)


@dataclass(slots=True)
class Landed:
    """What became of a batch."""

    appended: int = 0
    repeated: int = 0
    refusals: list[Refusal] = field(default_factory=list)


def land_all(ledger: Ledger, arrivals: Sequence[Arrival], now: datetime) -> Landed:
    """Land a batch; where the database can't take it as it is, find the line that it can't take.

    The form is checked before; this is the net below, so that one strange line never stops a file.
    """
    try:
        return land(ledger, arrivals, now)
    except (psycopg.DataError, psycopg.ProgrammingError, psycopg.errors.ProgramLimitExceeded) as error:
        if len(arrivals) == 1:
            log.warning("a line can't be stored", line=arrivals[0].line, error=type(error).__name__)
            reason = f"can't be stored as it is ({type(error).__name__})"
            return Landed(refusals=[Refusal(arrivals[0].line, "(line)", reason, arrivals[0].text)])
    half = len(arrivals) // 2
    first, second = land_all(ledger, arrivals[:half], now), land_all(ledger, arrivals[half:], now)
    return Landed(
        first.appended + second.appended,
        first.repeated + second.repeated,
        first.refusals + second.refusals,
    )


def land(ledger: Ledger, arrivals: Sequence[Arrival], now: datetime) -> Landed:
    """Append a batch to one ledger in one transaction, whoever else is writing; every line is accounted for."""
    for attempt in range(RETRIES_MAX):
        try:
            with ledger.journal.database.transaction(ledger.schema) as connection:
                if attempt:  # live writers were first: now they wait for this one batch
                    connection.execute(Q["lock_counter"])
                return _Landing(ledger, connection, now).land(arrivals)
        except IntegrityError:
            if attempt == RETRIES_MAX - 1:
                raise
    raise AssertionError("unreachable")


class _Landing:
    """One batch inside its transaction."""

    def __init__(self, ledger: Ledger, connection: Connection, now: datetime) -> None:
        self._ledger = ledger
        self._connection = connection
        self._keys = PostgresKeys(connection)
        self._latest = now + CLOCK_SKEW
        self._outcome = Landed()
        self._repeated = 0
        self._clashes: tuple[Refusal, ...] = ()

    def land(self, arrivals: Sequence[Arrival]) -> Landed:
        # Repeats are looked up last: what another importer lands in between is then told as a repeat, or
        # makes a conflict and is looked at again, but is never refused as a second opening.
        at = heads(self._connection, {a.event.subject for a in arrivals})
        openings = self._openings([a.event for a in arrivals])
        fresh = self._without_repeats(arrivals)
        erased: set[int] = set()
        while True:
            accepted = self._accepted(fresh, at, openings, erased)
            sealed = seal_all(
                self._ledger.vault,
                self._keys,
                self._ownership([a.event for a, _, _ in accepted]),
                [a.event for a, _, _ in accepted],
            )
            lost = {a.line for (a, _, _), event in zip(accepted, sealed, strict=True) if event is None}
            if not lost:
                break
            erased |= lost  # rare: what came after them in their streams has to be numbered anew
        rows = [
            self._stored(arrival, event, fingerprint, version)
            for (arrival, fingerprint, version), event in zip(accepted, sealed, strict=True)
            if event is not None
        ]
        append(self._connection, rows, at)
        self._outcome.appended = len(rows)
        return self._outcome

    def _accepted(
        self,
        fresh: Sequence[tuple[Arrival, bytes]],
        at: Mapping[str, Head],
        openings: frozenset[tuple[str, str]],
        erased: set[int],
    ) -> list[tuple[Arrival, bytes, int]]:
        """Return the arrivals that may land, each with its fingerprint and the version it gets."""
        self._outcome = Landed(repeated=self._repeated, refusals=list(self._clashes))
        growing, opened = dict(at), set(openings)
        landed: dict[tuple[str, str], bytes] = {}
        accepted = []
        for arrival, fingerprint in fresh:
            event = arrival.event
            if self._is_known(arrival, fingerprint, landed):
                continue
            try:
                self._check(arrival, fingerprint, growing.get(event.subject), opened, erased)
            except MalformedError as error:
                self._refuse(arrival, error.problem.field, error.problem.reason)
                continue
            landed[event.source, event.id] = fingerprint
            opened.add((event.subject, event.type))
            previous = growing.get(event.subject) or Head(0, genesis(event.subject))
            digest = chain(previous.digest, arrival.body) if arrival.seal else b""
            growing[event.subject] = Head(previous.version + 1, digest)
            accepted.append((arrival, fingerprint, previous.version + 1))
        return accepted

    def _stored(self, arrival: Arrival, sealed: Event, fingerprint: bytes, version: int) -> LedgerEvent:
        stored = self._ledger.stored([Recorded(sealed, version, fingerprint=fingerprint)])[0]
        return replace(stored, state=arrival.body) if arrival.seal else stored

    def _without_repeats(self, arrivals: Sequence[Arrival]) -> list[tuple[Arrival, bytes]]:
        """Return the arrivals that do not stand in the log yet, with their fingerprints."""
        secrets = self._ledger.vault.secrets
        prints = [a.seal.fingerprint if a.seal else secrets.fingerprint(a.body) for a in arrivals]
        rows = self._connection.execute(
            Q["known"],
            {"sources": [a.event.source for a in arrivals], "ids": [a.event.id for a in arrivals]},
        )
        known = {(source, event_id): bytes(fingerprint) for source, event_id, fingerprint in rows}
        fresh = [
            (a, fingerprint)
            for a, fingerprint in zip(arrivals, prints, strict=True)
            if not self._is_known(a, fingerprint, known)
        ]
        self._repeated, self._clashes = self._outcome.repeated, tuple(self._outcome.refusals)
        return fresh

    def _is_known(self, arrival: Arrival, fingerprint: bytes, known: dict[tuple[str, str], bytes]) -> bool:
        """Whether the event stands already: a repeat where it is the same, refused where it is another."""
        standing = known.get((arrival.event.source, arrival.event.id))
        if standing is None:
            return False
        if standing == fingerprint:
            self._outcome.repeated += 1
        else:
            self._refuse(arrival, "id", "stands in the ledger already with other content")
        return True

    def _check(
        self,
        arrival: Arrival,
        fingerprint: bytes,
        head: Head | None,
        opened: set[tuple[str, str]],
        erased: set[int],
    ) -> None:
        """Raise MalformedError where an event may not land."""
        event = arrival.event
        if event.recordedtime > self._latest:
            raise MalformedError("recordedtime", "should not lie in the future")
        if head is None and not event.data.OPENS:
            raise MalformedError("subject", NEVER_OPENED)
        if head is not None and event.data.OPENS and event.data.STREAM != "rulebook":
            again = (event.subject, event.type) in opened
            if again or event.data.STREAM != "case":
                raise MalformedError("type", f"opens {event.subject} a second time")
        if arrival.line in erased:
            raise MalformedError("data", "is personal data of a party whose personal data was erased")
        if arrival.seal is not None:
            self._check_seal(arrival, arrival.seal, head or Head(0, genesis(event.subject)), fingerprint)

    def _check_seal(self, arrival: Arrival, seal: Seal, head: Head, fingerprint: bytes) -> None:
        """Raise MalformedError where a sealed line is not what was stored.

        The digest shows that it follows from the line before; only the fingerprint, which takes the deployment's
        secret to make, shows that nobody made both anew. It is checked while the personal data can be opened.
        """
        if seal.version != head.version + 1:
            raise MalformedError(
                "streamversion", f"should be {head.version + 1}: the stream's events come in order"
            )
        if chain(head.digest, arrival.body) != seal.digest:
            raise MalformedError("digest", "does not follow from the event and the one before it: altered")
        raw = orjson.loads(arrival.body)
        try:
            clear = self._ledger.vault.open_all(arrival.event, raw["data"], self._keys)
        except VaultError as error:
            raise MalformedError("data", str(error)) from None
        if clear is not None:
            made = self._ledger.vault.secrets.fingerprint(as_arrived({**raw, "data": clear}))
            if made != fingerprint:
                raise MalformedError("fingerprint", "does not belong to the event: altered")

    def _openings(self, events: Sequence[Event]) -> frozenset[tuple[str, str]]:
        """Return which opening events the cases among the batch's streams have already."""
        subjects = list({e.subject for e in events if isinstance(e.data, CASE_OPENERS)})
        if not subjects:
            return frozenset()
        types = [kind.__name__ for kind in CASE_OPENERS]
        rows = self._connection.execute(Q["openings"], {"subjects": subjects, "types": types})
        return frozenset((subject, kind) for subject, kind in rows)

    def _ownership(self, events: Sequence[Event]) -> Ownership:
        """Return whose the streams are that bring personal data."""
        ownership = Ownership()
        subjects = list({e.subject for e in events if e.data.PERSONAL and kind_of(e.subject) != "party"})
        if subjects:
            for subject, owner, since in self._connection.execute(Q["owners"], {"subjects": subjects}):
                ownership.learn(subject, since, owner)
        return ownership

    def _refuse(self, arrival: Arrival, where: str, reason: str) -> None:
        self._outcome.refusals.append(Refusal(arrival.line, where, reason, arrival.text))


# -- out ----------------------------------------------------------------------------------------------------


def export_sealed(deployment: Deployment, ledger: Ledger, subjects: Sequence[str]) -> Iterator[bytes]:
    """Return a ledger's lines as they are stored, with the keys they need first: any number, in few memory.

    Imported into an empty database with the same master key they give the same digests.
    """
    yield _line(
        {
            "specversion": "1.0",
            "id": "deployment",
            "source": ledger.source,
            "type": DEPLOYMENT_TYPE,
            "region": ledger.region,
            "data": {"wrapped": _b64(deployment.master.wrap(deployment.secrets.secret))},
        }
    )
    upto = ledger.journal.last_position()  # before the keys: none is then missing for what is written below
    for key_id, owner, wrapped in _keys(ledger, subjects, upto):
        proof = deployment.secrets.key_line(key_id, owner, _b64(wrapped or b""))
        yield _line(
            {
                "specversion": "1.0",
                "id": key_id,
                "source": ledger.source,
                "type": KEY_TYPE,
                "subject": owner,
                "region": ledger.region,
                "data": {"wrapped": _b64(wrapped) if wrapped is not None else None, "proof": proof},
            }
        )
    for event in _events(ledger, subjects, upto):
        yield _line(
            {
                **orjson.loads(event.state),
                "streamversion": event.originator_version,
                "digest": event.digest.hex(),
                "fingerprint": event.fingerprint.hex(),
            }
        )


def export_plain(ledger: Ledger, subjects: Sequence[str]) -> Iterator[bytes]:
    """Return a ledger's lines with personal data in clear; what was erased stays sealed."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        keys = PostgresKeys(connection)
        for event in _events(ledger, subjects, ledger.journal.last_position()):
            yield canonical(ledger.vault.open(ledger.read(event).event, keys)) + b"\n"


def _events(ledger: Ledger, subjects: Sequence[str], upto: int) -> Iterator[LedgerEvent]:
    """Return the log in position order, or only some streams of it, a page at a time."""
    if subjects:
        streams = ledger.journal.streams(subjects, upto)
        yield from sorted((e for events in streams.values() for e in events), key=lambda e: e.position)
        return
    after = 0
    while page := ledger.journal.log(after, limit=EXPORT_PAGE, upto=upto):
        yield from page
        after = page[-1].position


def _keys(ledger: Ledger, subjects: Sequence[str], upto: int) -> Iterator[tuple[str, str, bytes | None]]:
    """Return the keys with which the personal data of the streams, or of all, is sealed."""
    with ledger.journal.database.transaction(ledger.schema) as connection:
        if not subjects:
            with connection.cursor(name="keys") as cursor:
                for key_id, owner, wrapped in cursor.execute(Q["all_keys"]):
                    yield key_id, owner, None if wrapped is None else bytes(wrapped)
            return
        used: set[str] = set()
        for event in _events(ledger, subjects, upto):
            data = ledger.read(event).event.data
            used |= {p.key_id for n in data.PERSONAL if (p := getattr(data, n)) is not None and p.key_id}
        yield from PostgresKeys(connection).by_id(sorted(used))


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) + b"\n"


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
