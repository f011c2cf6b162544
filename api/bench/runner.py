"""The neighbour of a rebuild: the stock library's ProjectionRunner over the same events, writing the same table.

It is given every advantage that its form allows: the events' own bytes and names through our mapper, states kept in
memory and stepped on, one upsert an event. What it costs is its form: one transaction for each event.
"""

import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from domain.ledger.application import Ledger
from domain.ledger.workers import conninfo_of
from projections.billing_status import BillingStatus, Status
from projections.engine import Row, Seen

if TYPE_CHECKING:
    from domain.account import Account
    from domain.events.envelope import Recorded

WAIT_S = 120.0
LOOK_S = 0.1
SAVED_AT_ONCE = 200  # psycopg's pipeline, which the library saves by, hangs on more than some 1,200
SCHEMA = "bench_library"
_MODEL = BillingStatus()


class Log(Application[str]):
    """The library's application on its own tables, with our names and bytes for the events."""

    env: ClassVar[dict[str, str]] = Ledger.env


class StatusView(PostgresTrackingRecorder):
    """Rows of account status, each written together with the position of the event it came from."""

    def put(self, row: Row, tracking: Tracking) -> None:
        """Write a row in the place of the one before, and how far that is."""
        values = [Jsonb(v) if isinstance(v, dict | list) else v for v in row]
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(_UPSERT, values, prepare=True)


class StatusProjection(Projection[StatusView]):
    """Account status, folded event by event."""

    name = "status"

    def __init__(self, view: StatusView) -> None:
        super().__init__(view)
        self.states: dict[str, Account] = {}
        self.versions: dict[str, int] = {}
        self.now = Library.now

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Step an account's state on, and write what it comes to."""
        recorded: Recorded = domain_event
        subject = recorded.event.subject
        state = self.states.get(subject) or self.states.setdefault(subject, _MODEL.begin(subject))
        version = self.versions[subject] = self.versions.get(subject, 0) + 1
        _MODEL.step(state, recorded)
        seen = Seen(subject, version, tracking.notification_id, self.now, recorded.event.recordedtime)
        for row in _MODEL.rows(state, seen).tables.get("billing_status", ()):
            self.view.put(row, tracking)
        if tracking.notification_id == Library.last:
            Library.done.set()


class Library:
    """What a projection is told that the library itself makes: how long it goes on, and at which moment."""

    now: datetime
    last: int
    done: threading.Event


def library_rate(ledger: Ledger, now: datetime, events: int) -> float:
    """Return how many events a second the library's runner projects: the ledger's first ones of accounts."""
    given = {k: str(v) for k, v in conninfo_to_dict(conninfo_of(ledger)).items() if v is not None}
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": given["dbname"],
        "POSTGRES_HOST": given.get("host", ""),
        "POSTGRES_PORT": given.get("port", "5432"),
        "POSTGRES_USER": given.get("user", ""),
        "POSTGRES_PASSWORD": given.get("password", "none"),
        "POSTGRES_SCHEMA": SCHEMA,
        "ORIGINATOR_ID_TYPE": "text",
    }
    Library.now, Library.last, Library.done = now, _prepared(ledger, env, events), threading.Event()
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Log, projection_class=StatusProjection, view_class=StatusView, env=env
    ) as runner:
        while not Library.done.wait(LOOK_S):
            if runner.is_interrupted.is_set():
                break  # leaving the block says why
            if time.perf_counter() - began > WAIT_S:
                raise RuntimeError(f"the library did not project {events} events in {WAIT_S:.0f} s")
        took = time.perf_counter() - began
    return Library.last / took


def _prepared(ledger: Ledger, env: dict[str, str], events: int) -> int:
    """Put the ledger's first events of accounts into the library's own tables; return how many they are."""
    with ledger.journal.database.owner() as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {0} CASCADE").format(sql.Identifier(SCHEMA)))
        connection.execute(sql.SQL("CREATE SCHEMA {0}").format(sql.Identifier(SCHEMA)))
        connection.execute(sql.SQL("SET search_path TO {0}").format(sql.Identifier(SCHEMA)))
        connection.execute(_MODEL.script())
        connection.execute(
            sql.SQL("SET search_path TO {0}").format(sql.Identifier(ledger.schema)),
        )
        rows = connection.execute(
            "SELECT subject, version, type, state FROM event WHERE subject LIKE 'account/%%'"
            " ORDER BY position LIMIT %s",
            [events],
            binary=True,
        ).fetchall()
    app = Log(env)
    stored = [StoredEvent(s, v, t, state) for s, v, t, state in rows]
    for first in range(0, len(stored), SAVED_AT_ONCE):
        app.recorder.insert_events(stored[first : first + SAVED_AT_ONCE])
    app.close()
    return len(rows)


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, Status._fields))
_UPSERT = sql.SQL(
    "INSERT INTO {0}.billing_status ({1}) VALUES ({2}) ON CONFLICT (subject) DO UPDATE SET {3}"
).format(
    sql.Identifier(SCHEMA),
    _COLUMNS,
    sql.SQL(", ").join(sql.Placeholder() * len(Status._fields)),
    sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(f)) for f in Status._fields),
)
