"""The addresses of cases: the board of cases, how long they take, and what was promised in them."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.reading import Projection
from api.registers.asking import Id, Listing, Paged, Reading, Word, described, summed, today
from api.requests import audience
from domain.events.envelope import Channel
from domain.events.fields import Day
from projections.cases import KEY, PROMISE_KEY, PROMISE_SORTS, SORTS, Cases, cases, commitments, times

router = audience("registers", INVESTIGATE_READ)
CASES = Listing("cases", Cases.name, SORTS, KEY)
COMMITMENTS = Listing("commitments", Cases.name, PROMISE_SORTS, PROMISE_KEY)
CaseStatus = Literal["open", "answered", "closed"]
Timing = Literal["in_time", "late", "due", "missed", "not_required"]
Kept = Literal["met", "open", "missed", "remedied"]
ReceivedSince = Annotated[Day | None, Query(description="only cases received on this day or later")]
ReceivedBefore = Annotated[Day | None, Query(description="only cases received before this day")]


class CaseOnBoard(BaseModel):
    """A case as it reads today. `must_answer_by` is the rule's day, `answer_due_on` the one that was promised."""

    case_id: str
    kind: Literal["complaint", "investigation"]
    category: str | None
    channel: str
    region: str
    party_id: str | None
    account_ids: list[str]
    owner_id: str | None
    unit: str | None
    received_on: str
    answer_due_on: str | None
    handling_since: str | None
    answered_on: str | None
    answer: str | None
    closed_on: str | None
    outcome: str | None
    days_to_answer: int | None
    days_to_close: int | None
    contacts: int
    staff: int
    unclear_contacts: int
    appeals: int
    appeals_decided: int
    appeals_upheld: int
    remedies: int
    apologies: int
    must_answer_by: str | None
    days_open: int | None
    status: CaseStatus
    answer_timing: Timing


class CasePage(BaseModel):
    """A page of cases."""

    cases: list[CaseOnBoard]
    next: str | None
    projection: Projection


class CaseTimes(BaseModel):
    """How long the cases of a unit and channel took, in days: the median, and what nine in ten were done within."""

    unit: str | None
    channel: str
    cases: int
    open: int
    closed: int
    answered_in_time: int
    answered_late: int
    answer_due: int
    answer_missed: int
    days_to_answer_median: int | None
    days_to_answer_p90: int | None
    days_to_close_median: int | None
    days_to_close_p90: int | None


class TimesAnswer(BaseModel):
    """The times by unit and channel."""

    times: list[CaseTimes]
    projection: Projection


class CommitmentRow(BaseModel):
    """A commitment as it reads now: `remedied` is missed, and the remedy was granted."""

    case_id: str
    version: int
    commitment_id: str
    region: str
    unit: str | None
    owner_id: str | None
    channel: str
    party_id: str | None
    solution: str
    remedy_if_missed: str
    made_at: str
    made_before_handling: bool
    due_at: str
    met_at: str | None
    missed_at: str | None
    remedy_at: str | None
    status: Kept


class CommitmentPage(BaseModel):
    """A page of commitments."""

    commitments: list[CommitmentRow]
    next: str | None
    projection: Projection


_CASE = {
    "case_id": "C-HRB",
    "kind": "complaint",
    "category": "annual_package_expiry",
    "channel": "store",
    "region": "heilongjiang.harbin",
    "party_id": "P-HRB",
    "account_ids": ["A-NETCOM", "A-FTTH"],
    "owner_id": None,
    "unit": None,
    "received_on": "2014-12-09",
    "answer_due_on": "2014-12-24",
    "handling_since": "2014-12-12T08:00:00+00:00",
    "answered_on": None,
    "answer": None,
    "closed_on": None,
    "outcome": None,
    "days_to_answer": None,
    "days_to_close": None,
    "contacts": 4,
    "staff": 4,
    "unclear_contacts": 4,
    "appeals": 0,
    "appeals_decided": 0,
    "appeals_upheld": 0,
    "remedies": 0,
    "apologies": 1,
    "must_answer_by": "2014-12-24",
    "days_open": 8,
    "status": "open",
    "answer_timing": "due",
}
_TIMES = {
    "unit": "harbin-complaints",
    "channel": "hotline",
    "cases": 40,
    "open": 3,
    "closed": 30,
    "answered_in_time": 35,
    "answered_late": 2,
    "answer_due": 2,
    "answer_missed": 1,
    "days_to_answer_median": 4,
    "days_to_answer_p90": 14,
    "days_to_close_median": 9,
    "days_to_close_p90": 31,
}
_COMMITMENT = {
    "case_id": "C-2",
    "version": 2,
    "commitment_id": "CM-1",
    "region": "heilongjiang.harbin",
    "unit": "harbin-complaints",
    "owner_id": "S-21",
    "channel": "hotline",
    "party_id": "P-2",
    "solution": "line repaired",
    "remedy_if_missed": "a month free",
    "made_at": "2015-02-01T02:00:00+00:00",
    "made_before_handling": True,
    "due_at": "2015-02-03T10:00:00+00:00",
    "met_at": None,
    "missed_at": None,
    "remedy_at": None,
    "status": "open",
}


@router.get(
    "/cases",
    summary="Cases: whose they are, when they have to be answered, how long they are open; a page at a time",
    operation_id="register_cases",
    response_model=CasePage,
    responses=described(Cases.name, {"cases": [_CASE], "next": None}),
)
async def board(
    *,
    reader: Reading,
    page: Paged,
    status: CaseStatus | None = None,
    answer: Timing | None = None,
    unit: Word = None,
    channel: Channel | None = None,
    category: Word = None,
    party_id: Id = None,
    received_since: ReceivedSince = None,
    received_before: ReceivedBefore = None,
    sort: Literal[
        "received_on", "-received_on", "must_answer_by", "-must_answer_by", "days_open", "-days_open",
        "days_to_answer", "-days_to_answer", "days_to_close", "-days_to_close", "contacts", "-contacts",
        "case_id", "-case_id",
    ] = "must_answer_by",
) -> Response:  # fmt: skip
    """Return a page of cases."""
    given = {
        "status": status,
        "answer": answer,
        "unit": unit,
        "channel": channel,
        "category": category,
        "party_id": party_id,
        "received_since": received_since,
        "received_before": received_before,
    }
    return await CASES.answer(
        reader, page, sort, given, lambda ledger, now, w, part: cases(ledger, today(ledger, now), w, part)
    )


@router.get(
    "/case-times",
    summary="Times to answer and to close, by unit and channel",
    operation_id="register_case_times",
    response_model=TimesAnswer,
    responses=described(Cases.name, {"times": [_TIMES]}),
)
async def case_times(
    *,
    reader: Reading,
    unit: Word = None,
    channel: Channel | None = None,
    category: Word = None,
    received_since: ReceivedSince = None,
    received_before: ReceivedBefore = None,
) -> Response:
    """Return the times."""
    given = {
        "status": None,
        "answer": None,
        "unit": unit,
        "channel": channel,
        "category": category,
        "party_id": None,
        "received_since": received_since,
        "received_before": received_before,
    }

    def read(ledger: Any, day: Any, wanted: Any) -> dict[str, Any]:
        return {"times": times(ledger, day, wanted)}

    return await summed(reader, Cases.name, given, read)


@router.get(
    "/commitments",
    summary="Commitments: due, met, missed, and the remedy of the missed ones; a page at a time",
    operation_id="register_commitments",
    response_model=CommitmentPage,
    responses=described(Cases.name, {"commitments": [_COMMITMENT], "next": None}),
)
async def promised(
    *,
    reader: Reading,
    page: Paged,
    status: Kept | None = None,
    unit: Word = None,
    channel: Channel | None = None,
    case_id: Id = None,
    sort: Literal["due_at", "-due_at", "made_at", "-made_at", "case_id", "-case_id"] = "due_at",
) -> Response:
    """Return a page of commitments."""
    given = {"status": status, "unit": unit, "channel": channel, "case_id": case_id}
    return await COMMITMENTS.answer(reader, page, sort, given, commitments)
