"""Findings on identity: real names, audits of registrations, numbers of one person, dealers held to account."""

from datetime import date

import pytest

from domain.rules.identity import months_after
from tests.histories import History, subscriber

# -- real-name ----------------------------------------------------------------------------------------------


def phone():
    """Return a party with a mobile account."""
    return subscriber("mobile").at("2014-03-01")


@pytest.mark.parametrize("method", ["in_person", "proxy"])
def test_a_number_on_a_passed_verification_keeps_the_rule(method):
    """In person or by a proxy, on record before the activation."""
    found = phone().verified(method=method).number().findings("real-name")
    assert found.keys() == {"kept"}
    assert found["kept"]["evidence_event_ids"] == ["NumberActivated:N1", "IdentityVerified:R1"]


@pytest.mark.parametrize(
    ("history", "absent"),
    [
        (phone(), ["IdentityVerified"]),
        (phone().verified("R2"), ["IdentityVerified"]),
        (phone().verified(at="2014-03-01T10:00:01"), ["IdentityVerified"]),
        (phone().verified(at="2014-02-01", known="2014-03-01T10:00:01"), ["IdentityVerified"]),
        (phone().verified(method="online"), []),
        (phone().verified(method="none", result="not_performed"), []),
        (phone().verified(result="failed"), []),
        (phone().verified().misused("R1", at="2014-12-01"), []),
        (phone().verified().misused(numbers=["N1"], at="2014-12-01"), []),
    ],
    ids=[
        "none",
        "another-registration",
        "a-second-late",
        "recorded-late",
        "online",
        "not-performed",
        "failed",
        "misused",
        "number-misused",
    ],
)
def test_a_number_without_one_is_a_breach(history, absent):
    """What is absent is the verification, where there was none."""
    found = history.number(at="2014-03-01").findings("real-name")
    assert found.keys() == {"breach"}
    assert found["breach"]["absent_event_types"] == absent


def test_the_misuse_counts_from_when_it_was_known():
    """Asked before it was confirmed, the number rests on its verification."""
    history = phone().verified().number().misused("R1", at="2014-12-01")
    assert history.verdicts("real-name", "2014-11-30") == "kept"
    assert history.verdicts("real-name", "2014-12-01") == "breach"


def test_all_of_the_accounts_charges_and_fees_that_stand_hang_on_it_once():
    """However many numbers it has."""
    history = phone().number("N1", "R1").number("N2", "R2").charge().fee()
    found = history.reversed("m1", 4_000, at="2014-07-01").findings("real-name")
    assert found["breach"]["amount_fen"] == 6_000 + 300


@pytest.mark.parametrize(
    ("day", "version", "cited"),
    [("2013-08-31", "1", "own rule"), ("2013-09-01", "2013", "Order 25")],
)
def test_order_25_measures_what_went_live_from_september_2013(day, version, cited):
    """Before it the operator's own rule did."""
    found = subscriber("mobile").number(at=day).findings("real-name")["breach"]
    assert found["rule_version"] == version
    assert cited in found["citation"]


def test_an_account_without_a_number_has_nothing_to_verify():
    """A broadband line."""
    assert subscriber().lawfully_sold().verdicts("real-name") == "not_applicable"


def test_a_number_that_was_ported_in_without_a_registration_is_undetermined():
    """The history does not say on which registration it rests, until an activation does."""
    found = phone().ported_in().findings("real-name")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["NumberActivated"]
    assert phone().verified().ported_in().number().verdicts("real-name") == "kept"


def test_a_number_is_measured_by_who_held_the_account_when_it_went_live():
    """The buyer of a contract answers for no registration of the seller's."""
    history = phone().verified().number().party("Q", contact="CQ").on("A").transferred("Q", at="2014-06-01")
    assert history.verdicts("real-name") == "kept"


# -- registration-audit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2014-01-31", 1, "2014-02-28"),
        ("2016-02-29", 12, "2017-02-28"),
        ("2015-02-28", 12, "2016-02-28"),
        ("2014-12-31", 2, "2015-02-28"),
        ("2014-11-30", 1, "2014-12-30"),
    ],
)
def test_months_end_on_the_same_day_or_the_last_of_a_shorter_month(day, months, expected):
    """29 February too."""
    assert months_after(date.fromisoformat(day), months) == date.fromisoformat(expected)


def by_dealer(day="2014-03-01"):
    """Return a registration made by the dealer D."""
    return subscriber("mobile").at(day).verified(dealer="D").number(dealer="D")


@pytest.mark.parametrize(
    ("registered", "audited", "verdict"),
    [
        ("2014-03-01", "2015-03-01", "kept"),
        ("2014-03-01", "2015-03-02", "breach"),
        ("2016-02-29", "2017-02-28", "kept"),
        ("2016-02-29", "2017-03-01", "breach"),
        ("2014-03-01", None, "breach"),
    ],
)
def test_a_dealers_registration_is_audited_within_twelve_months(registered, audited, verdict):
    """Exactly twelve months later will do."""
    history = by_dealer(registered)
    if audited:
        history.audited(at=audited)
    found = history.findings("registration-audit")
    assert found.keys() == {verdict}
    assert found[verdict]["absent_event_types"] == ([] if audited else ["RegistrationAudited"])


def test_until_then_it_is_undetermined_whether_it_will_be_audited():
    """The last day still counts."""
    assert by_dealer().verdicts("registration-audit", "2015-03-01") == "undetermined"
    assert by_dealer().verdicts("registration-audit", "2015-03-02") == "breach"


@pytest.mark.parametrize(
    "history",
    [subscriber("mobile").verified().number(), subscriber()],
    ids=["by-staff", "nothing-registered"],
)
def test_registrations_by_staff_have_no_such_audit(history):
    """The rule is on dealers."""
    assert history.verdicts("registration-audit") == "not_applicable"


def test_a_dealer_named_only_at_the_activation_made_the_registration_too():
    """The verification is absent, the audit as well."""
    history = subscriber("mobile").at("2014-03-01").number(dealer="D")
    assert history.verdicts("registration-audit") == "breach"


def test_verifying_once_more_does_not_put_the_audit_off():
    """The twelve months run from the registration."""
    history = by_dealer().verified(dealer="D", at="2015-01-10").audited(at="2015-06-01")
    assert history.verdicts("registration-audit") == "breach"


def test_the_audit_of_a_registration_is_asked_of_whose_it_was():
    """A contract that was bought brings no registration of the seller's with it."""
    history = by_dealer().party("Q", contact="CQ").on("A").transferred("Q", at="2014-06-01")
    assert history.verdicts("registration-audit", subject="party/P") == "breach"
    assert history.verdicts("registration-audit", subject="party/Q") == "not_applicable"


# -- number-limit -------------------------------------------------------------------------------------------


def numbers(count, day="2016-05-01"):
    """Return a party with so many numbers."""
    history = subscriber("mobile").at(day)
    for n in range(1, count + 1):
        history.number(f"N{n}", f"R{n}")
    return history


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (numbers(6, "2016-05-31"), "not_applicable"),
        (numbers(5, "2016-06-01"), "kept"),
        (numbers(6, "2016-06-01"), "breach kept"),
        (numbers(5).number("N6", "R6", at="2016-06-01"), "breach"),
        (numbers(4).number("N6", "R6", at="2016-06-01"), "kept not_applicable"),
        (numbers(5).released("N1", at="2016-05-20").number("N6", "R6", at="2016-06-01"), "kept"),
        (numbers(4).ported_in("N5").number("N6", "R6", at="2017-01-01"), "breach"),
        (numbers(5).ported_in("N6", at="2017-01-01"), "not_applicable"),
        (numbers(5).terminated(at="2016-05-20").number("N6", "R6", at="2016-06-01"), "kept"),
        (subscriber(), "not_applicable"),
    ],
    ids=[
        "six-the-day-before",
        "five",
        "six",
        "the-sixth-after",
        "the-fifth-after",
        "one-was-released",
        "one-was-ported-in",
        "the-sixth-is-ported-in",
        "the-account-ended",
        "none",
    ],
)
def test_only_activations_since_june_2016_can_break_the_limit_of_five(history, verdict):
    """Numbers held count whenever they were opened."""
    found = history.findings("number-limit")
    assert verdict in (" ".join(found), " ".join(v for v in found if v != "not_applicable"))


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (numbers(4).number("N5", "R5", at="2016-06-01").released("OLD", at="2016-07-01"), "undetermined"),
        (numbers(3).number("N4", "R4", at="2016-06-01").released("OLD", at="2016-07-01"), "kept"),
        (numbers(5).number("N6", "R6", at="2016-06-01").released("OLD", at="2016-07-01"), "breach"),
        (numbers(4).released("OLD", at="2016-05-20").number("N5", "R5", at="2016-06-01"), "kept"),
        (numbers(4).number("N5", "R5", at="2016-06-01").released("N5", at="2016-07-01"), "kept"),
    ],
    ids=["it-decides", "one-fewer", "one-more", "gone-before", "on-record"],
)
def test_where_a_number_of_which_only_the_end_is_on_record_decides_it_is_undetermined(history, verdict):
    """It was held until then: since when, nobody knows."""
    found = {v: f for v, f in history.findings("number-limit").items() if v != "not_applicable"}
    assert found.keys() == {verdict}
    if verdict == "undetermined":
        assert found[verdict]["absent_event_types"] == ["NumberActivated"]
        assert found[verdict]["evidence_event_ids"] == ["NumberActivated:N5", "NumberReleased:OLD"]


def test_a_number_is_not_held_before_its_account_was_opened():
    """What ended on an account that came later was not there yet."""
    history = numbers(4).number("N5", "R5", at="2016-06-01").at("2016-06-15").account("A2", "mobile")
    assert history.released("OLD", at="2016-07-01").verdicts("number-limit") == "kept not_applicable"


def test_a_number_that_came_with_a_transferred_account_counts_for_the_buyer_only():
    """Five of the seller's own are one fewer after it, and the buyer may open four more."""
    history = numbers(5).party("Q", contact="CQ").on("A").transferred("Q", at="2016-07-01")
    history.account("A2", "mobile", party_id="Q").at("2016-08-01").on("A2").number("Q1", "RQ")
    history.account("A3", "mobile", party_id="P").at("2016-08-01").on("A3").number("P1", "RP")
    assert "made 6 numbers" in history.findings("number-limit", subject="party/Q")["breach"]["observed"]
    assert "made 1 numbers" in history.findings("number-limit", subject="party/P")["kept"]["observed"]


def test_numbers_that_went_live_at_one_moment_are_counted_in_one_order_whatever_the_import():
    """Two accounts, one moment: the same one is the sixth."""
    history = numbers(4)
    for account in ("A2", "A3"):
        history.account(account, "mobile").number(f"{account}-N", f"{account}-R", at="2016-07-01")
    wanted = history.findings("number-limit")
    for seed in range(5):
        again = history.answer("party/P", shuffle=seed)["findings"]
        assert {f["verdict"]: f for f in again if f["rule_id"] == "number-limit"} == wanted


# -- dealer-block -------------------------------------------------------------------------------------------


def misuse(dealer="D"):
    """Return a misuse confirmed on 2014-12-01 of a registration that D made, who answers to M."""
    return by_dealer().dealer("M", at="2012-03-01").misused("R1", dealer=dealer, at="2014-12-01")


def answered(history, blocked="2014-12-05", dealer="2014-12-05", manager="2014-12-05"):
    """Block the dealer and penalise both."""
    if blocked:
        history.blocked(at=blocked)
    if dealer:
        history.penalty("dealer", "D", at=dealer)
    return history.penalty("manager", "M", at=manager) if manager else history


@pytest.mark.parametrize(
    ("days", "verdict", "absent"),
    [
        ({}, "kept", []),
        ({"blocked": "2014-12-11", "dealer": "2014-12-11", "manager": "2014-12-11"}, "kept", []),
        ({"blocked": "2014-12-12"}, "breach", ["DealerBlocked"]),
        ({"dealer": "2014-12-12"}, "breach", ["PenaltyImposed"]),
        ({"manager": "2014-12-12"}, "breach", ["PenaltyImposed"]),
        ({"manager": "2014-11-30"}, "breach", ["PenaltyImposed"]),
        ({"blocked": None, "manager": None}, "breach", ["DealerBlocked", "PenaltyImposed"]),
    ],
    ids=[
        "all",
        "day-10",
        "block-day-11",
        "penalty-day-11",
        "manager-day-11",
        "manager-before",
        "two-missing",
    ],
)
def test_dealer_and_manager_answer_for_a_misuse_within_ten_days(days, verdict, absent):
    """Both, or it is a breach that names what is missing."""
    found = answered(misuse(), **days).findings("dealer-block")
    assert found.keys() == {verdict}
    assert found[verdict]["absent_event_types"] == absent


def test_a_penalty_on_another_manager_is_none():
    """It falls on the one named when the dealer was authorised."""
    history = answered(misuse(), manager=None).penalty("manager", "OTHER", at="2014-12-05")
    assert "a penalty on its manager M" in history.findings("dealer-block")["breach"]["observed"]


@pytest.mark.parametrize(
    ("authorised", "verdict"),
    [("2014-11-30", "breach"), ("2014-12-01T10:00", "breach"), ("2014-12-02", "kept")],
)
def test_the_manager_is_the_one_named_last_before_the_misuse_was_confirmed(authorised, verdict):
    """Who took the dealer over afterwards does not answer for it; M was penalised."""
    history = by_dealer().dealer("M", at="2012-03-01").misused("R1", dealer="D", at="2014-12-01")
    history.dealer("M2", at=authorised)
    assert answered(history).verdicts("dealer-block") == verdict


def test_what_is_done_on_the_day_itself_is_in_time_and_a_later_reprieve_takes_nothing_back():
    """Blocked and penalised at once, reinstated after the appeal."""
    at_once = dict.fromkeys(("blocked", "dealer", "manager"), "2014-12-01T12:00")
    history = answered(misuse(), **at_once).reinstated(at="2014-12-08")
    assert history.verdicts("dealer-block") == "kept"


def test_only_the_dealer_of_the_misused_registration_answers_for_it():
    """D registered another one for the party, which nobody misused."""
    history = by_dealer().verified("R2").misused("R2", dealer=None, at="2014-12-01").dealer()
    assert history.verdicts("dealer-block") == "not_applicable"


def test_until_the_tenth_day_it_is_undetermined():
    """The tenth itself still counts."""
    assert misuse().verdicts("dealer-block", "2014-12-11") == "undetermined"
    assert misuse().verdicts("dealer-block", "2014-12-12") == "breach"


@pytest.mark.parametrize(
    ("lifted", "verdict"), [(None, "kept"), ("2014-11-01", "breach")], ids=["standing", "lifted-before"]
)
def test_an_older_block_will_do_where_it_still_stood(lifted, verdict):
    """Blocked in 2013 for something else."""
    history = answered(misuse(), blocked="2013-01-01")
    if lifted:
        history.reinstated(at=lifted)
    assert history.verdicts("dealer-block") == verdict


def test_the_dealer_is_found_by_the_registration_where_the_misuse_names_none():
    """Who made it answers for it."""
    assert misuse(dealer=None).verdicts("dealer-block") == "breach"
    assert answered(misuse(dealer=None)).verdicts("dealer-block") == "kept"


def test_a_dealer_without_misuse_has_nothing_to_answer_for():
    """Nor has one for the misuse of another's registrations."""
    assert by_dealer().dealer().verdicts("dealer-block") == "not_applicable"
    assert misuse(dealer="OTHER").verdicts("dealer-block") == "not_applicable"


def test_where_no_manager_was_named_it_is_undetermined_who_else_should_answer():
    """The dealer was blocked and penalised; its authorisation is not in the log."""
    history = by_dealer().misused("R1", dealer="D", at="2014-12-01")
    found = answered(history, manager=None).findings("dealer-block")
    assert found.keys() == {"undetermined"}
    assert found["undetermined"]["absent_event_types"] == ["DealerAuthorised"]


def test_asked_for_the_party_the_findings_span_the_dealers_who_registered_for_it():
    """A dealer who stands nowhere else in the log too."""
    history = History().party().account("A", "mobile").verified(dealer="GHOST").number()
    found = history.misused("R1", dealer="GHOST", at="2014-12-01").answer("party/P")["findings"]
    (about,) = [f for f in found if f["rule_id"] == "dealer-block"]
    assert (about["subject"], about["verdict"]) == ("dealer/GHOST", "breach")
