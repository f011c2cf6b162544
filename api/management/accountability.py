"""Who was held to account: penalties with the findings behind them, the double penalty, and the month's bulletin."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.management.asking import PROBLEMS, Answer, Days, asked, management, scope_of
from api.paging import LIMIT_DEFAULT, After, Limit, cut, wanted
from api.reading import Waiting, city_of, projection_example
from api.requests import Region, Running
from domain.events.case import PenaltyKind, PenaltySubject
from domain.events.fields import Identifier, MalformedError
from domain.ledger.application import Ledger
from projections.accountability import (
    PAIR_KEY,
    PAIR_SORTS,
    PENALTY_KEY,
    PENALTY_SORTS,
    Accountability,
    Month,
    Outcome,
    bulletin,
    pairing,
    penalties,
    summary,
)

YEARS = range(1901, 2199)  # with a month before and after within what dates can be
_PENALTY_SORTS = {column.name: column for column in PENALTY_SORTS}
_PAIR_SORTS = {column.name: column for column in PAIR_SORTS}

router = management()


class Summed(BaseModel):
    """Penalties of one kind, on one kind of subject, in a month; `without_amount` of them name no sum."""

    month: str
    subject_kind: str
    kind: str
    penalties: int
    subjects: int
    amount_fen: int
    without_amount: int


class Pairs(BaseModel):
    """How many pairs have each outcome: `pairing` lists them."""

    both: int
    dealer_only: int
    manager_only: int
    manager_unknown: int


class AccountabilityAnswer(Answer):
    """Penalties summed up, the last months first, and how dealers' and managers' penalties pair."""

    penalties: list[Summed]
    pairing: Pairs


class Behind(BaseModel):
    """A finding a penalty rests on; nothing but its id where the case has no such finding."""

    finding_id: str
    rule_id: str | None
    rule_version: str | None
    verdict: str | None
    amount_fen: int | None


class Penalty(BaseModel):
    """A penalty; `amount_fen` is null where none is named."""

    imposed_at: str
    imposed_on: str
    region: str
    case_id: str
    penalty_id: str
    subject_kind: str
    subject_id: str
    kind: str
    amount_fen: int | None
    event_id: str
    findings: list[Behind]


class PenaltyPage(Answer):
    """A page of penalties; `next` is the cursor of the page after it, null at the end."""

    penalties: list[Penalty]
    next: str | None


class PairedPenalty(BaseModel):
    """A penalty of one side of a pair."""

    case_id: str
    penalty_id: str
    kind: str
    amount_fen: int | None
    imposed_on: str


class Pair(BaseModel):
    """A dealer's block and penalties in a case, beside those of the manager who answered for it then.

    A manager's penalty belongs to it in the same case, or within 10 days. `manager_only`: a manager of dealers was
    punished, but no dealer of theirs. `manager_unknown`: no authorisation names one.
    """

    on_day: str
    case_id: str | None
    dealer_id: str | None
    manager_id: str | None
    region: str
    outcome: Outcome
    blocked: bool
    dealer_penalties: list[PairedPenalty]
    manager_penalties: list[PairedPenalty]


class PairPage(Answer):
    """A page of the pairing; `next` is the cursor of the page after it, null at the end."""

    pairs: list[Pair]
    next: str | None


class KindFigures(BaseModel):
    """A month's penalties of one kind on one kind of subject."""

    subject_kind: str
    kind: str
    penalties: int
    subjects: int
    amount_fen: int
    without_amount: int


class Figures(BaseModel):
    """What happened in a month; what is open or overdue is so at its end, or today where that is to come."""

    period: str
    penalties: int
    penalties_fen: int
    penalties_without_amount: int
    penalised: int
    blocks: int
    dealers_blocked: int
    misuses_confirmed: int
    registrations_misused: int
    numbers_misused: int
    audits: int
    audits_breach: int
    audits_suspect: int
    actions_opened: int
    actions_closed: int
    actions_open: int
    actions_overdue: int
    penalties_by_kind: list[KindFigures]
    pairing: Pairs


class BulletinAnswer(Answer):
    """A month's figures, those of the month before, and by how much each count is more or less."""

    region: str
    month: Figures
    before: Figures
    change: dict[str, int]


_NO_PAIRS = {"both": 0, "dealer_only": 0, "manager_only": 0, "manager_unknown": 0}
_ONE_PAIR = {**_NO_PAIRS, "both": 1}
_FINED = {"subject_kind": "dealer", "kind": "fine", "penalties": 1, "subjects": 1, "amount_fen": 0}
_PENALTY: dict[str, Any] = {
    "imposed_at": "2014-12-15T12:01:00+08:00",
    "imposed_on": "2014-12-15",
    "region": "heilongjiang.harbin",
    "case_id": "C-HRB",
    "penalty_id": "PEN-2",
    "subject_kind": "dealer",
    "subject_id": "D-17",
    "kind": "fine",
    "amount_fen": None,
    "event_id": "harbin-088",
    "findings": [],
}
_PAIRED = {name: _PENALTY[name] for name in ("case_id", "penalty_id", "kind", "amount_fen", "imposed_on")}
_PAIR = {
    "on_day": "2014-12-15",
    "case_id": "C-HRB",
    "dealer_id": "D-17",
    "manager_id": "AGENT-DEPT-LEAD",
    "region": "heilongjiang.harbin",
    "outcome": "both",
    "blocked": True,
    "dealer_penalties": [_PAIRED],
    "manager_penalties": [{**_PAIRED, "penalty_id": "PEN-7", "kind": "warning"}],
}
_COUNTS = {
    "penalties": 10,
    "penalties_fen": 0,
    "penalties_without_amount": 10,
    "penalised": 5,
    "blocks": 1,
    "dealers_blocked": 1,
    "misuses_confirmed": 1,
    "registrations_misused": 6,
    "numbers_misused": 6,
    "audits": 6,
    "audits_breach": 6,
    "audits_suspect": 0,
    "actions_opened": 5,
    "actions_closed": 0,
    "actions_open": 5,
    "actions_overdue": 0,
}
_PROJECTION = projection_example(Accountability.name)


def _answers(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"content": {"application/json": {"example": {**example, "projection": _PROJECTION}}}},
        **PROBLEMS,
    }


@router.get(
    "/accountability",
    summary="Penalties summed up, and whether dealer and manager were both punished",
    description="By month, kind of subject and kind of penalty; and how many dealers' acts pair with their managers'.",
    operation_id="management_accountability",
    response_model=AccountabilityAnswer,
    responses=_answers(
        {"penalties": [{"month": "2014-12", **_FINED, "without_amount": 1}], "pairing": _ONE_PAIR}
    ),
)
async def get_accountability(
    *, runtime: Running, wait: Waiting, days: Days, region: Region = None
) -> Response:
    """Return the sums."""

    def ask(ledger: Ledger, _today: date) -> dict[str, Any]:
        sums, outcomes = summary(ledger, scope_of(days, region))
        return {"penalties": sums, "pairing": outcomes}

    return await asked(runtime, region, Accountability.name, wait, ask)


@router.get(
    "/accountability/penalties",
    summary="Penalties, each with the findings behind it",
    description="A page at a time, by when they were imposed or by their amount.",
    operation_id="management_penalties",
    response_model=PenaltyPage,
    responses=_answers({"penalties": [_PENALTY], "next": None}),
)
async def get_penalties(
    *,
    runtime: Running,
    wait: Waiting,
    days: Days,
    subject_kind: PenaltySubject | None = None,
    subject_id: Identifier | None = None,
    kind: PenaltyKind | None = None,
    case_id: Identifier | None = None,
    sort: Literal["imposed_at", "-imposed_at", "amount_fen", "-amount_fen"] = "-imposed_at",
    after: After = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of penalties."""
    part = wanted(sort, after, limit, _PENALTY_SORTS, PENALTY_KEY)
    only = {"subject_kind": subject_kind, "subject_id": subject_id, "kind": kind, "case_id": case_id}

    def ask(ledger: Ledger, _today: date) -> dict[str, Any]:
        found, following = cut(penalties(ledger, scope_of(days, region), part.paged, **only), sort, part)
        return {"penalties": found, "next": following}

    return await asked(runtime, region, Accountability.name, wait, ask)


@router.get(
    "/accountability/pairing",
    summary="The double penalty: of each dealer punished whether its manager was, and the other way round",
    description="A page at a time, by the day of the first act.",
    operation_id="management_pairing",
    response_model=PairPage,
    responses=_answers({"pairs": [_PAIR], "next": None}),
)
async def get_pairing(
    *,
    runtime: Running,
    wait: Waiting,
    days: Days,
    outcome: Outcome | None = None,
    sort: Literal["on_day", "-on_day"] = "-on_day",
    after: After = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of the pairing."""
    part = wanted(sort, after, limit, _PAIR_SORTS, PAIR_KEY)

    def ask(ledger: Ledger, _today: date) -> dict[str, Any]:
        rows = pairing(ledger, scope_of(days, region), part.paged, outcome=outcome)
        found, following = cut(rows, sort, part)
        nobody = ("case_id", "dealer_id", "manager_id")
        return {"pairs": [{**p, **{n: p[n] or None for n in nobody}} for p in found], "next": following}

    return await asked(runtime, region, Accountability.name, wait, ask)


@router.get(
    "/bulletin",
    summary="A month's bulletin, compared with the month before",
    description="Penalties, dealers blocked, misuses confirmed, audits and corrective actions of a province or a city.",
    operation_id="management_bulletin",
    response_model=BulletinAnswer,
    responses=_answers(
        {
            "region": "heilongjiang",
            "month": {
                "period": "2014-12",
                **_COUNTS,
                "penalties_by_kind": [{**_FINED, "without_amount": 1}],
                "pairing": _ONE_PAIR,
            },
            "before": {
                "period": "2014-11",
                **dict.fromkeys(_COUNTS, 0),
                "penalties_by_kind": [],
                "pairing": _NO_PAIRS,
            },
            "change": _COUNTS,
        }
    ),
)
async def get_bulletin(
    *,
    runtime: Running,
    wait: Waiting,
    period: Annotated[str, Query(pattern=r"^\d{4}-\d{2}$", description="the month", examples=["2014-12"])],
    region: Region = None,
) -> Response:
    """Return a month's bulletin."""
    month = _month(period)

    def ask(ledger: Ledger, today: date) -> dict[str, Any]:
        of, before = bulletin(ledger, month, today=today, region=city_of(region))
        change = {name: of[name] - before[name] for name in of if isinstance(of[name], int)}
        return {"region": region or ledger.region, "month": of, "before": before, "change": change}

    return await asked(runtime, region, Accountability.name, wait, ask)


def _month(period: str) -> Month:
    year, month = int(period[:4]), int(period[5:])
    if year not in YEARS or not 1 <= month <= 12:
        raise MalformedError("period", "should be a month, as 2014-12")
    return Month(date(year, month, 1))
