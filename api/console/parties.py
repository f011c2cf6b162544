"""A subject's own page: of a customer who it is, what is owed and all that happened; of others what they are.

A customer's page is read from the models: it costs what it shows, however long the history is.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.console.asking import Named, Position
from api.console.shell import HOME, Asked, Page, PageRoute
from api.investigations.timeline import parse_cursor
from api.management.parties import TYPE_MAX_CHARS
from api.problems import ProblemError
from api.reading import WAIT_MAX_S, built, standings_of
from api.waiting import POLL_S
from api.wording import FIELDS, Told, name_of, value_text
from api.wording.events import EVENTS
from domain.calendar import day_of
from domain.events.envelope import Recorded, kind_of
from domain.events.fields import REGISTRY, MalformedError
from domain.events.links import links_of
from domain.ledger.application import Ledger
from domain.ledger.recorder import POSITION_MAX
from domain.party import Party
from domain.replay import in_order, selected, view
from domain.streams import state_of
from projections import billing_status, cases, timeline
from projections.paging import Order

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)

EVENTS_SHOWN = 60  # of one page of a timeline
BEFORE_SHOWN = 8  # events shown before the one a link leads to
ACCOUNTS_SHOWN = 100
CASES_SHOWN = 20
CURSOR_MAX_CHARS = 40  # two positions and a dot
MODELS = ("billing_status", "cases", "timeline")
"""What a customer's page is read from."""

Kind = Literal["party", "account", "case", "dealer"]
Filter = Annotated[Kind | None, Query()]
Type = Annotated[str, Query(alias="type", max_length=TYPE_MAX_CHARS, pattern=r"^[A-Za-z]*$")]
After = Annotated[str | None, Query(max_length=CURSOR_MAX_CHARS)]


@dataclass(frozen=True, slots=True)
class Shown:
    """An event of a timeline: as it is told, and where it stands."""

    told: Told
    subject: str
    type: str
    position: int
    current: bool


@dataclass(frozen=True, slots=True)
class Around:
    """A page of a timeline, and the cursor of the next."""

    events: Sequence[Shown]
    streams: int
    following: str | None


@router.get("/party/{id}")
def party(
    *,
    page: Asked,
    identifier: Named,
    kind: Filter = None,
    event_type: Type = "",
    sort: Literal["time", "-time"] = "-time",
    after: After = None,
    around: Position = None,
    min_position: Position = None,
) -> Response:
    """Return a customer's page, once the models are as far as is waited for."""
    subject = f"party/{identifier}"
    ledger = page.runtime.deployment.locate(subject, page.ledger_region)
    page.region = ledger.region
    if min_position is not None:
        settled(ledger, min_position)
    now = page.now
    asked = timeline.Asked(identifier, kind, event_type or None, sort == "-time")
    found = built(lambda: _timeline(page, ledger, asked, after, around))
    own = ledger.history(subject)
    state = state_of(subject, in_order(own))
    assert isinstance(state, Party)
    today = day_of(now, ledger.region)
    held = [
        s.on(today)
        for s in built(lambda: billing_status.statuses(ledger, party_id=identifier, limit=ACCOUNTS_SHOWN + 1))
    ]
    return page.render(
        "party.html",
        section="party",
        subject=subject,
        party=state,
        registered=next((r for r in own if r.event.type == "PartyRegistered"), None),
        accounts=held[:ACCOUNTS_SHOWN],
        more_accounts=len(held) > ACCOUNTS_SHOWN,
        owed_fen=sum(a["balance_fen"] for a in held),
        cases=built(lambda: _cases(ledger, identifier, now)),
        found=found,
        asked={"kind": kind, "type": event_type, "sort": sort, "around": around},
        types=_types(page, kind),
    )


def settled(ledger: Ledger, position: int) -> None:
    """Wait, within a bound, until what a customer's page is read from has come as far as a position."""
    wanted = min(position, ledger.journal.last_position())
    deadline = time.monotonic() + WAIT_MAX_S
    while time.monotonic() < deadline:
        standing = standings_of(ledger)
        if all(name in standing and standing[name].position >= wanted for name in MODELS):
            return
        time.sleep(POLL_S)


def _cases(ledger: Ledger, party_id: str, now: datetime) -> list[dict[str, Any]]:
    names = ("city", "status", "answer", "unit", "channel", "category", "received_since", "received_before")
    order = Order(next(c for c in cases.SORTS if c.name == "received_on"), True, cases.KEY)  # noqa: FBT003
    wanted = {**dict.fromkeys(names), "party_id": party_id}
    return cases.cases(ledger, day_of(now, ledger.region), wanted, (order, None, CASES_SHOWN))


def _timeline(
    page: Page, ledger: Ledger, asked: timeline.Asked, after: str | None, around: int | None
) -> Around:
    """Return a page of the timeline: from a cursor on, around an event, or from its beginning."""
    try:
        if around is not None and after is None:
            return _centred(page, ledger, asked, around)
        place = timeline.Place(*parse_cursor(after)) if after else None
        if place is not None and max(place) > POSITION_MAX:
            raise MalformedError("after", "should be the `next` of the page before")
        return _told(page, timeline.page_of(ledger, asked, page.now, EVENTS_SHOWN, place))
    except timeline.TooWideError as error:
        raise ProblemError("timeline.too_wide", f"{error}: ask for its accounts one by one") from error


def _centred(page: Page, ledger: Ledger, asked: timeline.Asked, position: int) -> Around:
    """Return the page of a timeline on which an event stands, with a few before it."""
    back = timeline.Asked(asked.party_id, asked.kind, asked.type, not asked.newest_first)
    bound, now = ledger.journal.last_position(), page.now
    before = timeline.page_of(ledger, back, now, BEFORE_SHOWN + 1, timeline.Place(bound, position))
    start = before.events[BEFORE_SHOWN] if len(before.events) > BEFORE_SHOWN else None
    place = timeline.Place(bound, start.position) if start else None
    return _told(page, timeline.page_of(ledger, asked, now, EVENTS_SHOWN, place), position)


def _told(page: Page, found: timeline.Page, current: int | None = None) -> Around:
    following = f"{found.next.bound}.{found.next.last}" if found.next else None
    return Around([told(page, r, current) for r in found.events], found.streams, following)


def told(page: Page, recorded: Recorded, current: int | None = None) -> Shown:
    """Return an event as a timeline shows it."""
    event = recorded.event
    return Shown(
        page.event(event), event.subject, event.type, recorded.position, recorded.position == current
    )


def _types(page: Page, kind: str | None) -> list[tuple[str, str]]:
    """Return the event types one may filter by, of one kind of stream or all, with their names."""
    some = [t for t in EVENTS if t in REGISTRY and (kind is None or kind == REGISTRY[t].STREAM)]
    return sorted(((t, name_of(t, page.lang)) for t in some), key=lambda item: item[1])


# -- accounts, cases, dealers -------------------------------------------------------------------------------


@router.get("/{kind}/{id}")
def other(
    *,
    page: Asked,
    kind: Annotated[Literal["account", "case", "dealer"], Path()],
    identifier: Named,
    before: Position = None,
    around: Position = None,
) -> Response:
    """Return an account's, a case's or a dealer's page: what it is now, and its events, the latest first."""
    subject = f"{kind}/{identifier}"
    question, histories = page.runtime.deployment.question(subject, page.now, region=page.ledger_region)
    page.region = question.region
    events = selected(histories[subject], question)
    end = len(events)
    if before is not None:
        end = next((n for n, r in enumerate(events) if r.position == before), end)
    elif around is not None:
        at = next((n for n, r in enumerate(events) if r.position == around), end - 1)
        end = min(end, at + 1 + BEFORE_SHOWN)
    start = max(0, end - EVENTS_SHOWN)
    state = orjson.loads(orjson.dumps(view(state_of(subject, events), [], question)))
    return page.render(
        "subject.html",
        section="party",
        subject=subject,
        kind=kind,
        state=state,
        facts=_facts(page, state),
        ties=_ties(subject, events, state),
        events=[told(page, r, around) for r in reversed(events[start:end])],
        count=len(events),
        earlier=events[start].position if start else None,
    )


def _facts(page: Page, state: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a state says, without its lists, which the events tell."""
    skipped = {"packages", "party_id", "case_id", "dealer_id"}
    return [
        (FIELDS[key].of(page.lang), value_text(key, value, page.lang, page.region))
        for key, value in state.items()
        if key in FIELDS
        and key not in skipped
        and not isinstance(value, list)
        and value not in (None, "", {})
    ]


def _ties(subject: str, events: Sequence[Recorded], state: Mapping[str, Any]) -> list[str]:
    """Return the subjects this one belongs to or speaks of, the customer first."""
    found = dict.fromkeys(f"party/{p}" for p in [state.get("party_id")] if p)
    for recorded in events:
        found.update(dict.fromkeys(s for s in links_of(recorded.event) if s != subject))
    kinds = ("party", "account", "case", "dealer")
    return sorted((s for s in found if kind_of(s) in kinds), key=lambda s: kinds.index(kind_of(s)))[:40]
