"""Findings on what must not go on: after a cancellation, and under a hold; and whom a notice reached."""

import pytest

from tests.histories import History, in_arrears, subscriber

# -- cancellation -------------------------------------------------------------------------------------------


def cancelled(*blockers, effective="2014-06-15"):
    """Return a monthly service that the customer ended in June."""
    history = subscriber().at("2014-03-01").sold_monthly("2014-03-01")
    return history.at("2014-06-01").cancelled(effective, *blockers)


def later(history, charge_id="m4", **more):
    """Post a charge for time after the cancellation."""
    period = {"start": "2014-06-15", "end": "2014-07-15", "due": "2014-08-31", "at": "2014-07-15", **more}
    return history.charge(charge_id, **period)


@pytest.mark.parametrize(
    ("ended", "verdict"),
    [
        ("2014-06-15T23:59", "kept"),
        ("2014-06-14", "kept"),
        ("2014-06-16T00:00", "breach"),
        (None, "breach"),
    ],
)
def test_the_service_ends_on_the_day_of_the_cancellation(ended, verdict):
    """Whatever is still to be given back."""
    history = cancelled("modem to return")
    if ended:
        history.terminated("customer_request", at=ended)
    found = history.findings("cancellation")
    assert found.keys() == {verdict}
    assert found[verdict]["absent_event_types"] == ([] if ended else ["ServiceTerminated"])


def test_until_that_day_has_passed_it_is_undetermined():
    """It may end in the evening."""
    assert cancelled().verdicts("cancellation", "2014-06-15") == "undetermined"
    assert cancelled().verdicts("cancellation", "2014-06-16") == "breach"
    early = cancelled().terminated("customer_request", at="2014-06-10")
    assert early.verdicts("cancellation", "2014-06-12") == "kept"


def ended():
    """Return a cancellation that was followed."""
    return cancelled("modem to return").terminated("customer_request", at="2014-06-15")


@pytest.mark.parametrize(
    ("history", "amount_fen"),
    [
        (later(ended()), 10_000),
        (later(later(ended()), "m5", start="2014-07-15", end="2014-08-15"), 20_000),
        (later(ended()).reversed("m4", 4_000), 6_000),
        (later(ended()).reversed("m4"), 0),
        (later(ended(), start="2014-05-15", end="2014-06-15"), 0),
        (later(ended(), "modem", kind="equipment", start="2014-06-20", end="2014-06-20"), 0),
        (later(ended(), "rent", kind="equipment"), 10_000),
        (later(ended()).cancelled("2014-06-15", at="2014-07-20"), 10_000),
    ],
    ids=[
        "a-month",
        "two",
        "taken-back-in-part",
        "taken-back",
        "the-month-before",
        "the-modem-itself",
        "its-rent",
        "asked-for-twice",
    ],
)
def test_nothing_is_charged_for_time_from_then_on(history, amount_fen):
    """The amount is what of it stands, each charge once."""
    found = history.findings("cancellation")
    assert found.keys() == {"breach" if amount_fen else "kept"}
    assert sum(f["amount_fen"] for f in found.values()) == amount_fen


def test_without_a_cancellation_charges_go_on():
    """The contract does."""
    assert later(subscriber()).verdicts("cancellation") == "not_applicable"


# -- dispute-hold -------------------------------------------------------------------------------------------


def held(*scope, charges=None):
    """Return arrears under a hold from 2014-05-05 to 2014-07-01."""
    history = in_arrears().hold(*scope, charges=charges, at="2014-05-05")
    return history.let_go(at="2014-07-01")


SUSPENDED = {"at": "2014-06-10"}


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (held("suspension").suspended(**SUSPENDED), "breach"),
        (held("suspension", charges=["m1"]).suspended(**SUSPENDED), "breach"),
        (held("suspension", charges=["other"]).suspended(**SUSPENDED), "kept"),
        (held("late_fee", "blacklist").suspended(**SUSPENDED), "kept"),
        (held("suspension").suspended("fraud", **SUSPENDED), "kept"),
        (held("suspension").suspended(at="2014-07-01"), "kept"),
        (held("suspension").suspended(at="2014-05-04"), "kept"),
        (held("suspension").suspended(at="2014-05-05"), "breach"),
        (held("blacklist").listed(at="2014-06-20"), "breach"),
        (held("suspension").listed(at="2014-06-20"), "kept"),
        (held("blacklist").listed(account_id="OTHER", at="2014-06-20"), "kept"),
        (held("late_fee").fee(at="2014-06-01"), "breach"),
        (held("late_fee", charges=["other"]).fee(at="2014-06-01"), "kept"),
        (held("late_fee").fee(from_="2014-05-01", to="2014-05-05", at="2014-06-01"), "kept"),
        (held("late_fee").fee(at="2014-07-02"), "kept"),
        (in_arrears().hold("suspension", at="2014-05-05").suspended(**SUSPENDED), "breach"),
        (in_arrears().suspended(**SUSPENDED), "not_applicable"),
    ],
    ids=[
        "suspended",
        "for-the-disputed-charge",
        "for-another-charge",
        "outside-the-scope",
        "for-fraud",
        "after-the-release",
        "before-it",
        "at-its-moment",
        "listed",
        "listed-outside-the-scope",
        "listed-for-another-account",
        "fee",
        "fee-on-another-charge",
        "fee-for-the-days-before",
        "fee-after-the-release",
        "never-released",
        "no-hold",
    ],
)
def test_while_a_hold_stands_nothing_is_done_that_its_scope_covers(history, verdict):
    """From the moment it was placed until its release."""
    assert history.verdicts("dispute-hold") == verdict


def test_the_evidence_is_the_hold_what_was_done_and_the_release():
    """All that was done under it is one finding."""
    found = (
        held("suspension", "late_fee").fee(at="2014-06-01").suspended(**SUSPENDED).findings("dispute-hold")
    )
    assert found["breach"]["evidence_event_ids"] == [
        "DisputeHoldPlaced:H",
        "LateFeeAssessed:lf",
        "ServiceSuspended:arrears",
        "DisputeHoldReleased:H",
    ]


def test_what_is_not_disputed_may_still_be_collected():
    """The hold covers May; April is overdue too and in nobody's dispute."""
    history = in_arrears().charge("m2", start="2014-04-01", end="2014-05-01", due="2014-05-31")
    history.hold("suspension", charges=["m2"], at="2014-06-05").suspended(**SUSPENDED)
    assert history.verdicts("dispute-hold") == "kept"
    assert history.paid(at="2014-06-06").verdicts("dispute-hold") == "breach"
    history.charge("m3", start="2014-05-01", end="2014-06-01", due="2014-06-10")
    assert history.verdicts("dispute-hold") == "breach", "on its due date a charge is not overdue"


def of_unknown(*charges):
    """Return an account of which no charge is on record, suspended under a hold on some."""
    history = subscriber().hold("suspension", "blacklist", "late_fee", charges=charges, at="2014-05-05")
    return history.suspended(at="2014-06-10")


def test_where_neither_the_debt_nor_the_disputed_charges_are_on_record_it_is_undetermined():
    """Whether the hold covered what it was suspended for, nobody can tell; of a fee the charge is named."""
    found = of_unknown("X").findings("dispute-hold")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["ChargePosted"]
    assert found["undetermined"]["evidence_event_ids"] == ["DisputeHoldPlaced:H", "ServiceSuspended:arrears"]
    assert of_unknown("X").fee("X", at="2014-06-01").verdicts("dispute-hold") == "breach"
    assert of_unknown("X", "m1").charge("m1").paid(at="2014-04-20").verdicts("dispute-hold") == "breach"


def test_of_a_hold_whose_placing_is_not_on_record_it_is_undetermined_what_it_forbade():
    """Where something was done before its release that a hold may forbid; else there is nothing to say of it."""
    found = in_arrears().suspended(**SUSPENDED).let_go(at="2014-07-01").findings("dispute-hold")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["DisputeHoldPlaced"]
    assert found["undetermined"]["evidence_event_ids"] == [
        "ServiceSuspended:arrears",
        "DisputeHoldReleased:H",
    ]
    assert (
        in_arrears().let_go(at="2014-06-01").suspended(**SUSPENDED).verdicts("dispute-hold")
        == "not_applicable"
    )


# -- notice-reach -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (subscriber().told("arrears", "2014-05-20"), "kept"),
        (subscriber().abandoned(at="2014-05-20T10:00:00").told("arrears", "2014-05-20T10:00:00"), "breach"),
        (subscriber().abandoned(at="2014-05-20T10:00:01").told("arrears", "2014-05-20T10:00:00"), "kept"),
        (subscriber().told("arrears", "2014-05-20", contact="SOMEBODY"), "breach"),
        (subscriber().contact("NEW", at="2014-05-21").told("arrears", "2014-05-20", contact="NEW"), "breach"),
        (subscriber().told("arrears", "2014-05-20", channel="visit", contact=None), "undetermined"),
        (subscriber().delivered("unknown", at="2014-05-20"), "undetermined"),
        (History().account(party_id="GONE").told("arrears", "2014-05-20"), "undetermined"),
        (subscriber().tried("arrears", at="2014-05-20"), "not_applicable"),
    ],
    ids=[
        "reached",
        "invalid-from-that-moment",
        "invalid-a-second-later",
        "not-theirs",
        "not-yet-theirs",
        "no-contact-point",
        "no-attempt",
        "no-party",
        "only-tried",
    ],
)
def test_a_delivered_notice_reached_the_party_or_it_did_not(history, verdict):
    """It went to a contact point that was their own and not invalidated then."""
    assert history.verdicts("notice-reach") == verdict


def test_a_contact_point_that_came_back_reached_them_before_and_after():
    """Abandoned in between: what was delivered then went astray."""
    history = subscriber().abandoned(at="2014-03-01").contact(at="2014-06-01")
    for day in ("2014-02-01", "2014-04-01", "2014-07-01"):
        history.told("arrears", day)
    found = history.findings("notice-reach")
    assert set(found) == {"kept", "breach"}
    assert found["breach"]["evidence_event_ids"][-1] == "NoticeDelivered:arrears@2014-04-01"


def test_after_a_transfer_the_new_holder_has_to_be_reached():
    """The seller's number is not the buyer's."""
    history = subscriber().party("Q", contact="CQ").on("A").transferred("Q", at="2014-03-01")
    history.told("arrears", "2014-02-01").told("arrears", "2014-04-01").told(
        "arrears", "2014-05-01", contact="CQ"
    )
    found = history.findings("notice-reach")
    assert "arrears@2014-04-01" in found["breach"]["observed"]
    assert "arrears@2014-05-01" in found["kept"]["observed"]


def test_an_invalidation_counts_from_when_it_happened_once_it_is_known():
    """The number was given up in April; the operator learned it in June."""
    history = subscriber().abandoned(at="2014-04-01", known="2014-06-01").told("arrears", "2014-05-20")
    assert history.verdicts("notice-reach", "2014-05-31") == "kept"
    assert history.verdicts("notice-reach", "2014-06-01") == "breach"
