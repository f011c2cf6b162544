"""The address of the dunning worklist."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import BILLING_READ
from api.paging import LIMIT_DEFAULT, After, Limit, cut, wanted
from api.problems import documented
from api.reading import (
    Projection,
    Waiting,
    city_of,
    projection_example,
    read_one,
)
from api.requests import Region, Running, audience
from domain.calendar import day_of
from domain.events.fields import AMOUNT_MAX_FEN, Day, Identifier
from domain.ledger.application import Ledger
from projections.dunning import STEP_KEY, Action, Block, Dunning, steps_of
from projections.paging import Column

router = audience("billing", BILLING_READ)

_SORTS: Mapping[str, Column] = {
    "from_on": Column("from_on", "date"),
    "amount_fen": Column("amount_fen", "bigint"),
    "oldest_due_on": Column("oldest_due_on", "date"),
    "account_id": Column("account_id"),
}
Sort = Literal[
    "from_on",
    "-from_on",
    "amount_fen",
    "-amount_fen",
    "oldest_due_on",
    "-oldest_due_on",
    "account_id",
    "-account_id",
]


class BlockedBy(BaseModel):
    """What forbids a step, and the dispute hold, the charge or the number it is about."""

    reason: Block
    id: str | None


class DunningStep(BaseModel):
    """A step that may be taken from a day on, until another (included), if nothing blocks it."""

    account_id: str
    party_id: str
    region: str
    line_of_business: str
    status: str
    action: Action
    from_on: str
    until_on: str | None
    blocked: bool
    blocked_by: list[BlockedBy]
    amount_fen: int
    oldest_due_on: str
    charge_ids: list[str]
    attempts: int


class DunningAnswer(BaseModel):
    """A page of the worklist of a day."""

    on: str
    steps: list[DunningStep]
    next: str | None
    projection: Projection


_STEP = {
    "account_id": "A-FTTH",
    "party_id": "P-HRB",
    "region": "heilongjiang.harbin",
    "line_of_business": "fixed_broadband",
    "status": "active",
    "action": "suspend",
    "from_on": "2014-10-01",
    "until_on": None,
    "blocked": True,
    "blocked_by": [{"reason": "dispute_hold", "id": "H-1"}],
    "amount_fen": 40_000,
    "oldest_due_on": "2014-08-31",
    "charge_ids": ["C-F-1"],
    "attempts": 0,
}


@router.get(
    "/dunning",
    summary="The dunning worklist: what is next for an account, from when, and what blocks it",
    description="Steps not taken yet, of accounts that leave or are about to leave something unpaid: to remind, to"
    " announce, to suspend, to terminate, to list. Their days are those of the policies that close a day, with the"
    " built-in windows: where a ledger published others, the close of the day goes by those. `due_by` gives what may be"
    " taken by a day.",
    operation_id="billing_dunning",
    response_model=DunningAnswer,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "on": "2014-12-09",
                        "steps": [_STEP],
                        "next": None,
                        "projection": projection_example("dunning"),
                    }
                }
            }
        },
        **documented(
            "ledger.not_found",
            "ledger.ambiguous",
            "projection.behind",
            "projection.failed",
            "storage.unavailable",
        ),
    },
)
async def dunning(
    *,
    runtime: Running,
    wait: Waiting,
    due_by: Annotated[Day | None, Query(description="only steps that may be taken by this day")] = None,
    action: Action | None = None,
    blocked: Annotated[
        bool | None, Query(description="only steps that something forbids, or none does")
    ] = None,
    account_id: Identifier | None = None,
    party_id: Identifier | None = None,
    amount_fen: Annotated[
        int | None, Query(ge=0, le=AMOUNT_MAX_FEN, description="only where so much is overdue, or more")
    ] = None,
    sort: Sort = "from_on",
    after: After = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of the worklist."""
    part = wanted(sort, after, limit, _SORTS, STEP_KEY)
    asked = {
        "due_by": due_by,
        "action": action,
        "blocked": blocked,
        "account_id": account_id,
        "party_id": party_id,
        "amount_fen": amount_fen,
        "city": city_of(region),
    }

    def ask(ledger: Ledger, now: datetime) -> dict[str, Any]:
        today = day_of(now, region or ledger.region)
        rows, following = cut(steps_of(ledger, today, asked, part.paged), sort, part)
        return {"on": today, "steps": rows, "next": following}

    return await read_one(runtime, region, Dunning.name, wait, ask)
