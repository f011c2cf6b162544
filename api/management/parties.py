"""A party at a glance: the present timeline, read from the model for pages.

Beside /investigations/party/{id}/timeline, which replays what was known at any moment and is bounded in width: this
one knows only the present, costs a page and not the history, spans parties merged into this one, and of an account
shows what happened while the party held it. Another question, and so another address.
"""

from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response

from api.investigations.asking import MOMENT_MAX_CHARS
from api.investigations.routes import Entry
from api.investigations.timeline import entry, parse_cursor
from api.management.asking import Answer, management
from api.masking import masked_json
from api.paging import LIMIT_DEFAULT, Limit
from api.problems import ProblemError, documented
from api.reading import Waiting, built, projection_example, projection_of, reached
from api.requests import Region, Running
from domain.events.fields import Identifier, MalformedError
from domain.ledger.recorder import POSITION_MAX
from projections.timeline import Asked, Page, Place, Timeline, TooWideError, page_of

TYPE_MAX_CHARS = 60

router = management()


class PartyTimeline(Answer):
    """A page of a party's timeline; `next` is the cursor of the page after it, null at the end."""

    party_id: str
    streams: int | None = Field(description="how many it spans; null where some may be out of sight")
    position: int
    events: list[Entry]
    next: str | None


_ENTRY = {
    "event_id": "harbin-001",
    "source": "urn:recount:case:harbin",
    "type": "PartyRegistered",
    "subject": "party/P-HRB",
    "time": "2009-10-20T09:00:00+08:00",
    "recordedtime": "2009-10-20T09:00:00+08:00",
    "actor": "staff/S-01",
    "actororg": None,
    "channel": "store",
    "region": "heilongjiang.harbin",
    "position": 1,
    "version": 1,
    "digest": "0" * 64,
    "evidenceref": "assumed",
    "correlationid": None,
    "causationid": None,
    "data": {"kind": "individual", "id_type": "resident_id", "name": "***"},
}


@router.get(
    "/parties/{id}/timeline",
    summary="Everything that happened around a party, as it is now",
    description="Its own events and those of its accounts while it held them, of its cases and dealers, and of parties"
    " merged into it; a page at a time. Personal data is masked. What was known at another moment answers"
    " /investigations/party/{id}/timeline.",
    operation_id="management_party_timeline",
    response_model=PartyTimeline,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "party_id": "P-HRB",
                        "streams": 11,
                        "position": 102,
                        "events": [_ENTRY],
                        "next": "102.1",
                        "projection": projection_example(Timeline.name),
                    }
                }
            }
        },
        **documented(
            "subject.not_found",
            "subject.ambiguous",
            "timeline.too_wide",
            "projection.behind",
            "projection.failed",
            "storage.not_ready",
            "storage.unavailable",
        ),
    },
)
async def get_timeline(
    *,
    runtime: Running,
    wait: Waiting,
    identifier: Annotated[Identifier, Path(alias="id", examples=["P-HRB"])],
    kind: Annotated[
        Literal["party", "account", "case", "dealer"] | None, Query(description="only streams of this kind")
    ] = None,
    event: Annotated[
        str | None,
        Query(alias="type", max_length=TYPE_MAX_CHARS, pattern=r"^[A-Za-z]+$", description="only this type"),
    ] = None,
    sort: Annotated[Literal["time", "-time"], Query(description="-time: the newest first")] = "time",
    after: Annotated[str | None, Query(max_length=MOMENT_MAX_CHARS, description="the `next` before")] = None,
    limit: Limit = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of a party's timeline."""
    place = _place(after) if after is not None else None
    ledger = await anyio.to_thread.run_sync(runtime.deployment.locate, f"party/{identifier}", region)
    standing = await reached(ledger, Timeline.name, wait)
    now = runtime.clock()
    asked = Asked(identifier, kind, event, sort == "-time")

    def ask() -> Page:
        try:
            return built(lambda: page_of(ledger, asked, now, limit, place))
        except TooWideError as error:
            raise ProblemError("timeline.too_wide", f"{error}: ask for its accounts one by one") from error

    page = await anyio.to_thread.run_sync(ask)
    subjects = {recorded.event.subject for recorded in page.events}
    shown = await anyio.to_thread.run_sync(runtime.deployment.shown, ledger, subjects)
    body: dict[str, Any] = {
        "party_id": identifier,
        "streams": page.streams if runtime.deployment.sight.everywhere else None,
        "position": page.bound,
        "events": [entry(recorded) for recorded in page.events if recorded.event.subject in shown],
        "next": f"{page.next.bound}.{page.next.last}" if page.next else None,
        "projection": projection_of(ledger, standing, now),
    }
    headers = {"Recount-Position": str(standing.position)}
    return Response(masked_json(body), 200, headers, "application/json")


def _place(text: str) -> Place:
    cursor = parse_cursor(text)
    if max(cursor) > POSITION_MAX:
        raise MalformedError("after", "should be the `next` of the page before")
    return Place(*cursor)
