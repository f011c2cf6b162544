"""An operator that only asks commands and closes each day breaks no rule, whatever its customers do."""

from datetime import date, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.closing import Offer
from domain.commands import account as ac
from domain.commands import case as cc
from domain.commands import party as pc
from tests.lawful import Operator

TARIFF = {"BB": Offer("BB-M", 10_000, 96_000)}
OUTCOMES = ("delivered", "delivered", "delivered", "no_answer", "number_abandoned", "silent")
ACTS = st.one_of(
    st.tuples(st.just("pay"), st.sampled_from([None, 1, 3_000, 10_000])),
    st.tuples(st.just("cancels"), st.integers(0, 40)),
    st.tuples(st.just("complains")),
    st.tuples(st.just("answers")),
    st.tuples(st.just("holds"), st.sampled_from([("late_fee",), ("suspension",), ("blacklist", "late_fee")])),
    st.tuples(st.just("releases"), st.sampled_from(["upheld", "rejected"])),
    st.tuples(st.just("changes_plan"), st.integers(0, 30)),
    st.tuples(st.just("chooses"), st.sampled_from(["suspend", "convert_to_monthly", "renew_annual"])),
    st.tuples(st.just("moves")),
    st.tuples(st.just("new_phone")),
    st.tuples(st.just("activates"), st.booleans()),
    st.tuples(st.just("stops"), st.just(0)),
    st.tuples(st.just("returns")),
    st.tuples(st.just("staff_tries")),
)  # fmt: skip
PHASES = (
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
)  # a life takes a second: a failing one is told as it is


def happen(o: Operator, act, n):
    """Let something happen: what the operator may not do is refused, and changes nothing."""
    account, case = "account/A", "case/K"
    match act:
        case "pay", amount_fen:
            o.pay(amount_fen=amount_fen)
        case "cancels", days:
            o.ask(
                account,
                ac.RequestCancellation(effective_from=o.today + timedelta(days=days)),
                evidenceref="C",
            )
        case ("complains",):
            o.complain()
        case ("answers",):
            o.ask(case, cc.MeetCommitment(commitment_id="C1"))
            o.ask(case, cc.AnswerComplaint(outcome="rejected"))
        case "holds", scope:
            o.ask(account, ac.PlaceDisputeHold(hold_id=f"H{n}", amount_fen=100, case_id="K", scope=scope))
        case "releases", outcome:
            for hold_id in list(o.state(account).holds):
                o.ask(account, ac.ReleaseDisputeHold(hold_id=hold_id, outcome=outcome))
        case "changes_plan", days:
            o.ask(account, ac.ChangePlan(
                package_id="PK", to_offer_id="BB2", price_fen=12_000, requested_by="customer",
                effective_from=o.today + timedelta(days=days),
            ), evidenceref="C")  # fmt: skip
        case "chooses", option:
            o.ask(account, ac.SelectExpiryOption(
                package_id="PK", option=option, selected_by="customer", consent_ref="C",
            ))  # fmt: skip
        case ("moves",):
            o.ask("party/P", pc.InvalidateContactPoint(contact_point_id="P-mobile", reason="abandoned"))
        case ("new_phone",):
            o.ask("party/P", pc.AddContactPoint(contact_point_id=f"P-{n}", kind="mobile", value="2"))
        case "activates", by_dealer:
            dealer_id = "D" if by_dealer else None
            o.verify(f"R{n}", dealer_id=dealer_id)
            o.ask(account, ac.ActivateNumber(
                number="139", number_id=f"N{n}", registration_id=f"R{n}", dealer_id=dealer_id,
            ))  # fmt: skip
            o.ask("party/P", pc.AuditRegistration(registration_id=f"R{n}", result="clean"))
        case ("stops", _):
            o.ask(account, ac.SuspendService(reason="customer_request"), evidenceref="C")
        case ("returns",):
            o.ask(account, ac.ResumeService(reason="customer_request"))
        case ("staff_tries",):
            # what led to Harbin: each is refused, or is right
            o.ask(account, ac.SelectExpiryOption(
                package_id="PK", option="convert_to_monthly", selected_by="staff_default",
            ))  # fmt: skip
            o.ask(account, ac.ConvertPackage(package_id="PK", to_offer_id="BB-M", monthly_price_fen=10_000))
            o.ask(account, ac.SuspendService(reason="arrears"))
            o.ask(account, ac.TerminateService(reason="arrears"))
            o.ask("party/P", pc.AddBlacklistEntry(entry_id=f"B{n}", basis_account_id="A"))
            o.ask(account, ac.PostCharge(
                charge_id=f"X{n}", kind="monthly", amount_fen=10_000, period_start=o.today - timedelta(days=31),
                period_end=o.today,
            ))  # fmt: skip


LIVES = st.fixed_dictionaries(
    {
        "first": st.sampled_from(["2012-02-29", "2013-07-16", "2014-06-30", "2024-01-31"]),
        "line": st.sampled_from(["fixed_broadband", "mobile"]),
        "fees": st.sampled_from(["after_due", "after_suspension"]),
        "option": st.sampled_from(["suspend", "convert_to_monthly", "renew_annual"]),
        "pays": st.booleans(),
        "outcomes": st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=7),
        "acts": st.lists(st.tuples(st.integers(0, 70), ACTS), min_size=3, max_size=25),
    }
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=PHASES)
@given(LIVES)
def test_a_history_made_by_commands_and_closed_days_breaks_no_rule(life):
    """Given years of customers who pay or not, move, complain and cancel, then no rule is broken."""
    o = lived(**life)
    assert not o.breaches()
    lawful = o.lawful()
    assert (lawful["to_reverse_fen"], lawful["to_refund_fen"]) == (0, 0)
    assert lawful["lawful"] == lawful["actual"]
    assert lawful["differences"] == []
    assert lawful["proposed_events"] == []


def lived(*, first, line, fees, option, outcomes, acts, pays=True):
    """Return an operator and its customer after some years."""

    def outcome(request, number):
        """Somebody is at home at last: else nobody can be told, and the rule of the reminders is broken by fate."""
        return "delivered" if request.channel == "visit" else outcomes[number % len(outcomes)]

    o = Operator(first, TARIFF, outcome)
    o.register()
    o.authorise()
    o.open(line=line, late_fee_start=fees)
    o.sell(option)
    if pays:
        o.pay()
    for n, (days, act) in enumerate(acts):
        o.live(days)
        happen(o, act, n)
    o.live(430)
    assert o.today > date.fromisoformat(first)
    return o
