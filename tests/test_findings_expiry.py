"""Findings on annual packages: the choice at the sale, reminders, what is charged after, and renewals."""

import pytest

from tests.histories import History, subscriber

# -- expiry-choice ------------------------------------------------------------------------------------------


def sale(history):
    """Sell a year at ten o'clock on 2013-03-01."""
    return history.at("2013-03-01").sold_annual()


def test_a_choice_of_the_customers_own_among_all_three_options_keeps_the_rule():
    """Shown, chosen and sold in the same minute: on record at the activation."""
    found = subscriber().lawfully_sold().findings("expiry-choice")
    assert found.keys() == {"kept"}
    assert set(found["kept"]["evidence_event_ids"]) == {
        "ExpiryOptionPresented:PK",
        "ExpiryOptionSelected:PK",
        "PackageSubscribed:PK",
    }


@pytest.mark.parametrize("by", ["staff_default", "system_default"])
def test_a_choice_by_staff_or_system_is_no_choice(by):
    """The finding names the choice that was made for the customer, and what is absent."""
    history = sale(subscriber().at("2013-03-01").presented().chose("convert_to_monthly", by=by))
    found = history.findings("expiry-choice")
    assert found.keys() == {"breach"}
    assert "ExpiryOptionSelected:PK" in found["breach"]["evidence_event_ids"]
    assert found["breach"]["absent_event_types"] == ["ExpiryOptionSelected"]
    assert f"convert_to_monthly was set by {by}" in found["breach"]["observed"]
    assert found["breach"]["remedy"]


@pytest.mark.parametrize(
    "history",
    [
        sale(subscriber()),
        sale(subscriber().at("2013-03-01").chose("suspend")),
        sale(subscriber().at("2013-03-01").presented("suspend", "renew_annual").chose("suspend")),
        sale(subscriber().at("2013-03-01").chose("suspend").presented(at="2013-03-01T10:01")),
        sale(subscriber().at("2013-03-01").presented(package="OTHER").chose("suspend")),
    ],
    ids=["nothing", "not-presented", "two-options", "presented-after-the-choice", "another-package"],
)
def test_a_sale_without_the_three_options_shown_first_is_a_breach(history):
    """What the customer was not shown they could not choose."""
    found = history.findings("expiry-choice")
    assert found.keys() == {"breach"}
    assert "ExpiryOptionSelected" in found["breach"]["absent_event_types"]


@pytest.mark.parametrize(
    ("chosen", "known", "verdict"),
    [
        ("2013-03-01T10:00:00", None, "kept"),
        ("2013-03-01T10:00:01", None, "breach"),
        ("2013-03-01T09:00:00", "2013-03-01T10:00:01", "breach"),
    ],
)
def test_a_choice_counts_from_when_it_was_on_record(chosen, known, verdict):
    """What was recorded only after the activation does not cure it."""
    history = sale(subscriber().at("2013-03-01").presented(at="2013-03-01T08:00"))
    assert history.chose(at=chosen, known=known).verdicts("expiry-choice") == verdict


def test_the_last_choice_of_the_customers_own_outlives_what_staff_set_after_it():
    """A default set on top of it is not theirs and changes nothing."""
    history = (
        subscriber().at("2013-03-01").presented().chose("suspend").chose("renew_annual", by="staff_default")
    )
    assert "chose suspend" in sale(history).findings("expiry-choice")["kept"]["observed"]


@pytest.mark.parametrize(
    "history", [subscriber().sold_monthly(), sale(subscriber("mobile"))], ids=["monthly", "mobile"]
)
def test_the_choice_is_asked_of_annual_broadband_only(history):
    """A package by the month, or of a mobile line, has no such choice."""
    assert history.verdicts("expiry-choice") == "not_applicable"


def test_where_the_line_of_business_is_not_on_record_it_is_undetermined():
    """Given a package whose account was never opened in the log, then the history is silent."""
    found = sale(History().party()).findings("expiry-choice")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["AccountOpened"]


# -- expiry-notice ------------------------------------------------------------------------------------------


def year():
    """Return a year that ends on 2014-03-01, lawfully sold."""
    return subscriber().lawfully_sold()


def test_one_reminder_delivered_before_and_one_after_the_end_keep_the_rule():
    """The evidence is the reminders that were delivered."""
    history = year().told("pre_expiry", "2014-02-15").told("post_expiry", "2014-03-05")
    found = history.findings("expiry-notice")
    assert found.keys() == {"kept"}
    assert "NoticeDelivered:pre_expiry@2014-02-15" in found["kept"]["evidence_event_ids"]


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        ("2014-01-29", "breach"),
        ("2014-01-30", "kept"),
        ("2014-02-28T23:59:00", "kept"),
        ("2014-03-01T00:00:00", "breach"),
    ],
)
def test_the_reminder_before_the_end_falls_into_its_thirty_days(before, verdict):
    """From thirty days before until the last minute of the term."""
    history = year().told("pre_expiry", before).told("post_expiry", "2014-03-05")
    assert history.verdicts("expiry-notice") == verdict


@pytest.mark.parametrize(
    ("after", "verdict"),
    [("2014-03-01T00:00:00", "kept"), ("2014-03-31T23:59:00", "kept"), ("2014-04-01T00:00:00", "breach")],
)
def test_the_reminder_after_the_end_falls_into_its_thirty_days(after, verdict):
    """From the first minute after the term until the thirtieth day."""
    history = year().told("pre_expiry", "2014-02-15").told("post_expiry", after)
    assert history.verdicts("expiry-notice") == verdict


@pytest.mark.parametrize(
    ("delivered", "known", "verdict"),
    [
        ("2014-02-20", "2014-02-28T23:59:59", "kept"),
        ("2014-02-20", "2014-03-01T00:00:00", "breach"),
    ],
)
def test_a_delivery_counts_from_when_it_was_on_record(delivered, known, verdict):
    """Delivered in time and recorded after the end: it does not cure it."""
    history = year().tried("pre_expiry", at="2014-02-20").delivered(at=delivered, known=known)
    assert history.told("post_expiry", "2014-03-05").verdicts("expiry-notice") == verdict


def test_a_late_record_of_the_reminder_after_the_end_does_not_cure_it_either():
    """The window closes on 2014-03-31; what was recorded in May came too late."""
    history = year().told("pre_expiry", "2014-02-15").tried("post_expiry", at="2014-03-05")
    assert history.delivered(at="2014-03-05", known="2014-05-01").verdicts("expiry-notice") == "breach"


def test_an_attempt_is_no_delivery_unless_every_channel_was_tried():
    """Three channels are not enough before the end, four are."""
    history = year().told("post_expiry", "2014-03-05")
    for channel in ("sms", "call", "visit"):
        history.tried("pre_expiry", channel, notice_id=channel, at="2014-02-15")
    found = history.findings("expiry-notice")
    assert found["breach"]["absent_event_types"] == ["NoticeAttempted", "NoticeDelivered"]
    history.tried("pre_expiry", "web_push", notice_id="web", at="2014-02-15")
    assert history.verdicts("expiry-notice") == "kept"


def test_every_channel_has_to_be_tried_before_the_end():
    """On the day of the end it is too late."""
    history = year().told("post_expiry", "2014-03-05")
    for channel in ("sms", "call", "visit", "web_push"):
        history.tried("pre_expiry", channel, notice_id=channel, at="2014-03-01")
    assert history.verdicts("expiry-notice") == "breach"


def test_a_notice_of_arrears_reminds_of_no_end():
    """Neither before it nor after it."""
    arrears = year().told("arrears", "2014-02-15").told("post_expiry", "2014-03-05")
    assert arrears.verdicts("expiry-notice") == "breach"
    arrears = year().told("pre_expiry", "2014-02-15").told("arrears", "2014-03-05")
    assert arrears.verdicts("expiry-notice") == "breach"


def test_a_service_that_ended_with_its_term_has_to_be_reminded_of():
    """It was there until the end."""
    assert year().terminated(at="2014-03-01").verdicts("expiry-notice") == "breach"


def test_after_the_end_no_number_of_attempts_will_do():
    """There one has to be delivered."""
    history = year().told("pre_expiry", "2014-02-15")
    for channel in ("sms", "call", "visit", "web_push"):
        history.tried("post_expiry", channel, notice_id=channel, at="2014-03-05")
    found = history.findings("expiry-notice")
    assert found.keys() == {"breach"}
    assert found["breach"]["absent_event_types"] == ["NoticeDelivered"]


@pytest.mark.parametrize(
    ("known_at", "verdict"),
    [
        ("2014-02-28", "undetermined"),
        ("2014-03-01", "breach"),
    ],
)
def test_before_the_end_it_is_undetermined_whether_a_reminder_will_come(known_at, verdict):
    """The deadline has not passed on the last day of the term, on the next it has."""
    assert year().verdicts("expiry-notice", known_at) == verdict


@pytest.mark.parametrize(("known_at", "verdict"), [("2014-03-31", "undetermined"), ("2014-04-01", "breach")])
def test_after_the_end_the_operator_has_thirty_days(known_at, verdict):
    """The reminder before the end was delivered, that after it may still be."""
    assert year().told("pre_expiry", "2014-02-15").verdicts("expiry-notice", known_at) == verdict


def test_a_push_of_which_the_history_says_no_contact_point_is_undetermined():
    """It was delivered, but not whether to the party."""
    history = year().told("pre_expiry", "2014-02-15", channel="web_push", contact=None)
    found = history.told("post_expiry", "2014-03-05").findings("expiry-notice")
    assert found.keys() == {"undetermined"}
    assert "contact point" in found["undetermined"]["observed"]


def test_a_push_to_the_partys_web_account_reaches_it():
    """A channel is as good as the contact point it goes to."""
    history = year().told("pre_expiry", "2014-02-15", channel="web_push")
    assert history.told("post_expiry", "2014-03-05").verdicts("expiry-notice") == "kept"


def test_a_reminder_to_an_abandoned_number_is_none():
    """It was delivered to somebody."""
    history = year().abandoned(at="2014-02-01").told("pre_expiry", "2014-02-15")
    assert history.told("post_expiry", "2014-03-05").verdicts("expiry-notice") == "breach"


def test_a_term_without_an_end_on_record_is_undetermined():
    """A legacy system did not say until when the year ran."""
    history = subscriber().at("2013-03-01").sold_annual(end=None)
    assert history.verdicts("expiry-notice") == "undetermined"


@pytest.mark.parametrize(
    "history",
    [subscriber().sold_monthly(), subscriber("mobile").sold_annual(), year().terminated(at="2014-01-10")],
    ids=["monthly", "mobile", "ended-before"],
)
def test_there_is_nothing_to_remind_of_without_an_annual_terms_end(history):
    """Monthly packages, mobile lines, and services that ended before."""
    assert history.verdicts("expiry-notice") == "not_applicable"


def test_an_annual_package_of_an_unknown_line_is_undetermined_for_the_reminders_too():
    """The account was never opened in the log."""
    assert History().party().sold_annual().verdicts("expiry-notice") == "undetermined"


def test_each_term_is_measured_and_each_verdict_gathered_once():
    """The first year kept, the renewed one without a reminder: two findings, one of each verdict."""
    history = year().told("pre_expiry", "2014-02-15").told("post_expiry", "2014-03-05")
    found = history.at("2014-03-01").renewed().findings("expiry-notice")
    assert set(found) == {"kept", "breach"}


# -- charge-basis -------------------------------------------------------------------------------------------


def carried_on(option, kind="monthly", **charge):
    """Return a year sold with a choice, and a charge for the month after it."""
    return subscriber().lawfully_sold(option).at("2014-04-01").charge(kind=kind, **charge)


@pytest.mark.parametrize(
    ("option", "kind", "verdict"),
    [
        ("convert_to_monthly", "monthly", "kept"),
        ("convert_to_monthly", "usage", "kept"),
        ("convert_to_monthly", "package", "breach"),
        ("renew_annual", "package", "kept"),
        ("renew_annual", "usage", "kept"),
        ("renew_annual", "monthly", "breach"),
        ("suspend", "monthly", "breach"),
        ("suspend", "package", "breach"),
        ("suspend", "usage", "breach"),
        ("suspend", "equipment", "not_applicable"),
    ],
)
def test_a_charge_after_the_term_rests_on_what_the_customer_chose(option, kind, verdict):
    """Conversion carries months, renewal a year, suspension nothing; equipment is bought for itself."""
    found = carried_on(option, kind).findings("charge-basis")
    assert found.keys() == {verdict}
    assert found[verdict]["amount_fen"] == (10_000 if verdict == "breach" else 0)


def test_charges_by_default_have_no_basis_and_their_sum_hangs_on_it():
    """One finding for all of them, its evidence gathered and its amounts summed."""
    history = subscriber().at("2013-03-01").chose("convert_to_monthly", by="staff_default").sold_annual()
    history.converted().charge("m1").charge("m2", start="2014-04-01", end="2014-05-01")
    found = history.findings("charge-basis")
    assert found.keys() == {"breach"}
    assert found["breach"]["amount_fen"] == 20_000
    assert found["breach"]["evidence_event_ids"] == ["ChargePosted:m1", "ChargePosted:m2"]


def test_a_charge_for_the_term_itself_needs_no_choice_for_its_end():
    """The last day of the term is still the term."""
    history = subscriber().at("2013-03-01").sold_annual()
    history.charge("y", kind="package", start="2013-03-01", end="2014-03-01").charge(
        "u", kind="usage", start="2014-02-28", end="2014-03-01"
    )
    assert history.verdicts("charge-basis") == "not_applicable"


def test_a_charge_that_claims_to_rest_on_the_sale_is_for_its_term_only():
    """From the term's end on the sale carries nothing."""
    history = subscriber().lawfully_sold("suspend").at("2014-04-01").charge(basis="PackageSubscribed:PK")
    assert history.verdicts("charge-basis") == "breach"


def test_a_choice_recorded_after_the_charge_does_not_cure_it():
    """Consent counts from when it was on record."""
    history = subscriber().at("2013-03-01").presented().sold_annual().at("2014-04-01").charge()
    history.chose("convert_to_monthly", at="2014-02-01", known="2014-04-02")
    assert history.verdicts("charge-basis") == "breach"


def test_a_charge_taken_back_in_part_leaves_the_rest_and_in_full_nothing():
    """Given a reversal, then the amount is what still stands."""
    history = carried_on("suspend").reversed("m1", 4_000)
    assert history.findings("charge-basis")["breach"]["amount_fen"] == 6_000
    assert history.reversed("m1", 6_000).verdicts("charge-basis") == "kept"


def test_a_paid_charge_without_a_basis_is_a_breach_all_the_same():
    """Paying it is no request for it."""
    found = carried_on("suspend").paid(at="2014-04-20").findings("charge-basis")
    assert found["breach"]["amount_fen"] == 10_000


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (lambda h: h.plan_changed("2014-03-01", at="2014-03-10"), "kept"),
        (lambda h: h.plan_changed("2014-03-01", at="2014-02-10"), "kept"),
        (lambda h: h.plan_changed("2014-03-01", by="staff", at="2014-03-10"), "breach"),
        (lambda h: h.plan_changed("2013-06-01", at="2013-06-01"), "breach"),
        (lambda h: h.plan_changed("2014-03-15", at="2014-03-10"), "breach"),
        (lambda h: h.plan_changed("2014-03-01", at="2014-03-10", known="2014-05-01"), "breach"),
        (lambda h: h.chose("convert_to_monthly", at="2014-03-10"), "kept"),
        (lambda h: h.chose("convert_to_monthly", at="2014-03-01"), "kept"),
        (lambda h: h.chose("convert_to_monthly", at="2014-02-28"), "breach"),
        (lambda h: h.chose("convert_to_monthly", by="staff_default", at="2014-03-10"), "breach"),
        (lambda h: h.at("2014-03-10").sold_monthly("2014-03-01"), "not_applicable"),
    ],
    ids=[
        "asked-after",
        "asked-before-for-after",
        "staff",
        "speed-upgrade-within-the-term",
        "from-later-on",
        "recorded-too-late",
        "chose-after",
        "chose-on-the-day-of-the-end",
        "chose-before-without-being-shown",
        "set-after",
        "bought-another",
    ],
)
def test_a_later_request_carries_the_charges_for_the_time_it_was_made_for(asked, verdict):
    """A change of plan within the term asked for nothing after it."""
    history = asked(subscriber().at("2013-03-01").sold_annual())
    assert history.at("2014-04-01").charge().verdicts("charge-basis") == verdict


def test_what_carries_on_a_year_without_an_end_on_record_is_undetermined():
    """Converted, but the legacy system did not say until when the year ran."""
    history = subscriber().at("2013-03-01").sold_annual(end=None).at("2014-03-01").converted()
    found = history.at("2014-04-01").charge(basis="PackageConverted:PK").findings("charge-basis")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["evidence_event_ids"] == ["ChargePosted:m1", "PackageConverted:PK"]


def test_a_package_beside_it_does_not_carry_what_was_charged_for_the_year_that_ended():
    """Television by the month runs on; the broadband that was converted by default does not rest on it."""
    history = subscriber().at("2013-03-01").sold_annual().sold_monthly(package="TV")
    history.at("2014-03-01").converted().at("2014-04-01")
    history.charge("m1", basis="PackageConverted:PK").charge("tv", 2_000, basis="PackageSubscribed:TV")
    found = history.findings("charge-basis")
    assert found["breach"]["evidence_event_ids"] == ["ChargePosted:m1"]
    assert found["breach"]["amount_fen"] == 10_000


def test_two_charges_of_one_id_are_two_charges():
    """A legacy system used an id twice: what was taken back of the first is not taken back of the second."""
    history = carried_on("suspend").reversed("m1").charge("m1", 7_000, start="2014-04-01", end="2014-05-01")
    assert history.findings("charge-basis")["breach"]["amount_fen"] == 7_000


def test_a_monthly_package_needs_no_choice():
    """There is no annual term to end."""
    assert subscriber().sold_monthly().charge().verdicts("charge-basis") == "not_applicable"


# -- renewal-notice -----------------------------------------------------------------------------------------


def renewal(start="2024-08-10", **more):
    """Return a year renewed by the operator's system."""
    before = f"{int(start[:4]) - 1}{start[4:]}"
    history = subscriber().lawfully_sold("renew_annual", before, start)
    return history.at(start).renewed(start, "2026-01-01", **more)


@pytest.mark.parametrize(
    ("told_on", "verdict"),
    [("2024-08-05", "kept"), ("2024-08-06", "breach"), ("2024-07-01", "kept"), (None, "breach")],
)
def test_a_renewal_is_announced_five_days_before(told_on, verdict):
    """Renewed from 10 August: told by the fifth."""
    history = renewal()
    if told_on:
        history.told("renewal", told_on)
    found = history.findings("renewal-notice")
    assert found.keys() == {verdict}
    assert found[verdict]["absent_event_types"] == (["NoticeDelivered"] if verdict == "breach" else [])


@pytest.mark.parametrize(("start", "verdict"), [("2024-06-30", "not_applicable"), ("2024-07-01", "breach")])
def test_renewals_before_july_2024_are_not_measured(start, verdict):
    """The regulation is in force from 2024-07-01."""
    assert renewal(start).verdicts("renewal-notice") == verdict


def test_a_renewal_notice_recorded_after_the_renewal_does_not_cure_it():
    """It counts from when it was on record."""
    for known, verdict in (("2024-08-10T10:00:00", "kept"), ("2024-08-10T10:00:01", "breach")):
        history = renewal().tried("renewal", at="2024-08-01").delivered(at="2024-08-01", known=known)
        assert history.verdicts("renewal-notice") == verdict


def test_last_years_notice_does_not_announce_this_years_renewal():
    """Told once, renewed twice: the second was not announced."""
    history = subscriber().lawfully_sold("renew_annual", "2023-08-10", "2024-08-10")
    history.told("renewal", "2024-08-01").at("2024-08-10").renewed("2024-08-10", "2025-08-10")
    history.at("2025-08-10").renewed("2025-08-10", "2026-08-10")
    found = history.findings("renewal-notice")
    assert found["kept"]["evidence_event_ids"][-1] == "PackageRenewed:PK@2024-08-10"
    assert found["breach"]["evidence_event_ids"] == ["PackageRenewed:PK@2025-08-10"]


def test_a_renewal_put_down_ahead_may_still_be_announced():
    """Recorded in July for August, asked in July: the time for the notice has not passed."""
    history = subscriber().lawfully_sold("renew_annual", "2023-08-10", "2024-08-10")
    history.at("2024-07-20").renewed("2024-08-10", "2025-08-10")
    assert history.verdicts("renewal-notice", "2024-08-05") == "undetermined"
    assert history.verdicts("renewal-notice", "2024-08-06") == "breach"
    assert history.told("renewal", "2024-08-01").verdicts("renewal-notice", "2024-08-06") == "kept"


def test_what_the_customer_renews_themselves_is_no_automatic_renewal():
    """Nobody has to be told of what they do."""
    assert renewal(by="customer/P").verdicts("renewal-notice") == "not_applicable"


def test_another_notice_is_no_renewal_notice():
    """That the year ends is not that it is renewed."""
    assert renewal().told("pre_expiry", "2024-08-01").verdicts("renewal-notice") == "breach"
