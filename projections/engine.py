"""Moves read models along the log: rows and position in one transaction, so that each event counts once.

It follows by polling positions, which have no gaps and commit in order: no event can be skipped. A model that
fails stops alone, says at which event and why, and is tried again.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.database import Connection, migrate
from domain.ledger.deployment import Deployment
from domain.ledger.queries import queries

Q = queries("projections.sql", "queries.sql")
BATCH_EVENTS = 1_000  # one transaction: short enough that readers never wait, long enough to be fast
POLL_S = 0.1  # how long a model that has seen everything waits before it looks again
RETRY_S = 5.0  # how long a model that failed waits before it is tried again

log = structlog.get_logger(__name__)


class ReadModel(Protocol):
    """What a read model says of itself, and how it folds."""

    name: str
    version: int

    def apply(self, connection: Connection, ledger: Ledger, batch: Sequence[Recorded], now: datetime) -> None:
        """Fold a batch of the log into the model's rows, inside the engine's transaction."""

    def refresh(self, connection: Connection, ledger: Ledger, now: datetime) -> None:
        """Fold again what changes by the calendar alone, inside the engine's transaction."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a read model is: `lag` counts the events it has yet to fold."""

    name: str
    version: int
    position: int
    lag: int
    moved_at: datetime
    failed_position: int | None
    failure: str | None


def install(deployment: Deployment, ledger: Ledger, models: Sequence[ReadModel]) -> None:
    """Make the models' tables in a ledger, where they are not there yet."""
    with deployment.database.migrating() as connection:
        migrate(connection, ledger.schema, "projections.sql", "migrations")
        for model in models:
            connection.execute(Q["enrol"], {"name": model.name, "version": model.version})


def standings(ledger: Ledger) -> list[Standing]:
    """Return how far each model of a ledger is."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        rows = connection.execute(Q["standings"]).fetchall()
    return [Standing(n, v, p, last - p, at, failed, why) for n, v, p, last, at, failed, why in rows]


def advance(ledger: Ledger, model: ReadModel, now: datetime, limit: int | None = None) -> int:
    """Fold the next batch, of at most `limit` events, into one model and return how many events it held.

    0 means that the model has seen everything, or that another process is moving it.
    """
    with ledger.journal.database.transaction(ledger.schema) as connection:
        row = connection.execute(Q["take"], {"name": model.name}).fetchone()
        if row is None:
            return 0
        batch = [ledger.read(e) for e in ledger.journal.log(row[0], limit=limit or BATCH_EVENTS)]
        if batch:
            model.apply(connection, ledger, batch, now)
            connection.execute(Q["move"], {"name": model.name, "position": batch[-1].position})
        else:
            model.refresh(connection, ledger, now)
        return len(batch)


def catch_up(deployment: Deployment, models: Sequence[ReadModel], clock: Callable[[], datetime]) -> None:
    """Bring every model of every ledger up to the present."""
    for ledger in deployment.ledgers:
        install(deployment, ledger, models)
        for model in models:
            while advance(ledger, model, clock()):
                pass


class Follower:
    """Keeps the models of all ledgers up to date in the background, until it is stopped."""

    def __init__(
        self, deployment: Deployment, models: Sequence[ReadModel], clock: Callable[[], datetime]
    ) -> None:
        self._deployment = deployment
        self._models = models
        self._clock = clock
        self._stop = threading.Event()
        self._installed: set[str] = set()
        self._resume_at: dict[tuple[str, str], datetime] = {}
        self._thread = threading.Thread(target=self._run, name="read models", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop after the batch that is being folded."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                moved = self._round()
            except Exception:  # the database may be away: the follower outlives it
                log.exception("following the log failed; trying again")
                self._stop.wait(RETRY_S)
                continue
            if not moved:
                self._stop.wait(POLL_S)

    def _round(self) -> int:
        moved = 0
        for ledger in self._deployment.ledgers:
            if ledger.region not in self._installed:
                install(self._deployment, ledger, self._models)
                self._installed.add(ledger.region)
            for model in self._models:
                moved += self._step(ledger, model)
        return moved

    def _step(self, ledger: Ledger, model: ReadModel) -> int:
        now = self._clock()
        waiting = self._resume_at.get((ledger.region, model.name))
        if waiting is not None and (now - waiting).total_seconds() < RETRY_S:
            return 0
        try:
            return advance(ledger, model, now)
        except Exception:  # noqa: BLE001 - whatever it is, only this model stops, and right before the event
            return self._up_to_failure(ledger, model, now)

    def _up_to_failure(self, ledger: Ledger, model: ReadModel, now: datetime) -> int:
        """Fold a batch that failed event by event, so that the model stops at the one it can't fold."""
        moved = 0
        try:
            while moved < BATCH_EVENTS and advance(ledger, model, now, limit=1):
                moved += 1
        except Exception as error:  # noqa: BLE001 - as above
            self._resume_at[ledger.region, model.name] = now
            self._report(ledger, model, error)
        return moved

    def _report(self, ledger: Ledger, model: ReadModel, error: Exception) -> None:
        log.error("read model stopped", ledger=ledger.region, model=model.name, exc_info=error)
        with ledger.journal.database.transaction(ledger.schema) as connection:
            row = connection.execute(Q["take"], {"name": model.name}).fetchone()
            if row is not None:
                reason = f"{type(error).__name__}: {error}"[:500]
                connection.execute(Q["fail"], {"name": model.name, "position": row[0] + 1, "failure": reason})
