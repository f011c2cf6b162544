"""The hot spots: the problems most complained of, or widest in effect, of each branch."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.management.asking import PROBLEMS, Answer, Days, asked, management
from api.paging import After, cut, wanted
from api.reading import Waiting, city_of, projection_example
from api.requests import Region, Running
from domain.ledger.application import Ledger
from projections.complaints import KEY, SORTS, Asked, Complaints, hot_spots

TOP_MIN = 20  # what the first measure of 2014-12-17 asks each branch to list, at the least
TOP_MAX = 500
CATEGORY_MAX_CHARS = 200

_SORTS = {column.name: column for column in SORTS}

router = management()


class ActionBeside(BaseModel):
    """A corrective action of one of the complaints. `steps` are the kinds that were done."""

    case_id: str
    action_id: str
    title: str
    scope: str
    root_cause: str
    due_on: str
    steps: list[str]
    closed: bool


class HotSpot(BaseModel):
    """Complaints of one place about one thing.

    Of each complaint hangs what the breaches found come to (`findings_fen`); where there are none, the sums in dispute
    (`disputed_fen`); where there are none of these, what its accounts owe (`owed_fen`, each account once). The causes
    count complaints: as corrective actions name them, of `causes_derived` complaints by the rules found in breach.
    """

    region: str
    category: str
    complaints: int
    accounts: int
    parties: int
    unanswered: int
    not_closed: int
    first_on: str
    last_on: str
    breaches: int
    findings_fen: int
    disputed_fen: int
    owed_fen: int
    at_stake_fen: int
    root_cause: Literal["rule", "execution", "system", "several", "unknown"]
    cause_rule: int
    cause_execution: int
    cause_system: int
    cause_unknown: int
    causes_derived: int
    actions: int
    actions_closed: int
    actions_overdue: int
    next_due_on: str | None
    corrective_actions: list[ActionBeside]


class HotSpots(Answer):
    """A page of hot spots; `next` is the cursor of the page after it, null at the end."""

    hot_spots: list[HotSpot]
    next: str | None


_EXAMPLE: dict[str, Any] = {
    "region": "heilongjiang.harbin",
    "category": "annual_package_expiry",
    "complaints": 1,
    "accounts": 2,
    "parties": 1,
    "unanswered": 1,
    "not_closed": 1,
    "first_on": "2014-12-09",
    "last_on": "2014-12-09",
    "breaches": 0,
    "findings_fen": 0,
    "disputed_fen": 0,
    "owed_fen": 83_560,
    "at_stake_fen": 83_560,
    "root_cause": "several",
    "cause_rule": 1,
    "cause_execution": 1,
    "cause_system": 1,
    "cause_unknown": 0,
    "causes_derived": 0,
    "actions": 5,
    "actions_closed": 0,
    "actions_overdue": 0,
    "next_due_on": "2015-03-31",
    "corrective_actions": [
        {
            "case_id": "C-HRB",
            "action_id": "M-1",
            "title": "top complaints reviewed, loopholes closed",
            "scope": "national",
            "root_cause": "rule",
            "due_on": "2015-03-31",
            "steps": [],
            "closed": False,
        }
    ],
}


@router.get(
    "/hot-spots",
    summary="The problems most complained of, or widest in effect",
    description="Complaints received in a period, by place and category, with the accounts and the sums that hang on"
    " them, what they are traced to (the rule, its execution, the system), and the corrective actions due first."
    " Sorted by `-complaints`, or `-accounts` for the widest in effect.",
    operation_id="management_hot_spots",
    response_model=HotSpots,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "hot_spots": [_EXAMPLE],
                        "next": None,
                        "projection": projection_example(Complaints.name),
                    }
                }
            }
        },
        **PROBLEMS,
    },
)
async def get_hot_spots(
    *,
    runtime: Running,
    wait: Waiting,
    days: Days,
    category: Annotated[
        str | None, Query(min_length=1, max_length=CATEGORY_MAX_CHARS, pattern=r"^[^\x00]*$")
    ] = None,
    by: Annotated[Literal["city", "province"], Query(description="how wide a place is")] = "city",
    sort: Literal["-complaints", "-accounts", "-parties", "-at_stake_fen", "next_due_on"] = "-complaints",
    top: Annotated[int, Query(ge=TOP_MIN, le=TOP_MAX, description="how many in an answer")] = TOP_MIN,
    after: After = None,
    region: Region = None,
) -> Response:
    """Return a page of hot spots."""
    part = wanted(sort, after, top, _SORTS, KEY)
    what = Asked(*days, city_of(region), category, by)

    def ask(ledger: Ledger, today: date) -> dict[str, Any]:
        found, following = cut(hot_spots(ledger, what, today, part.paged), sort, part)
        return {"hot_spots": found, "next": following}

    return await asked(runtime, region, Complaints.name, wait, ask)
