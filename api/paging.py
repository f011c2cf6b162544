"""How a caller goes through a long list: a sort by one of its columns, and a cursor that is checked when it comes back.

A cursor is opaque and says how the list is sorted and after which row the next page begins (`projections.paging`). It
is no secret: whoever makes one up gets another page of the same list.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import timezone
from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import Query

from domain.events.fields import TEXT_MAX_CHARS, MalformedError, parse_day, parse_instant
from domain.ledger.recorder import POSITION_MAX
from projections.paging import Column, Order, Place, place_of

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000  # rows in an answer: some 1 MB of JSON
CURSOR_MAX_CHARS = 1_500  # five values, of which the longest are ids of 128 characters of 4 bytes each

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
After = Annotated[
    str | None,
    Query(
        max_length=CURSOR_MAX_CHARS, pattern=r"^[A-Za-z0-9_-]+$", description="the `next` of the page before"
    ),
]


class Wanted(NamedTuple):
    """Which part of a list is asked for: the query's `sort`, `after` and `limit`, read."""

    order: Order
    place: Place | None
    limit: int

    @property
    def paged(self) -> tuple[Order, Place | None, int]:
        """The same, with one row more than wanted, which tells whether there is another page."""
        return self.order, self.place, self.limit + 1


def wanted(
    sort: str, after: str | None, limit: int, columns: Mapping[str, Column], key: Sequence[Column]
) -> Wanted:
    """Return the part of a list that is asked for; raises MalformedError. A sort with - before it is descending."""
    order = Order(columns[sort.removeprefix("-")], sort.startswith("-"), tuple(key))
    return Wanted(order, _place(after, sort, order) if after is not None else None, limit)


def cut(rows: list[dict[str, Any]], sort: str, part: Wanted) -> tuple[list[dict[str, Any]], str | None]:
    """Return the rows of the page, and the cursor of the next one, None at the end of the list."""
    shown = rows[: part.limit]
    if len(rows) <= part.limit:
        return shown, None
    text = orjson.dumps([sort, *place_of(shown[-1], part.order)])
    return shown, base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _place(cursor: str, sort: str, order: Order) -> Place:
    wrong = MalformedError("after", "should be the `next` of the page before, with the sort unchanged")
    try:
        read = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise wrong from error
    columns = (order.by, *order.key)
    if not isinstance(read, list) or len(read) != len(columns) + 1 or read[0] != sort:
        raise wrong
    try:
        place = tuple(_value(value, column) for value, column in zip(read[1:], columns, strict=True))
    except ValueError as error:
        raise wrong from error
    if any(value is None for value in place[1:]):  # only what a list is sorted by may be absent
        raise wrong
    return place


def _value(value: Any, column: Column) -> str | None:
    """Return a value as the database takes it for a column; raises ValueError where it is none of the column's."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > TEXT_MAX_CHARS or "\0" in value:
        raise ValueError("no value of a column")
    match column.type:
        case "bigint":
            if not value.isascii() or abs(int(value)) > POSITION_MAX:
                raise ValueError("no number of a column")
            return str(int(value))
        case "date":
            return parse_day(value).isoformat()
        case "timestamptz":
            # in UTC: the database knows no offsets of 16 hours and more
            return parse_instant(value).astimezone(timezone.utc).isoformat()  # noqa: UP017 - as everywhere
        case _:
            return value
