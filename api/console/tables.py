"""Tables of the console: what a column is called and how its values are told, the same on a page and in a file.

A list of a read model becomes a table a page shows, a page of it at a time, and that a person takes away as CSV for a
spreadsheet.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.console.shell import Page
from api.paging import cut, wanted
from api.wording import Words
from api.wording.labels import LABELS, SAID
from domain.calendar import day_of
from domain.ledger.application import Ledger
from projections.engine import standings
from projections.paging import Column as Sorted
from projections.paging import Part

ROWS = 50  # of a page: what one looks through before one filters
EXPORT_MAX = 10_000  # rows of a file: more is what bulk extracts are for
DISARMED = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would calculate begins with one of these: an apostrophe goes before it."""

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]
How = Literal["text", "said", "fen", "count", "day", "flag", "party", "account", "case", "dealer", "labels"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in a row, its title, and how its values are told: by `how`, or as labels of a group."""

    key: str
    title: Words
    how: How = "text"
    group: str = ""
    warns: bool = False
    """A value that is true, or more than nothing, is something to do about."""

    @property
    def numeric(self) -> bool:
        """Whether its values stand under each other by their last figure."""
        return self.how in {"fen", "count"}

    def told(self, row: Row, page: Page) -> str:
        """Return a row's value as a person reads it."""
        value = row[self.key]
        if value is None or value == "":
            return "—"
        match self.how:
            case "fen":
                return page.yuan(value)
            case "day":
                return page.short(value)
            case "flag":
                return page.label("flag", value)
            case "said":
                return SAID[value].of(page.lang) if value in SAID else str(value)
            case "labels":
                return page.listed(self._label(v, page) for v in value) or "—"
            case _:
                return self._label(value, page) if self.group else str(value)

    def _label(self, value: object, page: Page) -> str:
        return page.label(self.group, value) if str(value) in LABELS[self.group] else str(value)

    def address(self, row: Row, page: Page) -> str | None:
        """Return where a value leads, None where it leads nowhere."""
        if self.how not in {"party", "account", "case", "dealer"} or not row[self.key]:
            return None
        return page.to(f"{self.how}/{row[self.key]}")


CASE = Column("case_id", Words("案件", "Case"), "case")


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of a read model: how it is read, sorted and told."""

    name: str
    title: Words
    about: Words
    model: str
    columns: Sequence[Column]
    read: Callable[[Page, Ledger, Part], Rows]
    sort: str
    sorts: Sequence[Sorted]
    key: Sequence[Sorted]
    scopes: tuple[str, ...] = (INVESTIGATE_READ,)
    """Who may see it: whoever has one of these."""
    empty: Words = field(default=Words("没有记录。", "There is nothing here."))


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of a list."""

    listing: Listing
    rows: Rows
    following: str | None
    position: int
    lag: int


def today(page: Page, ledger: Ledger) -> date:
    """Return the day it is in a ledger."""
    return day_of(page.now, ledger.region)


def shown(page: Page, listing: Listing, after: str | None = None, limit: int = ROWS) -> Shown:
    """Return a page of a list; raises ProblemError, NotBuiltError and MalformedError."""
    ledger = page.ledger()
    part = wanted(listing.sort, after, limit, {c.name: c for c in listing.sorts}, listing.key)
    standing = next((s for s in standings(ledger) if s.name == listing.model), None)
    rows, following = cut(listing.read(page, ledger, part.paged), listing.sort, part)
    return Shown(
        listing, rows, following, standing.position if standing else 0, standing.lag if standing else 0
    )


def exported(page: Page, listing: Listing) -> Response:
    """Return a list as a file for a spreadsheet, up to a bound."""
    ledger = page.ledger()
    part = wanted(listing.sort, None, EXPORT_MAX, {c.name: c for c in listing.sorts}, listing.key)
    rows = listing.read(page, ledger, (part.order, None, EXPORT_MAX))
    return as_file(page, listing.name, listing.columns, rows)


def as_file(page: Page, name: str, columns: Sequence[Column], rows: Sequence[Row]) -> Response:
    """Return rows as CSV: the titles in the page's language, sums in yuan, texts so that nothing is calculated."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([c.title.of(page.lang) for c in columns])
    writer.writerows([list(_cells(columns, row, page)) for row in rows])
    headers = {
        "Content-Disposition": f'attachment; filename="recount-{name}.csv"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    # a spreadsheet takes a file for UTF-8 by its first bytes
    return Response(b"\xef\xbb\xbf" + out.getvalue().encode("utf-8"), 200, headers, "text/csv; charset=utf-8")


def _in_yuan(amount_fen: int) -> str:
    """Return a sum as a spreadsheet reads it: -45460 is -454.60."""
    return f"{'-' if amount_fen < 0 else ''}{abs(amount_fen) // 100}.{abs(amount_fen) % 100:02d}"


def _cells(columns: Sequence[Column], row: Row, page: Page) -> Iterator[str]:
    for column in columns:
        value = row[column.key]
        if value is None:
            yield ""
        elif column.how == "fen":
            yield _in_yuan(value)
        elif column.how == "count":
            yield str(value)
        else:
            text = column.told(row, page)
            yield f"'{text}" if text.startswith(DISARMED) else text
