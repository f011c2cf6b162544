"""What the registers share: which ledger, part and day is asked for, and how a page of a list is answered."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Query
from starlette.responses import Response

from api.paging import LIMIT_DEFAULT, After, Limit, cut, wanted
from api.problems import documented
from api.reading import (
    Wait,
    Waiting,
    city_of,
    projection_example,
    read_one,
)
from api.requests import Region, Running
from api.runtime import Runtime
from domain.calendar import day_of
from domain.events.fields import TEXT_MAX_CHARS, Identifier
from domain.ledger.application import Ledger
from projections.paging import Column, Part

Rows = list[dict[str, Any]]
Word = Annotated[str | None, Query(min_length=1, max_length=TEXT_MAX_CHARS, pattern=r"^[^\x00]*$")]
Id = Identifier | None


class Reader(NamedTuple):
    """Who asks, of which region, and how long they wait for the model."""

    runtime: Runtime
    wait: Wait
    region: str | None


async def _reader(runtime: Running, wait: Waiting, region: Region = None) -> Reader:
    return Reader(runtime, wait, region)


Reading = Annotated[Reader, Depends(_reader)]


class Page(NamedTuple):
    """From where a list is read, and how much of it."""

    after: str | None
    limit: int


async def _page(after: After = None, limit: Limit = LIMIT_DEFAULT) -> Page:
    return Page(after, limit)


Paged = Annotated[Page, Depends(_page)]


class Listing(NamedTuple):
    """A list: its name in the answer, its model, the columns it may be sorted by, and its key."""

    name: str
    model: str
    sorts: Sequence[Column]
    key: Sequence[Column]

    async def answer(
        self,
        reader: Reader,
        page: Page,
        sort: str,
        given: Mapping[str, Any],
        read: Callable[[Ledger, datetime, Mapping[str, Any], Part], Rows],
    ) -> Response:
        """Return a page of the list, with how far its model is."""
        part = wanted(sort, page.after, page.limit, {c.name: c for c in self.sorts}, self.key)
        asked = {"city": city_of(reader.region), **given}

        def ask(ledger: Ledger, now: datetime) -> dict[str, Any]:
            shown, following = cut(read(ledger, now, asked, part.paged), sort, part)
            return {self.name: shown, "next": following}

        return await read_one(reader.runtime, reader.region, self.model, reader.wait, ask)


async def summed(
    reader: Reader,
    model: str,
    given: Mapping[str, Any],
    read: Callable[[Ledger, date, Mapping[str, Any]], Any],
) -> Response:
    """Return what all rows of a model together say on this day: `read` returns the answer's body."""
    asked = {"city": city_of(reader.region), **given}
    return await read_one(
        reader.runtime,
        reader.region,
        model,
        reader.wait,
        lambda ledger, now: read(ledger, today(ledger, now), asked),
    )


def today(ledger: Ledger, now: datetime) -> date:
    """Return the day it is in a ledger."""
    return day_of(now, ledger.region)


def described(model: str, example: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of a register's answers."""
    shown = {**example, "projection": projection_example(model)}
    problems = documented(
        "ledger.not_found",
        "ledger.ambiguous",
        "projection.behind",
        "projection.failed",
        "storage.unavailable",
    )
    return {200: {"content": {"application/json": {"example": shown}}}, **problems}
