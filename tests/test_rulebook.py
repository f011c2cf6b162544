"""The dated rulebook: the day of the conduct chooses the version, and publishing one changes nothing before it."""

import itertools
from datetime import date

import pytest

from domain.rules.book import ASSUMED_FROM, BUILT_IN, Rulebook, rulebook_of
from domain.rules.table import RULE_IDS
from tests.histories import History, in_arrears, subscriber


def complaint(day):
    """Return a complaint that was answered on its twelfth day."""
    received = date.fromisoformat(day)
    history = subscriber().at(day).complaint()
    return history.answered(at=received.replace(day=received.day + 12).isoformat())


def ten_days(history, in_force_from="2016-01-01", **more):
    """Publish that a complaint is to be answered within ten days."""
    at = more.pop("at", "2015-12-01")
    return history.published("complaint-answer", "2", in_force_from, {"days": 10}, at=at, **more)


# -- which version ------------------------------------------------------------------------------------------


def test_every_rule_of_the_table_has_a_version_and_every_version_a_rule():
    """The rulebook and the table of rules name the same rules."""
    assert {v.rule_id for v in BUILT_IN} == set(RULE_IDS)


@pytest.mark.parametrize("rule_id", RULE_IDS)
def test_a_rules_versions_follow_one_another_without_gap_or_overlap(rule_id):
    """Each but the last ends on the day on which the next begins; where no source gives a start it is said."""
    versions = [v for v in BUILT_IN if v.rule_id == rule_id]
    for earlier, later in itertools.pairwise(versions):
        assert earlier.until == later.since
    assert versions[-1].until is None
    assert all((v.since == ASSUMED_FROM) == ("in force from" in v.assumed) for v in versions)


@pytest.mark.parametrize(
    ("rule_id", "day", "version"),
    [
        ("charge-basis", "2014-03-14", "1"),
        ("charge-basis", "2014-03-15", "2014"),
        ("late-fee", "2000-09-24", None),
        ("late-fee", "2000-09-25", "2000"),
        ("late-fee", "2014-07-29", "2014"),
        ("real-name", "2013-08-31", "1"),
        ("real-name", "2013-09-01", "2013"),
        ("commitment-first", "2014-12-16", None),
        ("commitment-first", "2014-12-17", "2014"),
        ("number-limit", "2016-05-31", None),
        ("number-limit", "2016-06-01", "2016"),
        ("renewal-notice", "2024-06-30", None),
        ("renewal-notice", "2024-07-01", "2024"),
        ("expiry-choice", "2008-12-31", None),
        ("expiry-choice", "2009-01-01", "1"),
    ],
)
def test_the_version_is_that_of_the_day_of_the_conduct(rule_id, day, version):
    """Both texts of an article, and rules that were not there yet."""
    governing = Rulebook().on(rule_id, date.fromisoformat(day))
    assert (governing.version if governing else None) == version


def test_conduct_before_a_rule_was_in_force_is_not_applicable_and_the_finding_says_since_when():
    """Six numbers in 2014, seen today."""
    history = subscriber("mobile").at("2014-01-01")
    for n in range(6):
        history.number(f"N{n}", f"R{n}")
    found = history.findings("number-limit")
    assert found.keys() == {"not_applicable"}
    assert "in force from 2016-06-01" in found["not_applicable"]["observed"]
    assert len(found["not_applicable"]["evidence_event_ids"]) == 6


def test_conduct_under_two_texts_cites_both():
    """One finding of one verdict, its versions in the order of the conduct."""
    history = in_arrears().at("2014-06-01").fee(fee_id="a", from_="2014-05-01", to="2014-05-11")
    history.at("2014-08-01").fee(fee_id="b", from_="2014-05-11", to="2014-05-21")
    found = history.findings("late-fee")["kept"]
    assert found["rule_version"] == "2000, 2014"
    assert "art. 35; " in found["citation"]
    assert found["citation"].endswith("art. 34")


@pytest.mark.parametrize(
    ("rule_id", "words"),
    [
        ("expiry-notice", "[assumed: in force from, before_days, after_days]"),
        ("dealer-block", "[assumed: in force from, days]"),
        ("number-limit", "[assumed: in force from (month)]"),
    ],
)
def test_what_is_assumed_is_shown_with_the_citation(rule_id, words):
    """Nobody takes an assumed parameter for the law."""
    kind = {"expiry-notice": "account/A", "dealer-block": "dealer/D", "number-limit": "party/P"}[rule_id]
    (found,) = History().party().findings(rule_id, subject=kind).values()
    assert words in found["citation"]


# -- publishing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "verdict", "version"),
    [("2015-12-15", "kept", "1"), ("2016-01-01", "breach", "2"), ("2016-03-01", "breach", "2")],
)
def test_a_published_version_measures_the_conduct_from_its_day_on(day, verdict, version):
    """Ten days instead of fifteen from 2016 on: an answer on the twelfth day."""
    found = ten_days(complaint(day)).findings("complaint-answer")
    assert found.keys() == {verdict}
    assert found[verdict]["rule_version"] == version
    assert ("our own rule 2" in found[verdict]["citation"]) == (version == "2")


@pytest.mark.parametrize(
    ("published", "known", "verdict"),
    [
        ("2016-02-01", None, "kept"),
        ("2016-01-01", None, "breach"),
        ("2015-12-01", "2016-02-01", "kept"),
    ],
    ids=["in-february", "on-the-day", "put-down-in-february-for-december"],
)
def test_a_version_never_reaches_back_before_it_was_published(published, known, verdict):
    """Whatever it says of itself: nobody could follow it before."""
    history = ten_days(complaint("2016-01-15"), at=published, known=known)
    assert history.verdicts("complaint-answer") == verdict


def test_publishing_changes_no_finding_about_earlier_conduct():
    """Every rule sharpened today, as if it had always been so: what is found of the past stays."""
    history = in_arrears().suspended(at="2014-06-10").fee().complaint(at="2015-02-01").lawfully_sold()
    subjects = ("account/A", "party/P", "case/C")
    before = {s: history.answer(s)["findings"] for s in subjects}
    for rule_id in RULE_IDS:
        zero = {"days": 0, "fixed_line_days": 0, "rate_ppm": 1, "hours": 0, "numbers": 0}
        history.published(rule_id, "9", "2000-01-01", zero, at="2030-01-01")
    after = {s: history.answer(s)["findings"] for s in subjects}
    measured = [f for s in subjects for f in after[s] if f["verdict"] != "not_applicable"]
    assert [f for s in subjects for f in before[s] if f["verdict"] != "not_applicable"] == measured
    assert {f["verdict"] for f in measured} == {"breach", "kept"}


def test_a_version_ends_where_it_says_and_the_built_in_one_is_back():
    """`in_force_to` is exclusive."""
    for day, verdict in (("2016-05-31", "breach"), ("2016-06-01", "kept")):
        received = subscriber().at(day).complaint().answered(at="2016-06-13")
        history = ten_days(received, until="2016-06-01", at="2015-12-01")
        assert history.verdicts("complaint-answer") == verdict


def test_of_two_versions_for_a_day_the_one_published_last_counts():
    """An operator may correct itself."""
    history = ten_days(complaint("2016-03-01"))
    history.published("complaint-answer", "3", "2016-01-01", {"days": 20}, at="2015-12-20")
    assert history.findings("complaint-answer")["kept"]["rule_version"] == "3"


def cut_off():
    """Return arrears with a suspension of 2014-06-10."""
    return in_arrears().suspended(at="2014-06-10")


def reminded_by_text():
    """Return a year's end with one attempt before it and a late delivery after it."""
    return subscriber().lawfully_sold().tried("pre_expiry", at="2014-02-15").told("post_expiry", "2014-04-20")


MEASURED = {
    "suspension-window": ({"fixed_line_days": 45}, cut_off(), "breach"),
    "termination-window": ({"days": 90}, cut_off().terminated(at="2014-08-20"), "breach"),
    "restore-within": ({"hours": 1}, cut_off().paid(at="2014-06-20").resumed(at="2014-06-21"), "breach"),
    "late-fee": ({"rate_ppm": 500}, in_arrears().at("2014-06-01").fee(), "breach"),
    "blacklist-basis": (
        {"purposes": ["termination"]},
        in_arrears().told("termination", "2014-05-20").listed(at="2014-06-20"),
        "kept",
    ),
    "blacklist-removal": (
        {"working_days": 20},
        cut_off().listed(at="2014-06-20").paid(at="2014-07-02").unlisted(at="2014-07-25"),
        "kept",
    ),
    "registration-audit": (
        {"months": 24},
        subscriber().at("2014-03-01").verified(dealer="D").audited(at="2015-06-01"),
        "kept",
    ),
    "clear-explanation": (
        {"staff": 2},
        subscriber().at("2014-03-01").complaint().contacted("S1").contacted("S2"),
        "breach",
    ),
    "expiry-notice": ({"channels": ["sms"], "after_days": 60}, reminded_by_text(), "kept"),
}


@pytest.mark.parametrize("rule_id", MEASURED)
def test_each_rule_measures_with_the_parameters_of_the_version(rule_id):
    """What the version leaves out is the built-in rule's."""
    parameters, history, verdict = MEASURED[rule_id]
    built_in = history.verdicts(rule_id)
    history.published(rule_id, "2", "2014-01-01", parameters, at="2013-01-01")
    assert history.verdicts(rule_id) == verdict != built_in


def test_parameters_given_in_part_leave_the_others_as_they_were():
    """A version that changes the days before the end keeps the channels and the days after it."""
    book = rulebook_of(
        History()
        .published("expiry-notice", "2", "2013-01-01", {"before_days": 10}, at="2012-01-01")
        .recorded()["rulebook/heilongjiang"]
    )
    day = date(2014, 1, 1)
    assert [book.parameter("expiry-notice", day, n) for n in ("before_days", "after_days")] == [10, 30]
    assert book.parameter("expiry-notice", date(2012, 12, 31), "before_days") == 30


@pytest.mark.parametrize(
    "parameters",
    [
        {"days": "ten"},
        {"days": -1},
        {"days": 10_001},
        {"days": 10**12},
        {"days": True},
        {"days": [10]},
        {"dayz": 10},
    ],
)
def test_parameters_a_rule_cannot_measure_with_do_not_count_and_are_shown(parameters):
    """The built-in fifteen days stay, and the citation names what was not usable."""
    history = complaint("2016-03-01").published(
        "complaint-answer", "2", "2016-01-01", parameters, at="2015-12-01"
    )
    found = history.findings("complaint-answer")["kept"]
    assert found["rule_version"] == "2"
    assert f"[not usable: {next(iter(parameters))}]" in found["citation"]


@pytest.mark.parametrize(
    ("rule_id", "name", "given", "used"),
    [
        ("complaint-answer", "days", 0, 0),
        ("complaint-answer", "days", 10_000, 10_000),
        ("complaint-answer", "days", 10_001, 15),
        ("expiry-notice", "channels", ["sms"], ["sms"]),
        ("expiry-notice", "channels", "sms", ["web_push", "sms", "call", "visit"]),
        ("expiry-notice", "channels", [1], ["web_push", "sms", "call", "visit"]),
    ],
)
def test_a_parameter_counts_where_it_has_the_form_of_the_built_in_one(rule_id, name, given, used):
    """A number of a size that days can have, or a list of words."""
    history = History().published(rule_id, "2", "2013-01-01", {name: given}, at="2012-01-01")
    book = rulebook_of(history.recorded()["rulebook/heilongjiang"])
    assert book.parameter(rule_id, date(2014, 1, 1), name) == used


def test_a_rule_that_the_product_does_not_have_does_no_harm():
    """It is part of the rulebook's version, and nothing is measured by it."""
    history = complaint("2016-03-01")
    before = history.answer("case/C")
    after = history.published("no-such-rule", "1", "2010-01-01", {"days": 1}, at="2010-01-01").answer(
        "case/C"
    )
    assert after["findings"] == before["findings"]
    assert after["rulebook_version"] != before["rulebook_version"]


# -- the rulebook's own version -----------------------------------------------------------------------------


def test_the_rulebooks_version_tells_what_was_published_and_nothing_else():
    """The same for the same versions of rules, and another for others."""
    plain = complaint("2016-03-01").answer("case/C")["rulebook_version"]
    once = ten_days(complaint("2016-03-01")).answer("case/C")["rulebook_version"]
    again = ten_days(complaint("2015-02-01")).answer("case/C")["rulebook_version"]
    other = ten_days(complaint("2016-03-01"), "2017-01-01").answer("case/C")["rulebook_version"]
    assert plain == "built-in 1"
    assert once == again
    assert len({plain, once, other}) == 3


def test_a_version_counts_from_when_it_was_known():
    """A question as of before has the rulebook of before."""
    history = ten_days(complaint("2016-03-01"), at="2016-02-01", known="2016-03-20")
    assert history.answer("case/C", "2016-03-19")["rulebook_version"] == "built-in 1"
    assert history.answer("case/C", "2016-03-20")["rulebook_version"] != "built-in 1"
