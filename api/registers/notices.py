"""The addresses of notices: coverage around the ends of annual terms, the terms, and contact points."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.reading import Projection
from api.registers.asking import Id, Listing, Paged, Reading, described, summed, today
from api.requests import audience
from domain.events.fields import Day
from projections.notices import (
    CONTACT_KEY,
    CONTACT_SORTS,
    TERM_KEY,
    TERM_SORTS,
    Notices,
    contact_points,
    coverage,
    terms,
)

router = audience("registers", INVESTIGATE_READ)

Verdict = Literal["kept", "breach", "undetermined", "not_applicable"]
EndedSince = Annotated[Day | None, Query(description="only terms that ended on this day or later")]
EndedBefore = Annotated[Day | None, Query(description="only terms that ended before this day")]
TERMS = Listing("terms", Notices.name, TERM_SORTS, TERM_KEY)
CONTACTS = Listing("contact_points", Notices.name, CONTACT_SORTS, CONTACT_KEY)


class Cell(BaseModel):
    """Notices of one side, channel and outcome, and the terms they were sent around.

    `reached` is delivered to a point that was the customer's own then, `astray` to another, `unknown` to one that is
    not on record, `late` was on record too late to count.
    """

    side: Literal["before", "after"]
    channel: str
    outcome: Literal["reached", "astray", "unknown", "late", "failed", "pending"]
    notices: int
    terms: int


class TermsOfVerdict(BaseModel):
    """How many terms came to a verdict, by what was before and after their end."""

    verdict: Verdict
    before: Verdict
    after: Verdict
    terms: int


class CoverageAnswer(BaseModel):
    """The matrix of notices around terms' ends, and the terms by verdict of the rule expiry-notice."""

    cells: list[Cell]
    terms: list[TermsOfVerdict]
    projection: Projection


class Term(BaseModel):
    """An annual term of broadband, and what was sent in the rule's windows around its end."""

    account_id: str
    version: int
    package_id: str
    region: str
    renewal: bool
    start_on: str
    end_on: str
    opens_on: str
    closes_on: str
    attempts_before: int
    reached_before: int
    channels_tried: list[str]
    attempts_after: int
    reached_after: int
    before: Verdict
    after: Verdict
    verdict: Verdict


class TermPage(BaseModel):
    """A page of terms."""

    terms: list[Term]
    next: str | None
    projection: Projection


class ContactPointRow(BaseModel):
    """A contact point, and what was sent to it; `attempts_since` counts those since it no longer reached anyone."""

    party_id: str
    contact_point_id: str
    region: str
    kind: str
    added_at: str
    invalid_since: str | None
    reason: str | None
    attempts: int
    failed: int
    delivered: int
    attempts_since: int
    delivered_since: int
    last_attempt_at: str | None
    party_reachable: bool
    reaches_nobody: bool


class ContactPage(BaseModel):
    """A page of contact points."""

    contact_points: list[ContactPointRow]
    next: str | None
    projection: Projection


_CELL = {"side": "after", "channel": "sms", "outcome": "failed", "notices": 1, "terms": 1}
_TERM = {
    "account_id": "A-FTTH",
    "version": 3,
    "package_id": "PK-F",
    "region": "heilongjiang.harbin",
    "renewal": False,
    "start_on": "2013-07-16",
    "end_on": "2014-07-16",
    "opens_on": "2014-06-16",
    "closes_on": "2014-08-15",
    "attempts_before": 0,
    "reached_before": 0,
    "channels_tried": [],
    "attempts_after": 2,
    "reached_after": 0,
    "before": "breach",
    "after": "breach",
    "verdict": "breach",
}
_POINT = {
    "party_id": "P-HRB",
    "contact_point_id": "CP-NEW",
    "region": "heilongjiang.harbin",
    "kind": "mobile",
    "added_at": "2013-07-16T01:02:00+00:00",
    "invalid_since": "2014-06-20T02:00:00+00:00",
    "reason": "abandoned",
    "attempts": 3,
    "failed": 3,
    "delivered": 0,
    "attempts_since": 3,
    "delivered_since": 0,
    "last_attempt_at": "2014-09-10T06:00:00+00:00",
    "party_reachable": False,
    "reaches_nobody": True,
}


@router.get(
    "/notice-coverage",
    summary="Whom notices reached before and after annual terms' ends, by channel and outcome",
    description="Of broadband, in the rulebook's windows around each end. The terms' verdicts are the findings'.",
    operation_id="register_notice_coverage",
    response_model=CoverageAnswer,
    responses=described(
        Notices.name,
        {
            "cells": [_CELL],
            "terms": [{"verdict": "breach", "before": "breach", "after": "breach", "terms": 2}],
        },
    ),
)
async def notice_coverage(
    *,
    reader: Reading,
    account_id: Id = None,
    ended_since: EndedSince = None,
    ended_before: EndedBefore = None,
) -> Response:
    """Return the coverage of terms' ends."""
    given = {"account_id": account_id, "ended_since": ended_since, "ended_before": ended_before}

    def read(ledger: Any, day: Any, wanted: Any) -> dict[str, Any]:
        cells, verdicts = coverage(ledger, day, wanted)
        return {"cells": cells, "terms": verdicts}

    return await summed(reader, Notices.name, given, read)


@router.get(
    "/expired-terms",
    summary="Annual terms and what the customer was told around their end, a page at a time",
    description="Of broadband, ended or ending, with the verdict of the rule expiry-notice.",
    operation_id="register_expired_terms",
    response_model=TermPage,
    responses=described(Notices.name, {"terms": [_TERM], "next": None}),
)
async def expired_terms(
    *,
    reader: Reading,
    page: Paged,
    verdict: Verdict | None = None,
    account_id: Id = None,
    ended_since: EndedSince = None,
    ended_before: EndedBefore = None,
    sort: Literal[
        "end_on", "-end_on", "account_id", "-account_id", "attempts_before", "-attempts_before"
    ] = "-end_on",
) -> Response:
    """Return a page of terms."""
    given = {
        "verdict": verdict,
        "account_id": account_id,
        "ended_since": ended_since,
        "ended_before": ended_before,
    }
    return await TERMS.answer(
        reader, page, sort, given, lambda ledger, now, w, part: terms(ledger, today(ledger, now), w, part)
    )


@router.get(
    "/contact-points",
    summary="Contact points and what was sent to them, a page at a time",
    description="`reaches_nobody` says of a point that it was invalidated, or that all that was sent to it failed;"
    " `still_used=true` leaves those to which notices went on after that.",
    operation_id="register_contact_points",
    response_model=ContactPage,
    responses=described(Notices.name, {"contact_points": [_POINT], "next": None}),
)
async def points(
    *,
    reader: Reading,
    page: Paged,
    reaches_nobody: bool | None = None,
    still_used: bool | None = None,
    party_id: Id = None,
    kind: Literal["mobile", "landline", "email", "postal", "web_account"] | None = None,
    reason: Literal["abandoned", "recycled", "wrong_number", "moved"] | None = None,
    sort: Literal[
        "invalid_since", "-invalid_since", "last_attempt_at", "-last_attempt_at", "attempts_since", "-attempts_since",
        "failed", "-failed", "party_id", "-party_id",
    ] = "-attempts_since",
) -> Response:  # fmt: skip
    """Return a page of contact points."""
    given = {
        "reaches_nobody": reaches_nobody,
        "still_used": still_used,
        "party_id": party_id,
        "kind": kind,
        "reason": reason,
    }
    return await CONTACTS.answer(
        reader, page, sort, given, lambda ledger, _now, w, part: contact_points(ledger, w, part)
    )
