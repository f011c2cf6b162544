"""What has to hold after any run, whatever happened: the product's answers against the oracle's, and the log itself."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.decisions import decide, needs
from domain.events.envelope import Recorded
from domain.refusals import Refused
from domain.replay import Question, in_order, replay
from domain.rules.table import Inquiry, findings
from domain.streams import begin, state_of
from tests.simulation import oracle
from tests.simulation.acts import REGION, Call

FAR = 10**9
Streams = Mapping[str, Sequence[Recorded]]


def by_stream(log: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return raw events by their stream."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in log:
        found[event["subject"]].append(event)
    return dict(found)


def replayed(
    streams: Streams, subject: str, at: datetime, known_at: datetime, position: int
) -> dict[str, Any]:
    """Return what the product replays, of a party with all accounts there are."""
    wanted = {subject: streams[subject]}
    if subject.startswith("party/"):
        wanted |= {s: h for s, h in streams.items() if s.startswith("account/")}
    return replay(Question(subject, at, known_at, position, REGION), wanted)


def check_replays(
    streams: Streams, log: Sequence[dict[str, Any]], now: datetime, chance: random.Random, moments: int
) -> None:
    """At several moments, as known at several, and as the log stood: a replay says what the oracle says."""
    raw = by_stream(log)
    asked = [(now, now, FAR)]
    for _ in range(moments):
        at = now - timedelta(days=chance.randint(-20, 420), seconds=chance.randint(0, 86_400))
        known_at = now - timedelta(days=chance.randint(0, 420))
        asked.append((at, chance.choice((now, known_at)), chance.choice((FAR, chance.randint(0, len(log))))))
    for subject in sorted(s for s in streams if not s.startswith(("case/", "rulebook/"))):
        for at, known_at, position in asked:
            state = replayed(streams, subject, at, known_at, position)["state"]
            expected = oracle.answer(subject, raw, at, known_at, position)
            told = oracle.told(subject, state)
            assert told == expected, f"{subject} at {at}, as known at {known_at}, position {position}"


def check_money(streams: Streams, log: Sequence[dict[str, Any]], now: datetime) -> int:
    """What all accounts owe is what was charged less what was given and taken back: no fen comes or goes; return it."""
    on, total = now.astimezone(oracle.HARBIN).date().isoformat(), 0
    bounced: dict[tuple[str, str], int] = defaultdict(int)
    for event in log:
        if event["type"] == "PaymentReversed":
            bounced[event["subject"], event["data"]["payment_id"]] += 1
    for event in oracle_order(log):
        kind, data = event["type"], event["data"]
        if kind in ("ChargePosted", "LateFeeAssessed", "RefundPaid"):
            total += data["amount_fen"]
        elif kind in ("ChargeReversed", "CreditGranted", "DebtWrittenOff"):
            total -= data["amount_fen"]
        elif kind == "PaymentReceived":
            key = event["subject"], data["payment_id"]
            bounced[key] -= 1
            if bounced[key] < 0 and data["value_date"] <= on:
                total -= data["amount_fen"]
    owed = sum(
        replayed(streams, s, now, now, FAR)["state"]["balance_fen"]
        for s in streams
        if s.startswith("account/")
    )
    assert owed == total, "money came or went"
    return total


def oracle_order(log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return raw events in the order of the world."""
    return sorted(
        log, key=lambda e: (oracle.moment(e["time"]), oracle.moment(e["recordedtime"]), e["position"])
    )


def check_findings(streams: Streams, now: datetime, chance: random.Random, most: int) -> None:
    """The findings are the same, to the digest, in whatever order the events were delivered."""
    other = delivered_otherwise(streams, chance)
    subjects = sorted(s for s in streams if not s.startswith("rulebook/"))
    for subject in chance.sample(subjects, min(most, len(subjects))):
        inquiry = Inquiry(subject, now, FAR, REGION)
        assert findings(inquiry, streams) == findings(inquiry, other), subject
        question = Question(subject, now, now, FAR, REGION)
        assert replay(question, streams)["digest"] == replay(question, other)["digest"], subject


def delivered_otherwise(streams: Streams, chance: random.Random) -> dict[str, list[Recorded]]:
    """Return the events as another order of arrival would have left them; those of one moment keep theirs."""
    groups: dict[tuple[str, datetime, datetime], list[Recorded]] = defaultdict(list)
    for subject, history in streams.items():
        for recorded in history:
            groups[subject, recorded.event.time, recorded.event.recordedtime].append(recorded)
    order = list(groups.values())
    chance.shuffle(order)
    found: dict[str, list[Recorded]] = defaultdict(list)
    position = 0
    for group in order:
        for recorded in group:
            position += 1
            stream = found[recorded.event.subject]
            stream.append(
                Recorded(recorded.event, len(stream) + 1, position, fingerprint=recorded.fingerprint)
            )
    return found


def check_recorded_times(log: Sequence[dict[str, Any]], source: str) -> None:
    """The recorded time of what this ledger recorded itself never runs backwards."""
    times = [oracle.moment(e["recordedtime"]) for e in log if e["source"] == source]
    assert times == sorted(times), "recorded time ran backwards"


def check_decision(
    call: Call, body: Mapping[str, Any], streams: Streams, between: tuple[int, int], now: datetime
) -> None:
    """What a command was told is what `decide` says on states folded anew, at the position where it was decided."""
    told, (before, after) = body.get("refusal"), between
    if told is None:
        before = after = min(e["position"] for e in body["events"]) - 1
        now = datetime.fromisoformat(body["recordedtime"])
    answers = [_decided(call, _until(streams, position), now) for position in range(before, after + 1)]
    if told is not None:
        assert {"code": told["code"], "message": told["message"]} in answers, (call, told, answers)
        return
    stored = {r.position: r.event for history in streams.values() for r in history}
    ids = [e["position"] for e in body["events"]]
    data = [(stored[p].subject, stored[p].data) for p in ids]
    assert [(s, type(d)) for s, d in data] == [(s, type(d)) for s, d in answers[0]], (call, answers)
    assert [_clear(d) for _, d in data] == [_clear(d) for _, d in answers[0]], (call, answers)


def _clear(data: Any) -> dict[str, Any]:
    """Return an event's data without what is sealed in the log."""
    return {n: getattr(data, n) for n in data.__pydantic_fields__ if n not in data.PERSONAL}


def _until(streams: Streams, position: int) -> Callable[[str], Any]:
    """Return how a stream's state at a position is found: folded from its first event."""

    def state(subject: str) -> Any:
        history = in_order(r for r in streams.get(subject, ()) if r.position <= position)
        return state_of(subject, history) if history else begin(subject)

    return state


def _decided(call: Call, state: Callable[[str], Any], now: datetime) -> Any:
    """Return the refusal, or the drafts."""
    states: dict[str, Any] = {}
    while missing := needs(call.asked, states) - states.keys():
        states |= {subject: state(subject) for subject in missing}
    try:
        drafts = decide(call.asked, states, now)
    except Refused as refused:
        return {"code": str(refused.code), "message": refused.message}
    return [(draft.subject, draft.data) for draft in drafts]
