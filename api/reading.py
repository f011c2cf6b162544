"""Reads a model together with how far it is, and waits, within a bound, until it is far enough.

What every address that reads a model shares: which ledger and city it asks for, the wait for a position, and how the
answer says how far its model is.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
import psycopg
from fastapi import Depends, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from api.problems import ProblemError, retry_after
from api.requests import Stopping, answer
from api.runtime import Runtime
from api.waiting import POLL_S, Shared
from domain.events.envelope import ledger_of
from domain.ledger.application import Ledger
from domain.ledger.recorder import POSITION_MAX
from projections.engine import NotBuiltError, Standing, standings

T = TypeVar("T")
WAIT_MAX_S = 5.0  # a healthy model is a tenth of a second behind: who waits longer is better told so

Standings = Mapping[str, Standing]
"""How far each model of a ledger is, by name."""


def standings_of(ledger: Ledger) -> Standings:
    """Return how far each model is in a ledger: none, where its tables are still to be made."""
    try:
        return {s.name: s for s in standings(ledger)}
    except psycopg.errors.UndefinedTable:
        return {}


@dataclass(frozen=True, slots=True)
class Wait:
    """What a reader waits for, and for how long at most."""

    min_position: int | None
    wait_s: float
    stopping: threading.Event
    shared: Shared[Standings]


async def reached(ledger: Ledger, model: str, wait: Wait) -> Standing:
    """Return how far a model is, once it is as far as is waited for; raises ProblemError where it stays behind."""
    wanted = wait.min_position
    deadline = anyio.current_time() + wait.wait_s
    standing = (await anyio.to_thread.run_sync(standings_of, ledger)).get(model)
    while True:
        if standing is not None and (wanted is None or standing.position >= wanted):
            return standing
        if wanted is None or anyio.current_time() >= deadline or wait.stopping.is_set():
            raise behind(model, standing, wanted or 0)
        await anyio.sleep(POLL_S)
        standing = (await wait.shared.of(ledger) or {}).get(model) or standing


def behind(model: str, standing: Standing | None, wanted: int) -> ProblemError:
    """Return the problem of a model that has not got as far as was wanted."""
    if standing is None:
        detail = f"{model} is being installed in this ledger: come back"
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


def built(ask: Callable[[], T]) -> T:
    """Ask a model something; raises ProblemError where the model is still to be made."""
    try:
        return ask()
    except NotBuiltError as error:
        raise ProblemError("storage.not_ready", f"{error}: come back", headers=retry_after()) from error


# -- how an answer says how far its model is ----------------------------------------------------------------


class Projection(BaseModel):
    """How far the read model is: `lag` counts the events it has yet to fold, `age_s` how old its figures may be."""

    name: str
    version: int
    ledger: str
    position: int
    lag: int
    moved_at: str
    age_s: float


def projection_example(name: str) -> dict[str, Any]:
    """Return what an answer says of its model, for the documentation."""
    return {
        "name": name,
        "version": 1,
        "ledger": "heilongjiang",
        "position": 102,
        "lag": 0,
        "moved_at": "2014-12-09T03:00:00Z",
        "age_s": 0.0,
    }


def projection_of(ledger: Ledger, standing: Standing, now: datetime) -> dict[str, Any]:
    """Return what every answer says of the model: `age_s` is how old its figures may be, 0 where they are those of now.

    They grow old with events it has yet to fold, and with days that came and made some of its rows read otherwise.
    """
    since = standing.old_since(now)
    age_s = max(0.0, (now - since).total_seconds()) if since else 0.0
    return {
        "name": standing.name,
        "version": standing.version,
        "ledger": ledger.region,
        "position": standing.position,
        "lag": standing.lag,
        "moved_at": standing.moved_at,
        "age_s": round(age_s, 3),
    }


def answered(body: dict[str, Any], ledger: Ledger, standing: Standing, now: datetime) -> Response:
    """Return an answer with how far its model is."""
    body["projection"] = projection_of(ledger, standing, now)
    return answer(body, headers={"Recount-Position": str(standing.position)})


# -- which ledger is asked -----------------------------------------------------------------------------------


def candidates(runtime: Runtime, region: str | None) -> Sequence[Ledger]:
    """Return the ledgers a list runs over, by name; raises ProblemError where the region has none."""
    ledgers = runtime.deployment.ledgers
    if region is None:
        return ledgers
    found = [known for known in ledgers if known.region == ledger_of(region)]
    if not found:
        raise ProblemError("ledger.not_found", f"there is no ledger {ledger_of(region)}")
    return found


def ledger_asked(runtime: Runtime, region: str | None) -> Ledger:
    """Return the one ledger a question is about; raises ProblemError where there are several and none is named."""
    ledgers = candidates(runtime, region)
    if not ledgers:
        raise ProblemError("ledger.not_found", "there is no ledger yet")
    if len(ledgers) > 1:
        raise ProblemError("ledger.ambiguous", "name the ledger with ?region=")
    return ledgers[0]


def city_of(region: str | None) -> str | None:
    """Return the region to filter by, None where it is the whole ledger's."""
    return region if region is not None and "." in region else None


async def read_one(
    runtime: Runtime,
    region: str | None,
    model: str,
    wait: Wait,
    ask: Callable[[Ledger, datetime], dict[str, Any]],
) -> Response:
    """Return the answer of a model in the ledger of a region, or in the only one, with how far the model is.

    `ask` gets the ledger and the present moment, once the model is as far as is waited for, in a thread of its own.
    Raises ProblemError.
    """
    ledger = await anyio.to_thread.run_sync(ledger_asked, runtime, region)
    standing = await reached(ledger, model, wait)
    now = runtime.clock()
    body = await anyio.to_thread.run_sync(lambda: built(lambda: ask(ledger, now)))
    return answered(body, ledger, standing, now)


# -- what handlers take -------------------------------------------------------------------------------------


async def _wait(
    request: Request,
    stopping: Stopping,
    min_position: Annotated[
        int | None,
        Query(ge=0, le=POSITION_MAX, description="wait until the read model has folded the log this far"),
    ] = None,
    wait_s: Annotated[
        float, Query(ge=0, le=WAIT_MAX_S, description="how long to wait for it, in seconds")
    ] = WAIT_MAX_S,
) -> Wait:
    return Wait(min_position, wait_s, stopping, request.app.state.standings)


Waiting = Annotated[Wait, Depends(_wait)]
