"""Columns of many rows as PostgreSQL takes them in binary, made in one go.

psycopg's own dumper of lists looks at every element several times, which costs more than all else in an append.
Source of the form: PostgreSQL, array_recv in src/backend/utils/adt/arrayfuncs.c, and the receive function of each type.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

from psycopg.adapt import Buffer, Dumper, PyFormat
from psycopg.pq import Format

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEADER = Struct("!iiIii").pack
_LENGTH = Struct("!i").pack
_INTEGER = Struct("!ii").pack
_MOMENT = Struct("!iq").pack


class Column:
    """An array without nulls, encoded: its bytes, and what they are an array of."""

    __slots__ = ("data", "oid")

    def __init__(self, data: bytes, oid: int) -> None:
        self.data = data
        self.oid = oid


def texts(values: Sequence[str]) -> Column:
    """Return a text[]."""
    return _column([v.encode() for v in values], 25, 1009)


def binaries(values: Sequence[bytes]) -> Column:
    """Return a bytea[]."""
    return _column(values, 17, 1001)


def integers(values: Sequence[int]) -> Column:
    """Return an integer[]."""
    return _joined([_INTEGER(4, v) for v in values], 23, 1007)


def moments(values: Sequence[datetime]) -> Column:
    """Return a timestamptz[] of aware moments."""
    return _joined([_MOMENT(8, (v - _EPOCH) // _MICROSECOND) for v in values], 1184, 1185)


def _column(values: Sequence[bytes], element: int, oid: int) -> Column:
    parts: list[bytes] = []
    for value in values:
        parts += (_LENGTH(len(value)), value)
    return _joined(parts, element, oid, len(values))


def _joined(parts: list[bytes], element: int, oid: int, count: int | None = None) -> Column:
    count = len(parts) if count is None else count
    header = _HEADER(1, 0, element, count, 1) if count else _HEADER(0, 0, element, 0, 0)[:12]
    return Column(header + b"".join(parts), oid)


class ColumnDumper(Dumper):
    """Hands a column over as it is."""

    format = Format.BINARY

    def dump(self, obj: Column) -> Buffer:
        """Return the column's bytes."""
        return obj.data

    def get_key(self, obj: Column, format: PyFormat) -> Any:  # noqa: A002, ARG002
        """Return what tells columns of different types apart."""
        return Column, obj.oid

    def upgrade(self, obj: Column, format: PyFormat) -> Dumper:  # noqa: A002, ARG002
        """Return a dumper of the column's own type."""
        made = ColumnDumper(Column, None)
        made.oid = obj.oid
        return made
