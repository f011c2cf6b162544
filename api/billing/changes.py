"""The change feed for billing systems: which accounts' status changed since they looked last.

Read with the last cursor again and again, it brings every change at least once, whatever happens to the read model
meanwhile: the cursor says positions of the log and moments of the calendar, not places in a table.
"""

import base64
import binascii
from datetime import datetime, timezone
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import BILLING_READ
from api.billing.reading import MODEL, on_today
from api.billing.routes import AccountStatus
from api.paging import CURSOR_MAX_CHARS, LIMIT_DEFAULT, Limit
from api.problems import documented
from api.reading import (
    Projection,
    Waiting,
    city_of,
    projection_example,
    read_one,
)
from api.requests import Region, Running, audience
from domain.events.fields import MalformedError, parse_instant
from domain.ledger.application import Ledger
from domain.ledger.recorder import POSITION_MAX
from projections.billing_status import Cursor, changes

router = audience("billing", BILLING_READ)


class Change(AccountStatus):
    """An account as it reads today; `position` is that of the last event it rests on."""

    position: int


class Changes(BaseModel):
    """Accounts that changed, by position. `next` is the cursor to read with next, always; `more` says at once."""

    accounts: list[Change]
    next: str
    more: bool
    projection: Projection


@router.get(
    "/changes",
    summary="Accounts whose status changed since a cursor",
    description="Without a cursor it begins with all accounts. Keep `next` once the accounts are stored, and read with"
    " it: every change comes at least once, also one that no event makes, as a payment's value date. An account comes"
    " as it reads now, so several changes may come as one. After a new version of the read model all accounts come"
    " again. One ledger, or a city of it, at a time.",
    operation_id="billing_changes",
    response_model=Changes,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "accounts": [],
                        "next": "WzIsMTAyLCIyMDE0LTEyLTA5VDAzOjAwOjAwKzAwOjAwIixudWxsXQ",
                        "more": False,
                        "projection": projection_example(MODEL),
                    }
                }
            }
        },
        **documented(
            "ledger.not_found",
            "ledger.ambiguous",
            "projection.behind",
            "projection.failed",
            "storage.not_ready",
            "storage.unavailable",
        ),
    },
)
async def get_changes(
    *,
    runtime: Running,
    wait: Waiting,
    after: Annotated[
        str | None,
        Query(
            max_length=CURSOR_MAX_CHARS,
            pattern=r"^[A-Za-z0-9_-]+$",
            description="the `next` of the answer before",
        ),
    ] = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return the next accounts that changed."""

    def ask(ledger: Ledger, now: datetime) -> dict[str, Any]:
        place = city_of(region) or ledger.region
        cursor = read_cursor(after, place) if after is not None else None
        rows, following = changes(ledger, cursor, now, limit, city_of(region))
        return {
            "accounts": [{**on_today(row, now), "position": row.position} for row in rows],
            "next": written(following, place),
            "more": following.at is not None,
        }

    return await read_one(runtime, region, MODEL, wait, ask)


def written(cursor: Cursor, place: str) -> str:
    """Return a cursor as text for callers, who need not know what is in it."""
    text = orjson.dumps([place, *cursor])
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read_cursor(text: str, place: str) -> Cursor:
    """Return the cursor of a text; raises MalformedError where it is none of the feed of this ledger or city."""
    wrong = MalformedError("after", "should be the `next` of the answer before, of the same region")
    try:
        read = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError) as error:
        raise wrong from error
    if not isinstance(read, list) or len(read) != 1 + len(Cursor._fields) or read[0] != place:
        raise wrong
    version, position, moment, to_position, to_moment, at = read[1:]
    numbers = (version, position, to_position, 0 if at is None else at)
    if not all(type(n) is int and 0 <= n <= POSITION_MAX for n in numbers):
        raise wrong
    return Cursor(version, position, _moment(moment, wrong), to_position, _moment(to_moment, wrong), at)


def _moment(text: Any, wrong: MalformedError) -> datetime:
    if not isinstance(text, str):
        raise wrong
    try:
        # in UTC: the database knows no offsets of 16 hours and more
        return parse_instant(text).astimezone(timezone.utc)  # noqa: UP017 - as everywhere
    except ValueError as error:
        raise wrong from error
