"""What should have happened: never worse for the customer than what did, and the same where all was right."""

from datetime import UTC, date, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.inquiry import lawful
from domain.counterfactual import counterfactual
from domain.events import MalformedError, Recorded, parse_event
from tests.conftest import CASES, HARBIN, import_file

WANTED = {p.name: orjson.loads((p / "expected.json").read_bytes()) for p in sorted(CASES.iterdir())}
ASKS = [(name, ask) for name, want in WANTED.items() for ask in want["counterfactual"]]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def lines_of(name):
    path = HARBIN if name == "harbin" else CASES / name / "history.jsonl"
    return [orjson.loads(text) for text in path.read_bytes().splitlines()]


def recorded(raws):
    """Return raw events as they would stand in an empty ledger, by subject."""
    found = {}
    for position, raw in enumerate(raws, 1):
        event = parse_event(raw)
        stream = found.setdefault(event.subject, [])
        stream.append(Recorded(event, len(stream) + 1, position))
    return found


def should(raws, subject, until, **assume):
    region = raws[0]["region"]
    return counterfactual(
        subject,
        recorded(raws),
        known_at=NOW,
        position=10**9,
        region=region,
        until=date.fromisoformat(until),
        assume=assume,
    )


def of(raws, event_id):
    return next(raw for raw in raws if raw["id"] == event_id)


@pytest.mark.parametrize(("name", "ask"), ASKS, ids=[f"{n}-{a['subject']}" for n, a in ASKS])
def test_a_dispute_comes_out_as_its_case_says(name, ask):
    """The sums to reverse and to refund, and the lawful state."""
    got = should(lines_of(name), ask["subject"], ask["until"], **ask.get("assume", {}))
    assert (got["to_reverse_fen"], got["to_refund_fen"]) == (ask["to_reverse_fen"], ask["to_refund_fen"])
    assert got["lawful"] | ask["lawful_includes"] == got["lawful"]


@pytest.mark.storage
def test_the_ledger_comes_to_what_the_pure_domain_does(runtime):
    """Found by links, loaded at one position, the same answer."""
    import_file(runtime.deployment, HARBIN)
    got = lawful(runtime, "party/P-HRB", until="2014-12-17", known_at="2025-12-31")
    pure = should(lines_of("harbin"), "party/P-HRB", "2014-12-17")
    for key in (
        "actual",
        "lawful",
        "differences",
        "to_reverse_fen",
        "to_refund_fen",
        "proposed_events",
        "days",
    ):
        assert got[key] == pure[key]


def test_where_all_was_right_nothing_would_have_been_otherwise():
    """The control: no difference, no sum, nothing to propose."""
    got = should(lines_of("everything-right"), "account/everything-right.A", "2016-06-01")
    assert got["differences"] == []
    assert got["proposed_events"] == []
    assert got["actual"] == got["lawful"]


@pytest.mark.parametrize("until", ["2015-06-01", "2016-03-05", "2016-04-15", "2016-05-15"])
def test_what_came_after_the_last_day_is_not_looked_at(until):
    """The calendar is bounded: a later charge is neither missing nor too much."""
    got = should(lines_of("everything-right"), "account/everything-right.A", until)
    assert (got["differences"], got["proposed_events"]) == ([], [])
    assert got["actual"] == got["lawful"]


def test_what_was_paid_on_a_charge_that_falls_is_to_be_refunded():
    """The lawful balance keeps the payment, so it is a credit of that sum."""
    raws = lines_of("harbin")
    paid = {
        **of(raws, "harbin-034"), "id": "paid", "time": "2014-09-10T09:00:00+08:00",
        "recordedtime": "2014-09-10T09:00:00+08:00",
        "data": {"payment_id": "later", "amount_fen": 10_000, "value_date": "2014-09-10", "method": "cash"},
    }  # fmt: skip
    got = should([*raws, paid], "account/A-FTTH", "2014-12-17")
    assert got["to_refund_fen"] == 10_000
    assert got["lawful"]["balance_fen"] == -10_000
    assert "RefundPaid" in [p["type"] for p in got["proposed_events"]]


def test_what_was_reversed_already_is_not_reversed_again():
    """Net of reversals already made."""
    raws = lines_of("harbin")
    reversed_ = {
        **of(raws, "harbin-043"), "id": "rev", "type": "ChargeReversed", "time": "2014-12-10T09:00:00+08:00",
        "recordedtime": "2014-12-10T09:00:00+08:00",
        "data": {"charge_id": "PK-F-m1", "amount_fen": 4_000, "reason": "goodwill"},
    }  # fmt: skip
    got = should([*raws, reversed_], "account/A-FTTH", "2014-12-17")
    assert got["to_reverse_fen"] == 45_460 - 4_000


def test_an_assumed_conversion_lets_the_monthly_charges_stand():
    """The investigator's assumption, named in the answer: only the staff's choice was none."""
    got = should(lines_of("harbin"), "account/A-FTTH", "2014-12-17", expiry_option="convert_to_monthly")
    assert got["assumptions"]["expiry_option of PK-F"] == "convert_to_monthly"
    assert got["to_reverse_fen"] == 0
    assert got["lawful"] == {"balance_fen": 45_460, "status": "active"}


def test_a_price_that_the_history_lacks_is_asked_for_and_not_invented():
    """Assumed to be renewed for a year, at a price nobody named."""
    got = should(lines_of("harbin"), "account/A-FTTH", "2014-12-17", expiry_option="renew_annual")
    assert got["undetermined"] == ["2014-07-16: the price of another year of PK-F is not on record"]


def test_a_late_fee_is_levied_on_what_was_lawfully_owed():
    """The payment reached billing late: on its value date nothing was owed any more."""
    got = should(lines_of("late-posted-payment"), "account/late-posted-payment.A", "2017-03-12")
    assert [d["rule_id"] for d in got["differences"]] == ["late-fee"]
    assert got["proposed_events"][0]["data"] == {"fee_id": "LF", "amount_fen": 207, "reason": "no_basis"}


def test_a_suspension_that_came_too_early_comes_on_its_first_lawful_day():
    """20 days past the deadline it was unlawful; more than 30 days past it it would have come."""
    raws = lines_of("suspended-early-fixed")
    subject = "account/suspended-early-fixed.A"
    assert should(raws, subject, "2015-07-30")["lawful"]["status"] == "active"
    assert should(raws, subject, "2015-07-31")["lawful"]["status"] == "suspended"


def test_nothing_is_suspended_under_a_hold():
    """The hold covers the charge: no fee, and the line stays."""
    got = should(lines_of("dispute-hold"), "account/dispute-hold.A", "2016-11-30")
    assert got["lawful"]["status"] == "active"
    assert got["to_reverse_fen"] == 1_260


def test_an_entry_whose_debt_was_paid_would_have_gone():
    """Five working days after the payment it had no ground."""
    raws = lines_of("blacklist-not-lifted")
    subject = "party/blacklist-not-lifted.P"
    assert should(raws, subject, "2018-07-05")["lawful"]["blacklisted"] is True
    got = should(raws, subject, "2018-09-30")
    assert got["lawful"]["blacklisted"] is False
    assert got["proposed_events"][-1]["data"] == {"entry_id": "BL", "reason": "arrears_cleared"}


def test_numbers_opened_with_somebodys_documents_owe_nothing():
    """Charges of a number in breach of the real-name rule do not stand."""
    raws = lines_of("harbin")
    charge = {
        **of(raws, "harbin-056"), "id": "m", "type": "ChargePosted", "time": "2013-11-10T01:00:00+08:00",
        "recordedtime": "2013-11-10T01:00:00+08:00",
        "data": {
            "charge_id": "M1", "kind": "monthly", "amount_fen": 5_000, "period_start": "2013-10-08",
            "period_end": "2013-11-08", "due_on": "2013-11-25",
        },
    }  # fmt: skip
    got = should([*raws, charge], "account/A-M1", "2014-12-17")
    assert got["to_reverse_fen"] == 5_000
    assert got["differences"][0]["rule_id"] == "real-name"


def test_each_difference_names_its_events_and_its_rule():
    """Nothing is said without what it rests on."""
    for item in should(lines_of("harbin"), "party/P-HRB", "2014-12-17")["differences"]:
        assert item["event_ids"]
        assert item["rule_id"]


@pytest.mark.parametrize("assume", [{"expiry_option": "gift"}, {"weather": "fine"}])
def test_an_assumption_that_is_none_is_refused(assume):
    """The error names it."""
    with pytest.raises(MalformedError, match="assume"):
        should(lines_of("harbin"), "account/A-FTTH", "2014-12-17", **assume)


def test_only_accounts_and_parties_have_one():
    """A dealer has no balance."""
    with pytest.raises(MalformedError, match="account or a party"):
        should(lines_of("harbin"), "dealer/D-17", "2014-12-17")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(n, a) for n, a in ASKS if a["subject"].startswith("account/")]),
    st.lists(st.integers(0, 60), max_size=12),
    st.integers(0, 900),
    st.sampled_from(["suspend", "convert_to_monthly", "renew_annual"]),
)
def test_a_counterfactual_never_charges_more_than_happened(case, dropped, days, option):
    """Whatever part of a history is known, on whatever day it is looked at, under whatever assumption."""
    name, ask = case
    raws = [
        raw
        for number, raw in enumerate(lines_of(name))
        if number not in dropped or raw["type"] in ("AccountOpened", "PartyRegistered")
    ]
    until = date.fromordinal(date.fromisoformat(ask["until"]).toordinal() - days).isoformat()
    got = should(raws, ask["subject"], until, expiry_option=option)
    whole = should(raws, ask["subject"], "2026-01-01", expiry_option=option)
    assert got["to_reverse_fen"] >= 0
    assert got["to_refund_fen"] >= 0
    assert whole["lawful"]["balance_fen"] <= whole["actual"]["balance_fen"]
    assert all(p["data"].get("amount_fen", 1) > 0 for p in got["proposed_events"])
