"""The addresses of what all accounts come to on a day: the trial balance, and the aging of what is owed."""

from collections.abc import Mapping
from datetime import date, datetime
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
from domain.account.money import AGING_BUCKETS
from domain.calendar import day_of
from domain.events.fields import AMOUNT_MAX_FEN, Day, MalformedError
from domain.ledger.application import Ledger
from projections.paging import Column
from projections.postings import CHART, RECEIVABLE
from projections.statement import ACCOUNT_KEY, Aged, Statement, TrialBalance, aging, trial_balance

PAST_DUE_MAX_DAYS = 36_525  # a hundred years

router = audience("billing", BILLING_READ)

On = Annotated[
    Day | None, Query(description="the day, at whose end; today by default", examples=["2014-12-09"])
]


def _day_asked(on: date | None, now: datetime, region: str) -> date:
    """Return the day that is asked for, by default today; raises MalformedError for one that has not come."""
    today = day_of(now, region)
    if on is not None and on > today:
        raise MalformedError("on", f"should not be after today, {today}")
    return on or today


class Turnover(BaseModel):
    """An account of the chart at the end of the day: in all, and on that day. A negative balance is a credit."""

    code: str
    account_kind: str
    debit_fen: int
    credit_fen: int
    balance_fen: int
    day_debit_fen: int
    day_credit_fen: int


class RegionBalance(BaseModel):
    """A region's trial balance, and the sum of its accounts' balances, which is that of `receivable`."""

    region: str
    entries: list[Turnover]
    debit_fen: int
    credit_fen: int
    receivable_fen: int
    accounts: int
    account_balances_fen: int
    ties: bool


class TrialBalanceAnswer(BaseModel):
    """The trial balance at the end of a day. It ties where debits are credits, and receivables the balances."""

    on: str
    regions: list[RegionBalance]
    ties: bool
    projection: Projection


class Buckets(BaseModel):
    """Unpaid charges by how many days past due they are."""

    current: int
    d1_30: int
    d31_60: int
    d61_90: int
    d90_plus: int


class AgedSum(BaseModel):
    """What is owed on the day, in fen. The buckets add up to the principal."""

    balance_fen: int
    principal_fen: int
    late_fee_fen: int
    credit_fen: int
    aging: Buckets


class AgedAccount(AgedSum):
    """An account that owes or is owed something on the day."""

    account_id: str
    region: str
    days_past_due: int


class AgedRegion(AgedSum):
    """A region's accounts together."""

    region: str
    accounts: int


class AgingAnswer(BaseModel):
    """The totals by region, whatever the filter, and a page of accounts."""

    on: str
    totals: list[AgedRegion]
    accounts: list[AgedAccount]
    next: str | None
    projection: Projection


_TURNOVER = {
    "code": "receivable",
    "account_kind": "asset",
    "debit_fen": 191_560,
    "credit_fen": 108_000,
    "balance_fen": 83_560,
    "day_debit_fen": 0,
    "day_credit_fen": 0,
}
_AGED = {
    "balance_fen": 45_460,
    "principal_fen": 40_000,
    "late_fee_fen": 5_460,
    "credit_fen": 0,
    "aging": {"current": 10_000, "d1_30": 10_000, "d31_60": 10_000, "d61_90": 0, "d90_plus": 10_000},
}


@router.get(
    "/trial-balance",
    summary="The trial balance at the end of a day, by region",
    description="As known now: what counts by the end of the day, whenever it was posted. Debits equal credits, and"
    " `receivable` the sum of the accounts' balances; both are said, and come from one snapshot.",
    operation_id="billing_trial_balance",
    response_model=TrialBalanceAnswer,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "on": "2014-12-09",
                        "regions": [
                            {
                                "region": "heilongjiang.harbin",
                                "entries": [_TURNOVER],
                                "debit_fen": 299_560,
                                "credit_fen": 299_560,
                                "receivable_fen": 83_560,
                                "accounts": 2,
                                "account_balances_fen": 83_560,
                                "ties": True,
                            }
                        ],
                        "ties": True,
                        "projection": projection_example("statement"),
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
async def balance(*, runtime: Running, wait: Waiting, on: On = None, region: Region = None) -> Response:
    """Return a trial balance."""

    def ask(ledger: Ledger, now: datetime) -> dict[str, Any]:
        day = _day_asked(on, now, region or ledger.region)
        regions = _regions(trial_balance(ledger, day, city_of(region)))
        return {"on": day, "regions": regions, "ties": all(r["ties"] for r in regions)}

    return await read_one(runtime, region, Statement.name, wait, ask)


def _regions(found: TrialBalance) -> list[dict[str, Any]]:
    owing = {one.region: one for one in found.owing}
    regions: list[dict[str, Any]] = []
    for region in sorted({t.region for t in found.turnovers} | owing.keys()):
        entries = [t for t in found.turnovers if t.region == region]
        debit_fen, credit_fen = sum(t.debit_fen for t in entries), sum(t.credit_fen for t in entries)
        receivable_fen = sum(t.debit_fen - t.credit_fen for t in entries if t.code == RECEIVABLE)
        balances_fen = owing[region].balance_fen if region in owing else 0
        regions.append(
            {
                "region": region,
                "entries": [
                    {
                        "code": t.code,
                        "account_kind": CHART[t.code].kind,
                        "debit_fen": t.debit_fen,
                        "credit_fen": t.credit_fen,
                        "balance_fen": t.debit_fen - t.credit_fen,
                        "day_debit_fen": t.day_debit_fen,
                        "day_credit_fen": t.day_credit_fen,
                    }
                    for t in entries
                ],
                "debit_fen": debit_fen,
                "credit_fen": credit_fen,
                "receivable_fen": receivable_fen,
                "accounts": owing[region].accounts if region in owing else 0,
                "account_balances_fen": balances_fen,
                "ties": debit_fen == credit_fen and receivable_fen == balances_fen,
            }
        )
    return regions


_AGING_SORTS: Mapping[str, Column] = {
    "account_id": Column("account_id"),
    "balance_fen": Column("balance_fen", "bigint"),
    "principal_fen": Column("principal_fen", "bigint"),
    "days_past_due": Column("days_past_due", "bigint"),
}
AgingSort = Literal[
    "account_id",
    "-account_id",
    "balance_fen",
    "-balance_fen",
    "principal_fen",
    "-principal_fen",
    "days_past_due",
    "-days_past_due",
]


@router.get(
    "/aging",
    summary="What is owed on a day, by how long it is past due",
    description="As known now: what a replay at the end of that day says. The totals are of all accounts of the"
    " region; the filters choose which accounts are listed. Who asks for several pages names the day.",
    operation_id="billing_aging",
    response_model=AgingAnswer,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "on": "2014-12-09",
                        "totals": [{"region": "heilongjiang.harbin", "accounts": 1, **_AGED}],
                        "accounts": [
                            {
                                "account_id": "A-FTTH",
                                "region": "heilongjiang.harbin",
                                "days_past_due": 100,
                                **_AGED,
                            }
                        ],
                        "next": None,
                        "projection": projection_example("statement"),
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
async def aged(
    *,
    runtime: Running,
    wait: Waiting,
    on: On = None,
    past_due_days: Annotated[
        int, Query(ge=0, le=PAST_DUE_MAX_DAYS, description="only accounts at least so many days past due")
    ] = 0,
    principal_fen: Annotated[
        int, Query(ge=0, le=AMOUNT_MAX_FEN, description="only accounts with so much unpaid, or more")
    ] = 0,
    sort: AgingSort = "account_id",
    after: After = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return the aging of what is owed."""
    part = wanted(sort, after, limit, _AGING_SORTS, ACCOUNT_KEY)
    asked = {"city": city_of(region), "past_due_days": past_due_days, "principal_fen": principal_fen}

    def ask(ledger: Ledger, now: datetime) -> dict[str, Any]:
        day = _day_asked(on, now, region or ledger.region)
        found = aging(ledger, day, asked, part.paged)
        rows, following = cut(found.accounts, sort, part)
        return {
            "on": day,
            "totals": [
                {"region": one.region, "accounts": one.accounts, **_sums(found.totals[one.region]._asdict())}
                for one in found.owing
            ],
            "accounts": [
                {
                    "account_id": row["account_id"],
                    "region": row["region"],
                    "days_past_due": row["days_past_due"],
                    **_sums(row),
                }
                for row in rows
            ],
            "next": following,
        }

    return await read_one(runtime, region, Statement.name, wait, ask)


def _sums(row: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: row[name] for name in Aged._fields if name not in AGING_BUCKETS}
    return {**figures, "aging": {name: row[name] for name in AGING_BUCKETS}}
