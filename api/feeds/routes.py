"""The addresses of /feeds."""

from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Header, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.feeds.reading import STREAMS_MAX, Source, poll, stream
from api.patience import ClosingResponse
from api.problems import ProblemError, documented, retry_after
from api.requests import Counting, Running, Stopping, answer, audience
from api.runtime import Runtime
from api.waiting import Shared
from domain.events.envelope import event_type
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger
from domain.ledger.recorder import POSITION_MAX

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
WAIT_MAX_S = 30.0  # under the minute after which proxies give a silent request up
TYPES_MAX = 100  # the vocabulary has fewer
BATCH = "application/cloudevents-batch+json"

router = audience("feeds", INVESTIGATE_READ)

_EVENT = {
    "specversion": "1.0",
    "id": "harbin-003",
    "source": "urn:recount:case:harbin",
    "type": "AccountOpened",
    "subject": "account/A-NETCOM",
    "time": "2009-10-20T09:10:00+08:00",
    "recordedtime": "2009-10-20T09:10:00+08:00",
    "actor": "staff/S-01",
    "channel": "store",
    "region": "heilongjiang.harbin",
    "dataversion": 1,
    "datacontenttype": "application/json",
    "position": 3,
    "data": {"party_id": "P-HRB", "line_of_business": "fixed_broadband"},
}


class LedgerPosition(BaseModel):
    """A ledger and its last position."""

    ledger: str
    position: int


class Ledgers(BaseModel):
    """The ledgers that can be followed."""

    ledgers: list[LedgerPosition]


async def _types(
    types: Annotated[
        list[str],
        Query(
            max_length=TYPES_MAX, description="only events of these types; separated by commas, or repeated"
        ),
    ] = [],  # noqa: B006 - FastAPI copies it
) -> tuple[str, ...]:
    names = [name for part in types for name in part.split(",") if name]
    if len(names) > TYPES_MAX:
        raise MalformedError("types", f"should be at most {TYPES_MAX} event types")
    try:
        return tuple(dict.fromkeys(event_type(name).__name__ for name in names))
    except MalformedError as error:
        raise MalformedError("types", error.problem.reason) from None


async def _ledger(
    runtime: Running,
    ledger: Annotated[str, Path(max_length=40, description="the province", examples=["heilongjiang"])],
) -> Source:
    found = await anyio.to_thread.run_sync(runtime.deployment.ledger, ledger)
    if found is None:
        raise ProblemError("ledger.not_found", "the ledgers are listed at /feeds")
    return Source(found, runtime.deployment)


async def _positions(request: Request) -> Shared[int]:
    found: Shared[int] = request.app.state.positions
    return found


After = Annotated[int, Query(ge=0, le=POSITION_MAX, description="events after this position")]
Types = Annotated[tuple[str, ...], Depends(_types)]
Of = Annotated[Source, Depends(_ledger)]
Waiting = Annotated[Shared[int], Depends(_positions)]


async def _check_after(ledger: Ledger, after: int) -> None:
    last = await anyio.to_thread.run_sync(ledger.journal.last_position)
    if after > last:
        raise ProblemError(
            "feed.after_end",
            f"the ledger's last position is {last}: another ledger's, or one that was put back?",
            members={"position": last},
        )


def _last_positions(runtime: Runtime) -> list[dict[str, str | int]]:
    return [
        {"ledger": known.region, "position": known.journal.last_position()}
        for known in runtime.deployment.ledgers
    ]


@router.get(
    "",
    summary="The ledgers that can be followed",
    operation_id="feeds",
    response_model=Ledgers,
    responses={
        200: {
            "content": {
                "application/json": {"example": {"ledgers": [{"ledger": "heilongjiang", "position": 102}]}}
            }
        },
        **documented("storage.unavailable"),
    },
)
def feeds(runtime: Running) -> Response:
    """Return the ledgers with their last positions: at most 64."""
    return answer({"ledgers": _last_positions(runtime)})


@router.get(
    "/{ledger}",
    summary="Events after a position, waiting for them if need be",
    description="A CloudEvents batch in the order of the log. `Recount-Position` is the `after` of the next"
    " request: with `types` it may lie beyond the last event. Personal data is masked.",
    operation_id="feed",
    response_class=Response,
    responses={
        200: {
            "description": "CloudEvents, at most `limit`",
            "content": {
                BATCH: {"schema": {"type": "array", "items": {"type": "object"}}, "example": [_EVENT]}
            },
        },
        **documented("ledger.not_found", "feed.after_end", "storage.unavailable"),
    },
)
async def feed(
    *,
    source: Of,
    positions: Waiting,
    stopping: Stopping,
    types: Types,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    wait_s: Annotated[float, Query(ge=0, le=WAIT_MAX_S, description="how long to wait for events")] = 0.0,
) -> Response:
    """Return a batch of events."""
    await _check_after(source.ledger, after)
    page = await poll(source, positions, stopping, after=after, limit=limit, types=types, wait_s=wait_s)
    headers = {
        "Recount-Position": str(page.through),
        "Link": f'</feeds/{source.ledger.region}?after={page.through}>; rel="next"',
    }
    return Response(b"[" + b",".join(item.json for item in page.items) + b"]", 200, headers, BATCH)


@router.get(
    "/{ledger}/stream",
    summary="Events as they come",
    description="Server-sent events: `id` is the position, `data` a CloudEvent with personal data masked."
    " `Last-Event-ID`, or else `after`, says where to go on; comments come when nothing else does.",
    operation_id="feed_stream",
    response_class=Response,
    responses={
        200: {
            "description": "an endless stream",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'id: 3\nevent: AccountOpened\ndata: {"specversion": "1.0"}\n\n',
                }
            },
        },
        **documented("ledger.not_found", "feed.after_end", "feed.too_many_streams", "storage.unavailable"),
    },
)
async def feed_stream(
    *,
    source: Of,
    positions: Waiting,
    stopping: Stopping,
    metrics: Counting,
    types: Types,
    after: After = 0,
    last_event_id: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=POSITION_MAX)] = None,
) -> Response:
    """Return the stream."""
    start = after if last_event_id is None else last_event_id
    await _check_after(source.ledger, start)
    if metrics.open_streams >= STREAMS_MAX:
        raise ProblemError(
            "feed.too_many_streams",
            f"{STREAMS_MAX} streams are open: use one a consumer",
            headers=retry_after(),
        )
    body = stream(source, positions, stopping, metrics, after=start, types=types)
    return ClosingResponse(body, headers={"Cache-Control": "no-store"}, media_type="text/event-stream")
