"""What the questions of management share: the days they look at, and how an answer is got from a read model."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.problems import documented
from api.reading import Projection, Wait, city_of, read_one
from api.requests import audience
from api.runtime import Runtime
from domain.calendar import day_of
from domain.events.fields import Day, MalformedError
from domain.ledger.application import Ledger
from projections.accountability import Scope

PROBLEMS = documented(
    "ledger.not_found",
    "ledger.ambiguous",
    "projection.behind",
    "projection.failed",
    "storage.not_ready",
    "storage.unavailable",
)


class Answer(BaseModel):
    """What every answer has: how far the read model is."""

    projection: Projection


def management() -> APIRouter:
    """Return a router for addresses of /management."""
    return audience("management", INVESTIGATE_READ)


async def _days(
    since: Annotated[
        Day | None, Query(alias="from", description="the first day", examples=["2014-12-01"])
    ] = None,
    until: Annotated[
        Day | None, Query(alias="to", description="the last day", examples=["2014-12-31"])
    ] = None,
) -> tuple[date | None, date | None]:
    if since and until and until < since:
        raise MalformedError("to", "should not be before `from`")
    return since, until


Days = Annotated[tuple[date | None, date | None], Depends(_days)]
"""The first and the last day, both counted; None does not bound."""


def scope_of(days: tuple[date | None, date | None], region: str | None) -> Scope:
    """Return where and when is looked: a city of the ledger where the region names one, or all of it."""
    return Scope(city_of(region), *days)


async def asked(
    runtime: Runtime,
    region: str | None,
    model: str,
    wait: Wait,
    ask: Callable[[Ledger, date], dict[str, Any]],
) -> Response:
    """Return the answer of a model in the ledger of a region, or in the only one; `ask` gets that and today.

    Raises ProblemError.
    """
    return await read_one(
        runtime, region, model, wait, lambda ledger, now: ask(ledger, day_of(now, ledger.region))
    )
