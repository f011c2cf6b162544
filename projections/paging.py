"""Lists in pages: any query of a model, sorted by one of its columns, from a row on.

The order is the column's, then the key's, so that it is total; what has no value comes last either way. A page is
found by the values of the last row before it, not by counting, so that pages together are the whole list while rows
come and go.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from psycopg.rows import dict_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

from domain.ledger.database import Connection

Type = Literal["text", "bigint", "date", "timestamptz"]
TYPES: Mapping[Type, SQL] = {
    "text": SQL("text"),
    "bigint": SQL("bigint"),
    "date": SQL("date"),
    "timestamptz": SQL("timestamptz"),
}


class Column(NamedTuple):
    """A column a list may be sorted by."""

    name: str
    type: Type = "text"


class Order(NamedTuple):
    """How a list is sorted: by a column, and among equals by the key, whose columns together are unique."""

    by: Column
    descending: bool
    key: tuple[Column, ...]


Place = tuple[str | None, ...]
"""Where a page begins: the values of the order's columns, of the row before it."""
Part = tuple[Order, Place | None, int]
"""A part of a list: its order, where the page begins, and how many rows at most."""


def page(  # noqa: PLR0917 - order, place and limit come together, as a part of a list
    connection: Connection,
    query: Composable,
    given: Mapping[str, Any],
    order: Order,
    after: Place | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return up to `limit` rows after a place, as objects. A place must be of this order: of its length and types."""
    keys = SQL(", ").join(Identifier(c.name) for c in order.key)
    whole = SQL(
        "WITH found AS ({}) SELECT * FROM found {} ORDER BY {} {} NULLS LAST, {} LIMIT %(page_limit)s"
    ).format(
        query,
        _from(order, after) if after else SQL(""),
        Identifier(order.by.name),
        SQL("DESC" if order.descending else "ASC"),
        keys,
    )
    places = {f"after_{n}": value for n, value in enumerate(after or ())}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(whole, {**given, **places, "page_limit": limit}).fetchall()


def _from(order: Order, after: Place) -> Composed:
    """Return the condition that a row comes after a place."""
    by = Identifier(order.by.name)
    keys = SQL(", ").join(Identifier(c.name) for c in order.key)
    values = SQL(", ").join(_value(n, c) for n, c in enumerate(order.key, 1))
    beyond = SQL("({}) > ({})").format(keys, values)
    if after[0] is None:
        return SQL("WHERE {} IS NULL AND {}").format(by, beyond)
    return SQL("WHERE {by} {than} {value} OR {by} = {value} AND {beyond} OR {by} IS NULL").format(
        by=by, than=SQL("<" if order.descending else ">"), value=_value(0, order.by), beyond=beyond
    )


def _value(number: int, column: Column) -> Composed:
    return SQL("{}::{}").format(Placeholder(f"after_{number}"), TYPES[column.type])


def place_of(row: Mapping[str, Any], order: Order) -> Place:
    """Return the place after a row."""
    return tuple(_text(row[c.name]) for c in (order.by, *order.key))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, date) else str(value)  # a datetime is a date
