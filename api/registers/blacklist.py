"""The address of the blacklist register."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.reading import Projection
from api.registers.asking import Id, Listing, Paged, Reading, described, today
from api.requests import audience
from projections.blacklist import KEY, SORTS, Blacklist, entries

router = audience("registers", INVESTIGATE_READ)
ENTRIES = Listing("entries", Blacklist.name, SORTS, KEY)


class BlacklistRow(BaseModel):
    """An entry. `must_leave_by` is the earlier of the working days after its debt's end and the retention's end.

    `notice_reach` is of the notice the entry names; `notices_reached` counts notices of the arrears that had reached
    the party before it. The retention counts from the entry: when the bad conduct ended is not on record.
    """

    entry_id: str
    version: int
    party_id: str
    region: str
    basis_account_id: str
    amount_fen: int
    basis_event_ids: list[str]
    event_id: str
    added_on: str
    standing: bool
    removed_on: str | None
    removal_reason: str | None
    days_listed: int
    notice_id: str | None
    notice_reach: Literal["reached", "astray", "unknown", "not_delivered"] | None
    notices_reached: int
    basis_known: bool
    cleared_on: str | None
    void: bool
    clearing_deadline: str | None
    retention_ends_on: str
    must_leave_by: str
    overdue: bool


class BlacklistPage(BaseModel):
    """A page of entries."""

    entries: list[BlacklistRow]
    next: str | None
    projection: Projection


_ENTRY = {
    "entry_id": "BL-1",
    "version": 4,
    "party_id": "P-HRB",
    "region": "heilongjiang.harbin",
    "basis_account_id": "A-NETCOM",
    "amount_fen": 38_100,
    "basis_event_ids": ["harbin-012", "harbin-013", "harbin-014"],
    "event_id": "harbin-028",
    "added_on": "2011-05-01",
    "standing": True,
    "removed_on": None,
    "removal_reason": None,
    "days_listed": 1_326,
    "notice_id": None,
    "notice_reach": None,
    "notices_reached": 0,
    "basis_known": True,
    "cleared_on": None,
    "void": False,
    "clearing_deadline": None,
    "retention_ends_on": "2016-05-01",
    "must_leave_by": "2016-05-01",
    "overdue": False,
}


@router.get(
    "/blacklist",
    summary="The blacklist: basis, notice, age, and when each entry has to go; a page at a time",
    description="An entry is `overdue` where it stood, or stands, past the day it had to go by.",
    operation_id="register_blacklist",
    response_model=BlacklistPage,
    responses=described(Blacklist.name, {"entries": [_ENTRY], "next": None}),
)
async def blacklist(
    *,
    reader: Reading,
    page: Paged,
    standing: Annotated[bool | None, Query(description="only entries that stand, or only those that went")] = None,
    overdue: bool | None = None,
    cleared: Annotated[bool | None, Query(description="only entries whose debt was cleared or found void")] = None,
    party_id: Id = None,
    account_id: Id = None,
    sort: Literal[
        "must_leave_by", "-must_leave_by", "added_on", "-added_on", "amount_fen", "-amount_fen",
        "cleared_on", "-cleared_on", "party_id", "-party_id",
    ] = "must_leave_by",
) -> Response:  # fmt: skip
    """Return a page of the blacklist."""
    given = {
        "standing": standing,
        "overdue": overdue,
        "cleared": cleared,
        "party_id": party_id,
        "account_id": account_id,
    }
    return await ENTRIES.answer(
        reader, page, sort, given, lambda ledger, now, w, part: entries(ledger, today(ledger, now), w, part)
    )
