"""Findings on the blacklist: what an entry rests on, when it has to go, and refusals that rest on it."""

from datetime import date

import pytest

from domain.rules.standing import working_days_after
from tests.histories import History, in_arrears, subscriber

# -- blacklist-basis ----------------------------------------------------------------------------------------


def told(day="2014-05-20", **notice):
    """Return arrears since 2014-05-01 of which the party was told on a day."""
    return in_arrears().told("arrears", day, **notice)


def test_an_entry_for_an_overdue_debt_after_a_delivered_notice_is_kept():
    """The evidence is the entry and the notice."""
    found = told().listed(at="2014-06-20").findings("blacklist-basis")
    assert found.keys() == {"kept"}
    assert found["kept"]["evidence_event_ids"] == [
        "BlacklistEntryAdded:BL",
        "NoticeDelivered:arrears@2014-05-20",
    ]


@pytest.mark.parametrize(
    "history",
    [
        in_arrears(),
        in_arrears().tried("arrears", at="2014-05-20"),
        told().abandoned(at="2014-05-01"),
        told(contact="OTHER"),
        in_arrears().told("pre_expiry", "2014-05-20"),
        in_arrears().tried("arrears", at="2014-05-20").delivered(at="2014-05-20", known="2014-06-21"),
        told("2014-06-20T10:00:01"),
        told("2014-04-30"),
        in_arrears().tried("arrears", charges=["other"], at="2014-05-20").delivered(at="2014-05-20"),
    ],
    ids=[
        "none",
        "only-tried",
        "abandoned-number",
        "not-theirs",
        "of-something-else",
        "recorded-after",
        "after",
        "before-anything-was-overdue",
        "of-another-charge",
    ],
)
def test_an_entry_without_a_notice_that_reached_the_party_is_a_breach(history):
    """What is absent is the delivery."""
    found = history.listed(at="2014-06-20").findings("blacklist-basis")
    assert found.keys() == {"breach"}
    assert found["breach"]["absent_event_types"] == ["NoticeDelivered"]


def test_an_entry_on_a_notice_of_which_no_contact_point_is_on_record_is_undetermined():
    """Delivered by a visit, but to whom the history does not say; so is the refusal that rests on it."""
    history = told(channel="visit", contact=None).listed(at="2014-06-20").refused(at="2014-06-21")
    assert history.verdicts("blacklist-basis") == "undetermined"
    assert history.verdicts("refusal-basis") == "undetermined"


@pytest.mark.parametrize(
    ("history", "why"),
    [
        (told().paid(at="2014-06-01"), "nothing was unpaid"),
        (told().reversed("m1", at="2014-09-01"), "nothing was unpaid"),
        (subscriber().told("arrears", "2014-05-20"), "nothing was unpaid"),
        (
            subscriber().charge(at="2014-04-01", due="2014-06-20").told("arrears", "2014-05-20"),
            "nothing was unpaid",
        ),
        (
            subscriber().lawfully_sold("suspend").charge(at="2014-04-01").told("arrears", "2014-05-20"),
            "the customer had chosen suspend",
        ),
        (told().number(at="2014-03-01"), "without a verified identity"),
        (
            told().verified(at="2014-03-01").number(at="2014-03-01").misused("R1", at="2014-09-01"),
            "without a verified identity",
        ),
    ],
    ids=["paid", "reversed-later", "none", "due-that-day", "unsupported", "unverified", "misused"],
)
def test_an_entry_without_a_lawful_overdue_debt_is_a_breach(history, why):
    """Unsupported charges and misused identities make no debt."""
    found = history.listed(at="2014-06-20").findings("blacklist-basis")
    assert found.keys() == {"breach"}
    assert why in found["breach"]["observed"]


def test_a_part_of_the_debt_that_is_lawful_is_enough():
    """The month before was lawful, the one after the term was not."""
    history = subscriber().lawfully_sold("suspend").at("2014-02-01")
    history.charge("u", 500, kind="usage", start="2014-01-01", end="2014-02-01", due="2014-02-28")
    history.charge(at="2014-04-01").told("arrears", "2014-05-20").listed(at="2014-06-20")
    assert "500 fen were overdue" in history.findings("blacklist-basis")["kept"]["observed"]


@pytest.mark.parametrize(
    ("stays_with", "listed", "verdict"),
    [("from", "P", "kept"), ("from", "Q", "breach"), ("to", "P", "breach"), ("to", "Q", "kept")],
)
def test_after_a_transfer_an_entry_is_for_whose_debt_it_is(stays_with, listed, verdict):
    """The contract says with whom the old debt stays; both were told."""
    history = told().party("Q", contact="CQ").on("A").transferred("Q", stays_with=stays_with, at="2014-06-01")
    history.told("arrears", "2014-06-10", contact="CQ")
    history.subjects["party"] = f"party/{listed}"
    assert history.listed(at="2014-06-20").verdicts("blacklist-basis", subject=f"party/{listed}") == verdict


def test_a_notice_to_the_old_holder_tells_the_new_one_nothing():
    """The debt went with the contract; the buyer was never told of it."""
    history = (
        told().party("Q", contact="CQ").on("A").transferred("Q", at="2014-06-01").listed(at="2014-06-20")
    )
    found = history.findings("blacklist-basis", subject="party/Q")
    assert found["breach"]["absent_event_types"] == ["NoticeDelivered"]


def test_a_party_that_went_on_as_another_owes_and_is_reached_as_that_one():
    """P was found to be Q, who has a number that works: Q may be listed for the debt on P's account."""
    history = in_arrears().abandoned(at="2014-04-01").party("Q", contact="CQ", at="2014-04-02")
    history.merged("P", into="Q", at="2014-04-03").on("A").told("arrears", "2014-05-20", contact="CQ")
    history.listed(at="2014-06-20")
    assert history.verdicts("notice-reach") == "kept"
    assert history.verdicts("blacklist-basis", subject="party/Q") == "kept"


def test_an_entry_for_an_account_that_is_not_on_record_is_a_breach():
    """Nothing shows a debt."""
    found = subscriber().listed(account_id="GONE", at="2014-06-20").findings("blacklist-basis")
    assert found["breach"]["absent_event_types"] == ["AccountOpened"]


def test_days_are_counted_where_the_account_is_whatever_the_questions_offset():
    """An entry just after midnight in Harbin: the charge due the day before is overdue, asked in UTC or not."""
    history = in_arrears().told("arrears", "2014-05-01T00:10:00").listed(at="2014-05-01T00:30:00")
    by_offset = {
        z: history.verdicts("blacklist-basis", f"2014-07-01T00:00:00{z}") for z in ("+00:00", "+08:00")
    }
    assert set(by_offset.values()) == {"kept"}


def test_without_an_entry_there_is_nothing_to_find():
    """Nor is there a removal or a refusal."""
    for rule_id in ("blacklist-basis", "blacklist-removal", "refusal-basis"):
        assert told().verdicts(rule_id) == "not_applicable"


# -- blacklist-removal --------------------------------------------------------------------------------------


def listed():
    """Return a lawful entry of Friday 2014-06-20."""
    return told().listed(at="2014-06-20")


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        ("2014-06-20", 1, "2014-06-23"),  # over the weekend
        ("2014-06-21", 1, "2014-06-23"),
        ("2014-06-22", 5, "2014-06-27"),
        ("2014-06-23", 5, "2014-06-30"),
        ("2014-06-23", 0, "2014-06-23"),
    ],
)
def test_working_days_are_monday_to_friday(day, count, expected):
    """The day itself is not counted."""
    assert working_days_after(date.fromisoformat(day), count) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("removed", "verdict"),
    [("2014-07-09T23:59", "kept"), ("2014-07-10T00:00", "breach"), (None, "breach")],
)
def test_an_entry_goes_within_five_working_days_after_its_debt_was_paid(removed, verdict):
    """Paid on Wednesday 2 July: gone by Wednesday the ninth."""
    history = listed().paid(at="2014-07-02")
    if removed:
        history.unlisted(at=removed)
    found = history.findings("blacklist-removal")
    assert found.keys() == {verdict}
    assert "PaymentReceived:py" in found[verdict]["evidence_event_ids"]
    assert found[verdict]["absent_event_types"] == ([] if removed else ["BlacklistEntryRemoved"])


def test_until_the_fifth_working_day_it_is_undetermined():
    """The day itself still counts."""
    history = listed().paid(at="2014-07-02")
    assert history.verdicts("blacklist-removal", "2014-07-09") == "undetermined"
    assert history.verdicts("blacklist-removal", "2014-07-10") == "breach"


@pytest.mark.parametrize(
    "history",
    [
        listed().reversed("m1", at="2014-07-02"),
        listed().written_off(at="2014-07-02"),
        listed().number(at="2014-03-01").misused("R1", at="2014-07-02"),
        listed().number(at="2014-03-01").misused(numbers=["N1"], at="2014-07-02"),
        listed().paid(at="2014-06-01", known="2014-07-02"),
        listed().paid(at="2014-07-30", on="2014-07-02"),
        listed().misused("R1", at="2014-04-02").number(at="2014-03-01"),
    ],
    ids=[
        "reversed",
        "written-off",
        "registration-misused",
        "number-misused",
        "paid-before-known-after",
        "by-value-date",
        "void-before-it-was-made",
    ],
)
def test_a_debt_ends_by_whatever_clears_or_voids_it(history):
    """Paid before the entry was made it had to go at once, and the value date is what counts."""
    assert history.unlisted(at="2014-07-20").verdicts("blacklist-removal") == "breach"


@pytest.mark.parametrize(
    "history",
    [
        listed(),
        listed().paid(9_999, at="2014-07-02"),
        listed().fee(at="2014-06-25").paid(at="2014-07-02"),
        listed().paid(at="2014-07-02").bounced(at="2014-07-05"),
        listed().unlisted(at="2014-07-20"),
    ],
    ids=["unpaid", "one-fen-short", "the-late-fee-is-open", "bounced", "removed-all-the-same"],
)
def test_while_the_debt_is_owed_the_entry_may_stand(history):
    """For five years at least."""
    assert history.verdicts("blacklist-removal", "2019-06-20") == "kept"


def test_after_five_years_it_is_undetermined_whether_an_unpaid_entry_may_stand():
    """The history does not say when the bad conduct ended."""
    found = listed().findings("blacklist-removal", "2019-06-21")
    assert found.keys() == {"undetermined"}
    assert "bad conduct" in found["undetermined"]["observed"]


# -- refusal-basis ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (listed().refused(at="2014-06-25"), "kept"),
        (listed().paid(at="2014-07-02").refused(at="2014-07-09"), "kept"),
        (listed().paid(at="2014-07-02").refused(at="2014-07-10"), "breach"),
        (listed().paid(at="2014-07-02").unlisted(at="2014-07-10").refused(at="2014-07-10"), "breach"),
        (listed().paid(at="2014-07-02").unlisted(at="2014-07-03").refused(at="2014-07-04"), "breach"),
        (listed().refused(at="2014-06-19"), "breach"),
        (in_arrears().listed(at="2014-06-20").refused(at="2014-06-25"), "breach"),
        (subscriber().refused(at="2014-06-25"), "breach"),
        (subscriber().refused(None, at="2014-06-25"), "undetermined"),
        (subscriber().refused(None, "no capacity", at="2014-06-25"), "not_applicable"),
    ],
    ids=[
        "rightly",
        "on-the-last-day-it-may-stand",
        "when-it-should-have-gone",
        "on-the-day-it-went-too-late",
        "after-it-had-gone",
        "before-it-was-made",
        "without-a-notice",
        "no-such-entry",
        "which-entry",
        "for-another-reason",
    ],
)
def test_a_refusal_is_as_good_as_the_entry_it_rests_on(history, verdict):
    """On the day of the refusal."""
    found = history.findings("refusal-basis")
    assert found.keys() == {verdict}
    assert found[verdict]["amount_fen"] == 0


def test_an_entry_made_once_more_is_measured_by_itself():
    """Removed in time, then made again for the next debt: the refusal rests on the second."""
    history = listed().paid(at="2014-07-02").unlisted(at="2014-07-03").at("2014-08-01")
    history.charge("m2", start="2014-07-01", end="2014-08-01", due="2014-08-31")
    history.told("arrears", "2014-09-10").listed(at="2014-10-01").refused(at="2014-10-02")
    assert history.verdicts("refusal-basis") == "kept"


def test_an_entry_from_before_the_rule_was_in_force_is_not_held_against_a_refusal():
    """What no rule forbade is no breach; the debt and its notice are not looked for."""
    history = History().at("2008-01-01").party().account().listed(at="2008-06-01").refused(at="2009-06-01")
    assert history.verdicts("blacklist-basis") == "not_applicable"
    assert history.verdicts("refusal-basis") == "kept"
