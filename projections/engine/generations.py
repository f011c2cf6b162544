"""The generations of read models in a ledger: how one is made, which one readers look at, and how far it is.

Each generation stands in a schema of its own beside the ledger's, so that a model is made anew without touching
what is read, and the swap is a change of two rows that no reader waits for.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

import psycopg
import structlog
from psycopg import sql

from domain.ledger.application import Ledger
from domain.ledger.application import Q as LOG
from domain.ledger.database import PROJECTOR, READER, Connection, migrate
from domain.ledger.deployment import Deployment
from projections.engine import views
from projections.engine.model import ReadModel
from projections.engine.storing import Q, total

T = TypeVar("T")
FOLLOWED_EVENTS_MAX = 20_000  # a log of so many events is followed from its beginning in some seconds

log = structlog.get_logger(__name__)


class NotBuiltError(Exception):
    """A model has nothing in this ledger that could be read (yet): one line that says so."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a read model is: `lag` counts the events it has yet to fold, `digest` is its content's.

    From `due_at` on some of its rows read otherwise though nothing happened: once that is past, they are old.
    """

    name: str
    version: int
    position: int
    lag: int
    moved_at: datetime
    failed_position: int | None
    failure: str | None
    digest: str = ""
    generation: int = 0
    due_at: datetime | None = None

    def old_since(self, now: datetime) -> datetime | None:
        """Return since when some of its rows may be old at a moment; None where they are those of that moment."""
        since = [self.moved_at] if self.lag else []
        since += [self.due_at] if self.due_at is not None and self.due_at <= now else []
        return min(since, default=None)


class Making(NamedTuple):
    """A model that is being made anew: `events_done` of `events` are folded; where and why it stopped, if it did."""

    name: str
    version: int
    events_done: int
    events: int
    failed_position: int | None
    failure: str | None


class Made(NamedTuple):
    """A generation that was just made, and the schema of its tables."""

    generation: int
    schema: str


def install(deployment: Deployment, ledger: Ledger, models: Sequence[ReadModel]) -> None:
    """Make what models need in a ledger, where it is not there yet.

    A model's first generation is live at once and follows the log; where that is long already, it is left to a
    rebuild, which is faster.
    """
    with deployment.database.migrating() as connection:
        migrate(connection, ledger.schema, "projections.sql", "migrations")
        views.install(connection, ledger.schema)
        there = {model for model, *_ in connection.execute(Q["models"])}
        last = connection.execute(LOG["last_position"]).fetchone()
        for model in models:
            if model.name not in there and (last is None or last[0] <= FOLLOWED_EVENTS_MAX):
                make(connection, ledger, model, "live")
            try:
                with connection.transaction():
                    views.show(connection, ledger.schema, model.name, wanted=model.for_billing)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DependentObjectsStillExist) as error:
                log.warning(
                    "views left as they are", ledger=ledger.region, model=model.name, error=str(error)
                )


def outdated(ledger: Ledger, models: Sequence[ReadModel]) -> list[ReadModel]:
    """Return the models whose live generation an older version made, or which have none: they are to be rebuilt."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        live = {
            model: version for model, _, version, state in connection.execute(Q["models"]) if state == "live"
        }
    return [m for m in models if m.name not in live or live[m.name] < m.version]


def make(
    connection: Connection,
    ledger: Ledger,
    model: ReadModel,
    state: str,
    *,
    position: int = 0,
    partitions: int = 1,
) -> Made:
    """Make a generation's schema and empty tables, inside the caller's migrating transaction."""
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(ledger.schema)))
    given = {
        "model": model.name,
        "version": model.version,
        "state": state,
        "position": position,
        "partitions": partitions,
    }
    row = connection.execute(Q["make_generation"], given).fetchone()
    assert row is not None
    made = Made(*row)
    connection.execute(Q["make_partitions"], {"generation": made.generation, **given})
    schema = sql.Identifier(made.schema)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(schema))
    connection.execute(Q["folded_stream"])
    connection.execute(model.script())
    names = {"schema": schema, "projector": sql.Identifier(PROJECTOR), "reader": sql.Identifier(READER)}
    connection.execute(
        sql.SQL(
            "GRANT USAGE ON SCHEMA {schema} TO {projector}, {reader};"
            " GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {projector};"
            " GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}"
        ).format(**names)
    )
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(ledger.schema)))
    return made


def look_at(connection: Connection, schema: str, ledger_schema: str) -> None:
    """Look into a generation's schema, then the ledger's, for the rest of this transaction."""
    names = sql.SQL(", ").join(map(sql.Identifier, (schema, ledger_schema)))
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(names))


def generation_of(connection: Connection, model: ReadModel) -> int | None:
    """Return the live generation that this version of a model made, if there is one."""
    row = connection.execute(Q["current"], {"model": model.name, "version": model.version}).fetchone()
    return row[0] if row else None


# -- reading ------------------------------------------------------------------------------------------------


def reading(ledger: Ledger, name: str, ask: Callable[[Connection], T]) -> T:
    """Ask something of a model's live tables, in one snapshot; its tables are found by their plain names.

    A swap meanwhile changes nothing: the snapshot stays with the generation it began with. Raises NotBuiltError
    where no generation is live, or the live one is of another version whose tables can't answer this.
    """
    for attempt in (1, 2):
        try:
            with snapshot(ledger, name) as connection:
                return ask(connection)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            if attempt == 2:  # the first time the generation may just have been dropped under a slow reader
                raise NotBuiltError(f"{name} is being made in the ledger {ledger.region}") from error
    raise AssertionError("unreachable")


@contextlib.contextmanager
def snapshot(ledger: Ledger, name: str) -> Iterator[Connection]:
    """Lend a connection that looks into a model's live tables, in one read-only snapshot; raises NotBuiltError."""
    with ledger.journal.database.transaction(ledger.schema) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        try:
            live = connection.execute(Q["live"], {"model": name}).fetchone()
        except psycopg.errors.UndefinedTable:  # no follower has been here yet
            live = None
        if live is None:
            raise NotBuiltError(f"{name} is being made in the ledger {ledger.region}")
        yield connection


def makings(ledger: Ledger) -> list[Making]:
    """Return which models of a ledger are being made anew; none before the first follower has come."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        try:
            return [Making(*row) for row in connection.execute(Q["makings"])]
        except psycopg.errors.UndefinedTable:
            return []


def standings(ledger: Ledger) -> list[Standing]:
    """Return how far each live model of a ledger is: as far as the part of it that is furthest behind.

    A ledger to which no follower has come yet has none: whoever asks learns that, and is not told of a missing table.
    """
    with ledger.journal.database.connection(ledger.schema) as connection:
        try:
            return standings_on(connection)
        except psycopg.errors.UndefinedTable:
            return []


def standings_on(connection: Connection) -> list[Standing]:
    """Return how far each live model is, on a connection that looks into its ledger."""
    found: dict[str, Standing] = {}
    for (
        name,
        version,
        generation,
        position,
        last,
        moved_at,
        failed,
        why,
        digest,
        due_at,
    ) in connection.execute(Q["standings"]):
        other = found.get(name)
        if other is None:
            found[name] = Standing(
                name,
                version,
                position,
                last - position,
                moved_at,
                failed,
                why,
                digest.hex(),
                generation,
                due_at,
            )
        else:
            behind = min(position, other.position)
            found[name] = Standing(
                name,
                version,
                behind,
                last - behind,
                min(moved_at, other.moved_at),
                other.failed_position or failed,
                other.failure or why,
                total([digest], bytes.fromhex(other.digest)).hex(),
                generation,
                min(filter(None, (due_at, other.due_at)), default=None),
            )
    return list(found.values())
