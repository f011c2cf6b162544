"""The queue of notices that should go out: one for each ledger, beside its log, and nothing personal in it.

A request waits (`queued`) until a gateway has taken it over (`handed_over`). Or it comes to its end without
being sent: it was of no use any more (`lapsed`), the domain refuses the attempt (`refused`), or no gateway
would have it (`failed`). `unrecorded` was taken over, and then the domain refused to record the attempt.
Being queued is no event: nothing has happened to the customer yet. What was attempted stands in the log.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args
from urllib.parse import quote

import orjson
from pydantic import ValidationError

from domain.commands.account import AttemptNotice
from domain.events.envelope import check_subject
from domain.events.fields import MalformedError, problems_of
from domain.ledger.database import Connection
from domain.ledger.queries import queries
from domain.policies.due import NoticeRequest

Status = Literal["queued", "handed_over", "refused", "lapsed", "failed", "unrecorded"]
STATUSES: tuple[Status, ...] = get_args(Status)

_Q = queries("domain.ledger.sql", "outbox.sql")


@dataclass(frozen=True, slots=True)
class Queued:
    """A request as it stands in the queue. `reason` is a code: why it was last not taken over, or not sent."""

    request: NoticeRequest
    status: Status
    requested_at: datetime
    tries: int
    next_try_at: datetime
    settled_at: datetime | None
    reason: str | None


def key_of(account_id: str, notice_id: str) -> str:
    """Return by what a notice is known within a ledger, in ASCII: two accounts may use one notice id."""
    return f"{quote(account_id, safe='')}/{quote(notice_id, safe='')}"


def attempt_of(request: NoticeRequest) -> AttemptNotice:
    """Return the command that records that a request was attempted; raises MalformedError."""
    given: Any = request
    try:
        return AttemptNotice(
            notice_id=given.notice_id,
            purpose=given.purpose,
            channel=given.channel,
            contact_point_id=given.contact_point_id,
            package_id=given.package_id,
            charge_ids=given.charge_ids,
        )
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise MalformedError(problem.field, problem.reason) from None


# -- asking for notices -------------------------------------------------------------------------------------


def enqueue(connection: Connection, requests: Sequence[NoticeRequest], requested_at: datetime) -> int:
    """Queue notices in the caller's transaction and return how many are to be sent because of it.

    Asking twice is asking once, as long as the first request waits or was handed over. One that came to its
    end without being sent (its contact point was invalid, no gateway answered for days) is queued anew: who
    asks again found it still due, and may name another contact point.
    Raises MalformedError where a request could never be attempted; then nothing was queued.
    """
    if not requests:
        return 0
    for request in requests:
        check_subject(f"account/{request.account_id}")
        attempt_of(request)
    given = {"requests": orjson.dumps([asdict(r) for r in requests]).decode(), "requested_at": requested_at}
    # Only what has ended is updated: an upsert would wait for the sender who holds a request.
    again = connection.execute(_Q["ask_again"], given).rowcount
    return connection.execute(_Q["add"], given).rowcount + again


# -- sending them -------------------------------------------------------------------------------------------


def take(connection: Connection, due: datetime, limit: int) -> list[Queued]:
    """Return up to `limit` requests that may be tried at `due`, those that wait longest first.

    They are locked to the end of the caller's transaction: another sender takes others, and where this one is
    killed they are free at once.
    """
    return [_queued(row) for row in connection.execute(_Q["take"], {"due": due, "limit": limit})]


def settle(
    connection: Connection, request: NoticeRequest, status: Status, at: datetime, reason: str | None = None
) -> None:
    """Bring a taken request to its end."""
    given = {"account_id": request.account_id, "notice_id": request.notice_id}
    connection.execute(_Q["settle"], {**given, "status": status, "at": at, "reason": reason})


def postpone(connection: Connection, request: NoticeRequest, next_try_at: datetime, reason: str) -> None:
    """Leave a taken request in the queue, to be tried again later."""
    given = {"account_id": request.account_id, "notice_id": request.notice_id}
    connection.execute(_Q["postpone"], {**given, "next_try_at": next_try_at, "reason": reason})


# -- looking at them ----------------------------------------------------------------------------------------


def count_by_status(connection: Connection) -> dict[Status, int]:
    """Return how many requests there are of each status, those of none left out."""
    found: dict[Status, int] = dict(connection.execute(_Q["count_by_status"]).fetchall())
    return {status: found[status] for status in STATUSES if status in found}


def count_queued(connection: Connection) -> int:
    """Return how many requests wait; by an index, however many were ever sent."""
    row = connection.execute(_Q["count_queued"]).fetchone()
    return int(row[0]) if row else 0


def oldest(connection: Connection, status: Status, limit: int) -> list[Queued]:
    """Return up to `limit` requests of a status, the oldest first."""
    return [_queued(row) for row in connection.execute(_Q["oldest"], {"status": status, "limit": limit})]


def _queued(row: Sequence[Any]) -> Queued:
    account_id, notice_id, purpose, channel, contact_point_id, package_id, charge_ids, useful_until = row[:8]
    until: date = useful_until
    charges = tuple(charge_ids) if charge_ids is not None else None
    request = NoticeRequest(
        account_id, notice_id, purpose, channel, contact_point_id, package_id, charges, until
    )
    return Queued(request, *row[8:])
