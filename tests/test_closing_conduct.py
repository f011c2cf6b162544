"""What the close of a day does not do: press for what is not owed, or do again what was taken back."""

from collections import Counter
from datetime import date

from domain.closing import Offer
from domain.commands import account as ac
from domain.commands import party as pc
from tests.lawful import Operator

TARIFF = {"BB": Offer("BB-M", 10_000, 108_000)}


def operator(first="2013-07-16", option="suspend", deliver=None, **terms):
    """Return an operator with one customer who has bought a year."""
    o = Operator(first, TARIFF, deliver)
    o.register()
    o.open(late_fee_start="after_due", **terms)
    o.sell(option)
    return o


def types(o, account_id="A"):
    return Counter(r.event.type for r in o.histories[f"account/{account_id}"])


def test_a_late_fee_that_was_waived_is_not_levied_again():
    """Given a fee taken back as goodwill, when the next month ends, then its days stay closed."""
    o = operator("2014-06-30")
    o.live_until("2014-08-05")
    (fee,) = o.state("account/A").books.fees.values()
    o.ask("account/A", ac.ReverseCharge(fee_id=fee.debt_id, amount_fen=fee.amount_fen, reason="goodwill"))
    o.live_until("2014-09-05")
    spans = [(f.period_start, f.period_end) for f in o.state("account/A").books.fees.values()]
    assert spans == [(date(2014, 7, 16), date(2014, 8, 1)), (date(2014, 8, 1), date(2014, 9, 1))]
    assert not o.refused


def test_a_void_debt_is_not_pressed_for():
    """Given a number made with misused documents, when days are closed, then nothing is charged or levied."""
    o = Operator("2014-07-16", TARIFF)
    o.register()
    o.verify()
    o.open(line="mobile", late_fee_start="after_due")
    o.ask("account/A", ac.ActivateNumber(number="139", number_id="N1", registration_id="R1"))
    o.sell("convert_to_monthly")
    o.live(5)
    before = types(o)
    o.ask("party/P", pc.ConfirmIdentityMisuse(registration_ids=("R1",), numbers=("N1",)))
    o.live(500)
    assert types(o) == before
    assert not o.state("party/P").blacklisted
    assert o.tasks["misused_number"] == 500


def test_a_new_holder_does_not_answer_for_the_old_ones_debt():
    """Given an account given over without its debt, then the new holder is neither told, levied nor stopped."""
    o = operator()
    o.register("Q")
    o.live(10)
    o.ask("account/A", ac.TransferAccount(to_party_id="Q", debt_stays_with="from"))
    o.live(200)
    assert not {"LateFeeAssessed", "ServiceSuspended", "NoticeAttempted"} & types(o).keys()
    assert o.state("account/A").status == "active"
    assert not o.breaches("party/P")
    assert not o.breaches("party/Q")


def test_a_new_holder_gets_the_service_back():
    """Given an account stopped for the old holder's debt, when it is given over without it, then it comes back."""
    o = operator()
    o.live(60)
    assert o.state("account/A").status == "suspended"
    o.register("Q")
    o.ask("account/A", ac.TransferAccount(to_party_id="Q", debt_stays_with="from"))
    o.live(1)
    assert o.state("account/A").status == "active"


def test_an_entry_that_was_a_mistake_does_not_come_back():
    """Given an entry removed as entered in error, when days are closed, then the same debt makes no new one."""
    o = operator()
    o.live(150)
    (entry,) = o.state("party/P").blacklist.values()
    o.ask("party/P", pc.RemoveBlacklistEntry(entry_id=entry.entry_id, reason="entered_in_error"))
    o.live(100)
    assert len(o.state("party/P").blacklist) == 1
    assert not o.state("party/P").blacklisted


def test_a_plan_the_customer_chose_for_later_outlives_the_terms_end():
    """Given a cheaper plan accepted before the term's end for after it, then it is charged from its day on."""
    o = operator(option="convert_to_monthly")
    o.pay()
    o.live_until("2014-07-01")
    o.ask("account/A", ac.ChangePlan(
        package_id="PK", to_offer_id="S", price_fen=6_000, requested_by="customer", effective_from=date(2014, 8, 1),
    ), evidenceref="C")  # fmt: skip
    o.live_until("2014-10-20")
    charged = [c.amount_fen for c in o.state("account/A").books.charges.values() if c.kind == "monthly"]
    assert charged == [10_000, 6_000, 6_000]


def test_a_month_of_one_package_is_charged_beside_the_year_of_another():
    """Given a yearly and a monthly package, then the year's charge stands for no month."""
    o = operator()
    o.pay()
    o.ask("account/A", ac.SubscribePackage(
        package_id="TV", offer_id="T", cycle="monthly", price_fen=3_000, start=o.today), evidenceref="C")  # fmt: skip
    o.live(70)
    charged = [c.amount_fen for c in o.state("account/A").books.charges.values() if c.kind == "monthly"]
    assert charged == [3_000, 3_000]


# -- and the counterfactual with it -------------------------------------------------------------------------


def test_equipment_that_was_kept_is_charged_after_a_cancellation_in_both():
    """A charge for a thing is no charge for time: the counterfactual leaves it."""
    o = operator()
    o.pay()
    o.ask(
        "account/A",
        ac.RequestCancellation(effective_from=date(2013, 8, 1), blockers=("modem",)),
        evidenceref="C",
    )
    o.live(30)
    modem = ac.PostCharge(
        charge_id="MODEM", kind="equipment", amount_fen=7_777, period_start=o.today, period_end=o.today
    )
    assert o.ask("account/A", modem, evidenceref="C")
    o.live(3)
    assert o.lawful()["to_reverse_fen"] == 0


def test_a_credit_granted_later_makes_no_earlier_fee_a_breach():
    """Given a lawful fee, when a credit is granted after it, then it was still owed on its days."""
    o = operator("2014-01-01")
    o.live_until("2014-02-10")
    assert o.state("account/A").books.fees
    o.ask("account/A", ac.GrantCredit(credit_id="C", amount_fen=20_000, reason="goodwill"))
    o.live(2)
    assert not o.breaches()
    assert o.lawful()["proposed_events"] == []


def test_a_renewal_that_was_rightly_not_made_is_not_made_in_the_counterfactual():
    """Given nobody reached with the renewal notice, when the service stops at the term's end, then both say so."""
    o = operator("2024-01-31", option="renew_annual", deliver=lambda _request, _number: "no_answer")
    o.pay()
    o.live_until("2025-02-20")
    lawful = o.lawful("account/A")
    assert (lawful["actual"]["status"], lawful["lawful"]["status"]) == ("suspended", "suspended")
    assert lawful["differences"] == []
