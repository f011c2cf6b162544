"""Findings on arrears: late fees, and when service may be suspended, ended and has to come back."""

import pytest

from domain.events import account as av
from tests.histories import History, in_arrears, subscriber

# -- late-fee -----------------------------------------------------------------------------------------------
# One month's charge of 100 yuan was due on 2014-04-30: 30 fen a day from 2014-05-01 on.


def test_three_per_mille_a_day_from_the_day_after_the_due_date_stands():
    """Ten days of 30 fen each."""
    found = in_arrears().at("2014-05-11").fee(from_="2014-05-01", to="2014-05-11").findings("late-fee")
    assert found.keys() == {"kept"}
    assert found["kept"]["evidence_event_ids"] == ["LateFeeAssessed:lf", "ChargePosted:m1"]


def test_where_no_fee_was_assessed_the_rule_has_nothing_to_say():
    """Arrears alone are no late fee."""
    assert in_arrears().verdicts("late-fee") == "not_applicable"


@pytest.mark.parametrize(
    ("history", "amount_fen", "why"),
    [
        (in_arrears().fee(from_="2014-04-30", to="2014-05-11"), 30, "its day had not come"),
        (in_arrears().fee(amount_fen=301), 1, "more than the rate allows"),
        (in_arrears().paid(at="2014-05-06").fee(), 150, "it was paid"),
        (in_arrears().paid(at="2014-05-20", on="2014-05-06").fee(), 150, "it was paid"),
        (in_arrears().paid(4_000, at="2014-05-06").fee(), 60, "more than was owed"),
        (in_arrears().reversed("m1").fee(), 300, "the charge was reversed"),
        (in_arrears().reversed("m1", 4_000, at="2014-06-01").fee(), 120, "more than was owed"),
        (in_arrears().fee("other"), 300, "no such charge is on record"),
        (in_arrears().fee().fee(fee_id="again"), 300, "that day was levied before"),
        (
            in_arrears().fee().fee(fee_id="again", from_="2014-05-10", to="2014-05-12"),
            30,
            "that day was levied before",
        ),
    ],
    ids=[
        "on-the-due-date",
        "above-the-rate",
        "after-the-payment",
        "after-its-value-date",
        "on-what-was-paid-in-part",
        "on-a-reversed-charge",
        "on-a-charge-reversed-in-part-later",
        "on-no-charge",
        "twice",
        "a-day-twice",
    ],
)
def test_what_was_assessed_beyond_the_law_is_a_breach_of_that_amount(history, amount_fen, why):
    """The amount is what was assessed beyond it, and the finding says why."""
    found = history.findings("late-fee")
    assert found.keys() == {"breach"}, "kept only where all fees stand"
    assert found["breach"]["amount_fen"] == amount_fen
    assert why in found["breach"]["observed"]


def test_a_payment_counts_only_once_it_was_known():
    """Paid on the due date, known in billing on 20 May: until then the fee stands."""
    history = in_arrears().fee(at="2014-05-11").paid(at="2014-04-30", known="2014-05-20")
    assert history.verdicts("late-fee", "2014-05-19") == "kept"
    assert history.findings("late-fee", "2014-05-20")["breach"]["amount_fen"] == 300


def test_a_payment_that_bounced_was_never_made():
    """The fee for the days in between stands again."""
    history = in_arrears().paid(at="2014-04-30").fee(at="2014-05-11")
    assert history.verdicts("late-fee") == "breach"
    assert history.bounced(at="2014-05-20").verdicts("late-fee") == "kept"


def test_a_charge_without_a_basis_bears_no_fee():
    """The customer had chosen to suspend: neither the month nor the fee on it is owed."""
    history = subscriber().lawfully_sold("suspend").at("2014-04-01").charge().at("2014-05-11").fee()
    found = history.findings("late-fee")
    assert found["breach"]["amount_fen"] == 300
    assert "the customer had chosen suspend" in found["breach"]["observed"]


def test_a_fee_that_was_taken_back_puts_it_right_and_leaves_its_days_open():
    """Reversed for its wrong base, assessed anew for the same days: nothing was levied twice."""
    history = in_arrears().at("2014-05-11").fee(base_fen=20_000).reversed(fee_id="lf", amount_fen=600)
    assert "was taken back" in history.findings("late-fee")["kept"]["observed"]
    assert history.fee(fee_id="anew").verdicts("late-fee") == "kept"


def test_without_the_contract_on_record_it_is_undetermined_from_when_a_fee_may_run():
    """What is too much by any contract is a breach all the same."""
    history = History().party().charge(at="2014-04-01").at("2014-05-11")
    found = history.fee().findings("late-fee")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["AccountOpened"]
    assert history.fee(fee_id="again").findings("late-fee")["breach"]["amount_fen"] == 300


def test_a_fee_taken_back_in_part_is_measured_by_what_stands():
    """600 fen assessed, 300 lawful, 200 taken back: 100 too much."""
    history = in_arrears().fee(base_fen=10_000, amount_fen=600).reversed(fee_id="lf", amount_fen=200)
    assert history.findings("late-fee")["breach"]["amount_fen"] == 100


def disputed(*scope, charges=None):
    """Return arrears with a hold that stood from 5 May, noon, to 8 May."""
    history = in_arrears().hold(*scope, charges=charges, at="2014-05-05T12:00")
    return history.let_go(at="2014-05-08T12:00").at("2014-05-11").fee()


@pytest.mark.parametrize(
    ("history", "amount_fen"),
    [
        (disputed("late_fee"), 90),
        (disputed("late_fee", charges=["m1"]), 90),
        (disputed("late_fee", charges=["other"]), 0),
        (disputed("suspension", "blacklist"), 0),
        (in_arrears().hold("late_fee", at="2014-05-05T12:00").at("2014-05-11").fee(), 180),
    ],
    ids=["account", "this-charge", "another-charge", "another-scope", "still-standing"],
)
def test_the_days_under_a_hold_bear_no_fee(history, amount_fen):
    """From the day it was placed until the day before its release."""
    found = history.findings("late-fee")
    assert sum(f["amount_fen"] for f in found.values()) == amount_fen
    assert set(found) == {"breach" if amount_fen else "kept"}


def after_suspension(*, line="mobile"):
    """Return arrears whose contract lets late fees begin with the suspension."""
    return in_arrears(line, late_fee_start="after_suspension", suspend_after_days=10)


@pytest.mark.parametrize(
    ("history", "amount_fen"),
    [
        (after_suspension().at("2014-05-11").fee(), 300),
        (after_suspension().suspended(at="2014-05-06").at("2014-05-11").fee(), 150),
        (
            after_suspension()
            .suspended(at="2014-04-20")
            .told("arrears", "2014-04-25")
            .at("2014-05-11")
            .fee(),
            0,
        ),
        (after_suspension().suspended("fraud", at="2014-04-20").at("2014-05-11").fee(), 300),
        (
            after_suspension().suspended(at="2014-03-10").resumed(at="2014-05-01").at("2014-05-11").fee(),
            300,
        ),
        (
            after_suspension().suspended(at="2014-03-10").resumed(at="2014-05-02").at("2014-05-11").fee(),
            0,
        ),
        (
            after_suspension()
            .suspended(at="2014-03-10")
            .resumed(at="2014-03-12")
            .suspended(at="2014-05-06")
            .at("2014-05-11")
            .fee(),
            150,
        ),
    ],
    ids=["never", "after", "standing-before", "for-fraud", "over-by-then", "over-later", "an-older-one-over"],
)
def test_a_contract_may_let_the_fee_begin_with_the_suspension(history, amount_fen):
    """The one that stood or came once the charge was overdue, not an older one that was lifted."""
    assert sum(f["amount_fen"] for f in history.findings("late-fee").values()) == amount_fen


@pytest.mark.parametrize(
    ("day", "version"), [("2014-07-28", "2000"), ("2014-07-29", "2014")], ids=["art. 35", "art. 34"]
)
def test_the_article_in_force_on_the_day_of_the_assessment_is_cited(day, version):
    """The revision of 2014 renumbered it."""
    found = in_arrears().at(day).fee().findings("late-fee")["kept"]
    assert found["rule_version"] == version
    assert ("art. 35" in found["citation"]) == (version == "2000")


# -- suspension-window --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "day", "verdict"),
    [
        ("fixed_broadband", "2014-05-30", "breach"),
        ("fixed_broadband", "2014-05-31", "kept"),
        ("fixed_voice", "2014-05-30", "breach"),
        ("fixed_voice", "2014-05-31", "kept"),
        ("mobile", "2014-05-10", "breach"),
        ("mobile", "2014-05-11", "kept"),
    ],
)
def test_service_is_suspended_only_after_its_day(line, day, verdict):
    """More than 30 days past the deadline for a fixed line, the contract's ten for this mobile one."""
    found = in_arrears(line, suspend_after_days=10).suspended(at=day).findings("suspension-window")
    assert found.keys() == {verdict}
    assert found[verdict]["evidence_event_ids"][-1] == "ChargePosted:m1"


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (in_arrears().paid(at="2014-05-20"), "breach"),
        (in_arrears().paid(at="2014-06-20", on="2014-05-20"), "breach"),
        (in_arrears().paid(at="2014-05-20").bounced(at="2014-07-20"), "kept"),
        (in_arrears().paid(9_999, at="2014-05-20"), "kept"),
        (in_arrears().reversed("m1", at="2014-07-01"), "breach"),
        (in_arrears().reversed("m1", at="2014-05-01", known="2014-08-01"), "breach"),
        (in_arrears().written_off(at="2014-05-20"), "breach"),
    ],
    ids=["paid", "by-value-date", "bounced", "one-fen-short", "reversed", "backdated", "written-off"],
)
def test_a_suspension_needs_something_unpaid_past_its_deadline(history, verdict):
    """As posted and not reversed, as it is known now."""
    assert history.suspended(at="2014-06-10").verdicts("suspension-window") == verdict


def test_a_later_reversal_changes_the_finding_only_once_it_was_known():
    """Asked before, the suspension was lawful."""
    history = in_arrears().suspended(at="2014-06-10").reversed("m1", at="2014-07-01")
    assert history.verdicts("suspension-window", "2014-06-30") == "kept"
    assert history.verdicts("suspension-window", "2014-07-01") == "breach"


def test_the_oldest_unpaid_charge_counts():
    """The first month is paid, the second only ten days late."""
    history = in_arrears().charge("m2", start="2014-04-01", end="2014-05-01", due="2014-05-31")
    history.paid(at="2014-05-20").suspended(at="2014-06-10")
    assert "of m2" in history.findings("suspension-window")["breach"]["observed"]


@pytest.mark.parametrize("reason", ["expiry", "customer_request", "fraud"])
def test_only_suspensions_for_arrears_have_a_window(reason):
    """The others rest on something else."""
    assert in_arrears().suspended(reason, at="2014-05-02").verdicts("suspension-window") == "not_applicable"


def test_without_the_contract_on_record_a_suspension_is_undetermined():
    """Neither the line of business nor the terms are known."""
    found = History().party().charge(at="2014-04-01").suspended(at="2014-05-02").findings("suspension-window")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["AccountOpened"]


# -- termination-window -------------------------------------------------------------------------------------


def suspended():
    """Return arrears for which the service was suspended on 2014-06-10."""
    return in_arrears().suspended(at="2014-06-10")


@pytest.mark.parametrize(("day", "verdict"), [("2014-08-08", "breach"), ("2014-08-09", "kept")])
def test_service_is_ended_only_after_sixty_days_of_suspension(day, verdict):
    """59 days are too few, 60 will do."""
    found = suspended().terminated(at=day).findings("termination-window")
    assert found.keys() == {verdict}
    assert found[verdict]["evidence_event_ids"] == ["ServiceSuspended:arrears", "ServiceTerminated:arrears"]


@pytest.mark.parametrize(
    "history",
    [
        in_arrears(),
        in_arrears().suspended("customer_request", at="2014-06-10"),
        suspended().resumed(at="2014-06-12"),
    ],
    ids=["never", "at-the-customers-request", "lifted"],
)
def test_a_termination_for_arrears_needs_a_suspension_for_them(history):
    """What is absent is named."""
    found = history.terminated(at="2014-12-01").findings("termination-window")
    assert found["breach"]["absent_event_types"] == ["ServiceSuspended"]


def test_a_suspension_in_two_steps_is_one():
    """One way first, both ways a month later: the sixty days run from the first."""
    history = (
        in_arrears().suspended(mode="one_way", at="2014-06-10").suspended(mode="two_way", at="2014-07-10")
    )
    assert history.terminated(at="2014-08-10").verdicts("termination-window") == "kept"


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (suspended().paid(at="2014-06-20"), "breach"),
        (suspended().paid(at="2014-06-20").charge("m9", due="2014-12-31"), "breach"),
        (suspended().paid(5_000, at="2014-06-20"), "kept"),
    ],
    ids=["paid", "only-the-next-charge-is-open", "paid-in-part"],
)
def test_a_termination_for_arrears_needs_arrears(history, verdict):
    """A charge that is not due yet is no arrears."""
    assert history.terminated(at="2014-10-01").verdicts("termination-window") == verdict


def migrated(history):
    """Return a history in which the account came from another system."""
    return history.add(av.AccountMigrated(legacy_system="NETCOM", legacy_id="1", opened_on="2003-01-01"))


def begun_before():
    """Return an account of which only what followed its migration is on record."""
    return migrated(subscriber()).at("2014-04-01").charge()


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (History().party().charge("m1", at="2014-04-01"), "undetermined"),
        (begun_before(), "undetermined"),
        (begun_before().resumed(at="2014-06-10"), "breach"),
        (begun_before().suspended("customer_request", at="2014-06-10"), "breach"),
        (begun_before().suspended(at="2014-10-20"), "breach"),
        (begun_before().suspended(at="2014-06-10"), "kept"),
        (migrated(in_arrears()), "breach"),
    ],
    ids=[
        "no-contract",
        "migrated",
        "in-service-since",
        "stopped-otherwise",
        "suspended-too-late",
        "suspended-since",
        "with-what-was-before",
    ],
)
def test_an_account_whose_beginning_is_not_on_record_may_have_been_suspended_before(history, verdict):
    """Until a service event says otherwise: nobody knows in which state it came."""
    found = history.terminated(at="2014-12-01").findings("termination-window")
    assert found.keys() == {verdict}
    if verdict == "undetermined":
        assert "ServiceSuspended" in found[verdict]["absent_event_types"]


def test_other_terminations_have_no_window():
    """The customer asked for it."""
    history = suspended().terminated("customer_request", at="2014-06-12")
    assert history.verdicts("termination-window") == "not_applicable"


# -- restore-within -----------------------------------------------------------------------------------------


def paid_up(**contract):
    """Return a suspension whose arrears were paid in full on 2014-06-20 at ten."""
    return in_arrears(**contract).suspended(at="2014-06-10").paid(at="2014-06-20")


@pytest.mark.parametrize(
    ("hours", "back", "verdict"),
    [
        (48, "2014-06-20T10:00:00", "kept"),
        (48, "2014-06-22T10:00:00", "kept"),
        (48, "2014-06-22T10:00:01", "breach"),
        (24, "2014-06-21T10:00:00", "kept"),
        (24, "2014-06-21T10:00:01", "breach"),
        (72, "2014-06-22T10:00:01", "breach"),
    ],
)
def test_service_is_back_within_the_contracts_hours_and_48_at_most(hours, back, verdict):
    """To the second."""
    found = paid_up(restore_hours=hours).resumed(at=back).findings("restore-within")
    assert found.keys() == {verdict}
    assert len(found[verdict]["evidence_event_ids"]) == 3


def test_until_the_hours_have_passed_it_is_undetermined():
    """Then it is a breach, and what is absent is the service's return."""
    assert paid_up().verdicts("restore-within", "2014-06-22T10:00") == "undetermined"
    found = paid_up().findings("restore-within", "2014-06-22T10:01")
    assert found["breach"]["absent_event_types"] == ["ServiceResumed"]


@pytest.mark.parametrize(
    "history",
    [
        in_arrears().paid(at="2014-06-20"),
        in_arrears().suspended(at="2014-06-10").paid(9_999, at="2014-06-20"),
        in_arrears().fee(at="2014-06-01").suspended(at="2014-06-10").paid(at="2014-06-20"),
        in_arrears().suspended("expiry", at="2014-06-10").paid(at="2014-06-20"),
        in_arrears().suspended(at="2014-06-10").paid(at="2014-06-20").bounced(at="2014-06-25"),
    ],
    ids=["not-suspended", "one-fen-short", "the-late-fee-is-open", "suspended-for-expiry", "bounced"],
)
def test_service_has_to_come_back_only_when_all_was_paid_in_full(history):
    """Arrears and late fees."""
    assert history.verdicts("restore-within") == "not_applicable"


def test_the_hours_run_from_the_value_date_of_a_payment_that_counts_later():
    """Sent on the twentieth, counted from the twenty-third."""
    history = in_arrears().suspended(at="2014-06-10").paid(at="2014-06-20", on="2014-06-23")
    assert history.verdicts("restore-within", "2014-06-24") == "undetermined"
    assert history.resumed(at="2014-06-24").verdicts("restore-within") == "kept"


def test_without_the_contract_on_record_the_law_gives_48_hours():
    """They hold for every contract."""
    history = History().party().charge(at="2014-04-01").suspended(at="2014-06-10").paid(at="2014-06-20")
    assert history.verdicts("restore-within") == "breach"
    assert history.resumed(at="2014-06-21").verdicts("restore-within") == "kept"
