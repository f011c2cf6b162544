"""A batch of events into one ledger, in one transaction: every line of it is accounted for.

An imported `PersonalDataErased` is a fact: the person's data was destroyed elsewhere, by whoever answers for it, and
the person was told. So nothing here stands against it, no open case and no period of the law, as they do against the
command: the party's key is destroyed in the transaction in which the event lands. What comes of that party afterwards,
in the same batch, later or from another importer, is refused where it holds personal data, and no copy of it is kept
with what was refused.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
import psycopg
import structlog
from eventsourcing.persistence import IntegrityError

from domain.calendar import CLOCK_SKEW
from domain.events.case import ComplaintReceived, InvestigationOpened
from domain.events.envelope import Event, kind_of
from domain.events.fields import MalformedError
from domain.events.links import links_of
from domain.events.party import PersonalDataErased
from domain.ledger.application import Ledger, PostgresKeys, Q
from domain.ledger.bulk import Link, Row, copy_in, microseconds
from domain.ledger.codec import chain, genesis, storable
from domain.ledger.database import WRITER, Connection
from domain.ledger.interchange.lines import Arrival, Refusal, Seal
from domain.ledger.recorder import Head, heads
from domain.ledger.sealing import Ownership, as_arrived, has_clear_data, seal_all
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
    erased: int = 0
    """Parties whose keys were destroyed."""


class _DoubtError(Exception):
    """Something of a batch that was taken for new may stand already: it has to be looked up."""


def land_all(ledger: Ledger, arrivals: Sequence[Arrival], now: datetime, *, new: bool = False) -> Landed:
    """Land a batch; where the database can't take it as it is, find the line that it can't take.

    The form is checked before; this is the net below, so that one strange line never stops a file.
    """
    try:
        return land(ledger, arrivals, now, new=new)
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
        first.erased + second.erased,
    )


def land(ledger: Ledger, arrivals: Sequence[Arrival], now: datetime, *, new: bool = False) -> Landed:
    """Append a batch to one ledger in one transaction, whoever else is writing; every line is accounted for.

    `new`: nothing of it is expected to stand already, so that it is looked up only where it turns out to.
    """
    if new:
        with contextlib.suppress(IntegrityError, _DoubtError), _transaction(ledger) as connection:
            return _Landing(ledger, connection, now, new=True).land(arrivals)
    for attempt in range(RETRIES_MAX):
        try:
            with _transaction(ledger) as connection:
                if attempt:  # live writers were first: now they wait for this one batch
                    connection.execute(Q["lock_counter"])
                return _Landing(ledger, connection, now, new=False).land(arrivals)
        except IntegrityError:
            if attempt == RETRIES_MAX - 1:
                raise
    raise AssertionError("unreachable")


def _transaction(ledger: Ledger) -> contextlib.AbstractContextManager[Connection]:
    return ledger.journal.database.transaction(ledger.schema, WRITER)


class _Landing:
    """One batch inside its transaction. `new`: it is given up, with _DoubtError, where a line can't just land."""

    def __init__(self, ledger: Ledger, connection: Connection, now: datetime, *, new: bool) -> None:
        self._ledger = ledger
        self._connection = connection
        self._keys = PostgresKeys(connection)
        self._new = new
        self._latest = microseconds(now + CLOCK_SKEW)
        self._outcome = Landed()
        self._repeated = 0
        self._clashes: tuple[Refusal, ...] = ()

    def land(self, arrivals: Sequence[Arrival]) -> Landed:
        # Repeats are looked up last: what another importer lands in between is then told as a repeat, or
        # makes a conflict and is looked at again, but is never refused as a second opening.
        at = heads(self._connection, {a.subject for a in arrivals})
        openings = self._openings(arrivals)
        fresh = arrivals if self._new else self._without_repeats(arrivals)
        erased: set[int] = set()
        while True:
            accepted = self._accepted(fresh, at, openings, erased)
            events = [a.event for a in accepted if a.event is not None]
            sealed = seal_all(self._ledger.vault, self._keys, self._ownership(events), events)
            lost = {
                a.line
                for a, event in zip((a for a in accepted if a.event is not None), sealed, strict=True)
                if event is None
            }
            if not lost:
                break
            erased |= lost  # rare: what came after them in their streams has to be numbered anew
        links = [Link(e.subject, link, e.time) for e in events for link in links_of(e)]
        copy_in(self._connection, len(accepted), _rows(accepted, sealed, at), links)
        self._outcome.appended = len(accepted)
        self._erase({e.subject for e in events if isinstance(e.data, PersonalDataErased)})
        self._withhold(arrivals)
        return self._outcome

    def _erase(self, owners: Collection[str]) -> None:
        """Destroy the keys of parties, under the counter's lock: whoever made one before has committed it."""
        if owners:
            self._ledger.vault.forget(key_id for _, key_id, _ in self._keys.of_owners(owners))
            self._connection.execute(Q["destroy_keys"], {"owners": list(owners)})
            self._outcome.erased = len(owners)

    def _accepted(
        self,
        fresh: Sequence[Arrival],
        at: Mapping[str, Head],
        openings: frozenset[tuple[str, str]],
        erased: set[int],
    ) -> list[Arrival]:
        """Return the arrivals that may land; raises _DoubtError where one may not, of a batch that is `new`."""
        self._outcome = Landed(repeated=self._repeated, refusals=list(self._clashes))
        growing, opened = dict(at), set(openings)
        landed: dict[tuple[str, str], bytes] = {}
        mixed = any(a.seal is not None for a in fresh)
        accepted = []
        for arrival in fresh:
            subject, kind = arrival.subject, arrival.kind
            if not self._new and self._is_known(arrival, landed):
                continue
            head = growing.get(subject)
            if head is None or kind.OPENS or arrival.recorded > self._latest or mixed or erased:
                try:
                    self._check(arrival, head, opened, erased)
                except MalformedError as error:
                    if self._new:
                        raise _DoubtError from error
                    self._refuse(arrival, error.problem.field, error.problem.reason)
                    continue
                opened.add((subject, kind.__name__))
                previous = head or Head(0, genesis(subject))
                digest = chain(previous.digest, arrival.body) if arrival.seal else b""
                growing[subject] = Head(previous.version + 1, digest)
            if not self._new:
                landed[arrival.source, arrival.id] = arrival.fingerprint
            accepted.append(arrival)
        return accepted

    def _without_repeats(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Return the arrivals that do not stand in the log yet."""
        rows = self._connection.execute(
            Q["known"], {"sources": [a.source for a in arrivals], "ids": [a.id for a in arrivals]}
        )
        known = {(source, event_id): bytes(fingerprint) for source, event_id, fingerprint in rows}
        fresh = [a for a in arrivals if not self._is_known(a, known)]
        self._repeated, self._clashes = self._outcome.repeated, tuple(self._outcome.refusals)
        return fresh

    def _is_known(self, arrival: Arrival, known: dict[tuple[str, str], bytes]) -> bool:
        """Whether the event stands already: a repeat where it is the same, refused where it is another."""
        standing = known.get((arrival.source, arrival.id))
        if standing is None:
            return False
        if standing == arrival.fingerprint:
            self._outcome.repeated += 1
        else:
            self._refuse(arrival, "id", "stands in the ledger already with other content")
        return True

    def _check(
        self, arrival: Arrival, head: Head | None, opened: set[tuple[str, str]], erased: set[int]
    ) -> None:
        """Raise MalformedError where an event may not land."""
        subject, kind = arrival.subject, arrival.kind
        if arrival.recorded > self._latest:
            raise MalformedError("recordedtime", "should not lie in the future")
        if head is None and not kind.OPENS:
            raise MalformedError("subject", NEVER_OPENED)
        if head is not None and kind.OPENS and kind.STREAM != "rulebook":
            again = (subject, kind.__name__) in opened
            if again or kind.STREAM != "case":
                raise MalformedError("type", f"opens {subject} a second time")
        if arrival.line in erased:
            raise MalformedError("data", "is personal data of a party whose personal data was erased")
        if arrival.seal is not None:
            self._check_seal(arrival, arrival.seal, head or Head(0, genesis(subject)))

    def _check_seal(self, arrival: Arrival, seal: Seal, head: Head) -> None:
        """Raise MalformedError where a sealed line is not what was stored.

        The digest shows that it follows from the line before; only the fingerprint, which takes the deployment's
        secret to make, shows that nobody made both anew. It is checked while the personal data can be opened.
        """
        assert arrival.event is not None, "a sealed line is looked into"
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
            if made != seal.fingerprint:
                raise MalformedError("fingerprint", "does not belong to the event: altered")

    def _openings(self, arrivals: Sequence[Arrival]) -> frozenset[tuple[str, str]]:
        """Return which opening events the cases among the batch's streams have already."""
        subjects = list({a.subject for a in arrivals if a.kind in CASE_OPENERS})
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

    def _withhold(self, arrivals: Sequence[Arrival]) -> None:
        """Leave out the text of refused lines with personal data of a party that was erased, for whatever reason."""
        if not self._outcome.refusals:
            return
        lines = {refusal.line for refusal in self._outcome.refusals}
        events = {
            a.line: a.event
            for a in arrivals
            if a.line in lines and a.event is not None and a.event.data.PERSONAL and has_clear_data(a.event)
        }
        if not events:
            return
        ownership = self._ownership(list(events.values()))
        for event in events.values():
            ownership.learn_from(event)
        owners = {line: ownership.owner_of(event) for line, event in events.items()}
        erased = {
            owner for owner, _, wrapped in self._keys.of_owners(set(owners.values())) if wrapped is None
        }
        self._outcome.refusals = [
            r._replace(text=None) if owners.get(r.line) in erased else r for r in self._outcome.refusals
        ]

    def _refuse(self, arrival: Arrival, where: str, reason: str) -> None:
        self._outcome.refusals.append(Refusal(arrival.line, where, reason, arrival.text))


def _rows(
    arrivals: Sequence[Arrival], sealed: Sequence[Event | None], at: Mapping[str, tuple[int, bytes]]
) -> Iterator[Row]:
    """Return what is appended: numbered and chained after the heads of the streams. `sealed`: their events."""
    growing = dict(at)
    events = iter(sealed)
    for arrival in arrivals:
        state, subject = arrival.body, arrival.subject
        if arrival.event is not None:
            event = next(events)
            assert event is not None, "what was erased was refused"
            if arrival.seal is None:
                state = storable(event)
        version, previous = growing.get(subject) or (0, genesis(subject))
        digest = chain(previous, state)
        growing[subject] = version + 1, digest
        yield version + 1, digest, state, arrival.columns
