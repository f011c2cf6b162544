"""Two histories of one subject side by side: what differs, and from which event on.

The two sides are two replays (as known then and now, as it was on one day and on another, as the log stood), or
what happened and what should have happened. Each is what a replay takes, so the sides part at the first moment
from which an event of one counts that the other does not have: before it both hold the same events, and their
states are equal.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from domain.account import Account, figures
from domain.calendar import day_of, end_of
from domain.counterfactual import check_assumptions
from domain.counterfactual.histories import Key, Why, key_of, pair
from domain.counterfactual.walk import LAWFUL_SOURCE
from domain.events.account import PaymentReceived
from domain.events.envelope import Recorded, data_wire, kind_of
from domain.events.fields import MalformedError
from domain.replay import Histories, Question, changed, effective_at, replay, selected, view
from domain.rules.book import rulebook_of
from domain.rules.facts import AccountFacts, PartyFacts, World, across_streams
from domain.rules.finding import digest_of
from domain.rules.past import MONEY
from domain.streams import STREAMS, begin

EVENTS_MAX = 1_000  # events shown of one side: some 500 kB of JSON; how many are left out is said
POINTS_MAX = 1_000  # days shown of the two balances
HEADLINES: Mapping[str, tuple[str, ...]] = {
    "account": ("status", "balance_fen", "principal_fen", "late_fee_fen", "arrears_since"),
    "party": ("blacklisted", "balance_fen"),
}
"""What is said of a side at a glance, by the kind of its subject."""
FIRST = (
    "status",
    "blacklisted",
    "balance_fen",
    "principal_fen",
    "late_fee_fen",
    "credit_fen",
    "arrears_since",
    "days_past_due",
)
"""What of a difference is said before all else."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side: its name, the replay's question, and what it takes of each stream, in the order of the world."""

    name: str
    question: Question
    streams: Mapping[str, Sequence[Recorded]]


Reasons = Callable[[Recorded], Why]
"""Says of an event of one side why the other does not have it."""


def compare_replays(left: Question, right: Question, histories: Histories) -> dict[str, Any]:
    """Return how two replays of one subject differ.

    `histories` are the subject's stream and those of its accounts, up to the later of the two positions.
    """
    sides = [
        Side(name, asked, {s: selected(h, asked) for s, h in sorted(histories.items())})
        for name, asked in (("left", left), ("right", right))
    ]
    absent = {
        "left": lambda r: missing(r, right),
        "right": lambda r: missing(r, left),
    }
    answer = _compared(sides[0], sides[1], absent)
    for side in sides:
        answer[side.name]["digest"] = replay(side.question, side.streams)["digest"]
    later = max(left.position, right.position)
    return _signed({"subject": left.subject, "compared": "replays", "position": later, **answer})


def compare_lawful(
    subject: str,
    histories: Histories,
    *,
    known_at: datetime,
    position: int,
    region: str,
    until: date,
    assume: Mapping[str, str],
) -> dict[str, Any]:
    """Return how what happened to an account or a party (left) differs from what should have (right).

    Raises MalformedError where the subject is neither, or an assumption is none.
    """
    assumptions = check_assumptions(assume)
    world = World(histories, known_at, position, region)
    facts = world.facts(subject)
    if not isinstance(facts, AccountFacts | PartyFacts):
        raise MalformedError("subject", "should be an account or a party: only they have a lawful history")
    book = rulebook_of(world.book_events)
    found = pair(facts, until, assumptions, book)
    asked = Question(subject, end_of(until, region), known_at, position, region)
    left, right = Side("left", asked, found.actual), Side("right", asked, found.lawful)
    absent: dict[str, Reasons] = {
        "left": lambda r: found.why[key_of(r)],
        "right": lambda r: found.instead[key_of(r)],
    }
    answer = _compared(left, right, absent)
    for side, what in ((left, "actual"), (right, "lawful")):
        answer[side.name]["history"] = what
        answer[side.name]["digest"] = digest_of({**answer[side.name], "state": _state(side, asked.at)})
    return _signed(
        {
            "subject": subject,
            "compared": "lawful",
            "position": position,
            "until": until.isoformat(),
            "rulebook_version": book.version,
            "assumptions": {**assumptions, **found.assumed},
            **answer,
        }
    )


def missing(recorded: Recorded, other: Question) -> Why:
    """Return why a replay does not take an event that another does."""
    event = recorded.event
    if event.recordedtime > other.known_at:
        said = f"recorded {event.recordedtime.isoformat()}, after the other side's known-at"
        return Why("recorded_later", said)
    if recorded.position > other.position:
        return Why("appended_later", f"position {recorded.position}, after the other side's {other.position}")
    return Why(
        "happened_later", f"counts from {effective_at(recorded).isoformat()}, after the other side's at"
    )


# -- what is on one side only


def _compared(left: Side, right: Side, absent: Mapping[str, Reasons]) -> dict[str, Any]:
    keys = {side.name: _by_key(side) for side in (left, right)}
    alone = {
        "left": _alone(keys["left"], keys["right"]),
        "right": _alone(keys["right"], keys["left"]),
    }
    states = [_state(side, side.question.at) for side in (left, right)]
    balance = list(_balances(left, right, alone)) if _has_money(left) else []
    return {
        "left": _described(left, states[0]),
        "right": _described(right, states[1]),
        "first_divergence": _first(left, right, alone, absent),
        "events": {
            f"only_{name}": [_entry(r, absent[name](r)) for r in alone[name][:EVENTS_MAX]]
            for name in ("left", "right")
        },
        "changed": _sorted_changes(states[0], states[1]),
        "balance": balance[:POINTS_MAX],
        "left_out": {
            **{f"only_{name}": max(0, len(alone[name]) - EVENTS_MAX) for name in ("left", "right")},
            "balance": max(0, len(balance) - POINTS_MAX),
        },
    }


def _by_key(side: Side) -> dict[Key, Recorded]:
    return {key_of(r): r for stream in side.streams.values() for r in stream}


def _alone(mine: Mapping[Key, Recorded], others: Mapping[Key, Recorded]) -> list[Recorded]:
    """Return the events that the other side has not, or has otherwise, in the order of the world."""
    found = [r for k, r in mine.items() if k not in others or others[k].event.data != r.event.data]
    return sorted(found, key=across_streams)


def _entry(recorded: Recorded, why: Why) -> dict[str, Any]:
    event = recorded.event
    derived = event.source == LAWFUL_SOURCE
    return {
        "event_id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.time,
        "recordedtime": event.recordedtime,
        "position": None if derived else recorded.position,
        "data": {k: v for k, v in data_wire(event.data).items() if k not in event.data.PERSONAL},
        "reason": why.reason,
        "why": why.text,
        "rule_id": why.rule_id,
    }


def _first(
    left: Side, right: Side, alone: Mapping[str, Sequence[Recorded]], absent: Mapping[str, Reasons]
) -> dict[str, Any] | None:
    """Return the first moment at which the sides part, None where they hold the same events."""
    moments = [effective_at(r) for some in alone.values() for r in some]
    if not moments:
        return None
    moment = min(moments)
    events = [
        {"side": name, **_entry(r, absent[name](r))}
        for name, some in alone.items()
        for r in some
        if effective_at(r) == moment
    ]
    states = [_state(side, moment) for side in (left, right)]
    return {
        "time": moment,
        "event_ids": list(dict.fromkeys(e["event_id"] for e in events)),
        "type": events[0]["type"],
        "subject": events[0]["subject"],
        "events": events,
        "left": _headline(left, states[0]),
        "right": _headline(right, states[1]),
        "changed": _sorted_changes(states[0], states[1]),
    }


# -- the states


def _state(side: Side, moment: datetime) -> dict[str, Any]:
    """Return a side's state right after a moment, or at its own end where that is earlier, as plain values."""
    asked = side.question
    moment = min(moment, asked.at)
    states = {}
    for subject, stream in {asked.subject: (), **side.streams}.items():
        taken = (r for r in stream if effective_at(r) <= moment)
        states[subject] = STREAMS[kind_of(subject)].fold.over(begin(subject), taken)
    own = states.pop(asked.subject)
    accounts = [s for _, s in sorted(states.items()) if isinstance(s, Account)]
    then = Question(asked.subject, moment, asked.known_at, asked.position, asked.region)
    plain: dict[str, Any] = orjson.loads(orjson.dumps(view(own, accounts, then)))
    return plain


def _described(side: Side, state: Mapping[str, Any]) -> dict[str, Any]:
    asked = side.question
    return {
        "at": asked.at.isoformat(),
        "known_at": asked.known_at.isoformat(),
        "position": asked.position,
        **_headline(side, state),
    }


def _headline(side: Side, state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: state[name] for name in HEADLINES.get(kind_of(side.question.subject), ())}


def _sorted_changes(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    found = changed(left, right)
    return {k: found[k] for k in (*(k for k in FIRST if k in found), *(k for k in found if k not in FIRST))}


# -- the balances, day by day


def _has_money(side: Side) -> bool:
    return kind_of(side.question.subject) in HEADLINES


def _balances(left: Side, right: Side, alone: Mapping[str, Sequence[Recorded]]) -> Iterator[dict[str, Any]]:
    """Yield the days on which the two balances differ and one of them changes, and the day they meet again.

    A side has no balance (null) after its own end.
    """
    differing = [effective_at(r) for some in alone.values() for r in some]
    if not differing:
        return
    region = left.question.region
    since = day_of(min(differing), region)
    days = sorted({d for side in (left, right) for d in money_days(side) if d >= since})
    ends = [day_of(side.question.at, region) for side in (left, right)]
    found = [series(side, days) for side in (left, right)]
    last: tuple[int | None, int | None] = (None, None)
    for index, day in enumerate(days):
        now = (found[0][index] if day <= ends[0] else None, found[1][index] if day <= ends[1] else None)
        if now != last and (now[0] != now[1] or last[0] != last[1]):
            yield {"on": day.isoformat(), "left_fen": now[0], "right_fen": now[1]}
        last = now


def money_days(side: Side) -> set[date]:
    """Return the days on which a side's money moves: a payment's is its value date too."""
    region = side.question.region
    moving = [r for stream in side.streams.values() for r in stream if isinstance(r.event.data, MONEY)]
    days = {day_of(effective_at(r), region) for r in moving}
    days |= {d.value_date for r in moving if isinstance(d := r.event.data, PaymentReceived)}
    return {d for d in days if d <= day_of(side.question.at, region)}


def series(side: Side, days: Sequence[date]) -> list[int]:
    """Return a side's balance in fen at the end of each day: of the accounts that are the subject's then."""
    subject, region = side.question.subject, side.question.region
    totals = [0] * len(days)
    for account, stream in side.streams.items():
        if kind_of(account) != "account":
            continue
        state = begin(account)
        assert isinstance(state, Account)
        fold = STREAMS["account"].fold
        waiting = sorted(stream, key=effective_at)
        following, known = 0, 0
        again: date | None = days[0] if days else None
        for index, day in enumerate(days):
            ends = end_of(day, region)
            while following < len(waiting) and effective_at(waiting[following]) <= ends:
                fold.step(state, waiting[following])
                following, again = following + 1, day
            if again is not None and day >= again:
                money = figures(state.books, day)
                known, again = money.balance_fen, money.next_change_on
            if account == subject or state.party_id == subject.partition("/")[2]:
                totals[index] += known
    return totals


def _signed(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as plain values with the digest by which the same question is the same for ever."""
    plain: dict[str, Any] = orjson.loads(orjson.dumps(answer, default=data_wire))
    return {**plain, "digest": digest_of(plain)}
