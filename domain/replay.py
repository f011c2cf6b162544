"""Replay: what was true at a moment, as it was known at a moment, step by step.

Rules of order (vocabulary, "Order, and what the money means"): a replay takes the events recorded by
known-at that happened by at, and folds them by time, then recorded time, then log position. A payment counts
from the start of its value date whatever its time, so it is taken from then on.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.account import Account, account_view
from domain.calendar import day_of, start_of
from domain.case import Case, case_view
from domain.dealer import Dealer, dealer_view
from domain.events.account import PaymentReceived
from domain.events.envelope import Recorded
from domain.party import Party, party_view
from domain.rulebook import rulebook_view
from domain.streams import STREAMS, begin, state_of

VIEW_VERSION = 1
"""The form of the states below: a digest is of an answer in this form, and a new form gets a new number."""

Histories = Mapping[str, Sequence[Recorded]]
"""The asked subject's stream and those of its accounts, by subject."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a replay. `position` bounds the log; `region` says how its days are counted."""

    subject: str
    at: datetime
    known_at: datetime
    position: int
    region: str


def in_order(history: Iterable[Recorded]) -> list[Recorded]:
    """Return events in the order of the world: time, then recorded time, then position."""
    return sorted(history, key=lambda r: (r.event.time, r.event.recordedtime, r.position, r.version))


def effective_at(recorded: Recorded) -> datetime:
    """Return the moment from which an event counts: a payment's is at the latest its time."""
    event = recorded.event
    if isinstance(event.data, PaymentReceived):
        return min(event.time, start_of(event.data.value_date, event.region))
    return event.time


def selected(history: Iterable[Recorded], question: Question) -> list[Recorded]:
    """Return the events a replay takes, in the order of the world."""
    return in_order(
        r
        for r in history
        if r.position <= question.position
        and r.event.recordedtime <= question.known_at
        and effective_at(r) <= question.at
    )


def replay(question: Question, histories: Histories) -> dict[str, Any]:
    """Return the answer: the state then, and the digest by which the same question is the same for ever."""
    own = selected(histories.get(question.subject, ()), question)
    accounts = [
        state_of(subject, selected(history, question))
        for subject, history in sorted(histories.items())
        if subject != question.subject
    ]
    state = view(state_of(question.subject, own), [a for a in accounts if isinstance(a, Account)], question)
    return _answer(question, state)


def steps(question: Question, histories: Histories) -> list[dict[str, Any]]:
    """Return, for each event of the subject's own stream, what it was and what it changed in the state."""
    state = begin(question.subject)
    fold = STREAMS[question.subject.partition("/")[0]].fold  # type: ignore[index]
    found = []
    before = _plain(view(state, [], question))
    for recorded in selected(histories.get(question.subject, ()), question):
        fold.step(state, recorded)
        moment = Question(
            question.subject,
            max(recorded.event.time, effective_at(recorded)),
            question.known_at,
            question.position,
            question.region,
        )
        after = _plain(view(state, [], moment))
        event = recorded.event
        found.append(
            {
                "event_id": event.id,
                "source": event.source,
                "type": event.type,
                "time": event.time.isoformat(),
                "recordedtime": event.recordedtime.isoformat(),
                "actor": event.actor,
                "position": recorded.position,
                "changed": changed(before, after),
            }
        )
        before = after
    return found


def view(state: object, accounts: Iterable[Account], question: Question) -> dict[str, Any]:
    """Return a state as plain values, on the day the question asks for."""
    on = day_of(question.at, question.region)
    match state:
        case Account():
            return account_view(state, on)
        case Party():
            return party_view(state, accounts, on)
        case Dealer():
            return dealer_view(state)
        case Case():
            return case_view(state)
        case _:
            return rulebook_view(state)  # type: ignore[arg-type]


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs between two states: for each key the value before and after.

    Of a list only the entries that came, went or became different are shown, of an object only the fields.
    """
    found: dict[str, Any] = {}
    for key in after:
        old, new = before.get(key), after[key]
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            found[key] = {
                "removed": [item for item in old if item not in new],
                "added": [item for item in new if item not in old],
            }
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            fields = [name for name in new if old.get(name) != new[name]]
            found[key] = {"from": {n: old.get(n) for n in fields}, "to": {n: new[n] for n in fields}}
        else:
            found[key] = {"from": old, "to": new}
    return found


def canonical(value: object) -> bytes:
    """Return a value's canonical JSON bytes, over which digests are taken."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = orjson.loads(orjson.dumps(state))
    return plain


def _answer(question: Question, state: dict[str, Any]) -> dict[str, Any]:
    body = {
        "view_version": VIEW_VERSION,
        "subject": question.subject,
        "at": question.at.isoformat(),
        "known_at": question.known_at.isoformat(),
        "position": question.position,
        "state": _plain(state),
    }
    return {**body, "digest": "sha256:" + hashlib.sha256(canonical(body)).hexdigest()}
