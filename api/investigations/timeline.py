"""The timeline: the events of a subject and of those it is tied to, in the order of the world, a page at a time.

Its cursor names the log's position at which the first page was made, so that what arrives between two pages,
backdated perhaps, neither shifts nor repeats anything; and the last event that was shown.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from api.problems import ProblemError
from api.runtime import Runtime
from domain.events.envelope import Recorded, data_wire, kind_of
from domain.events.fields import MalformedError, StreamKind
from domain.events.links import links_of
from domain.replay import Histories, Question, selected

RELATED_MAX = 500  # streams in one timeline; an organisation with more is looked at account by account
TIED: dict[StreamKind, frozenset[StreamKind]] = {
    "party": frozenset({"account", "case", "dealer"}),
    "account": frozenset({"party", "case"}),
    "dealer": frozenset(),
    "case": frozenset(),
    "rulebook": frozenset(),
}
"""Which streams a subject's timeline shows beside its own."""

_CURSOR = re.compile(r"(\d{1,19})\.(\d{1,19})\Z", re.ASCII)


class Cursor(NamedTuple):
    """Where a page ended: the log's position the pages are made at, and the last event's position."""

    bound: int
    last: int


def parse_cursor(text: str) -> Cursor:
    """Return the cursor of an answer's `next`; raises MalformedError."""
    found = _CURSOR.match(text)
    if found is None:
        raise MalformedError("after", "should be the `next` of the page before")
    return Cursor(int(found[1]), int(found[2]))


def timeline(
    runtime: Runtime,
    subject: str,
    *,
    after: str | None,
    limit: int,
    at: str | None,
    known_at: str | None,
    position: int | None,
    region: str | None,
) -> dict[str, Any]:
    """Return a page of a timeline; raises SubjectError, MalformedError and ProblemError."""
    cursor = parse_cursor(after) if after is not None else None
    bound = cursor.bound if cursor else position
    question, histories = runtime.deployment.question(
        subject, runtime.clock(), at=at, known_at=known_at, position=bound, region=region, partial=True
    )
    around = _around(runtime, question, histories)
    events = selected((r for history in around.values() for r in history), question)
    start = _index_after(events, cursor.last) if cursor else 0
    page = events[start : start + limit]
    more = start + limit < len(events)
    return {
        "subject": subject,
        "subjects": sorted(around),
        "at": question.at,
        "known_at": question.known_at,
        "position": question.position,
        "events": [entry(r) for r in page],
        "next": f"{question.position}.{page[-1].position}" if more else None,
    }


def _around(runtime: Runtime, question: Question, histories: Histories) -> Histories:
    """Return the histories of the subject and of the streams its timeline shows beside it: those in sight."""
    ledger = runtime.deployment.locate(question.subject, question.region)
    found = {question.subject, *ledger.journal.linked_to(question.subject)}
    for history in histories.values():
        found.update(link for r in history for link in links_of(r.event))
    tied = TIED[kind_of(question.subject)]
    wanted = {s for s in found if s == question.subject or kind_of(s) in tied}
    wanted = runtime.deployment.shown(ledger, wanted)
    if len(wanted) > RELATED_MAX:
        raise ProblemError(
            "timeline.too_wide",
            f"{len(wanted)} streams, {RELATED_MAX} at most: ask for its accounts one by one",
        )
    missing = ledger.histories(wanted - histories.keys(), question.position)
    every = {**histories, **missing}
    return {s: every[s] for s in wanted if every[s]}


def _index_after(events: Iterable[Recorded], position: int) -> int:
    for index, recorded in enumerate(events):
        if recorded.position == position:
            return index + 1
    raise MalformedError("after", "should be the `next` of the page before, with the same question")


def entry(recorded: Recorded) -> dict[str, Any]:
    """Return an event as a timeline shows it; its personal data is still to be masked."""
    event = recorded.event
    return {
        "event_id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.time,
        "recordedtime": event.recordedtime,
        "actor": event.actor,
        "actororg": event.actororg,
        "channel": event.channel,
        "region": event.region,
        "position": recorded.position,
        "version": recorded.version,
        "digest": recorded.digest.hex(),
        "evidenceref": event.evidenceref,
        "correlationid": event.correlationid,
        "causationid": event.causationid,
        "data": data_wire(event.data),
    }
