"""A batch of events into one ledger, in one transaction: every line of it is accounted for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson
import psycopg
import structlog
from eventsourcing.persistence import IntegrityError

from domain.calendar import CLOCK_SKEW
from domain.events.case import ComplaintReceived, InvestigationOpened
from domain.events.envelope import Event, Recorded, kind_of
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger, PostgresKeys, Q
from domain.ledger.codec import LedgerEvent, chain, genesis
from domain.ledger.database import WRITER, Connection
from domain.ledger.interchange.lines import Arrival, Refusal, Seal
from domain.ledger.recorder import Head, append, heads
from domain.ledger.sealing import Ownership, as_arrived, seal_all
from domain.ledger.vault import VaultError

RETRIES_MAX = 20  # how often a batch is tried again after another writer was first
CASE_OPENERS = (ComplaintReceived, InvestigationOpened)
NEVER_OPENED = "was never opened in this ledger: its opening event should come first"

log = structlog.get_logger(__name__)


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
            with ledger.journal.database.transaction(ledger.schema, WRITER) as connection:
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
