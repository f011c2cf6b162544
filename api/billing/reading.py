"""Reads the model billing_status together with how far it is, and waits, within a bound, until it is far enough."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import psycopg

from api.problems import ProblemError, retry_after
from api.runtime import Runtime
from api.waiting import POLL_S, Shared
from domain.calendar import day_of
from domain.events.envelope import ledger_of
from domain.ledger.application import Ledger
from projections.billing_status import BillingStatus, Status, status_of, statuses
from projections.engine import NotBuiltError, Standing, standings

MODEL = BillingStatus.name
T = TypeVar("T")
WAIT_MAX_S = 5.0  # a healthy model is a tenth of a second behind: who waits longer is better told so


def standing_of(ledger: Ledger) -> Standing | None:
    """Return how far the model is in a ledger, or None where its tables are still to be made."""
    try:
        return next((s for s in standings(ledger) if s.name == MODEL), None)
    except psycopg.errors.UndefinedTable:
        return None


async def reached(
    ledger: Ledger,
    min_position: int | None,
    wait_s: float,
    stopping: threading.Event,
    shared: Shared[Standing | None],
) -> Standing:
    """Return how far the model is, once it has reached a position; raises ProblemError where it does not."""
    deadline = anyio.current_time() + wait_s
    standing = await anyio.to_thread.run_sync(standing_of, ledger)
    while True:
        if standing is not None and (min_position is None or standing.position >= min_position):
            return standing
        if min_position is None or anyio.current_time() >= deadline or stopping.is_set():
            raise behind(standing, min_position or 0)
        await anyio.sleep(POLL_S)
        standing = await shared.of(ledger) or standing


def behind(standing: Standing | None, wanted: int) -> ProblemError:
    """Return the problem of a model that has not got as far as was wanted."""
    if standing is None:
        detail = f"{MODEL} is being installed in this ledger: come back"
        return ProblemError("storage.not_ready", detail, headers=retry_after())
    members = {"projection": {"name": standing.name, "position": standing.position, "lag": standing.lag}}
    if standing.failure:
        # the failure's own words may quote what it stumbled over: they are for the log, not for callers
        kind = standing.failure.partition(":")[0]
        members["projection"] |= {"failed_position": standing.failed_position, "failure": kind}
        detail = f"{standing.name} stopped at position {standing.failed_position} ({kind}) and is tried again"
        return ProblemError("projection.failed", detail, members=members, headers=retry_after())
    detail = f"{standing.name} is at position {standing.position}, {wanted} was asked for"
    return ProblemError("projection.behind", detail, members=members, headers=retry_after())


def row_of(ledger: Ledger, account_id: str, standing: Standing) -> Status:
    """Return an account's row; raises ProblemError where the model has not come to it yet."""
    row = _read(lambda: status_of(ledger, account_id))
    if row is None:
        raise behind(standing, ledger.journal.last_position())
    return row


def page_of(ledger: Ledger, after: str, wanted: Mapping[str, Any]) -> list[Status]:
    """Return the rows after one of them, filtered; raises ProblemError where the model is still to be made."""
    return _read(lambda: statuses(ledger, after=after, **wanted))


def _read(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except NotBuiltError as error:
        raise ProblemError("storage.not_ready", f"{error}: come back", headers=retry_after()) from error


def on_today(row: Status, now: datetime) -> dict[str, Any]:
    """Return a row as it reads on the day it is now in its region."""
    return row.on(day_of(now, row.region))


def projection_of(ledger: Ledger, standing: Standing, now: datetime) -> dict[str, Any]:
    """Return what every answer says of the model: `age_s` is how old its figures may be, 0 where none wait."""
    age_s = max(0.0, (now - standing.moved_at).total_seconds()) if standing.lag else 0.0
    return {
        "name": standing.name,
        "version": standing.version,
        "ledger": ledger.region,
        "position": standing.position,
        "lag": standing.lag,
        "moved_at": standing.moved_at,
        "age_s": round(age_s, 3),
    }


def candidates(runtime: Runtime, region: str | None) -> Sequence[Ledger]:
    """Return the ledgers a list runs over, by name; raises ProblemError where the region has none."""
    ledgers = runtime.deployment.ledgers
    if region is None:
        return ledgers
    found = [known for known in ledgers if known.region == ledger_of(region)]
    if not found:
        raise ProblemError("ledger.not_found", f"there is no ledger {ledger_of(region)}")
    return found
