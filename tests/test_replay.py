"""Replay: as it was on any day, as it was known on any day, the same answer for ever."""

import random
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.inquiry import replayed
from domain.calendar import moment_of
from domain.events import Recorded, parse_event
from domain.replay import Question, changed, in_order, replay, steps
from tests.conftest import CASES, HARBIN, import_file

WANTED = {p.name: orjson.loads((p / "expected.json").read_bytes()) for p in sorted(CASES.iterdir())}
REPLAYS = [(name, ask) for name, want in WANTED.items() for ask in want["replay"]]


def history_of(name):
    """Return a case's events as they would stand in an empty ledger."""
    path = HARBIN if name == "harbin" else CASES / name / "history.jsonl"
    versions = {}
    found = []
    for position, text in enumerate(path.read_bytes().splitlines(), 1):
        event = parse_event(orjson.loads(text))
        versions[event.subject] = versions.get(event.subject, 0) + 1
        found.append(Recorded(event, versions[event.subject], position))
    return found


def histories_for(subject, history):
    """Return what a replay of the subject looks at: a party's with all accounts."""
    found = {subject: []}
    for recorded in history:
        if recorded.event.subject == subject or (
            subject.startswith("party/") and recorded.event.subject.startswith("account/")
        ):
            found.setdefault(recorded.event.subject, []).append(recorded)
    return found


def asked(history, subject, at=None, known_at=None, position=10**9):
    """Return the answer of a pure replay."""
    region = history[0].event.region
    now = datetime(2026, 1, 1, tzinfo=UTC)
    question = Question(
        subject,
        moment_of(at, region, "at") if at else now,
        moment_of(known_at, region, "known_at") if known_at else now,
        position,
        region,
    )
    return replay(question, histories_for(subject, history))


def includes(actual, expected):
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            k in actual and includes(actual[k], v) for k, v in expected.items()
        )
    return actual == expected


@pytest.mark.parametrize(
    ("name", "ask"), REPLAYS, ids=[f"{n}-{a['subject']}-{a['at'][:10]}" for n, a in REPLAYS]
)
def test_a_dispute_replays_as_its_case_says(name, ask):
    """Given a dispute's history, when it is replayed then and as known then, then the state is the expected."""
    answer = asked(history_of(name), ask["subject"], ask.get("at"), ask.get("known_at"))
    assert includes(answer["state"], ask["state_includes"])


@pytest.mark.storage
@pytest.mark.parametrize("name", WANTED)
def test_the_ledger_replays_as_the_pure_domain_does(runtime, name):
    """What was sealed, stored, linked and read back gives the state that the events themselves give."""
    import_file(runtime.deployment, HARBIN if name == "harbin" else CASES / name / "history.jsonl")
    for ask in WANTED[name]["replay"]:
        at, known_at = ask["at"], ask.get("known_at", "2026-01-01")
        stored = replayed(runtime, ask["subject"], at=at, known_at=known_at)
        assert stored["state"] == asked(history_of(name), ask["subject"], at, known_at)["state"]


@pytest.mark.storage
def test_the_same_question_at_the_same_position_has_the_same_digest_for_ever(runtime, tmp_path):
    """Given an answer, when old knowledge is imported later, then the question at its position answers the same."""
    late = CASES / "late-posted-payment" / "history.jsonl"
    import_file(runtime.deployment, late)
    subject = "account/late-posted-payment.A"
    ask = {"at": "2017-03-11", "known_at": "2017-03-13"}
    before = replayed(runtime, subject, **ask)
    raw = orjson.loads(late.read_bytes().splitlines()[4])
    raw["id"] = "old-knowledge"
    raw["data"].update(charge_id="PK-m0", amount_fen=777)
    path = tmp_path / "lines.jsonl"
    path.write_bytes(orjson.dumps(raw))
    import_file(runtime.deployment, path)
    after = replayed(runtime, subject, **ask)
    assert after["state"]["balance_fen"] == before["state"]["balance_fen"] + 777
    assert replayed(runtime, subject, **ask, position=before["position"]) == before


def test_a_date_means_the_end_of_that_day():
    """2014-12-09 is its last moment in the region."""
    history = history_of("harbin")
    by_date = asked(history, "account/A-FTTH", "2014-12-01", "2014-12-01")
    by_time = asked(
        history, "account/A-FTTH", "2014-12-01T23:59:59.999999+08:00", "2014-12-01T23:59:59.999999+08:00"
    )
    assert by_date == by_time
    assert by_date["state"]["late_fee_fen"] == 5_460


def test_nothing_is_shown_before_it_was_known():
    """The payment of 28 February reached billing on 12 March: until then the account owes."""
    history = history_of("late-posted-payment")
    subject = "account/late-posted-payment.A"
    then = asked(history, subject, "2017-02-28", "2017-03-11")["state"]
    now = asked(history, subject, "2017-02-28", "2017-03-12")["state"]
    assert (then["balance_fen"], now["balance_fen"]) == (9_900, 0)


def test_a_payment_counts_from_the_start_of_its_value_date_whatever_its_time():
    """At one in the morning of its value date it counts already, though it was made at half past nine."""
    history = history_of("late-posted-payment")
    state = asked(history, "account/late-posted-payment.A", "2017-02-28T01:00:00+08:00")["state"]
    assert state["balance_fen"] == 0


def test_the_log_position_bounds_what_a_replay_sees():
    """As the ledger stood then, whatever the events' own times."""
    history = history_of("harbin")
    sold = next(r.position for r in history if r.event.id == "harbin-032")
    assert asked(history, "account/A-FTTH", position=sold - 1)["state"]["package"] is None
    assert asked(history, "account/A-FTTH", position=sold)["state"]["package"]["package_id"] == "PK-F"
    assert asked(history, "account/A-NETCOM", position=0)["state"]["status"] == "pending"


def test_the_order_of_arrival_changes_no_state():
    """Given the same events in any order of import, when all are known, then the state is the same."""
    history = history_of("harbin")
    wanted = asked(history, "party/P-HRB")["state"]
    for seed in range(5):
        shuffled = history[:]
        random.Random(seed).shuffle(shuffled)
        renumbered = [Recorded(r.event, r.version, n) for n, r in enumerate(shuffled, 1)]
        assert asked(renumbered, "party/P-HRB")["state"] == wanted


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1_950), st.integers(0, 1_950))
def test_what_was_known_only_grows(first, second):
    """An event shown as known at one moment is shown as known at every later one."""
    history = history_of("harbin")
    start = datetime(2009, 10, 1, tzinfo=UTC)
    earlier, later = (start + timedelta(days=d) for d in sorted((first, second)))
    subject = "account/A-NETCOM"
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def seen(known_at):
        question = Question(subject, at, known_at, 10**9, "heilongjiang.harbin")
        return [s["event_id"] for s in steps(question, histories_for(subject, history))]

    assert seen(earlier) == seen(later)[: len(seen(earlier))]


def test_steps_tell_what_each_event_changed_and_end_in_the_state():
    """The choice that nobody made is visible: set by staff, four minutes before the sale."""
    history = history_of("harbin")
    question = Question(
        "account/A-FTTH",
        moment_of("2014-12-09", "heilongjiang.harbin", "at"),
        moment_of("2014-12-09", "heilongjiang.harbin", "known_at"),
        10**9,
        "heilongjiang.harbin",
    )
    found = steps(question, histories_for("account/A-FTTH", history))
    chosen = next(s for s in found if s["type"] == "ExpiryOptionSelected")
    assert chosen["changed"]["expiry_choices"]["added"][0]["selected_by"] == "staff_default"
    balances = [s["changed"]["balance_fen"]["to"] for s in found if "balance_fen" in s["changed"]]
    assert balances == [108_000, 0, 10_000, 20_000, 30_000, 40_000, 42_730, 44_560, 45_460]


def test_events_of_one_moment_keep_the_order_in_which_they_became_known():
    """Time first, then recorded time, then position."""
    history = history_of("harbin")
    fees = [r.event.id for r in in_order(reversed(history)) if r.event.type == "LateFeeAssessed"]
    assert fees == ["harbin-024", "harbin-025", "harbin-026", "harbin-050", "harbin-051", "harbin-052"]


def test_changes_show_only_what_differs():
    """Of an object the fields, of a list the entries."""
    assert changed(
        {"a": 1, "b": {"x": 1, "y": 2}, "c": [1]}, {"a": 1, "b": {"x": 1, "y": 3}, "c": [1, 2]}
    ) == {
        "b": {"from": {"y": 2}, "to": {"y": 3}},
        "c": {"removed": [], "added": [2]},
    }
