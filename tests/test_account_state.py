"""An account's fold on histories that are dated the wrong way round, or use an id twice: no fen is lost."""

import pytest

from domain.account import Account, figures
from domain.events import Recorded, parse_event
from domain.replay import in_order
from domain.streams import state_of

TERMS = {
    "payment_deadline_days": 15, "late_fee_start": "after_due", "restore_hours": 48,
    "suspend_after_days": 30, "terminate_after_days": 60,
}  # fmt: skip


def event(number, kind, day, /, source="urn:test", name=None, **data):
    raw = {
        "specversion": "1.0", "id": name or f"e{number}", "source": source, "type": kind, "subject": "account/A",
        "time": f"{day}T10:00:00+08:00", "recordedtime": f"{day}T10:00:00+08:00", "actor": "system/billing",
        "channel": "system", "region": "heilongjiang.harbin", "dataversion": 1, "data": data,
    }  # fmt: skip
    return Recorded(parse_event(raw), number, number)


def opened(day="2014-01-01"):
    return event(1, "AccountOpened", day, party_id="P", line_of_business="mobile", contract_terms=TERMS)


def charge(number, charge_id="C", amount_fen=100, day="2014-02-01", **more):
    return event(
        number, "ChargePosted", day, charge_id=charge_id, kind="monthly", amount_fen=amount_fen,
        period_start="2014-01-01", period_end="2014-02-01", due_on="2014-02-15", **more,
    )  # fmt: skip


def payment(number, payment_id="Y", amount_fen=100, day="2014-02-10"):
    return event(
        number,
        "PaymentReceived",
        day,
        payment_id=payment_id,
        amount_fen=amount_fen,
        value_date=day,
        method="cash",
    )


def folded(*history):
    state = state_of("account/A", in_order(history))
    assert isinstance(state, Account)
    return state


def balance(*history):
    from datetime import date

    return figures(folded(*history).books, date(2014, 12, 31)).balance_fen


def test_a_payment_reversed_before_its_own_date_does_not_count():
    """A bounce that was dated a day too early is still a bounce."""
    bounce = event(4, "PaymentReversed", "2014-02-09", payment_id="Y", reason="bounced")
    assert balance(opened(), charge(2), payment(3), bounce) == 100


def test_a_charge_reversed_before_its_own_date_is_settled_and_no_other():
    """The reversal waits for its charge, and settles nothing else meanwhile."""
    reversal = event(4, "ChargeReversed", "2014-01-15", charge_id="C", amount_fen=100, reason="error")
    state = folded(opened(), charge(2), charge(3, "D", day="2014-01-10"), reversal)
    assert state.books.charges["C"].standing_fen == 0
    assert state.books.charges["D"].standing_fen == 100
    assert state.unmatched_event_ids == []


def test_a_delivery_dated_before_its_attempt_counts():
    """The gateway's clock was behind."""
    attempt = event(
        2, "NoticeAttempted", "2014-02-02", notice_id="N", purpose="arrears", channel="sms", attempt_no=1
    )
    state = folded(opened(), event(3, "NoticeDelivered", "2014-02-01", notice_id="N"), attempt)
    assert state.notices["N"].outcome == "delivered"


def test_a_hold_released_before_its_own_date_does_not_stand():
    """Nothing is held for ever by a wrong date."""
    placed = event(
        2, "DisputeHoldPlaced", "2014-02-02", hold_id="H", amount_fen=1, case_id="C", scope=["late_fee"]
    )
    released = event(3, "DisputeHoldReleased", "2014-02-01", hold_id="H", outcome="upheld")
    assert folded(opened(), released, placed).holds == {}


def test_what_never_arrives_is_named():
    """An investigator sees what the history speaks of and does not have."""
    state = folded(opened(), event(2, "PaymentReversed", "2014-02-09", payment_id="Y", reason="bounced"))
    assert state.unmatched_event_ids == ["e2"]


@pytest.mark.parametrize("sources", [["urn:a", "urn:b", "urn:c"], ["urn:a", "urn:a", "urn:b"]])
def test_charges_of_one_id_all_count(sources):
    """Three systems used one id, and even one event id: every fen stays."""
    from dataclasses import replace

    charges = []
    for n, source in enumerate(sources, 2):
        made = charge(n)
        name = "same" if sources[0] != sources[1] else f"e{n}"
        charges.append(replace(made, event=replace(made.event, source=source, id=name)))
    assert balance(opened(), *charges) == 300


def test_two_payments_of_one_id_are_reversed_one_by_one():
    """The second bounce takes the second payment back."""
    bounces = [event(n, "PaymentReversed", "2014-02-12", payment_id="Y", reason="bounced") for n in (5, 6)]
    assert balance(opened(), charge(2, amount_fen=300), payment(3), payment(4), *bounces) == 300


def test_a_suspension_for_another_reason_begins_anew():
    """Suspended at expiry and later for arrears: the sixty days count from the second."""
    state = folded(
        opened(),
        charge(2),
        event(3, "ServiceSuspended", "2014-03-01", reason="expiry"),
        event(4, "ServiceSuspended", "2014-06-01", reason="arrears"),
    )
    assert state.status_since.date().isoformat() == "2014-06-01"


@pytest.mark.parametrize(("stays_with", "debtor"), [("from", "P"), ("to", "Q")])
def test_after_a_transfer_the_debt_stays_where_it_was_agreed(stays_with, debtor):
    """The new holder owes what was agreed, and what comes after."""
    moved = event(
        3, "AccountTransferred", "2014-03-01", from_party_id="P", to_party_id="Q", debt_stays_with=stays_with
    )
    state = folded(opened(), charge(2), moved, charge(4, "D", day="2014-04-01"))
    assert state.books.charges["C"].debtor_id == debtor
    assert state.books.charges["D"].debtor_id == "Q"


def test_of_several_plan_changes_the_one_effective_last_counts():
    """Made in whatever order."""
    package = event(
        2, "PackageSubscribed", "2014-01-01", package_id="PK", offer_id="JAN", cycle="monthly", price_fen=1,
        start="2014-01-01",
    )  # fmt: skip
    changes = [
        event(
            n, "PlanChanged", f"2014-01-0{n}", package_id="PK", to_offer_id=offer, price_fen=n,
            effective_from=day, requested_by="customer",
        )
        for n, offer, day in ((3, "MAR", "2014-03-01"), (4, "FEB", "2014-02-01"))
    ]  # fmt: skip
    from datetime import date

    found = folded(opened(), package, *changes).packages["PK"]
    assert [found.on(date(2014, m, 15))[0] for m in (1, 2, 3)] == ["JAN", "FEB", "MAR"]
