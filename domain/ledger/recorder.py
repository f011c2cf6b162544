"""Our recorder on the library's interfaces: gap-free positions, chained digests, optimistic concurrency.

It writes stored events and reads them back; it never decides and never looks into an event's data.
"""

import contextlib
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Notification,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    TrackingRecorder,
)

from domain.ledger.bulk import Link, add_links
from domain.ledger.codec import LedgerEvent, chain, genesis
from domain.ledger.database import WRITER, Connection, Database
from domain.ledger.queries import queries

Q = queries("domain.ledger.sql", "queries.sql")
VERSION_MAX = 2**31 - 1
POSITION_MAX = 2**63 - 1
READ_MAX = 5_000  # events read at once: some 3 MB of JSON
POLL_S = 0.05  # how long a tailing reader that has seen everything waits before it looks again


class Head(NamedTuple):
    """The last event of a stream."""

    version: int
    digest: bytes


def heads(connection: Connection, subjects: Iterable[str]) -> dict[str, Head]:
    """Return the heads of the streams that have events."""
    rows = connection.execute(Q["heads"], {"subjects": list(subjects)})
    return {subject: Head(version, bytes(digest)) for subject, version, digest in rows}


def append(
    connection: Connection,
    events: Sequence[LedgerEvent],
    known: dict[str, Head] | None = None,
    recorded_at: datetime | None = None,
) -> list[LedgerEvent]:
    """Append events, in order, inside the caller's transaction, and return them as they stand in the log.

    `known` are heads read in this transaction (else they are read here) and is brought up to date.
    `recorded_at` is the recorded time of live commands. The caller commits at once: from here on the counter
    row is held. Raises IntegrityError where a version is not the stream's next one or an id stands already.
    """
    if not events:
        return []
    known = heads(connection, {str(e.originator_id) for e in events}) if known is None else known
    chained = [_chained(event, known) for event in events]
    try:
        rows = connection.execute(Q["append"], _columns(chained, recorded_at)).fetchall()
    except psycopg.errors.UniqueViolation as error:
        raise IntegrityError(f"another writer was first: {error.diag.constraint_name}") from error
    links = [
        Link(str(e.originator_id), link, e.occurred_at) for e in chained for link in e.links if e.occurred_at
    ]
    add_links(connection, links)  # under the counter's lock: before it, two writers could deadlock here
    return [
        LedgerEvent(**{**vars(event), "position": position, "appended_at": appended_at})
        for event, (position, appended_at) in zip(chained, sorted(rows), strict=True)
    ]


def _chained(event: LedgerEvent, known: dict[str, Head]) -> LedgerEvent:
    subject = str(event.originator_id)
    head = known.get(subject) or Head(0, genesis(subject))
    if event.originator_version != head.version + 1:
        raise IntegrityError(
            f"{subject} is at version {head.version}: {event.originator_version} can't be appended to it"
        )
    digest = chain(head.digest, event.state)
    known[subject] = Head(event.originator_version, digest)
    return LedgerEvent(**{**vars(event), "digest": digest})


def _columns(events: Sequence[LedgerEvent], recorded_at: datetime | None) -> dict[str, Any]:
    return {
        "count": len(events),
        "recorded_at": recorded_at,
        "subjects": [e.originator_id for e in events],
        "versions": [e.originator_version for e in events],
        "types": [e.topic for e in events],
        "sources": [e.source for e in events],
        "ids": [e.event_id for e in events],
        "occurred": [e.occurred_at for e in events],
        "recorded": [e.recorded_at for e in events],
        "fingerprints": [e.fingerprint for e in events],
        "digests": [e.digest for e in events],
        "states": [e.state for e in events],
    }


def stored(row: Sequence[Any]) -> LedgerEvent:
    """Return the stored event of a row of the log's queries."""
    subject, version, kind, state, position, appended_at, digest, fingerprint = row
    return LedgerEvent(
        originator_id=subject,
        originator_version=version,
        topic=kind,
        state=bytes(state),
        position=position,
        appended_at=appended_at,
        digest=bytes(digest),
        fingerprint=bytes(fingerprint),
    )


class LedgerRecorder(ApplicationRecorder):
    """One regional ledger's log, by the library's interface."""

    def __init__(self, database: Database, schema: str) -> None:
        self.database = database
        self.schema = schema

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append events in one transaction and return their positions; raises IntegrityError."""
        events = [e for e in stored_events if isinstance(e, LedgerEvent)]
        if len(events) != len(stored_events) or kwargs.get("tracking"):
            raise TypeError("this recorder stores ledger events, and tracks nothing")
        with self.database.transaction(self.schema, WRITER) as connection:
            return [e.position for e in append(connection, events)]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return one stream's stored events."""
        with self.database.connection(self.schema) as connection:
            rows = connection.execute(
                Q["stream_backwards" if desc else "stream"],
                {
                    "subject": str(originator_id),
                    "gt": gt if gt is not None else 0,
                    "lte": lte if lte is not None else VERSION_MAX,
                    "limit": limit,
                },
            )
            return [stored(row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return the log from a position on, in position order."""
        after = (start or 0) - (1 if inclusive_of_start and start is not None else 0)
        return [
            Notification(e.originator_id, e.originator_version, e.topic, e.state, e.position)
            for e in self.log(after, limit=limit, upto=stop, types=topics)
        ]

    def max_notification_id(self) -> int | None:
        """Return the last position, or None where the log is empty."""
        return self.last_position() or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Return an iterator over the log that waits for what comes."""
        return PollingSubscription(self, gt, topics)

    # -- beyond the library's interface

    def last_position(self) -> int:
        """Return the last position, 0 where the log is empty."""
        with self.database.connection(self.schema) as connection:
            row = connection.execute(Q["last_position"]).fetchone()
        return int(row[0]) if row else 0

    def log(
        self, after: int, *, limit: int = READ_MAX, upto: int | None = None, types: Sequence[str] = ()
    ) -> list[LedgerEvent]:
        """Return up to `limit` events after a position, in position order: no gaps, whoever wrote them."""
        with self.database.connection(self.schema) as connection:
            rows = connection.execute(
                Q["log_of_types" if types else "log"],
                {
                    "after": after,
                    "upto": upto if upto is not None else POSITION_MAX,
                    "types": list(types),
                    "limit": limit,
                },
            )
            return [stored(row) for row in rows]

    def streams(
        self, subjects: Iterable[str], position: int = POSITION_MAX, connection: Connection | None = None
    ) -> dict[str, list[LedgerEvent]]:
        """Return several streams as they stood at a position; on a transaction's own connection if given."""
        read = self.rows_of(subjects, position, connection)
        return {subject: [stored(row) for row in rows] for subject, rows in read.items()}

    def rows_of(
        self, subjects: Iterable[str], position: int = POSITION_MAX, connection: Connection | None = None
    ) -> dict[str, list[Sequence[Any]]]:
        """Return the rows of several streams, in version order, as they stood at a position."""
        found: dict[str, list[Sequence[Any]]] = {subject: [] for subject in subjects}
        with (
            contextlib.nullcontext(connection) if connection else self.database.connection(self.schema)
        ) as reading:
            for row in reading.execute(Q["streams"], {"subjects": list(found), "position": position}):
                found[row[0]].append(row)
        return found

    def linked_to(self, subject: str) -> list[str]:
        """Return the streams that speak of a subject."""
        with self.database.connection(self.schema) as connection:
            return [s for (s,) in connection.execute(Q["linked_to"], {"related": subject})]

    def exists(self, subject: str) -> bool:
        """Whether the stream has been opened here."""
        with self.database.connection(self.schema) as connection:
            return connection.execute(Q["subject_exists"], {"subject": subject}).fetchone() is not None


class PollingSubscription(Subscription[ApplicationRecorder]):
    """The log from a position on, event by event, waiting for what comes."""

    def __init__(self, recorder: LedgerRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._after = gt or 0
        self._ready: list[Notification] = []

    def __next__(self) -> Notification:
        """Return the next event; ends when the subscription was stopped."""
        while not self._has_been_stopped:
            if self._ready:
                notification = self._ready.pop(0)
                self._after = notification.id
                return notification
            self._ready = list(
                self._recorder.select_notifications(
                    self._after, READ_MAX, topics=self._topics, inclusive_of_start=False
                )
            )
            if not self._ready:
                time.sleep(POLL_S)
        raise StopIteration


class Factory(InfrastructureFactory[TrackingRecorder]):
    """Makes the library's parts on our recorder; a Ledger hands it the database it is on."""

    database: Database
    schema: str

    def application_recorder(self) -> ApplicationRecorder:
        """Return this ledger's recorder."""
        return LedgerRecorder(self.database, self.schema)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Raise ProgrammingError: snapshots are not kept."""
        raise ProgrammingError(f"a ledger keeps no {purpose} beside its log")

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> TrackingRecorder:  # noqa: ARG002
        """Raise ProgrammingError: read models track their positions themselves."""
        raise ProgrammingError("read models track their positions with their own rows")

    def process_recorder(self) -> ProcessRecorder:
        """Raise ProgrammingError: read models track their positions themselves."""
        raise ProgrammingError("read models track their positions with their own rows")
