"""The views through which billing systems read a ledger's models, in a schema of their own, by a role of their own.

A view reads every generation that some snapshot may take for the live one, and only that which the reader's own
snapshot says is live: so a swap stays a change of two rows, and whoever reads sees the old rows or the new ones,
in every view alike. A view is replaced before the swap, and again before an old generation is dropped.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psycopg
import structlog
from psycopg import sql

from domain.ledger.database import Connection
from domain.ledger.queries import queries

READER_ROLE = "recount_billing"
SUFFIX = "_billing"
LOCK_WAIT_MS = 100  # replacing a view waits so long for its readers, and no new reader waits longer for that

Q = queries("projections.sql", "views.sql")
log = structlog.get_logger(__name__)


class Column(NamedTuple):
    """A column of a view: its type and comment are those of the newest generation that has it."""

    name: str
    type: str
    comment: str


class _Wanted(NamedTuple):
    """A view as it should be. `sources`: the generations that have the table, each with its columns' types."""

    name: str
    table: str
    comment: str
    columns: Sequence[Column]
    sources: Mapping[int, tuple[str, Mapping[str, str]]]


def schema_of(ledger_schema: str) -> str:
    """Return the schema of a ledger's views."""
    return ledger_schema + SUFFIX


def name_of(model: str, table: str) -> str:
    """Return the name under which others know a model's table: the model's stands in front, unless it does anyway.

    So billing_status and statement_line keep their names, and two models may each have a table `person`.
    """
    return table if table.startswith(model.removesuffix("s")) else f"{model}_{table}"


def install(connection: Connection, ledger_schema: str) -> None:
    """Make the schema, what stands in it beside the models' views, and the role, where they are not there yet.

    Runs inside the caller's migrating transaction. Where the role is missing and may not be made, all but its grants
    stands, and one line of the log says what an administrator is to do.
    """
    views = schema_of(ledger_schema)
    row = connection.execute(Q["installed"], {"views": views}).fetchone()
    if row != (True,):
        names = {"ledger": sql.Identifier(ledger_schema), "views": sql.Identifier(views)}
        connection.execute(Q["install"].format(**names))
    _grant(connection, views)


def _grant(connection: Connection, views: str) -> None:
    """Let the role read the views and nothing else."""
    row = connection.execute(Q["may_read"], {"views": views, "role": READER_ROLE}).fetchone()
    there, may = row or (False, False)
    if may or not (there or _role_made(connection)):
        return
    names = {"views": sql.Identifier(views), "role": sql.Identifier(READER_ROLE)}
    connection.execute(
        sql.SQL(
            "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {views} FROM PUBLIC;"
            " GRANT USAGE ON SCHEMA {views} TO {role};"
            " GRANT SELECT ON ALL TABLES IN SCHEMA {views} TO {role};"
            " GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {views} TO {role}"
        ).format(**names)
    )


def _role_made(connection: Connection) -> bool:
    """Make the role; another database of the server may just have. Whether it is there."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(READER_ROLE)))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        pass
    except psycopg.errors.InsufficientPrivilege:
        hint = (
            f"let an administrator run CREATE ROLE {READER_ROLE} NOLOGIN; the next start grants it the views"
        )
        log.warning("the database's user may not create the role of billing systems", hint=hint)
        return False
    return True


# -- a model's views ----------------------------------------------------------------------------------------


def show(connection: Connection, ledger_schema: str, model: str, *, wanted: bool = True) -> None:
    """Let a model's views read what they should: one a table, made, replaced or dropped where they do not.

    Runs inside the caller's migrating transaction, which looks into the ledger's schema and from here on waits for no
    lock longer than LOCK_WAIT_MS. Raises LockNotAvailable where somebody reads a view that is to be replaced,
    DependentObjectsStillExist where somebody's own view hangs on a column that goes: then the caller's transaction is
    over, and may be tried again.
    """
    views = schema_of(ledger_schema)
    given = {"model": model, "views": views}
    there = {
        name: (list(generations), [tuple(c) for c in columns])
        for name, generations, columns in connection.execute(Q["shown"], given)
    }
    should = {view.name: view for view in _should(connection, model)} if wanted else {}
    stale = [view for view in should.values() if there.get(view.name, ([],))[0] != list(view.sources)]
    gone = sorted(set(there) - set(should))
    if not stale and not gone:
        return
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_WAIT_MS}ms")))
    for name in gone:
        connection.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(views, name)))
    for view in stale:
        columns = [(c.name, c.type) for c in view.columns]
        before = there.get(view.name, ([], []))[1]
        if columns[: len(before)] != before:
            connection.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(views, view.name)))
        _make(connection, ledger_schema, model, view)
    _grant(connection, views)


def is_shown(connection: Connection, ledger_schema: str, model: str) -> bool:
    """Return whether there are views of a model."""
    given = {"model": model, "views": schema_of(ledger_schema)}
    return connection.execute(Q["shown"], given).fetchone() is not None


def readers(connection: Connection, ledger_schema: str) -> list[int]:
    """Return the server processes that hold views of a ledger: those for which a replacement waits."""
    given = {"views": schema_of(ledger_schema)}
    return [pid for (pid,) in connection.execute(Q["readers"], given)]


def _should(connection: Connection, model: str) -> list[_Wanted]:
    """Return a model's views as they should be: the newest generation's columns, then those only older ones have."""
    generations = connection.execute(Q["readable"], {"model": model}).fetchall()
    described = connection.execute(
        Q["columns"], {"schemas": [schema for *_, schema in generations]}
    ).fetchall()
    found: list[_Wanted] = []
    for table in sorted({row[1] for row in described}):
        columns: dict[str, Column] = {}
        sources: dict[int, tuple[str, Mapping[str, str]]] = {}
        about, version = "", 0
        for generation, made_by, schema in generations:
            own = [row for row in described if row[:2] == (schema, table)]
            if not own:
                continue
            if not sources:
                about, version = own[0][5] or "", made_by
            sources[generation] = (schema, {name: kind for _, _, name, kind, *_ in own})
            for _, _, name, kind, comment, _ in own:
                columns.setdefault(name, Column(name, kind, comment or ""))
        comment = (
            f"{about} From version {version} of the read model {model}: as it reads now, as far as the view"
            " freshness says; what a later day alone changes is changed when that day comes."
        )
        found.append(_Wanted(name_of(model, table), table, comment.strip(), list(columns.values()), sources))
    return found


def _make(connection: Connection, ledger_schema: str, model: str, view: _Wanted) -> None:
    """Make or replace a view, with every comment."""
    name = sql.Identifier(schema_of(ledger_schema), view.name)
    branches = [_branch(ledger_schema, model, view, generation) for generation in view.sources]
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(name, sql.SQL(" UNION ALL ").join(branches))
    )
    comments = [sql.SQL("COMMENT ON VIEW {} IS {}").format(name, sql.Literal(view.comment))]
    comments += [
        sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(name, sql.Identifier(c.name), sql.Literal(c.comment))
        for c in view.columns
    ]
    connection.execute(sql.SQL("; ").join(comments))


def _branch(ledger_schema: str, model: str, view: _Wanted, generation: int) -> sql.Composed:
    """Return the select of one generation's rows; PostgreSQL looks once whether to run it at all.

    A column that this generation lacks, or has with another type, is empty in its rows.
    """
    schema, types = view.sources[generation]
    columns = [
        sql.SQL("t.{}").format(sql.Identifier(c.name))
        if types.get(c.name) == c.type
        else sql.SQL("NULL::{} AS {}").format(sql.SQL(c.type), sql.Identifier(c.name))
        for c in view.columns
    ]
    others = sql.SQL("").join(
        sql.SQL(" WHEN {} THEN false").format(sql.Literal(other))
        for other in view.sources
        if other != generation
    )
    return sql.SQL(
        "SELECT {columns} FROM {table} AS t WHERE CASE"
        " (SELECT g.generation FROM {generations} AS g WHERE g.model = {model} AND g.state = 'live')"
        " WHEN {generation} THEN true{others} ELSE {made_anew}({model}) END"
    ).format(
        columns=sql.SQL(", ").join(columns),
        table=sql.Identifier(schema, view.table),
        generations=sql.Identifier(ledger_schema, "read_model_generation"),
        model=sql.Literal(model),
        generation=sql.Literal(generation),
        others=others,
        made_anew=sql.Identifier(schema_of(ledger_schema), "made_anew"),
    )
