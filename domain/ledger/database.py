"""The connection to PostgreSQL: a pool, the roles, and the migrations that keep the schema in step.

Knows nothing of events: only how to reach a schema as the application's role or as the owner.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.ledger.queries import scripts

APP_ROLE = "recount_app"
CONTROL_SCHEMA = "recount"
POOL_MAX = 12  # a process's connections: a dozen busy threads saturate two cores; PostgreSQL allows 100
POOL_WAIT_S = 10.0  # a request that waits longer for a connection is better told to come back
MIGRATION_LOCK = 0x5EC0_0117  # any number, the same in every process: one migrates, the others wait

log = structlog.get_logger(__name__)
Connection = psycopg.Connection[tuple[Any, ...]]


class StorageError(Exception):
    """PostgreSQL can't be used as it is: one line that says what is wrong and what would be right."""


class Database:
    """A pool of connections to one deployment's database.

    `conninfo` is asked anew for each connection: an embedded server may have come back elsewhere.
    """

    def __init__(self, conninfo: Callable[[], str], owner_conninfo: Callable[[], str] | None = None) -> None:
        self._owner_conninfo = owner_conninfo or conninfo
        self._conninfo = conninfo
        self._paths: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()
        self._kept: WeakSet[Connection] = WeakSet()
        self._prepare_roles()
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            conninfo=conninfo,
            min_size=1,
            max_size=POOL_MAX,
            timeout=POOL_WAIT_S,
            kwargs={"autocommit": True},
            configure=self._configure,
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
    def connection(self, schema: str) -> Iterator[Connection]:
        """Lend a connection of the application's role that looks into one schema; autocommit."""
        try:
            with self._pool.connection() as connection:
                if self._paths.get(connection) != schema:
                    connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
                    self._paths[connection] = schema
                yield connection
        except PoolTimeout as error:
            raise StorageError(f"no connection to PostgreSQL within {POOL_WAIT_S:.0f} s") from error

    def keep(self, schema: str) -> Connection:
        """Return a connection as `connection` lends it, to be kept: closed by the caller, or with this."""
        try:
            made = psycopg.connect(self._conninfo(), autocommit=True, row_factory=tuple_row)
        except psycopg.OperationalError as error:
            raise StorageError(f"PostgreSQL can't be reached: {str(error).strip()}") from error
        self._configure(made)
        made.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
        self._kept.add(made)
        return made

    @contextlib.contextmanager
    def transaction(self, schema: str) -> Iterator[Connection]:
        """Lend a connection inside a transaction that commits when the block ends well."""
        with self.connection(schema) as connection, connection.transaction():
            yield connection

    @contextlib.contextmanager
    def owner(self, schema: str | None = None) -> Iterator[Connection]:
        """Lend a connection of the owner, for migrations; autocommit."""
        try:
            connection = psycopg.connect(self._owner_conninfo(), autocommit=True, row_factory=tuple_row)
        except psycopg.OperationalError as error:
            raise StorageError(f"PostgreSQL can't be reached: {str(error).strip()}") from error
        with connection:
            if schema is not None:
                connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
            yield connection

    @contextlib.contextmanager
    def migrating(self, schema: str | None = None) -> Iterator[Connection]:
        """Lend the owner's connection inside a transaction that alone migrates this database."""
        with self.owner(schema) as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            yield connection

    def _configure(self, connection: Connection) -> None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(APP_ROLE)))

    def _prepare_roles(self) -> None:
        """Make the application's role where the server does not have it; another database may just have."""
        for attempt in (1, 2):
            try:
                with self.migrating() as connection:
                    return _grant_role(connection)
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                if attempt == 2:
                    raise
            except psycopg.errors.InsufficientPrivilege as error:
                raise StorageError(
                    f"the database's user may not create the role {APP_ROLE}: "
                    f"let an administrator run CREATE ROLE {APP_ROLE} NOLOGIN; GRANT {APP_ROLE} TO <user>;"
                ) from error
        return None


def _grant_role(connection: Connection) -> None:
    found = connection.execute(
        "SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %s", [APP_ROLE]
    ).fetchone()
    if found == (True,):
        return
    name = sql.Identifier(APP_ROLE)
    if found is None:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))


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
