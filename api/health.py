"""Whether the process lives, whether it can serve, and what it measures. Open to everybody: nothing to learn here."""

from typing import Literal

import anyio
import anyio.to_thread
import psycopg
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import Response

from api.problems import ProblemError, documented, retry_after
from api.requests import Counting, Running, answer
from api.runtime import READ_MODELS, Runtime
from domain.ledger.database import StorageError
from domain.ledger.embedded import EmbeddedError
from projections.engine import Standing, makings, standings
from projections.engine.generations import Making

READY_WAIT_S = 3.0  # a probe that waits longer for the database has its answer: not ready

router = APIRouter(tags=["public"])


class Stopped(BaseModel):
    """A read model that stopped, or whose rebuild did: before the event at `position`, for a kind of error."""

    ledger: str
    model: str
    position: int | None
    reason: str
    rebuild: bool


class Healthy(BaseModel):
    """The service is well."""

    status: Literal["ok"]
    stopped: list[Stopped] | None = None
    """Read models that stopped, where some did: the rest of the service goes on, they answer what they have."""


def reasons(runtime: Runtime) -> list[str]:
    """Return why the service can't serve: an empty list where it can."""
    found = []
    try:
        for ledger in runtime.deployment.ledgers:
            try:
                ledger.journal.last_position()
                installed = {s.name for s in standings(ledger)}
            except psycopg.errors.UndefinedTable:
                found.append(f"{ledger.region}: its tables or its read models' are being made")
                continue
            missing = [m.name for m in READ_MODELS if m.name not in installed]
            found += [f"{ledger.region}: {name} is being made" for name in missing]
    except (StorageError, EmbeddedError, psycopg.Error):
        found.append("the database can't be reached")
    return found


def stopped(runtime: Runtime) -> list[dict[str, object]]:
    """Return which read models stopped, where and for what kind of error: its words may quote what is personal."""
    found: list[tuple[str, Standing | Making]] = []
    for ledger in runtime.deployment.ledgers:
        found += [(ledger.region, one) for one in standings(ledger)]
        found += [(ledger.region, one) for one in makings(ledger)]
    return [
        {
            "ledger": region,
            "model": one.name,
            "position": one.failed_position,
            "reason": one.failure.partition(":")[0],
            "rebuild": isinstance(one, Making),
        }
        for region, one in found
        if one.failure
    ]


@router.get(
    "/healthz",
    summary="Whether the process lives",
    operation_id="healthz",
    response_model=Healthy,
    responses={200: {"content": {"application/json": {"example": {"status": "ok"}}}}},
)
async def healthz() -> Response:
    """Say that the process answers."""
    return answer({"status": "ok"})


@router.get(
    "/readyz",
    summary="Whether the service can serve",
    description="The database answers, every ledger is migrated and has its read models. Those that stopped are"
    " named; they do not make the service unready.",
    operation_id="readyz",
    response_model=Healthy,
    responses={
        200: {"content": {"application/json": {"example": {"status": "ok"}}}},
        **documented("service.not_ready"),
    },
)
async def readyz(runtime: Running) -> Response:
    """Say whether requests can be served, and if not, why."""
    found = ["the database does not answer in time"]
    with anyio.move_on_after(READY_WAIT_S):
        found = await anyio.to_thread.run_sync(reasons, runtime, abandon_on_cancel=True)
    if found:
        raise ProblemError(
            "service.not_ready", "; ".join(found), headers=retry_after(), members={"reasons": found}
        )
    halted = await anyio.to_thread.run_sync(stopped, runtime)
    return answer({"status": "ok", **({"stopped": halted} if halted else {})})


@router.get(
    "/metrics",
    summary="Measurements for Prometheus",
    operation_id="metrics",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'recount_ledger_position{ledger="heilongjiang"} 102.0\n',
                }
            }
        }
    },
)
def metrics(counting: Counting) -> Response:
    """Return the measurements."""
    return Response(generate_latest(counting.registry), 200, None, CONTENT_TYPE_LATEST)
