"""Findings on complaints: answered in time, promised before handled, explained clearly."""

import pytest

from domain.events import case as cv
from tests.histories import History, subscriber

# -- complaint-answer ---------------------------------------------------------------------------------------


def complaint(day="2015-02-01"):
    """Return a complaint."""
    return subscriber().at(day).complaint()


@pytest.mark.parametrize(
    ("answered", "verdict"),
    [("2015-02-16T23:59", "kept"), ("2015-02-17T00:00", "breach"), (None, "breach")],
)
def test_a_complaint_is_answered_within_fifteen_days(answered, verdict):
    """The fifteenth day is in time."""
    history = complaint()
    if answered:
        history.answered(at=answered)
    found = history.findings("complaint-answer")
    assert found.keys() == {verdict}
    assert found[verdict]["absent_event_types"] == ([] if answered else ["ComplaintAnswered"])


def test_until_the_fifteenth_day_it_is_undetermined():
    """The day itself still counts."""
    assert complaint().verdicts("complaint-answer", "2015-02-16") == "undetermined"
    assert complaint().verdicts("complaint-answer", "2015-02-17") == "breach"


def test_an_investigation_without_a_complaint_has_nobody_to_answer():
    """The case was opened by the operator."""
    opened = cv.InvestigationOpened(account_ids=["A"], reason="press")
    assert subscriber().add(opened).verdicts("complaint-answer") == "not_applicable"


def test_an_answer_to_an_earlier_complaint_is_none_to_this_one():
    """The same case was complained about once more."""
    history = complaint().answered(at="2015-02-05").complaint(at="2015-03-01")
    found = history.findings("complaint-answer")
    assert set(found) == {"kept", "breach"}
    assert found["breach"]["absent_event_types"] == ["ComplaintAnswered"]


# -- commitment-first ---------------------------------------------------------------------------------------


def promised(**more):
    """Return a complaint with a promise due on 2015-02-10 at six in the evening."""
    return complaint().promised(**more)


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (promised().handled().met(at="2015-02-10"), "kept"),
        (complaint().handled(), "breach"),
        (complaint().handled().promised(at="2015-02-01T10:00:01").met(at="2015-02-10"), "breach kept"),
        (promised(known="2015-02-02").handled().met(at="2015-02-10"), "breach kept"),
        (complaint("2014-12-16").handled(), "not_applicable"),
        (complaint("2014-12-17").handled(), "breach"),
        (complaint(), "not_applicable"),
    ],
    ids=["first", "never", "after", "recorded-after", "the-day-before", "the-first-day", "not-handled"],
)
def test_the_promise_comes_before_the_handling(history, verdict):
    """Since the third measure of 2014-12-17."""
    assert history.verdicts("commitment-first") == verdict


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (promised().met(at="2015-02-10T18:00:00"), "kept"),
        (promised().met(at="2015-02-10T18:00:01"), "breach"),
        (promised().met(at="2015-02-10T18:00:01").granted("CM", at="2015-02-11"), "kept"),
        (promised().missed(at="2015-02-11"), "breach"),
        (promised().missed(at="2015-02-11").granted("CM", at="2015-02-12"), "kept"),
        (promised().missed(at="2015-02-11").granted(at="2015-02-12"), "kept"),
        (promised().missed(at="2015-02-11").granted("OTHER", at="2015-02-12"), "breach"),
        (promised().granted(at="2015-02-05").missed(at="2015-02-11"), "breach"),
        (promised(), "breach"),
        (promised().granted("CM", at="2015-02-12"), "kept"),
        (promised().promised(commitment_id="CM2").met(at="2015-02-10"), "breach kept"),
        (
            promised()
            .promised(commitment_id="CM2")
            .met(at="2015-02-10")
            .missed("CM2", at="2015-02-11")
            .granted("CM2", at="2015-02-12"),
            "kept",
        ),
    ],
    ids=[
        "met-on-time",
        "met-a-second-late",
        "met-late-and-made-up-for",
        "missed",
        "missed-and-made-up-for",
        "made-up-for-without-its-name",
        "made-up-for-another",
        "something-granted-before",
        "lapsed-without-an-event",
        "lapsed-and-made-up-for",
        "one-of-two",
        "one-of-two-and-made-up-for",
    ],
)
def test_a_missed_promise_has_its_remedy_granted(history, verdict):
    """Missed also where nobody said so and where it was met too late."""
    found = history.findings("commitment-first")
    assert " ".join(found) == verdict
    if "breach" in found:
        assert found["breach"]["absent_event_types"] == ["RemedyGranted"]
        assert "waived" in found["breach"]["observed"]


def test_a_promise_that_has_time_left_is_undetermined():
    """Until its moment."""
    assert promised().verdicts("commitment-first", "2015-02-10T17:59") == "undetermined"
    assert promised().verdicts("commitment-first", "2015-02-10T18:00") == "breach"


def test_a_promise_that_lapsed_is_measured_on_the_day_it_was_due():
    """Made before the rule was in force, due after it."""
    assert complaint("2014-12-01").promised("2014-12-20T18:00:00").verdicts("commitment-first") == "breach"
    assert (
        complaint("2014-12-01").promised("2014-12-16T18:00:00").verdicts("commitment-first")
        == "not_applicable"
    )


# -- clear-explanation --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (complaint().contacted("S1").contacted("S1").contacted("S1"), "kept"),
        (complaint().contacted("S1").contacted("S2", clearly=True), "kept"),
        (complaint().contacted("S1").contacted("S2").contacted("S3"), "breach"),
        (complaint().contacted("S1").contacted("S2").answered().contacted("S3", at="2015-02-02"), "kept"),
        (complaint().contacted("S1").contacted("S2").answered().contacted("S3"), "breach"),
        (complaint().contacted("S1", clearly=False), "breach"),
        (complaint().answered().contacted("S1", clearly=False, at="2015-02-02"), "breach"),
        (complaint(), "not_applicable"),
    ],
    ids=[
        "one",
        "two",
        "three",
        "the-third-after-the-answer",
        "the-third-at-the-answer",
        "unclear",
        "unclear-after-the-answer",
        "none",
    ],
)
def test_one_owner_speaks_and_clearly(history, verdict):
    """Three different staff without a resolution, or one unclear contact, is a breach."""
    found = history.findings("clear-explanation")
    assert found.keys() == {verdict}
    contacts = sum(e.type == "InteractionRecorded" for e in history.events)
    assert len(found[verdict]["evidence_event_ids"]) == contacts


def test_two_staff_of_whom_nothing_more_is_on_record_are_undetermined():
    """Until an owner is named, the case is answered, or one contact says how clear it was."""
    found = complaint().contacted("S1").contacted("S2").findings("clear-explanation")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["CaseAssigned"]
    for more in (
        complaint().add(cv.CaseAssigned(owner_id="S1", unit="u")),
        complaint().answered(at="2015-02-20"),
        complaint().contacted("S2", clearly=True),
    ):
        assert more.contacted("S1").contacted("S2").verdicts("clear-explanation") == "kept"


def test_a_breach_names_the_missing_owner():
    """Nobody was assigned; once somebody is, that is not absent."""
    history = complaint().contacted(clearly=False)
    assert history.findings("clear-explanation")["breach"]["absent_event_types"] == ["CaseAssigned"]
    history.add(cv.CaseAssigned(owner_id="S1", unit="u"))
    assert history.findings("clear-explanation")["breach"]["absent_event_types"] == []


def test_asked_for_the_party_the_findings_span_the_cases_about_it():
    """And not those about others."""
    history = complaint()
    other = History().party("Q").complaint()
    found = {f["subject"] for f in history.answer("party/P")["findings"]}
    assert "case/C" in found
    assert "case/C" not in {f["subject"] for f in other.answer("party/Q")["findings"]}
