"""Two histories of one subject side by side: what differs, why, and from which event on."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.inquiry_compare import Lawful, Second, compared
from domain import comparison
from domain.calendar import end_of, moment_of
from domain.comparison import compare_lawful, compare_replays
from domain.events import MalformedError
from domain.replay import Question, changed, effective_at, replay, selected
from tests.conftest import CASES, import_file
from tests.histories import REGION, History, in_arrears, subscriber
from tests.test_counterfactual import ASKS, NOW, lines_of, recorded, should

NAMES = sorted(p.name for p in CASES.iterdir())
LAST = 10**9
LATER = "2030-01-01"
LATE = "account/late-posted-payment.A"


def question(subject, at, known_at, position=LAST, region=REGION):
    return Question(
        subject, moment_of(at, region, "at"), moment_of(known_at, region, "known_at"), position, region
    )


def late_payment(left_known="2017-03-11", right_known="2017-03-12"):
    """Compare the late-posted payment's account on one day, as known on two."""
    histories = {LATE: recorded(lines_of("late-posted-payment"))[LATE]}
    sides = [question(LATE, "2017-03-11", known) for known in (left_known, right_known)]
    return compare_replays(*sides, histories)


def with_lawful(history, subject="account/A", until="2016-01-01", **assume):
    return compare_lawful(
        subject,
        history.recorded(),
        known_at=NOW,
        position=LAST,
        region=history.region,
        until=date.fromisoformat(until),
        assume=assume,
    )


def ids(events):
    return [e["event_id"] for e in events]


def reasons(events):
    return {e["event_id"]: (e["reason"], e["rule_id"]) for e in events}


# -- two replays


def test_a_payment_known_later_is_where_the_two_part():
    """Known then and known now: they part at the payment's value date, by what was recorded only later."""
    answer = late_payment()
    first = answer["first_divergence"]
    assert first["time"] == "2017-02-28T00:00:00+08:00"
    assert (first["event_ids"], first["type"], first["subject"]) == (
        ["late-posted-payment-008"], "PaymentReceived", LATE,
    )  # fmt: skip
    assert (first["left"]["balance_fen"], first["right"]["balance_fen"]) == (9_900, 0)
    assert answer["events"]["only_left"] == []
    assert reasons(answer["events"]["only_right"]) == {"late-posted-payment-008": ("recorded_later", None)}
    assert answer["changed"]["balance_fen"] == {"from": 10_107, "to": 207}
    assert answer["balance"] == [
        {"on": "2017-02-28", "left_fen": 9_900, "right_fen": 0},
        {"on": "2017-03-08", "left_fen": 10_107, "right_fen": 207},
    ]


def test_the_sides_have_the_digests_of_their_replays():
    """What stands on a side can be asked for by itself."""
    histories = {LATE: recorded(lines_of("late-posted-payment"))[LATE]}
    answer = late_payment()
    for name, known in (("left", "2017-03-11"), ("right", "2017-03-12")):
        assert answer[name]["digest"] == replay(question(LATE, "2017-03-11", known), histories)["digest"]


def test_equal_replays_differ_in_nothing():
    """No divergence, no events, no change, no balance."""
    answer = late_payment(right_known="2017-03-11")
    assert answer["first_divergence"] is None
    assert answer["events"] == {"only_left": [], "only_right": []}
    assert (answer["changed"], answer["balance"]) == ({}, [])


def test_the_same_question_has_the_same_answer():
    """To the digest; and the other way round the sides are exchanged."""
    assert late_payment() == late_payment()
    mirrored = late_payment("2017-03-12", "2017-03-11")
    assert mirrored["events"]["only_left"] == late_payment()["events"]["only_right"]
    assert mirrored["digest"] != late_payment()["digest"]


def test_each_event_says_why_the_other_side_lacks_it():
    """After its known-at, after its position, or after its at."""
    history = in_arrears().at("2014-05-01").paid(4_000, payment_id="early").at("2014-06-01")
    history.paid(6_000, payment_id="late", known="2014-07-01")
    streams = {"account/A": history.recorded()["account/A"]}
    whole = question("account/A", "2014-08-01", "2014-08-01")
    for other, event_id, reason in (
        (question("account/A", "2014-08-01", "2014-06-15"), "PaymentReceived:late", "recorded_later"),
        (question("account/A", "2014-08-01", "2014-08-01", 6), "PaymentReceived:late", "appended_later"),
        (question("account/A", "2014-05-15", "2014-08-01"), "PaymentReceived:late", "happened_later"),
    ):
        only = compare_replays(other, whole, streams)["events"]["only_right"]
        assert reasons(only) == {event_id: (reason, None)}


def test_a_side_has_no_balance_after_its_own_end():
    """Compared with a later day, only the later side moves on."""
    streams = {"account/A": in_arrears().recorded()["account/A"]}
    left, right = question("account/A", "2014-03-15", LATER), question("account/A", "2014-05-15", LATER)
    answer = compare_replays(left, right, streams)
    assert answer["balance"] == [{"on": "2014-04-01", "left_fen": None, "right_fen": 10_000}]


def test_what_only_the_calendar_changes_is_no_divergence():
    """The same events a month later: more days past due, and no event that one side lacks."""
    streams = {"account/A": in_arrears().recorded()["account/A"]}
    answer = compare_replays(
        question("account/A", "2014-06-01", LATER), question("account/A", "2014-07-01", LATER), streams
    )
    assert answer["first_divergence"] is None
    assert answer["changed"]["days_past_due"] == {"from": 32, "to": 62}


def test_a_party_is_compared_over_its_accounts():
    """A charge on an account is where a party's two histories part."""
    history = in_arrears()
    answer = compare_replays(
        question("party/P", "2014-03-15", LATER), question("party/P", "2014-05-15", LATER), history.recorded()
    )
    assert answer["first_divergence"]["subject"] == "account/A"
    assert answer["changed"]["balance_fen"] == {"from": 0, "to": 10_000}


def test_personal_data_is_no_part_of_an_event_that_is_shown():
    """A party's registration shows its kind, and not the name."""
    history = History().party(known="2013-01-01")
    answer = compare_replays(
        question("party/P", "2014-01-01", "2012-06-01"),
        question("party/P", "2014-01-01", LATER),
        history.recorded(),
    )
    registered = answer["events"]["only_right"][0]
    assert (registered["type"], registered["data"]["kind"]) == ("PartyRegistered", "individual")
    assert not {"name", "id_number", "address", "id_hash"} & registered["data"].keys()


def test_what_is_left_out_of_a_long_answer_is_counted(monkeypatch):
    """Of each list, by how much."""
    monkeypatch.setattr(comparison, "EVENTS_MAX", 1)
    monkeypatch.setattr(comparison, "POINTS_MAX", 1)
    streams = {"account/A": in_arrears().at("2014-05-01").paid(4_000).recorded()["account/A"]}
    answer = compare_replays(
        question("account/A", "2014-03-15", LATER), question("account/A", "2014-05-15", LATER), streams
    )
    assert answer["left_out"] == {"only_left": 0, "only_right": 1, "balance": 1}
    assert len(answer["events"]["only_right"]) == len(answer["balance"]) == 1


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_before_the_first_divergence_both_are_the_same(name, data):
    """Of any two replays of any subject of any case: equal before it, with different events at it."""
    raws = lines_of(name)
    histories = recorded(raws)
    subject = data.draw(st.sampled_from(sorted(s for s in histories if s.startswith(("account/", "party/")))))
    own = (s for s in histories if s.startswith("account/")) if subject.startswith("party/") else ()
    streams = {s: histories[s] for s in (subject, *own)}
    moments = sorted({r.event.recordedtime for h in streams.values() for r in h})
    moment, place = st.sampled_from(moments), st.integers(0, len(raws))
    left, right = (
        Question(subject, data.draw(moment), data.draw(moment), data.draw(place), raws[0]["region"])
        for _ in "lr"
    )
    answer = compare_replays(left, right, streams)
    states = [replay(q, streams)["state"] for q in (left, right)]
    assert answer["changed"] == changed(*states)
    taken = [{r.event.id for h in streams.values() for r in selected(h, q)} for q in (left, right)]
    assert sorted(ids(answer["events"]["only_left"])) == sorted(taken[0] - taken[1])
    assert sorted(ids(answer["events"]["only_right"])) == sorted(taken[1] - taken[0])
    parted = [effective_at(r) for h in streams.values() for r in h if r.event.id in taken[0] ^ taken[1]]
    if not parted:
        assert answer["first_divergence"] is None
        return
    first = datetime.fromisoformat(answer["first_divergence"]["time"])
    assert first == min(parted)
    before = first - timedelta(microseconds=1)
    sides = [replay(_at(q, before), streams)["state"] for q in (left, right)]
    assert sides[0] == sides[1]
    after = [replay(_at(q, min(first, q.at)), streams)["state"] for q in (left, right)]
    assert answer["first_divergence"]["changed"] == changed(*after)
    for point in answer["balance"]:
        for side, q in (("left_fen", left), ("right_fen", right)):
            if point[side] is not None:
                ends = min(end_of(date.fromisoformat(point["on"]), q.region), q.at)
                assert point[side] == replay(_at(q, ends), streams)["state"]["balance_fen"]


def _at(asked, moment):
    return Question(asked.subject, moment, asked.known_at, asked.position, asked.region)


# -- what happened and what should have


def lawful_of(name, ask):
    raws = lines_of(name)
    return compare_lawful(
        ask["subject"],
        recorded(raws),
        known_at=NOW,
        position=LAST,
        region=raws[0]["region"],
        until=date.fromisoformat(ask["until"]),
        assume=ask.get("assume", {}),
    )


@pytest.mark.parametrize(("name", "ask"), ASKS, ids=[f"{n}-{a['subject']}" for n, a in ASKS])
def test_both_sides_come_to_what_the_counterfactual_says(name, ask):
    """The balances, the status and the standing at the end are the counterfactual's own."""
    answer = lawful_of(name, ask)
    wanted = should(lines_of(name), ask["subject"], ask["until"], **ask.get("assume", {}))
    for side, history in (("left", "actual"), ("right", "lawful")):
        assert answer[side]["history"] == history
        assert answer[side] | wanted[history] == answer[side]


@pytest.mark.parametrize(("name", "ask"), ASKS, ids=[f"{n}-{a['subject']}" for n, a in ASKS])
def test_every_difference_of_the_counterfactual_is_an_event_on_one_side(name, ask):
    """With the same rule behind it."""
    only = reasons(lawful_of(name, ask)["events"]["only_left"])
    for difference in should(lines_of(name), ask["subject"], ask["until"])["differences"]:
        for event_id in difference["event_ids"]:
            assert only[event_id][1] == difference["rule_id"]


def test_where_all_was_right_the_two_are_one():
    """What the operator did as it should have is the same event on both sides."""
    ask = {"subject": "account/everything-right.A", "until": "2016-06-01"}
    answer = lawful_of("everything-right", ask)
    assert answer["first_divergence"] is None
    assert answer["events"] == {"only_left": [], "only_right": []}
    assert answer["changed"] == {}


def test_a_year_that_was_carried_on_unasked_parts_at_its_end():
    """The service would have stopped where the operator carried it on by the month."""
    answer = lawful_of("harbin", {"subject": "account/A-FTTH", "until": "2014-12-17"})
    first = answer["first_divergence"]
    assert (first["time"], first["type"]) == ("2014-07-16T00:05:00+08:00", "ServiceSuspended")
    assert (first["left"]["status"], first["right"]["status"]) == ("active", "suspended")
    assert reasons(first["events"]) == {first["event_ids"][0]: ("derived", None)}
    only = reasons(answer["events"]["only_left"])
    assert only["harbin-038"] == ("unlawful", "charge-basis")
    assert only["harbin-047"] == ("not_derived", None)
    assert answer["assumptions"]["expiry_option of PK-F"] == "suspend"


def test_the_operators_lawful_act_is_not_told_twice():
    """Given a service that stopped at its term's end as chosen, then it stops on both sides by one event."""
    history = subscriber().lawfully_sold("suspend").at("2014-03-01T00:10").suspended("expiry")
    answer = with_lawful(history)
    assert [e["type"] for e in answer["events"]["only_right"]] == ["PackageExpired"]
    assert answer["events"]["only_left"] == []


def test_a_fee_that_was_too_high_stands_on_both_sides_with_different_sums():
    """What should have been assessed, beside what was."""
    history = in_arrears().at("2014-05-11").fee("m1", "2014-05-01", "2014-05-11", amount_fen=500)
    answer = with_lawful(history, until="2014-06-01")
    left, right = answer["events"]["only_left"], answer["events"]["only_right"]
    assert ids(left) == ids(right)
    assert [e["reason"] for e in left + right] == ["altered", "altered"]
    assert (left[0]["data"]["amount_fen"], right[0]["data"]["amount_fen"]) == (500, 300)


def test_a_fee_that_was_taken_back_is_no_difference():
    """Net of reversals nothing was too much."""
    history = in_arrears().at("2014-05-11").fee("m1", "2014-05-01", "2014-05-11", amount_fen=500)
    history.at("2014-05-12").reversed(fee_id="lf", amount_fen=500)
    answer = with_lawful(history, until="2014-05-20")
    assert answer["first_divergence"] is None


def test_an_entry_that_stands_too_long_goes_when_it_should_have():
    """Given a debt paid on 1 July, then five working days later the entry is gone, and nothing rests on it."""
    history = in_arrears().told("arrears", "2014-05-10").at("2014-06-01").listed().at("2014-07-01").paid()
    history.at("2014-08-01").refused().at("2014-09-01").unlisted()
    events = with_lawful(history, "party/P")["events"]
    assert reasons(events["only_left"]) == {
        "SignUpRefused:BL": ("unlawful", "refusal-basis"),
        "BlacklistEntryRemoved:BL": ("unlawful", "blacklist-removal"),
    }
    assert [(e["type"], e["time"][:10]) for e in events["only_right"]] == [
        ("BlacklistEntryRemoved", "2014-07-08")
    ]


def test_an_entry_that_was_never_taken_off_goes():
    """The lawful removal comes when the working days are over."""
    answer = lawful_of(
        "blacklist-not-lifted", {"subject": "party/blacklist-not-lifted.P", "until": "2018-09-30"}
    )
    removed = [e for e in answer["events"]["only_right"] if e["type"] == "BlacklistEntryRemoved"]
    assert reasons(removed) == {removed[0]["event_id"]: ("derived", "blacklist-removal")}
    assert (answer["left"]["blacklisted"], answer["right"]["blacklisted"]) == (True, False)


def test_an_assumption_that_is_none_is_refused():
    """As in the counterfactual."""
    with pytest.raises(MalformedError, match="expiry_option"):
        with_lawful(in_arrears(), expiry_option="gift")


def test_a_dealer_has_no_lawful_history():
    """Only accounts and parties have one."""
    with pytest.raises(MalformedError, match="account or a party"):
        with_lawful(in_arrears(), subject="dealer/D")


# -- asked of a ledger


@pytest.fixture
def late(runtime):
    """Return a runtime on the case of the late-posted payment."""
    import_file(runtime.deployment, CASES / "late-posted-payment" / "history.jsonl")
    return runtime


@pytest.mark.storage
def test_what_the_second_side_is_not_asked_with_is_as_on_the_first(late):
    """Only the known-at is another; `now` is the present moment."""
    answer = compared(
        late, LATE, Second(known_at="2017-03-12"), at="2017-03-11", known_at="2017-03-11", position=9
    )
    assert answer == late_payment_at(9)
    left, right = answer["left"], answer["right"]
    assert (left["at"], left["position"]) == (right["at"], right["position"])
    now = compared(late, LATE, Second(known_at="now"), known_at="2017-03-11")
    assert datetime.fromisoformat(now["right"]["known_at"]) > datetime(2020, 1, 1, tzinfo=UTC)
    assert now["first_divergence"]["event_ids"][0] == "late-posted-payment-008"


def late_payment_at(position):
    raws = lines_of("late-posted-payment")
    streams = {LATE: recorded(raws)[LATE]}
    region = raws[0]["region"]
    sides = [question(LATE, "2017-03-11", k, position, region) for k in ("2017-03-11", "2017-03-12")]
    return compare_replays(*sides, streams)


@pytest.mark.storage
@pytest.mark.parametrize(
    ("other", "first", "field"),
    [
        (Second(), {}, "with_known_at"),
        (Second(at="yesterday"), {}, "with_at"),
        (Second(known_at="yesterday"), {}, "with_known_at"),
        (Second(position=10), {}, "with_position"),
        (Second(position=1), {"position": 10}, "position"),
        (Lawful(until="soon"), {}, "until"),
        (Lawful(), {"at": "2017-03-11"}, "at"),
    ],
)
def test_a_question_that_is_none_names_its_field(late, other, first, field):
    """What would be right is said of the field that was given."""
    with pytest.raises(MalformedError) as refused:
        compared(late, LATE, other, **first)
    assert refused.value.problem.field == field
