"""No event type is silently fine: each is looked at by a rule, or passed over on purpose."""

import ast
from pathlib import Path

import orjson
import pytest

from domain import rules
from domain.events import REGISTRY, parse_event
from domain.events import account as av
from domain.events import case as cv
from domain.rules.coverage import IGNORED, LOOKED_AT, looked_at
from domain.rules.table import RULE_IDS
from tests.histories import History, in_arrears, subscriber
from tests.test_replay import WANTED, history_of

SOURCES = [p for p in Path(rules.__file__).parent.glob("*.py") if p.name != "coverage.py"]
EXAMPLES = {
    raw["type"]: raw["data"]
    for raw in map(
        orjson.loads, (Path(__file__).parent / "golden" / "arrived.jsonl").read_bytes().splitlines()
    )
}
BY_NAME = {"ids": lambda kind: kind.__name__}


def of(events):
    """Return a history of events that are there already."""
    history = History()
    history.events = list(events)
    return history


def without(history, kind):
    """Return a history without its events of a type."""
    return of(e for e in history.events if not isinstance(e.data, kind))


def case(name):
    """Return a shared dispute."""
    return of(r.event for r in history_of(name))


def corpus():
    """Return histories in which every event type that a rule looks at decides something."""
    disputed = in_arrears().hold("late_fee", at="2014-05-02").let_go(at="2014-05-05").fee(at="2014-05-11")
    bounced = in_arrears().paid(at="2014-04-20").bounced(at="2014-07-01").suspended(at="2014-06-10")
    allocated = in_arrears().charge("m2", due="2014-05-31").paid(at="2014-05-01").fee()
    allocated.add(av.PaymentAllocated(payment_id="py", charge_id="m2", amount_fen=10_000))
    refunded = in_arrears().paid(at="2014-05-01").suspended(at="2014-06-10")
    refunded.add(av.RefundPaid(amount_fen=10_000, method="cash"), at="2014-05-20")
    forgiven = in_arrears().suspended(at="2014-06-10").listed(at="2014-06-20")
    forgiven.add(av.CreditGranted(credit_id="c", amount_fen=10_000, reason="goodwill"), at="2014-05-20")
    numbers = subscriber("mobile").at("2017-01-01")
    for n in range(1, 10):
        numbers.number(f"N{n}", f"R{n}")
        numbers.ported_in(f"I{n}")
    lost = in_arrears("mobile").at("2017-01-01").number("N1", "R1").number("N2", "R2").number("N3", "R3")
    lost.add(av.NumberPortedOut(number_id="N1", other_operator="o"), at="2017-01-02").released(
        "N2", at="2017-01-02"
    )
    lost.add(av.NumberDisowned(number_id="N3", effective_from="2017-01-02"), at="2017-01-02")
    lost.number("N4", "R4", at="2017-01-03")
    dealer = subscriber("mobile").verified(dealer="D").number(dealer="D").audited().dealer()
    dealer.misused("R1", dealer="D", at="2014-12-01").blocked(at="2014-01-01").reinstated(at="2014-02-01")
    dealer.penalty("dealer", "D", at="2014-12-02")
    investigated = History().at("2015-02-01").contacted().handled()
    investigated.add(cv.InvestigationOpened(party_id="P", account_ids=["A"], reason="press"))
    spoken = subscriber().at("2015-02-01").complaint().contacted("S1").contacted("S2", clearly=False)
    spoken.add(cv.CaseAssigned(owner_id="S1", unit="u")).contacted("S3", at="2015-02-03").answered(
        at="2015-02-02"
    )
    closed = subscriber().at("2015-02-01").complaint().contacted("S1").contacted("S2")
    closed.add(cv.CaseClosed(outcome="settled"), at="2015-02-02").contacted("S3", at="2015-02-03")
    promised = subscriber().at("2015-02-01").complaint().promised().handled().missed(at="2015-02-11")
    promised.granted("CM", at="2015-02-12").promised(commitment_id="CM2").met("CM2", at="2015-02-05")
    year = (
        subscriber().lawfully_sold("renew_annual", "2023-08-10", "2024-08-10").told("renewal", "2024-08-01")
    )
    year.at("2024-08-10").renewed("2024-08-10", "2025-08-10").plan_changed("2024-08-10")
    year.charge("m1", start="2024-08-10", end="2024-09-10", basis="PackageRenewed:PK@2024-08-10")
    converted = subscriber().at("2013-03-01").sold_annual().sold_monthly().converted(at="2014-03-01")
    converted.at("2014-04-01").charge(basis="PackageConverted:PK").reversed("m1", 5_000, at="2014-05-01")
    moved = subscriber().party("Q", contact="CQ").on("A").transferred("Q", at="2014-03-01").abandoned("CQ")
    moved.told("arrears", "2014-04-01").told("arrears", "2014-05-01", contact="CQ")
    ended = in_arrears().suspended(at="2014-06-10").resumed(at="2014-06-11").terminated(at="2014-12-01")
    ended.cancelled("2014-12-01").written_off(at="2014-06-01").listed(at="2014-06-20").unlisted(
        at="2014-06-21"
    )
    ended.refused(at="2014-06-25").published("suspension-window", "2", "2010-01-01", at="2010-01-01")
    joined = in_arrears().abandoned(at="2014-04-01").party("Q", contact="CQ").merged("P", into="Q").on("A")
    joined.told("arrears", "2014-05-20", contact="CQ")
    migrated = subscriber().add(
        av.AccountMigrated(legacy_system="old", legacy_id="1", opened_on="2003-01-01")
    )
    migrated.charge().terminated(at="2014-12-01")
    own = (
        migrated, disputed, bounced, allocated, refunded, forgiven, numbers, lost, dealer, investigated, spoken, closed,
        promised, year, converted, moved, ended, joined,
    )  # fmt: skip
    return [*own, *map(case, WANTED)]


def found_in(history):
    """Return everything that is found on every subject of a history."""
    subjects = sorted(
        {e.subject for e in history.events if not e.subject.startswith("rulebook/")} | {"party/P"}
    )
    return {s: history.answer(s)["findings"] for s in subjects}


@pytest.fixture(scope="module")
def known():
    """Return the corpus with what is found in it."""
    return [(history, found_in(history)) for history in corpus()]


def named_in_the_rules():
    """Return the event types that the rules' own code names."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(node, "attr", getattr(node, "id", None))
            if name in REGISTRY:
                found.add(name)
    return found


def test_every_event_type_is_looked_at_or_passed_over_on_purpose():
    """A type that a later vocabulary brings has to be thought of here."""
    assert {t.__name__ for t in looked_at()} | {t.__name__ for t in IGNORED} == set(REGISTRY)
    assert not looked_at() & IGNORED.keys()


def test_every_rule_says_what_it_looks_at():
    """The table of what is looked at has the rules of the table of rules, no more and no fewer."""
    assert set(LOOKED_AT) == set(RULE_IDS)
    assert all(LOOKED_AT.values())


def test_what_the_rules_code_names_is_what_they_are_said_to_look_at():
    """But for the two that are read through a case's state."""
    through_a_state = {"InvestigationOpened", "CaseAssigned"}
    assert named_in_the_rules() == {t.__name__ for t in looked_at()} - through_a_state


@pytest.mark.parametrize("kind", sorted(looked_at(), key=lambda t: t.__name__), **BY_NAME)
def test_what_is_looked_at_can_change_a_finding(known, kind):
    """Given histories without their events of a type, then somewhere something else is found."""
    touched = [(h, found) for h, found in known if any(isinstance(e.data, kind) for e in h.events)]
    assert any({s: found_in(without(h, kind)).get(s) for s in found} != found for h, found in touched)


@pytest.mark.parametrize("kind", IGNORED, **BY_NAME)
def test_what_is_passed_over_changes_no_finding(known, kind):
    """Given histories without their events of a type, or with one more, then everything found is the same."""
    assert IGNORED[kind]
    for history, found in known:
        fewer = found_in(without(history, kind))
        assert {s: fewer.get(s, f) for s, f in found.items()} == found
        assert found_in(with_one_more(history, kind)) == found


def with_one_more(history, kind):
    """Return a history with an example of an event type in the first stream that it may stand in."""
    raw = {
        "specversion": "1.0", "id": "one more", "source": "urn:recount:test", "type": kind.__name__,
        "time": "2014-05-15T10:00:00+08:00", "recordedtime": "2014-05-15T10:00:00+08:00",
        "actor": "system/test", "channel": "system", "region": "heilongjiang.harbin", "dataversion": 1,
        "data": EXAMPLES[kind.__name__],
    }  # fmt: skip
    subjects = [e.subject for e in history.events if e.subject.startswith(f"{kind.STREAM}/")]
    return of([*history.events, parse_event({**raw, "subject": subjects[0]})] if subjects else history.events)
