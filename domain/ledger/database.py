"""The connection to PostgreSQL: a pool, the roles, and the migrations that keep the schema in step.

Knows nothing of events: only how to reach a schema as one of the service's roles or as the owner.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.ledger.queries import scripts

WRITER = "recount_writer"
"""Appends: events, links, receipts, keys, the queue of notices. Changes nothing that stands in the log."""
PROJECTOR = "recount_projector"
"""Reads the log and writes read models; keys, receipts and the deployment's secret are not its business."""
READER = "recount_reader"
"""Reads the log and the read models for those who ask, and writes nothing."""
APP_ROLE = "recount_app"
"""The group through which the service's user may act as these three; it may do nothing of its own."""
ROLES = (WRITER, PROJECTOR, READER)
CONTROL_SCHEMA = "recount"
POOL_MAX = 12  # a process's connections: a dozen busy threads saturate two cores; PostgreSQL allows 100
POOL_WAIT_S = 10.0  # a request that waits longer for a connection is better told to come back
SETTABLE_SINCE = 160_000  # PostgreSQL 16
LOCK_WAIT_S = 20  # a writer that waits longer is behind somebody who will not give the lock back by himself
SILENCE_S = 10  # a transaction that says nothing for so long lost its client: the server gives its locks back
KEEPALIVE = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""A network that swallows everything is noticed within half a minute, where the conninfo says nothing else."""
MIGRATION_LOCK = 0x5EC0_0117  # any number, the same in every process: one migrates, the others wait

log = structlog.get_logger(__name__)
Connection = psycopg.Connection[tuple[Any, ...]]


class StorageError(Exception):
    """PostgreSQL can't be used as it is: one line that says what is wrong and what would be right."""


class Database:
    """A pool of connections to one deployment's database.

    `conninfo` is asked anew for each connection: an embedded server may have come back elsewhere.
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        owner_conninfo: Callable[[], str] | None = None,
        answer_max_s: float | None = None,
    ) -> None:
        """`answer_max_s` bounds a reader's statement: who waits longer at a service is better told so."""
        self._answer_max_ms = round((answer_max_s or 0) * 1000)
        self._owner_conninfo = owner_conninfo or conninfo
        self._conninfo = conninfo
        self._acting: WeakKeyDictionary[Connection, tuple[str, str]] = WeakKeyDictionary()
        self._kept: WeakSet[Connection] = WeakSet()
        self._prepare_roles()
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            conninfo=conninfo,
            min_size=1,
            max_size=POOL_MAX,
            timeout=POOL_WAIT_S,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            open=True,
            name="recount",
        )

    def conninfos(self) -> tuple[str, str]:
        """Return how the service's user and the owner reach it now, for a process of our own."""
        return self._conninfo(), self._owner_conninfo()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        for connection in list(self._kept):
            connection.close()

    @contextlib.contextmanager
    def connection(self, schema: str, role: str = READER) -> Iterator[Connection]:
        """Lend a connection that acts as one of the roles and looks into one schema; autocommit."""
        try:
            with self._pool.connection() as connection:
                if self._acting.get(connection) != (role, schema):
                    self._acting.pop(connection, None)
                    _act(connection, role, schema, self._answer_max_ms if role == READER else 0)
                    self._acting[connection] = role, schema
                yield connection
        except PoolTimeout as error:
            raise StorageError(f"no connection to PostgreSQL within {POOL_WAIT_S:.0f} s") from error

    def keep(self, schema: str, role: str) -> Connection:
        """Return a connection as `connection` lends it, to be kept: closed by the caller, or with this.

        Who waits for a lock on it waits a bounded time; who holds one and was cut off loses it within less.
        """
        if self._pool.closed:
            raise StorageError("the database was closed: nothing is written any more")
        made = _connect(make_conninfo("", **{**KEEPALIVE, **conninfo_to_dict(self._conninfo())}))
        try:
            _act(made, role, schema)
            made.execute(sql.SQL("SET lock_timeout TO {}").format(sql.Literal(f"{LOCK_WAIT_S}s")))
            made.execute(
                sql.SQL("SET idle_in_transaction_session_timeout TO {}").format(sql.Literal(f"{SILENCE_S}s"))
            )
        except psycopg.Error:
            made.close()
            raise
        self._kept.add(made)
        return made

    @contextlib.contextmanager
    def transaction(self, schema: str, role: str = READER) -> Iterator[Connection]:
        """Lend a connection inside a transaction that commits when the block ends well."""
        with self.connection(schema, role) as connection, connection.transaction():
            yield connection

    @contextlib.contextmanager
    def owner(self, schema: str | None = None) -> Iterator[Connection]:
        """Lend a connection of the owner, for migrations; autocommit."""
        with _connect(self._owner_conninfo()) as connection:
            if schema is not None:
                connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
            yield connection

    @contextlib.contextmanager
    def migrating(self, schema: str | None = None) -> Iterator[Connection]:
        """Lend the owner's connection inside a transaction that alone migrates this database."""
        with self.owner(schema) as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            yield connection

    def _prepare_roles(self) -> None:
        """Let the service's user act as each role, making those the server does not have."""
        with _connect(self._conninfo()) as connection:
            lacking = _lacking(connection)
            row = connection.execute("SELECT current_user").fetchone()
        if not lacking or row is None:
            return
        try:
            try:
                self._make_roles(lacking, row[0])
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                self._make_roles(lacking, row[0])  # another database of the server just made them too
        except psycopg.errors.InsufficientPrivilege as error:
            with self.owner() as owner:
                said = "; ".join(s.as_string(owner) for s in _to_make(owner, lacking, row[0]))
            raise StorageError(
                f"the database's user may not make the roles it acts as: let an administrator run {said};"
            ) from error

    def _make_roles(self, lacking: Sequence[str], user: str) -> None:
        with self.migrating() as owner:
            for statement in _to_make(owner, lacking, user):
                owner.execute(statement)


def _connect(conninfo: str) -> Connection:
    try:
        return psycopg.connect(conninfo, autocommit=True, row_factory=tuple_row)
    except psycopg.OperationalError as error:
        raise StorageError(f"PostgreSQL can't be reached: {str(error).strip()}") from error
    except (psycopg.ProgrammingError, ValueError):  # what they say may quote a password
        raise StorageError(
            "the database's address (DATABASE_URL, RECOUNT_OWNER_URL) can't be read: it should be as"
            " postgresql://USER:PASSWORD@HOST:5432/NAME, with %40 for an @ in a name or password"
        ) from None


def _act(connection: Connection, role: str, schema: str, statement_max_ms: int = 0) -> None:
    """Act as a role and look into a schema, in one round trip; a statement may take so long, or any time for 0."""
    path = sql.Identifier(schema).as_string(connection)
    connection.execute(
        "SELECT set_config('role', %s, false), set_config('search_path', %s, false),"
        " set_config('statement_timeout', %s, false)",
        [role, path, str(statement_max_ms)],
    )


def _lacking(connection: Connection) -> list[str]:
    """Return the roles that a connection's user may not act as, or that are not there."""
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone()
    if found is None:  # it holds nothing any more, but older migrations speak of it
        return list(ROLES)
    # Since PostgreSQL 16 a member may be one that can't act as the role: whoever made it, for one.
    may = "SET" if connection.info.server_version >= SETTABLE_SINCE else "MEMBER"
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND pg_has_role(oid, %s)", [list(ROLES), may]
    )
    there = {name for (name,) in rows}
    return [role for role in ROLES if role not in there]


def _to_make(connection: Connection, lacking: Sequence[str], user: str) -> list[sql.Composed]:
    """Return what has to be run, by somebody who may, for a user to act as the roles it lacks."""
    wanted = [*lacking, APP_ROLE]
    rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [wanted])
    there = {name for (name,) in rows}
    made = [
        # It does not inherit: what one of the roles may, only a session may that acts as it.
        sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(sql.Identifier(role))
        for role in wanted
        if role not in there
    ]
    roles = sql.SQL(", ").join(map(sql.Identifier, lacking))
    made.append(sql.SQL("GRANT {} TO {}").format(roles, sql.Identifier(APP_ROLE)))
    made.append(sql.SQL("GRANT {} TO {}").format(sql.Identifier(APP_ROLE), sql.Identifier(user)))
    return made


def migrate(connection: Connection, schema: str, package: str, folder: str) -> list[str]:
    """Bring one schema up to date and return the names of the scripts that ran.

    Runs inside the caller's migrating transaction. Scripts are plain SQL, forward only, in the order of
    their names; each runs once. Raises StorageError where the schema is newer than this program.
    """
    name = sql.Identifier(schema)
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (folder text, name text, applied_at timestamptz NOT NULL"
        " DEFAULT clock_timestamp(), PRIMARY KEY (folder, name))"
    )
    done = {n for (n,) in connection.execute("SELECT name FROM migration WHERE folder = %s", [folder])}
    available = scripts(package, folder)
    unknown = done - {n for n, _ in available}
    if unknown:
        raise StorageError(
            f"the schema {schema} was migrated by a newer version of Recount ({max(unknown)}): run that version"
        )
    ran = []
    for script, text in available:
        if script not in done:
            connection.execute(sql.SQL(text))  # our own file, not a built string
            connection.execute("INSERT INTO migration (folder, name) VALUES (%s, %s)", [folder, script])
            ran.append(script)
    if ran:
        log.info("schema migrated", schema=schema, scripts=ran)
    return ran
