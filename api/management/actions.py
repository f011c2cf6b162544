"""Corrective actions with their steps, and how ready the standing mechanism is."""

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel
from starlette.responses import Response

from api.management.asking import PROBLEMS, Answer, asked, management
from api.paging import LIMIT_DEFAULT, After, Limit, cut, wanted
from api.reading import Waiting, city_of, projection_example
from api.requests import Region, Running
from domain.events.case import ActionScope, RootCause
from domain.events.fields import Identifier
from domain.ledger.application import Ledger
from projections.accountability import (
    ACTION_KEY,
    ACTION_SORTS,
    STEPS,
    Accountability,
    ActionStatus,
    corrective_actions,
    readiness,
)

_SORTS = {column.name: column for column in ACTION_SORTS}

router = management()


class Step(BaseModel):
    """A step that was done."""

    kind: str
    done_at: str


class Action(BaseModel):
    """A corrective action as it stands today."""

    due_on: str
    opened_at: str
    region: str
    case_id: str
    action_id: str
    title: str
    scope: str
    root_cause: str
    status: ActionStatus
    closed_at: str | None
    steps: list[Step]
    steps_missing: list[str]


class ActionPage(Answer):
    """A page of corrective actions; `next` is the cursor of the page after it, null at the end."""

    actions: list[Action]
    next: str | None


class Ready(BaseModel):
    """Corrective actions of one scope and root cause: of how many each step was done, and of how many all."""

    scope: str
    root_cause: str
    actions: int
    closed: int
    overdue: int
    next_due_on: str | None
    review: int
    contingency_plan: int
    rectification: int
    training: int
    inspection: int
    reward_penalty: int
    all_steps: int


class Readiness(Answer):
    """How ready the standing mechanism is."""

    on: str
    groups: list[Ready]


_PROJECTION = projection_example(Accountability.name)


@router.get(
    "/corrective-actions",
    summary="Corrective actions with the steps done and missing",
    description="A page at a time, by when they are due, were opened or closed. `open` takes in the overdue ones.",
    operation_id="management_corrective_actions",
    response_model=ActionPage,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "actions": [
                            {
                                "due_on": "2015-03-31",
                                "opened_at": "2014-12-15T17:00:00+08:00",
                                "region": "heilongjiang.harbin",
                                "case_id": "C-HRB",
                                "action_id": "M-1",
                                "title": "top complaints reviewed, loopholes closed",
                                "scope": "national",
                                "root_cause": "rule",
                                "status": "open",
                                "closed_at": None,
                                "steps": [{"kind": "review", "done_at": "2014-12-20T10:00:00+08:00"}],
                                "steps_missing": list(STEPS[1:]),
                            }
                        ],
                        "next": None,
                        "projection": _PROJECTION,
                    }
                }
            }
        },
        **PROBLEMS,
    },
)
async def get_corrective_actions(
    *,
    runtime: Running,
    wait: Waiting,
    status: ActionStatus | None = None,
    root_cause: RootCause | None = None,
    scope: ActionScope | None = None,
    case_id: Identifier | None = None,
    sort: Literal["due_on", "-due_on", "opened_at", "-opened_at", "closed_at", "-closed_at"] = "due_on",
    after: After = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of corrective actions."""
    part = wanted(sort, after, limit, _SORTS, ACTION_KEY)

    def ask(ledger: Ledger, today: date) -> dict[str, Any]:
        rows = corrective_actions(
            ledger,
            part.paged,
            today=today,
            region=city_of(region),
            status=status,
            root_cause=root_cause,
            scope=scope,
            case_id=case_id,
        )
        found, following = cut(rows, sort, part)
        return {"actions": found, "next": following}

    return await asked(runtime, region, Accountability.name, wait, ask)


@router.get(
    "/readiness",
    summary="How far corrective actions are, step by step",
    description="By scope and root cause: how many there are, are closed and overdue, and have done each step.",
    operation_id="management_readiness",
    response_model=Readiness,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "on": "2015-01-10",
                        "groups": [
                            {
                                "scope": "national",
                                "root_cause": "rule",
                                "actions": 2,
                                "closed": 0,
                                "overdue": 0,
                                "next_due_on": "2015-03-31",
                                **dict.fromkeys(STEPS, 0),
                                "all_steps": 0,
                            }
                        ],
                        "projection": _PROJECTION,
                    }
                }
            }
        },
        **PROBLEMS,
    },
)
async def get_readiness(*, runtime: Running, wait: Waiting, region: Region = None) -> Response:
    """Return the readiness report."""

    def ask(ledger: Ledger, today: date) -> dict[str, Any]:
        return {"on": today, "groups": readiness(ledger, today=today, region=city_of(region))}

    return await asked(runtime, region, Accountability.name, wait, ask)
