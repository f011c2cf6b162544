"""Every rule of the table comes to every verdict: for each of them a history that shows it."""

import pytest

from domain.rules.finding import VERDICTS
from domain.rules.table import RULE_IDS
from tests.histories import LATER, History, in_arrears, subscriber


def year(option="suspend", **more):
    """Return a year of broadband, lawfully sold, to end on 2014-03-01."""
    return subscriber(**more).lawfully_sold(option)


def nobody_says(account_history):
    """Return the same history without the contract: when it began, and as what, is not on record."""
    account_history.events = [e for e in account_history.events if e.type != "AccountOpened"]
    return account_history


def reminded(history):
    return history.told("pre_expiry", "2014-02-10").told("post_expiry", "2014-03-05")


def on_notice():
    return in_arrears().told("arrears", "2014-05-20")


def numbers(count, day="2016-05-01"):
    history = subscriber("mobile").at(day)
    for n in range(1, count + 1):
        history.number(f"N{n}", f"R{n}")
    return history


def misuse():
    history = subscriber("mobile").dealer("M").at("2014-12-01")
    return history.verified(dealer="D").misused("R1", dealer="D")


def complaint(on="2015-02-01"):
    return subscriber().at(on).complaint()


def suspended():
    return in_arrears().suspended(at="2014-06-10")


def renewed():
    return subscriber().lawfully_sold("renew_annual", "2023-08-10", "2024-08-10").at("2024-08-01")


NOTHING = subscriber()

WITNESSES = {
    "expiry-choice": {
        "breach": subscriber().sold_annual(),
        "undetermined": nobody_says(year()),
        "kept": year(),
        "not_applicable": subscriber("mobile").sold_annual(),
    },
    "expiry-notice": {
        "breach": year(),
        "undetermined": (year(), "2014-02-28"),
        "kept": reminded(year()),
        "not_applicable": subscriber("mobile").sold_annual(),
    },
    "charge-basis": {
        "breach": year().charge(at="2014-04-01"),
        "undetermined": subscriber().sold_annual(end=None).converted().charge(basis="PackageConverted:PK"),
        "kept": year("convert_to_monthly").charge(at="2014-04-01"),
        "not_applicable": in_arrears(),
    },
    "late-fee": {
        "breach": in_arrears().paid(at="2014-04-20").fee(at="2014-05-11"),
        "undetermined": nobody_says(in_arrears().fee(at="2014-05-11")),
        "kept": in_arrears().fee(at="2014-05-11"),
        "not_applicable": in_arrears(),
    },
    "suspension-window": {
        "breach": in_arrears().suspended(at="2014-05-20"),
        "undetermined": nobody_says(suspended()),
        "kept": suspended(),
        "not_applicable": in_arrears().suspended("fraud", at="2014-05-20"),
    },
    "termination-window": {
        "breach": suspended().terminated(at="2014-06-20"),
        "undetermined": nobody_says(in_arrears().terminated(at="2014-12-01")),
        "kept": suspended().terminated(at="2014-12-01"),
        "not_applicable": suspended().terminated("customer_request", at="2014-06-20"),
    },
    "restore-within": {
        "breach": suspended().paid(at="2014-06-20"),
        "undetermined": (suspended().paid(at="2014-06-20"), "2014-06-21"),
        "kept": suspended().paid(at="2014-06-20").resumed(at="2014-06-21"),
        "not_applicable": suspended(),
    },
    "real-name": {
        "breach": subscriber("mobile").number(),
        "undetermined": subscriber("mobile").ported_in(),
        "kept": subscriber("mobile").verified().number(),
        "not_applicable": NOTHING,
    },
    "cancellation": {
        "breach": subscriber().cancelled("2014-06-15", at="2014-06-01"),
        "undetermined": (subscriber().cancelled("2014-06-15", at="2014-06-01"), "2014-06-10"),
        "kept": subscriber()
        .cancelled("2014-06-15", at="2014-06-01")
        .terminated("customer_request", at="2014-06-15"),
        "not_applicable": NOTHING,
    },
    "dispute-hold": {
        "breach": in_arrears().hold("suspension", at="2014-05-05").suspended(at="2014-06-10"),
        "undetermined": suspended().let_go(at="2014-07-01"),
        "kept": in_arrears().hold("late_fee", at="2014-05-05").suspended(at="2014-06-10"),
        "not_applicable": suspended(),
    },
    "notice-reach": {
        "breach": on_notice().contact("CX").abandoned("CX").told("arrears", "2014-05-21", contact="CX"),
        "undetermined": subscriber().told("arrears", "2014-05-20", contact=None),
        "kept": on_notice(),
        "not_applicable": in_arrears().tried("arrears", at="2014-05-20"),
    },
    "renewal-notice": {
        "breach": renewed().renewed("2024-08-10", "2025-08-10"),
        "undetermined": (renewed().renewed("2024-08-10", "2025-08-10"), "2024-08-02"),
        "kept": renewed().told("renewal", "2024-08-01").renewed("2024-08-10", "2025-08-10"),
        "not_applicable": year("renew_annual").renewed(),
    },
    "blacklist-basis": {
        "breach": in_arrears().listed(at="2014-06-20"),
        "undetermined": in_arrears().told("arrears", "2014-05-20", contact=None).listed(at="2014-06-20"),
        "kept": on_notice().listed(at="2014-06-20"),
        "not_applicable": on_notice(),
    },
    "blacklist-removal": {
        "breach": on_notice().listed(at="2014-06-20").paid(at="2014-07-01"),
        "undetermined": (on_notice().listed(at="2014-06-20").paid(at="2014-07-01"), "2014-07-02"),
        "kept": on_notice().listed(at="2014-06-20").paid(at="2014-07-01").unlisted(at="2014-07-02"),
        "not_applicable": on_notice(),
    },
    "refusal-basis": {
        "breach": in_arrears().listed(at="2014-06-20").refused(at="2014-06-25"),
        "undetermined": subscriber().refused(None, at="2014-06-25"),
        "kept": on_notice().listed(at="2014-06-20").refused(at="2014-06-25"),
        "not_applicable": subscriber().refused(None, "no line in the street"),
    },
    "registration-audit": {
        "breach": subscriber().verified(dealer="D", at="2014-03-01"),
        "undetermined": (subscriber().verified(dealer="D", at="2014-03-01"), "2015-03-01"),
        "kept": subscriber().verified(dealer="D", at="2014-03-01").audited(at="2014-12-01"),
        "not_applicable": subscriber().verified(),
    },
    "number-limit": {
        "breach": numbers(6, "2016-06-01"),
        "undetermined": numbers(5, "2016-06-01").released("OLD", at="2017-01-01"),
        "kept": numbers(5, "2016-06-01"),
        "not_applicable": numbers(6, "2014-01-01"),
    },
    "dealer-block": {
        "breach": misuse(),
        "undetermined": (misuse(), "2014-12-05"),
        "kept": misuse().blocked().penalty("dealer", "D").penalty("manager", "M"),
        "not_applicable": subscriber().dealer(),
    },
    "complaint-answer": {
        "breach": complaint(),
        "undetermined": (complaint(), "2015-02-05"),
        "kept": complaint().answered(at="2015-02-05"),
        "not_applicable": History().party(),
    },
    "commitment-first": {
        "breach": complaint().handled(),
        "undetermined": (complaint().promised(), "2015-02-05"),
        "kept": complaint().promised().handled().met(at="2015-02-05"),
        "not_applicable": complaint("2014-12-01").handled(),
    },
    "clear-explanation": {
        "breach": complaint().contacted("S1").contacted("S2").contacted("S3"),
        "undetermined": complaint().contacted("S1").contacted("S2"),
        "kept": complaint().contacted("S1"),
        "not_applicable": complaint(),
    },
}


def test_no_rule_and_no_verdict_is_left_out():
    """Twenty-one rules with four verdicts each: none is impossible by its nature."""
    assert {(r, v) for r, shown in WITNESSES.items() for v in shown} == {
        (r, v) for r in RULE_IDS for v in VERDICTS
    }


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("rule_id", RULE_IDS)
def test_a_rule_comes_to_each_verdict(rule_id, verdict):
    """Given a history that shows it, then that verdict is the rule's only one, or one of several conducts'."""
    witness = WITNESSES[rule_id][verdict]
    history, known_at = witness if isinstance(witness, tuple) else (witness, LATER)
    found = history.findings(rule_id, known_at)
    assert found.keys() - {"kept"} == {verdict} - {"kept"}, found
    assert verdict in found
    assert found[verdict]["observed"]
    if verdict in ("breach", "undetermined"):
        assert found[verdict]["evidence_event_ids"]
