"""A replay as one steps through it: the events that made a state, one after the other, and the state at each.

Of a customer the accounts' events are steps too: what the customer owed is in them. Every step is told by what its
own event changed; the curve and the bands are those of the whole replay, whichever step is looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from api.runtime import Runtime
from domain.account import Account
from domain.calendar import day_of
from domain.comparison import Side, money_days, series
from domain.events.envelope import Recorded, kind_of
from domain.events.fields import MalformedError
from domain.party import Party
from domain.replay import Histories, Question, changed, effective_at, in_order, selected, view
from domain.rules.past import MONEY
from domain.streams import STREAMS, begin

POINTS_MAX = 400  # days of the curve; of more, those in between are left out


@dataclass(frozen=True, slots=True)
class Span:
    """A status from a day on, until the next."""

    since: date
    status: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """A replay at one of its steps. `step` counts from 1, 0 is before the first event."""

    question: Question
    events: Sequence[Recorded]
    step: int
    moment: datetime
    state: Mapping[str, Any]
    changed: Mapping[str, Any]
    around: Mapping[str, Any]
    """What the step changed in the customer's own figures, where its event was an account's."""

    @property
    def event(self) -> Recorded | None:
        """The event of the step."""
        return self.events[self.step - 1] if self.step else None


@dataclass(frozen=True, slots=True)
class Curve:
    """How the balance (in fen) and the status went, day by day, up to the last."""

    points: Sequence[tuple[date, int]]
    bands: Mapping[str, Sequence[Span]]
    """By account; of a customer also by the customer itself, whether blacklisted."""
    until: date
    moved: frozenset[str]
    """The accounts on which money moved."""


def stepped(
    runtime: Runtime,
    subject: str,
    *,
    at: str | None,
    known_at: str | None,
    position: int | None,
    region: str | None,
    step: int | None,
    event_id: str | None = None,
) -> tuple[Stepped, Histories]:
    """Return a replay at a step, at its end where none is named; and what it looked at.

    Raises SubjectError, and MalformedError that names the field.
    """
    question, histories = runtime.deployment.question(
        subject, runtime.clock(), at=at, known_at=known_at, position=position, region=region
    )
    events = in_order(r for history in histories.values() for r in selected(history, question))
    if event_id is not None:
        step = next((n for n, r in enumerate(events, 1) if r.event.id == event_id), None)
        if step is None:
            raise MalformedError("event", "should be an event of this replay")
    if step is not None and not 0 <= step <= len(events):
        raise MalformedError("step", f"should be at most {len(events)}, the number of events")
    return _at(question, events, step), histories


def _at(question: Question, events: Sequence[Recorded], step: int | None) -> Stepped:
    count = len(events) if step is None else step
    states: dict[str, object] = {question.subject: begin(question.subject)}
    for recorded in events[: max(count - 1, 0)]:
        _take(states, recorded)
    if not count:
        moment = (
            question.at if step is None else min(events[0].event.time, question.at) if events else question.at
        )
        return Stepped(question, events, 0, moment, _view(states, question.subject, question, moment), {}, {})
    last = events[count - 1]
    happened = max(last.event.time, effective_at(last))
    before = {s: _view(states, s, question, happened) for s in {last.event.subject, question.subject}}
    _take(states, last)
    after = {s: _view(states, s, question, happened) for s in before}
    own = changed(before[last.event.subject], after[last.event.subject])
    around = changed(before[question.subject], after[question.subject])
    moment = question.at if step is None else happened
    return Stepped(
        question,
        events,
        count,
        moment,
        _view(states, question.subject, question, moment),
        own,
        around if last.event.subject != question.subject else {},
    )


def _take(states: dict[str, object], recorded: Recorded) -> None:
    subject = recorded.event.subject
    state = states.setdefault(subject, begin(subject))
    STREAMS[kind_of(subject)].fold.step(state, recorded)


def _view(states: Mapping[str, object], subject: str, question: Question, moment: datetime) -> dict[str, Any]:
    """Return a state as plain values at a moment; a customer's with the accounts, where it is what is asked for."""
    asked = Question(subject, moment, question.known_at, question.position, question.region)
    accounts = [s for s in states.values() if isinstance(s, Account)] if kind_of(subject) == "party" else []
    state = states.get(subject)
    plain: dict[str, Any] = orjson.loads(
        orjson.dumps(view(state if state is not None else begin(subject), accounts, asked))
    )
    return plain


def curve_of(question: Question, histories: Histories) -> Curve:
    """Return how the balance and the status went."""
    taken = {s: selected(h, question) for s, h in sorted(histories.items())}
    side = Side("replay", question, taken)
    until = day_of(question.at, question.region)
    days = _thinned(sorted(money_days(side)))
    points = list(zip(days, series(side, days), strict=True))
    bands = {s: list(_spans(s, stream, question.region)) for s, stream in taken.items()}
    moved = frozenset(
        s for s, stream in taken.items() if any(isinstance(r.event.data, MONEY) for r in stream)
    )
    return Curve(points, {s: spans for s, spans in bands.items() if spans}, until, moved)


def _thinned(days: Sequence[date]) -> list[date]:
    if len(days) <= POINTS_MAX:
        return list(days)
    step = (len(days) - 1) / (POINTS_MAX - 1)
    return [days[round(index * step)] for index in range(POINTS_MAX)]


def _spans(subject: str, stream: Sequence[Recorded], region: str) -> Iterator[Span]:
    """Yield the statuses of an account, or whether a customer is blacklisted, each from its first day on."""
    if kind_of(subject) not in {"account", "party"}:
        return
    state, last = begin(subject), None
    for recorded in stream:
        STREAMS[kind_of(subject)].fold.step(state, recorded)
        status = _status(state)
        if status != last:
            yield Span(day_of(recorded.event.time, region), status)
            last = status


def _status(state: object) -> str:
    if isinstance(state, Account):
        return str(state.status)
    return "blacklisted" if isinstance(state, Party) and state.blacklisted else "clear"
