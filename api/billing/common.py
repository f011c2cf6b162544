"""What the money routes share: the ledger and the day they ask for, and how an answer says how far its model is."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from api.problems import ProblemError
from api.reading import candidates, projection_of
from api.requests import answer
from api.runtime import Runtime
from domain.calendar import day_of
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger
from projections.engine import Standing


class Projection(BaseModel):
    """How far the read model is: `lag` counts the events it has yet to fold, `age_s` how old its figures may be."""

    name: str
    version: int
    ledger: str
    position: int
    lag: int
    moved_at: str
    age_s: float


def projection_example(name: str) -> dict[str, Any]:
    """Return what an answer says of its model, for the documentation."""
    return {
        "name": name,
        "version": 1,
        "ledger": "heilongjiang",
        "position": 102,
        "lag": 0,
        "moved_at": "2014-12-09T03:00:00Z",
        "age_s": 0.0,
    }


def ledger_asked(runtime: Runtime, region: str | None) -> Ledger:
    """Return the one ledger a question is about; raises ProblemError where there are several and none is named."""
    ledgers = candidates(runtime, region)
    if not ledgers:
        raise ProblemError("ledger.not_found", "there is no ledger yet")
    if len(ledgers) > 1:
        raise ProblemError("ledger.ambiguous", "name the ledger with ?region=")
    return ledgers[0]


def city_of(region: str | None) -> str | None:
    """Return the region to filter by, None where it is the whole ledger's."""
    return region if region is not None and "." in region else None


def day_asked(on: date | None, now: datetime, region: str) -> date:
    """Return the day that is asked for, by default today; raises MalformedError for one that has not come."""
    today = day_of(now, region)
    if on is not None and on > today:
        raise MalformedError("on", f"should not be after today, {today}")
    return on or today


def answered(body: dict[str, Any], ledger: Ledger, standing: Standing, now: datetime) -> Response:
    """Return an answer with how far its model is."""
    body["projection"] = projection_of(ledger, standing, now)
    return answer(body, headers={"Recount-Position": str(standing.position)})
