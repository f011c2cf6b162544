"""Rows of the log as COPY takes them in binary: encoded by hand, ahead of their place, and sent in one go.

What an event brings along (its columns) is encoded where it is read; its place (position, version, digest) is put in
front of it once it is known. Source of the forms: PostgreSQL's documentation of COPY's binary format, and each
type's receive function.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
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
_PLACE = Struct("!hiqiq").pack  # how many columns, position, appended_at
_PROOF = Struct("!iii32si").pack  # version, digest, and the length of state
_MOMENTS = Struct("!iqiqi32s").pack  # occurred_at, recorded_at, fingerprint
_COLUMNS = 12


class Row(NamedTuple):
    """An event that is to be appended: its place in its stream, its stored bytes, its columns."""

    version: int
    digest: bytes
    state: bytes
    columns: bytes
    """Subject, type, source, id, occurred_at, recorded_at and fingerprint, encoded in this order."""


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


def moments_and_proof(occurred: int, recorded: int, fingerprint: bytes) -> bytes:
    """Return the columns occurred_at, recorded_at and fingerprint."""
    return _MOMENTS(8, occurred, 8, recorded, 32, fingerprint)


def copy_in(connection: Connection, rows: Sequence[Row], links: Sequence[Link]) -> None:
    """Append rows, in order, as the last thing the caller's transaction does: from here on the counter is held.

    Raises IntegrityError where a version or an id stands already.
    """
    if not rows:
        return
    parts: list[bytes] = [b""] * (4 * len(rows))
    parts[1::4] = [_PROOF(4, version, 32, digest, len(state)) for version, digest, state, _ in rows]
    parts[2::4] = [row.state for row in rows]
    parts[3::4] = [row.columns for row in rows]
    claimed = connection.execute(Q["claim"], {"count": len(rows)}).fetchone()
    assert claimed is not None, "a ledger's counter has one row"
    base, appended_at = claimed[0], microseconds(claimed[1])
    add_links(connection, links)  # under the counter's lock: before it, two writers could deadlock here
    parts[0::4] = [
        _PLACE(_COLUMNS, 8, position, 8, appended_at) for position in range(base + 1, base + 1 + len(rows))
    ]
    try:
        with connection.cursor().copy(Q["copy_events"]) as copy:
            copy.write(b"".join((_SIGNATURE, *parts, _TRAILER)))
    except psycopg.errors.UniqueViolation as error:
        raise IntegrityError(f"another writer was first: {error.diag.constraint_name}") from error


def add_links(connection: Connection, links: Sequence[Link]) -> None:
    """Keep which streams speak of which."""
    if links:
        subjects, related, occurred = (list(column) for column in zip(*links, strict=True))
        given = {"subjects": subjects, "related": related, "occurred": occurred}
        connection.execute(Q["add_links"], given)
