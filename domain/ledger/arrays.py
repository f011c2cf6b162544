"""Values and columns of many rows as PostgreSQL takes them in binary, made in one go.

psycopg's own dumper of lists looks at every element several times, which costs more than all else in an append.
Source of the forms: PostgreSQL's array_recv (src/backend/utils/adt/arrayfuncs.c) and each type's receive function.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEADER = Struct("!iiIii").pack
_LENGTH = Struct("!i").pack
_BIGINT = Struct("!q").pack
_INTEGER = Struct("!ii").pack
_MOMENT = Struct("!iq").pack
_EMPTY_BYTES = 12  # the header of an array without elements has no dimension


def texts(values: Sequence[str]) -> bytes:
    """Return a text[]."""
    return binaries([v.encode() for v in values], oid=25)


def binaries(values: Sequence[bytes], oid: int = 17) -> bytes:
    """Return a bytea[], or an array of another type whose elements are encoded already."""
    parts: list[bytes] = []
    for value in values:
        parts += (_LENGTH(len(value)), value)
    return _array(parts, oid, len(values))


def integers(values: Sequence[int]) -> bytes:
    """Return an integer[]."""
    return _array([_INTEGER(4, v) for v in values], 23, len(values))


def moments(values: Sequence[datetime]) -> bytes:
    """Return a timestamptz[] of aware moments."""
    return _array([_MOMENT(8, (v - _EPOCH) // _MICROSECOND) for v in values], 1184, len(values))


def moment(value: datetime) -> bytes:
    """Return a timestamptz of an aware moment."""
    return _BIGINT((value - _EPOCH) // _MICROSECOND)


def bigint(value: int) -> bytes:
    """Return a bigint."""
    return _BIGINT(value)


def _array(parts: Sequence[bytes], oid: int, count: int) -> bytes:
    if not count:
        return _HEADER(0, 0, oid, 0, 0)[:_EMPTY_BYTES]
    return _HEADER(1, 0, oid, count, 1) + b"".join(parts)
