"""Rows of the log as COPY takes them in binary: encoded by hand, ahead of their place, and sent as they are made.

What an event brings along (its columns) is encoded where it is read; its place (position, version, digest) is put in
front of it once it is known. Source of the forms: PostgreSQL's documentation of COPY's binary format, and each
type's receive function.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from struct import Struct
from typing import NamedTuple

import psycopg
from eventsourcing.persistence import IntegrityError

from domain.ledger.database import Connection
from domain.ledger.queries import queries

Q = queries("domain.ledger.sql", "queries.sql")

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""What PostgreSQL counts the microseconds of a timestamptz from."""
_MICROSECOND = timedelta(microseconds=1)
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_LENGTH = Struct("!i").pack
_PLACE = Struct("!hiqiqiii32si").pack  # the number of columns; the first five, and the length of state
_MOMENTS = Struct("!iqiqi32s").pack  # occurred_at, recorded_at, fingerprint
_COLUMNS = 12
ROWS_AT_ONCE = 400  # some 250 KB: what a socket holds, so that the server is at work while the next are made

Row = tuple[int, bytes, bytes, bytes]
"""An event that is to be appended: version, digest and stored bytes, and its columns: subject, type, source, id,
occurred_at, recorded_at and fingerprint, encoded in this order."""


class Link(NamedTuple):
    """That a stream speaks of another."""

    subject: str
    related: str
    occurred_at: datetime


def microseconds(moment: datetime) -> int:
    """Return an aware moment as PostgreSQL counts it."""
    return (moment - EPOCH) // _MICROSECOND


def text(value: str) -> bytes:
    """Return a text column."""
    encoded = value.encode()
    return _LENGTH(len(encoded)) + encoded


def columns(heading: bytes, event_id: str, occurred: int, recorded: int, fingerprint: bytes) -> bytes:
    """Return what an event brings along; `heading`: its subject, type and source, one `text` after the other."""
    encoded = event_id.encode()
    moments = _MOMENTS(8, occurred, 8, recorded, 32, fingerprint)
    return b"".join((heading, _LENGTH(len(encoded)), encoded, moments))


def copy_in(connection: Connection, count: int, rows: Iterator[Row], links: Sequence[Link]) -> None:
    """Append so many rows, in order, as the last thing the caller's transaction does: from here on the counter is held.

    They are made while the server takes in those before them. Raises IntegrityError where a version or an id stands
    already.
    """
    if not count:
        return
    claimed = connection.execute(Q["claim"], {"count": count}).fetchone()
    assert claimed is not None, "a ledger's counter has one row"
    base, appended_at = claimed[0], microseconds(claimed[1])
    add_links(connection, links)  # under the counter's lock: before it, two writers could deadlock here
    placed = enumerate(rows, base + 1)
    try:
        with connection.cursor().copy(Q["copy_events"]) as copy:
            copy.write(_SIGNATURE)
            while parts := [
                part
                for position, (version, digest, state, columns) in islice(placed, ROWS_AT_ONCE)
                for part in (
                    _PLACE(_COLUMNS, 8, position, 8, appended_at, 4, version, 32, digest, len(state)),
                    state,
                    columns,
                )
            ]:
                copy.write(b"".join(parts))
            copy.write(_TRAILER)
    except psycopg.errors.UniqueViolation as error:
        raise IntegrityError(f"another writer was first: {error.diag.constraint_name}") from error


def add_links(connection: Connection, links: Sequence[Link]) -> None:
    """Keep which streams speak of which."""
    if links:
        subjects, related, occurred = (list(column) for column in zip(*links, strict=True))
        given = {"subjects": subjects, "related": related, "occurred": occurred}
        connection.execute(Q["add_links"], given)
