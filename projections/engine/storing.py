"""Writes a stream's rows, all of them at once, and keeps the digest by which a model's content is known.

A stream's digest is SHA-256 over its rows in canonical form, sorted; a model's is the sum of its streams' digests
modulo 2**256: it does not depend on the order in which streams were folded, and is kept with each batch.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

import orjson
from psycopg import sql
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads

from domain.ledger.database import Connection
from domain.ledger.queries import queries
from projections.engine.model import ReadModel, Row, Rows, Seen, Tables

Q = queries("projections.sql", "engine.sql")
DIGEST_BITS = 256
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
_JSON = (dict, list)
_UTC = timezone.utc  # noqa: UP017 - as everywhere
BINARY_ROWS = (
    100  # so many rows are worth asking for their columns' types: in binary they are copied in half the time
)


class Folded(NamedTuple):
    """A stream as it stands in a model. `due_at`: when it is to be folded again, though nothing happens."""

    seen: Seen
    rows: Rows
    due_at: datetime | None


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(_UTC).isoformat()  # one moment, one text
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no place in a read model's row")


def canonical(value: Any) -> bytes:
    """Return a row's or a JSON value's canonical bytes: keys sorted, moments in UTC."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


set_json_dumps(canonical)
set_json_loads(orjson.loads)


def digest_of(subject: str, tables: Tables) -> bytes:
    """Return the digest (32 bytes) of a stream's rows."""
    lines = sorted(_line(table, row) for table, rows in tables.items() for row in rows)
    return hashlib.sha256(b"\n".join([subject.encode(), *lines])).digest()


def _line(table: str, row: Row) -> bytes:
    """Return a row's canonical bytes behind its table's name, as `canonical` makes them, in half the time."""
    values = [
        v.astimezone(_UTC)
        if (t := type(v)) is datetime
        else orjson.Fragment(canonical(v))
        if t in _JSON
        else v
        for v in row
    ]
    return orjson.dumps([table, *values], default=_plain)


def total(digests: Iterable[bytes], start: bytes = bytes(DIGEST_BITS // 8)) -> bytes:
    """Return the sum of digests, modulo 2**256 (32 bytes)."""
    added = sum((int.from_bytes(d, "big") for d in digests), int.from_bytes(start, "big"))
    return (added % (1 << DIGEST_BITS)).to_bytes(DIGEST_BITS // 8, "big")


def without(start: bytes, digests: Iterable[bytes]) -> bytes:
    """Return a sum of digests after some were taken away from it."""
    left = int.from_bytes(start, "big") - sum(int.from_bytes(d, "big") for d in digests)
    return (left % (1 << DIGEST_BITS)).to_bytes(DIGEST_BITS // 8, "big")


def part_of(subject: str, partitions: int) -> int:
    """Return to which of so many parts a stream belongs, as the query log_of_part splits them."""
    return hashlib.sha256(subject.encode()).digest()[0] % partitions if partitions > 1 else 0


def replace(
    connection: Connection, model: ReadModel, partition: int, folded: Sequence[Folded], digest: bytes
) -> bytes:
    """Put streams' rows in the place of those they had; return the partition's digest after that."""
    if not folded:
        return digest
    subjects = [f.seen.subject for f in folded]
    gone = connection.execute(Q["forget_streams"], {"subjects": subjects}).fetchall()
    if gone:
        for table, _ in model.tables:
            delete = sql.SQL("DELETE FROM {} WHERE subject = ANY(%s)").format(sql.Identifier(table))
            connection.execute(delete, [[subject for subject, _ in gone]])
    return add(connection, model, partition, folded, without(digest, (bytes(d) for _, d in gone)))


def add(
    connection: Connection, model: ReadModel, partition: int, folded: Sequence[Folded], digest: bytes
) -> bytes:
    """Write the rows of streams that have none yet; return the digest after that."""
    for table, row in model.tables:
        _copy(connection, table, row._fields, (r for f in folded for r in f.rows.tables.get(table, ())))
    digests = [digest_of(f.seen.subject, f.rows.tables) for f in folded]
    _copy(
        connection,
        "folded_stream",
        ("subject", "partition", "version", "position", "digest", "due_at"),
        (
            (f.seen.subject, partition, f.seen.version, f.seen.position, own, f.due_at)
            for f, own in zip(folded, digests, strict=True)
        ),
    )
    return total(digests, digest)


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    ready = [tuple(Jsonb(v) if type(v) in _JSON else v for v in row) for row in rows]
    if not ready:
        return
    given = {"table": sql.Identifier(table), "columns": sql.SQL(", ").join(map(sql.Identifier, columns))}
    form, types = sql.SQL("FORMAT TEXT"), list[int]()
    with connection.cursor() as cursor:
        if len(ready) >= BINARY_ROWS:
            cursor.execute(sql.SQL("SELECT {columns} FROM {table} LIMIT 0").format(**given))
            form, types = sql.SQL("FORMAT BINARY"), [c.type_code for c in cursor.description or ()]
        into = sql.SQL("COPY {table} ({columns}) FROM STDIN ({form})").format(**given, form=form)
        with cursor.copy(into) as copy:
            if types:
                copy.set_types(types)
            for row in ready:
                copy.write_row(row)
