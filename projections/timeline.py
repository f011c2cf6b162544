"""timeline: everything that happened around a party, across all streams, a page at a time.

The rows are ties: whose an account is and was, what a case is about, which dealers registered for whom. The events
themselves are read from the log, in the same snapshot: copied here, every event would be written again each time its
stream grows. So a page costs the streams it spans, and not the decoding of their whole histories.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from psycopg.sql import SQL

from domain.events import account as av
from domain.events import case as cv
from domain.events import party as pv
from domain.events.envelope import Recorded
from domain.events.fields import MalformedError
from domain.events.links import links_of
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.ledger.decoding import recorded_of
from domain.ledger.queries import queries
from domain.replay import effective_at, selected
from projections.engine import ReadModel, Rows, Seen, Table, Tables, question_of, reading
from projections.engine.generations import standings_on

Q = queries("projections.sql", "timeline.sql")

STREAMS_MAX = 5_000  # streams in one timeline: their events are sorted for each page, in a second at the most

Role = Literal["holder", "about", "case", "dealer", "merged_into"]


class Tie(NamedTuple):
    """A stream is tied to another subject. `until` is when an account passed on; None while it is held."""

    subject: str
    role: Role
    other: str
    number: int
    since: datetime | None
    until: datetime | None


@dataclass(slots=True)
class Ties:
    """A stream's ties so far, in the order of the world."""

    holders: list[tuple[str, datetime | None, datetime | None]] = field(default_factory=list)
    others: dict[tuple[Role, str], datetime] = field(default_factory=dict)
    """Since when, by role and subject."""


class Timeline(ReadModel):
    """The model, as the engine moves it."""

    name = "timeline"
    version = 1
    for_billing = False  # about people and conduct: nothing a bill is made of
    kinds = frozenset({"party", "account", "case"})
    tables = (Table("timeline_tie", Tie),)

    def begin(self, subject: str) -> Ties:  # noqa: ARG002 - all streams begin alike
        """Return a stream without ties."""
        return Ties()

    def step(self, state: Ties, recorded: Recorded) -> None:
        """Take in an event, in the order of the world."""
        data, at = recorded.event.data, recorded.event.time
        match data:
            case av.AccountOpened():
                _hold(state, data.party_id, at)
            case av.AccountTransferred():
                _hold(state, data.to_party_id, at)
            case cv.ComplaintReceived() | cv.InvestigationOpened():
                for other in links_of(recorded.event):
                    state.others.setdefault(("about", other), at)
            case pv.PartyMerged():
                state.others.setdefault(("merged_into", f"party/{data.into_party_id}"), at)
            case _:
                for role, other in _named(recorded):
                    state.others.setdefault((role, other), at)

    def rows(self, state: Ties, seen: Seen) -> Rows:
        """Return the ties."""
        held = [Tie(seen.subject, "holder", *of) for of in _numbered(state.holders)]
        others = [Tie(seen.subject, role, other, 1, at, None) for (role, other), at in state.others.items()]
        return Rows({"timeline_tie": [*held, *others]})

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the ties of a plain replay's events, all of them looked at together."""
        events = [r.event for r in selected(history, question_of(seen, region))]
        owners = [
            (e, e.data.party_id if isinstance(e.data, av.AccountOpened) else e.data.to_party_id)
            for e in events
            if isinstance(e.data, av.AccountOpened | av.AccountTransferred)
        ]
        turns = [n for n, (_, party) in enumerate(owners) if n == 0 or owners[n - 1][1] != party]
        ends: list[datetime | None] = [owners[n][0].time for n in turns[1:]] + [None]
        holders = [
            (f"party/{owners[n][1]}", None if n == 0 else owners[n][0].time, end)
            for n, end in zip(turns, ends, strict=False)
        ]
        rows = [Tie(seen.subject, "holder", *of) for of in _numbered(holders)]
        first: dict[tuple[Role, str], datetime] = {}
        for e in reversed(events):
            kinds = {"dealer": "dealer", "case": "case"}
            if e.type in ("ComplaintReceived", "InvestigationOpened"):
                kinds = {"party": "about", "account": "about"}
            elif e.type == "PartyMerged":
                kinds = {"party": "merged_into"}
            elif e.subject.startswith("case/"):
                kinds = {}
            for other in links_of(e):
                if (role := kinds.get(other.partition("/")[0])) is not None:
                    first[role, other] = e.time  # type: ignore[index]
        return {"timeline_tie": [*rows, *(Tie(seen.subject, *k, 1, at, None) for k, at in first.items())]}


def _hold(state: Ties, party_id: str, at: datetime) -> None:
    other = f"party/{party_id}"
    if not state.holders:
        state.holders.append((other, None, None))
    elif state.holders[-1][0] != other:
        before, since, _ = state.holders[-1]
        state.holders[-1] = before, since, at
        state.holders.append((other, at, None))


def _named(recorded: Recorded) -> Iterator[tuple[Role, str]]:
    """Yield the dealers and cases an account's or a party's event speaks of."""
    if recorded.event.data.STREAM == "case":
        return
    for other in links_of(recorded.event):
        if other.startswith("dealer/"):
            yield "dealer", other
        elif other.startswith("case/"):
            yield "case", other


def _numbered(
    holders: Sequence[tuple[str, datetime | None, datetime | None]],
) -> Iterator[tuple[str, int, datetime | None, datetime | None]]:
    """Yield holders with a number that counts how often each has held it."""
    times: dict[str, int] = {}
    for other, since, until in holders:
        times[other] = times.get(other, 0) + 1
        yield other, times[other], since, until


# -- reading ------------------------------------------------------------------------------------------------


class TooWideError(Exception):
    """A party is tied to more streams than one timeline spans."""


class Place(NamedTuple):
    """Where a page begins: the log position the pages are made at, and that of the last event that was shown."""

    bound: int
    last: int


class Page(NamedTuple):
    """A page of events in the order of the world, personal data sealed; where the next begins, None at the end."""

    bound: int
    streams: int
    events: list[Recorded]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events of a party's timeline: of streams of a kind, of a type, and in which direction of time."""

    party_id: str
    kind: str | None = None
    type: str | None = None
    newest_first: bool = False


_WAYS = {
    False: (
        SQL("(occurred_at, recorded_at, position) > (%(last_time)s, %(last_known)s, %(last)s)"),
        SQL("occurred_at, recorded_at, position"),
    ),
    True: (
        SQL("(occurred_at, recorded_at, position) < (%(last_time)s, %(last_known)s, %(last)s)"),
        SQL("occurred_at DESC, recorded_at DESC, position DESC"),
    ),
}
"""By whether the newest come first: the condition behind the last event shown, and the order."""


def page_of(ledger: Ledger, asked: Asked, now: datetime, limit: int, after: Place | None = None) -> Page:
    """Return a page of a party's timeline as it is now; raises NotBuiltError, TooWideError and MalformedError.

    All pages are made at the position of the first, so that what arrives between two neither shifts nor repeats
    anything. Of an account it shows what happened while the party held it, and of parties merged into it everything.
    """
    behind, order = _WAYS[asked.newest_first]
    query = Q["events_of"].format(after=behind if after else SQL("TRUE"), order=order)
    given: dict[str, Any] = {"party": f"party/{asked.party_id}", "kind": asked.kind, "type": asked.type}

    def ask(connection: Connection) -> Page:
        given.update(now=now, limit=limit + 1, streams_max=STREAMS_MAX + 1)
        given["bound"] = next(s.position for s in standings_on(connection) if s.name == Timeline.name)
        if after:
            given["bound"] = min(given["bound"], after.bound)
            last = connection.execute(Q["place_of"], {"position": after.last}).fetchone()
            if last is None:
                raise MalformedError("after", "should be the `next` of the page before")
            given.update(zip(("last_time", "last_known", "last"), last, strict=True))
        row = connection.execute(Q["width"], given).fetchone()
        assert row is not None
        if row[0] > STREAMS_MAX:
            raise TooWideError(f"more than {STREAMS_MAX} streams are tied to {asked.party_id}")
        found = [recorded_of(r) for r in connection.execute(query, given)]
        shown = found[:limit]
        following = Place(given["bound"], shown[-1].position) if len(found) > limit else None
        return Page(given["bound"], row[0], [r for r in shown if effective_at(r) <= now], following)

    return reading(ledger, Timeline.name, ask)
