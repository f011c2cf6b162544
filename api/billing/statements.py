"""The addresses of an account's statement and the double entry behind it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Path, Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import BILLING_READ
from api.paging import LIMIT_DEFAULT, After, Limit, cut, wanted
from api.problems import documented
from api.reading import Projection, Waiting, answered, built, projection_example, reached
from api.requests import Region, Running, audience
from domain.calendar import day_of
from domain.events.fields import Day, Identifier
from domain.ledger.application import Ledger
from domain.replay import in_order
from domain.rules.book import Rulebook, rulebook_of
from projections.paging import Column
from projections.postings import CHART
from projections.statement import (
    LINE_KEY,
    LINE_KINDS,
    LINES,
    POSTING_KEY,
    Statement,
    lines_of,
    postings_of,
)

FILTERS_MAX = 20  # more kinds of lines or accounts of the chart than there are

router = audience("billing", BILLING_READ)

Since = Annotated[Day | None, Query(description="the first day", examples=["2014-07-01"])]
Until = Annotated[
    Day | None,
    Query(
        description="the last day; by default today: what counts later is left out", examples=["2014-12-09"]
    ),
]
LineSort = Literal["effective_on", "-effective_on"]
_LINE_SORTS: Mapping[str, Column] = {"effective_on": LINES}
_POSTING_SORTS: Mapping[str, Column] = {
    "effective_on": Column("effective_on", "date"),
    "amount_fen": Column("amount_fen", "bigint"),
}


class Rule(BaseModel):
    """The rule a line is measured against, in the version of its day. `citation` says what it rests on."""

    rule_id: str
    version: str | None
    citation: str | None
    on: str


class StatementLine(BaseModel):
    """A line. `change_fen` is what it does to the balance, `rests_on` refers to the events it speaks of."""

    effective_on: str
    occurred_at: str
    recorded_at: str
    kind: str
    item_id: str | None
    item_kind: str | None
    period_start: str | None
    period_end: str | None
    due_on: str | None
    amount_fen: int
    change_fen: int
    balance_fen: int
    event_id: str
    source: str
    position: int
    rests_on: list[str]
    rule: Rule | None


class StatementAnswer(BaseModel):
    """A page of a statement. The balances are those before the first day and after the last one asked for."""

    account_id: str
    until: str
    opening_balance_fen: int
    closing_balance_fen: int
    lines: list[StatementLine]
    next: str | None
    projection: Projection


class PostingLine(BaseModel):
    """One entry of an event: a debit is positive, a credit negative."""

    effective_on: str
    recorded_at: str
    code: str
    account_kind: str
    amount_fen: int
    event_id: str
    source: str
    position: int


class PostingsAnswer(BaseModel):
    """A page of entries."""

    account_id: str
    until: str
    postings: list[PostingLine]
    next: str | None
    projection: Projection


_LINE = {
    "effective_on": "2014-08-16",
    "occurred_at": "2014-08-16T00:20:00+08:00",
    "recorded_at": "2014-08-16T00:20:00+08:00",
    "kind": "charge_posted",
    "item_id": "C-F-1",
    "item_kind": "monthly",
    "period_start": "2014-07-16",
    "period_end": "2014-08-16",
    "due_on": "2014-08-31",
    "amount_fen": 10_000,
    "change_fen": 10_000,
    "balance_fen": 10_000,
    "event_id": "harbin-043",
    "source": "urn:recount:demo:harbin",
    "position": 43,
    "rests_on": ["harbin-038"],
    "rule": {
        "rule_id": "charge-basis",
        "version": "2014",
        "citation": "Consumer Rights Protection Law (revision in force 2014-03-15), arts. 8 and 9",
        "on": "2014-08-16",
    },
}
_POSTING = {
    "effective_on": "2014-08-16",
    "recorded_at": "2014-08-16T00:20:00+08:00",
    "code": "receivable",
    "account_kind": "asset",
    "amount_fen": 10_000,
    "event_id": "harbin-043",
    "source": "urn:recount:demo:harbin",
    "position": 43,
}
_PROBLEMS = documented(
    "account.not_found",
    "subject.ambiguous",
    "projection.behind",
    "projection.failed",
    "storage.unavailable",
)


@router.get(
    "/accounts/{id}/statement",
    summary="An account's statement, a page at a time",
    description="One line for each event that concerns the account's money, in the order in which they count: a"
    " payment from its value date. Each says the balance after it, the events it rests on, and the rule it is"
    " measured against, in the version of its day.",
    operation_id="billing_statement",
    response_model=StatementAnswer,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "account_id": "A-FTTH",
                        "until": "2014-12-09",
                        "opening_balance_fen": 0,
                        "closing_balance_fen": 45_460,
                        "lines": [_LINE],
                        "next": None,
                        "projection": projection_example("statement"),
                    }
                }
            }
        },
        **_PROBLEMS,
    },
)
async def statement(
    *,
    runtime: Running,
    wait: Waiting,
    identifier: Annotated[Identifier, Path(alias="id", examples=["A-FTTH"])],
    since: Since = None,
    until: Until = None,
    kind: Annotated[
        list[Literal[tuple(LINE_KINDS.values())]] | None,  # type: ignore[valid-type]
        Query(max_length=FILTERS_MAX, description="only lines of these kinds"),
    ] = None,
    sort: LineSort = "effective_on",
    after: After = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of a statement."""
    part = wanted(sort, after, limit, _LINE_SORTS, LINE_KEY)
    ledger = await anyio.to_thread.run_sync(runtime.deployment.locate, f"account/{identifier}", region)
    standing = await reached(ledger, Statement.name, wait)
    now = runtime.clock()
    last = until or day_of(now, region or ledger.region)
    asked = {"since": since, "until": last, "kinds": kind}
    found = await anyio.to_thread.run_sync(
        lambda: built(lambda: lines_of(ledger, identifier, asked, part.paged))
    )
    rows, following = cut(found.lines, sort, part)
    book = await anyio.to_thread.run_sync(_rulebook, ledger, rows)
    body = {
        "account_id": identifier,
        "until": last,
        "opening_balance_fen": found.opening_fen,
        "closing_balance_fen": found.closing_fen,
        "lines": [_line(row, book) for row in rows],
        "next": following,
    }
    return answered(body, ledger, standing, now)


def _rulebook(ledger: Ledger, rows: list[dict[str, Any]]) -> Rulebook:
    """Return the rulebook of the ledger and of the city the account is in, as published by now."""
    books = {f"rulebook/{ledger.region}", *(f"rulebook/{row['region']}" for row in rows)}
    histories = ledger.histories(sorted(books))
    return rulebook_of(in_order(r for history in histories.values() for r in history))


def _line(row: dict[str, Any], book: Rulebook) -> dict[str, Any]:
    shown = {name: row[name] for name in StatementLine.model_fields if name != "rule"}
    if row["rule_id"] is None:
        return {**shown, "rule": None}
    version = book.on(row["rule_id"], row["rule_on"])
    return {
        **shown,
        "rule": {
            "rule_id": row["rule_id"],
            "version": version.version if version else None,
            "citation": version.cited if version else None,
            "on": row["rule_on"],
        },
    }


@router.get(
    "/accounts/{id}/postings",
    summary="The double entry behind an account's statement, a page at a time",
    description="Each event's entries sum to zero; those on `receivable` add up to the account's balance.",
    operation_id="billing_postings",
    response_model=PostingsAnswer,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "account_id": "A-FTTH",
                        "until": "2014-12-09",
                        "postings": [
                            _POSTING,
                            {
                                **_POSTING,
                                "code": "revenue_monthly",
                                "account_kind": "income",
                                "amount_fen": -10_000,
                            },
                        ],
                        "next": None,
                        "projection": projection_example("statement"),
                    }
                }
            }
        },
        **_PROBLEMS,
    },
)
async def postings(
    *,
    runtime: Running,
    wait: Waiting,
    identifier: Annotated[Identifier, Path(alias="id", examples=["A-FTTH"])],
    since: Since = None,
    until: Until = None,
    code: Annotated[
        list[Literal[tuple(CHART)]] | None,  # type: ignore[valid-type]
        Query(max_length=FILTERS_MAX, description="only entries on these accounts of the chart"),
    ] = None,
    sort: Literal["effective_on", "-effective_on", "amount_fen", "-amount_fen"] = "effective_on",
    after: After = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of entries."""
    part = wanted(sort, after, limit, _POSTING_SORTS, POSTING_KEY)
    ledger = await anyio.to_thread.run_sync(runtime.deployment.locate, f"account/{identifier}", region)
    standing = await reached(ledger, Statement.name, wait)
    now = runtime.clock()
    last = until or day_of(now, region or ledger.region)
    asked = {"since": since, "until": last, "codes": code}
    found = await anyio.to_thread.run_sync(
        lambda: built(lambda: postings_of(ledger, identifier, asked, part.paged))
    )
    rows, following = cut(found, sort, part)
    shown = [
        {**{n: row[n] for n in PostingLine.model_fields if n in row}, "account_kind": CHART[row["code"]].kind}
        for row in rows
    ]
    body = {"account_id": identifier, "until": last, "postings": shown, "next": following}
    return answered(body, ledger, standing, now)
