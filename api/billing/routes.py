"""The addresses of /billing."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Path, Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import BILLING_READ
from api.billing.reading import MODEL, on_today, page_of, row_of
from api.paging import LIMIT_DEFAULT, Limit
from api.problems import ProblemError, documented
from api.reading import Projection, Waiting, candidates, city_of, projection_example, projection_of, reached
from api.requests import Region, Running, answer, audience
from domain.events.fields import IDENTIFIER_MAX_CHARS, Identifier
from domain.ledger.application import Ledger
from projections.billing_status import Status

LEDGER_MAX_CHARS = 40

router = audience("billing", BILLING_READ)

_PROJECTION = projection_example(MODEL)
_ROW = {
    "account_id": "A-FTTH",
    "party_id": "P-HRB",
    "region": "heilongjiang.harbin",
    "line_of_business": "fixed_broadband",
    "status": "active",
    "status_since": "2013-05-01T10:00:00+08:00",
    "package": {"package_id": "PK-1", "offer_id": "FTTH-1080", "cycle": "annual", "price_fen": 108_000},
    "balance_fen": 45_460,
    "principal_fen": 45_460,
    "late_fee_fen": 0,
    "credit_fen": 0,
    "arrears_since": "2014-06-11",
    "days_past_due": 182,
    "aging": {"current": 0, "d1_30": 0, "d31_60": 0, "d61_90": 0, "d90_plus": 45_460},
    "open_items": [{"charge_id": "CH-1", "due_on": "2014-06-10", "unpaid_fen": 45_460}],
    "disputed": False,
    "stream_version": 24,
}


class AccountStatus(BaseModel):
    """An account's status today. Amounts in fen."""

    account_id: str
    party_id: str
    region: str
    line_of_business: str
    status: Literal["pending", "active", "suspended", "terminated"]
    status_since: str | None
    package: dict[str, Any] | None
    balance_fen: int
    principal_fen: int
    late_fee_fen: int
    credit_fen: int
    arrears_since: str | None
    days_past_due: int
    aging: dict[str, int]
    open_items: list[dict[str, Any]]
    disputed: bool
    stream_version: int


class AccountAnswer(AccountStatus):
    """An account's status with the read model's position."""

    projection: Projection


class AccountPage(BaseModel):
    """A page of accounts, of one ledger; `next` is the cursor of the page after it, null at the end."""

    accounts: list[AccountStatus]
    next: str | None
    projection: Projection | None


@router.get(
    "/accounts/{id}",
    summary="What an account owes today",
    description="From the read model. `min_position` waits until it has seen what a command's answer named.",
    operation_id="billing_account",
    response_model=AccountAnswer,
    responses={
        200: {"content": {"application/json": {"example": {**_ROW, "projection": _PROJECTION}}}},
        **documented(
            "account.not_found",
            "subject.ambiguous",
            "projection.behind",
            "projection.failed",
            "storage.unavailable",
        ),
    },
)
async def account(
    *,
    runtime: Running,
    wait: Waiting,
    identifier: Annotated[Identifier, Path(alias="id", examples=["A-FTTH"])],
    region: Region = None,
) -> Response:
    """Return an account's status."""
    ledger = await anyio.to_thread.run_sync(runtime.deployment.locate, f"account/{identifier}", region)
    standing = await reached(ledger, MODEL, wait)
    row = await anyio.to_thread.run_sync(row_of, ledger, identifier, standing)
    now = runtime.clock()
    body = {**on_today(row, now), "projection": projection_of(ledger, standing, now)}
    return answer(body, headers={"Recount-Position": str(standing.position)})


@router.get(
    "/accounts",
    summary="Accounts and what they owe, a page at a time",
    description="By ledger and account id. Each page is of one ledger, and says how far its read model is.",
    operation_id="billing_accounts",
    response_model=AccountPage,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {"accounts": [_ROW], "next": "heilongjiang/A-FTTH", "projection": _PROJECTION}
                }
            }
        },
        **documented("ledger.not_found", "projection.behind", "storage.unavailable"),
    },
)
async def accounts(
    *,
    runtime: Running,
    wait: Waiting,
    after: Annotated[
        str | None,
        Query(
            max_length=LEDGER_MAX_CHARS + 1 + IDENTIFIER_MAX_CHARS,
            pattern=r"^[a-z][a-z0-9_]*/[^\s\x00-\x1f\x7f/]+$",
            description="the `next` of the page before",
        ),
    ] = None,
    limit: Limit = LIMIT_DEFAULT,
    party_id: Identifier | None = None,
    status: Literal["pending", "active", "suspended", "terminated"] | None = None,
    owing: Annotated[bool, Query(description="only accounts with a balance to pay")] = False,
    region: Region = None,
) -> Response:
    """Return a page of accounts."""
    ledgers = await anyio.to_thread.run_sync(candidates, runtime, region)
    if wait.min_position is not None and len(ledgers) > 1:
        raise ProblemError("ledger.ambiguous", "a position is of one ledger: name it with ?region=")
    from_ledger, _, from_id = (after or "").partition("/")
    wanted = {
        "limit": limit,
        "city": city_of(region),
        "party_id": party_id,
        "status": status,
        "owing": owing,
    }
    for index, ledger in enumerate(ledgers):
        if ledger.region < from_ledger:
            continue
        standing = await reached(ledger, MODEL, wait)
        start = from_id if ledger.region == from_ledger else ""
        rows = await anyio.to_thread.run_sync(page_of, ledger, start, wanted)
        if rows or index == len(ledgers) - 1:
            now = runtime.clock()
            body = {
                "accounts": [on_today(row, now) for row in rows],
                "next": _next(ledgers[index:], rows, limit),
                "projection": projection_of(ledger, standing, now),
            }
            return answer(body, headers={"Recount-Position": str(standing.position)})
    return answer({"accounts": [], "next": None, "projection": None})


def _next(ledgers: Sequence[Ledger], rows: Sequence[Status], limit: int) -> str | None:
    """Return the cursor after these rows: None where this ledger has no more and no other comes after it."""
    if rows and (len(rows) == limit or len(ledgers) > 1):
        return f"{ledgers[0].region}/{rows[-1].account_id}"
    return None
