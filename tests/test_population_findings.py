"""The law of made populations: the findings are exactly what is planted, at the event, and nothing else is found."""

import os
import random
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from api.inquiry import found
from api.population.breaches import KINDS, Round
from api.population.checking import Checked, check, check_life, compare, findings_of, lives_of, planted_in
from api.population.conditions import Conditions
from api.population.years import Years
from domain.counterfactual import counterfactual
from domain.events.envelope import kind_of
from domain.rules.table import RULE_IDS, Inquiry, findings
from tests.conftest import import_file
from tests.test_generate import ALL_RULES_FROM, THEIR_END, made

LAWFUL = Conditions(300, 3, seed=4)
ITS_END = datetime.fromisoformat("2014-12-31T23:59:59.999999+08:00")
BROKEN = Conditions(150, 4, seed=5, breaches=Fraction(1), first=ALL_RULES_FROM)


@pytest.fixture(scope="module")
def lawful(tmp_path_factory):
    """Return a population in which nothing is planted."""
    folder = tmp_path_factory.mktemp("populations") / "lawful"
    made(folder, LAWFUL.accounts, LAWFUL.years, seed=LAWFUL.seed)
    return folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Return a population in which every party has one breach, of every kind there is."""
    folder = tmp_path_factory.mktemp("populations") / "broken"
    made(
        folder, BROKEN.accounts, BROKEN.years, seed=BROKEN.seed, breaches=BROKEN.breaches, first=BROKEN.first,
        events_per_file=6_000,
    )  # fmt: skip
    return folder


def first_file(folder):
    """Return the lives of the first file."""
    return list(lives_of(folder / "events-0001.jsonl"))


def test_a_lawful_population_has_no_breach_and_nothing_left_open(lawful):
    """Every finding is kept or does not apply, and every rule that can be measured in these years was kept by some."""
    checked = check(lawful)
    assert checked.mistakes == []
    assert checked.subjects > LAWFUL.accounts
    assert {verdict for _, verdict in checked.verdicts} == {"kept", "not_applicable"}
    measured = {rule_id for rule_id, verdict in checked.verdicts if verdict == "kept"}
    later = {"commitment-first", "number-limit", "renewal-notice"}
    assert measured >= set(RULE_IDS) - later - {"refusal-basis", "dealer-block"}


def test_what_is_planted_is_found_and_nothing_else(broken):
    """Each kind of breach, on its subject, by its events, with what follows from it; in two processes."""
    checked = check(broken, processes=2)
    assert checked.mistakes == []
    assert checked.undetermined() == {}
    planted = list(planted_in(broken))
    assert checked.breaches == len(planted)
    assert {(b["rule_id"], b["kind"]) for b in planted} == {(k.rule_id, k.name) for k in KINDS}


def test_every_rule_has_its_breaches():
    """Twenty-one rules, each with its ways, told apart by name."""
    assert {k.rule_id for k in KINDS} == set(RULE_IDS)
    assert len({(k.rule_id, k.name) for k in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    ("first", "years", "missing"),
    [
        ("2012-01-01", 1, {"expiry-choice", "expiry-notice", "charge-basis", "registration-audit",
                           "number-limit", "renewal-notice", "commitment-first"}),
        ("2012-01-01", 3, {"number-limit", "renewal-notice", "commitment-first"}),
        ("2016-01-01", 3, {"renewal-notice"}),
        ("2022-01-01", 4, set()),
    ],
)  # fmt: skip
def test_only_what_these_years_know_is_planted(first, years, missing):
    """A rule that was not in force, or a deadline that would not pass: no breach of it goes round."""
    conditions = Conditions(1, years, first=datetime.fromisoformat(first).date())
    ways = Round(Years(conditions.first, years)).ways
    assert {kind.rule_id for kinds in ways for kind in kinds} == set(RULE_IDS) - missing


def test_a_lawful_life_is_lawful_at_any_moment(lawful):
    """Asked as known on some day of it, or years after its end: what is open is open, and nothing is a breach."""
    chance, checked = random.Random(1), Checked()
    for histories in first_file(lawful)[:120]:
        for days in (chance.randrange(1_000), chance.randrange(1_000), -1_000):
            known_at = (ITS_END - timedelta(days=days)).isoformat()
            check_life(histories, {"known_at": known_at}, {}, checked)
    assert checked.mistakes == []


def test_of_a_lawful_life_nothing_should_have_been_otherwise(lawful):
    """The calendar walked with the policies of a real day comes to the same: nothing to reverse, nothing to refund."""
    lives = first_file(lawful)
    for histories in lives[:60] + [h for h in lives if len(h) > 4][:10]:
        for subject in (s for s in histories if kind_of(s) == "party"):
            lawfully = counterfactual(
                subject, histories, known_at=ITS_END, position=10**9, region=histories[subject][0].event.region,
                until=ITS_END.date(), assume={},
            )  # fmt: skip
            assert (lawfully["to_reverse_fen"], lawfully["to_refund_fen"]) == (0, 0)
            assert (lawfully["differences"], lawfully["undetermined"]) == ([], [])


def test_each_subject_asked_alone_gives_what_the_party_gives(broken):
    """The check asks for parties, whose findings span the rest: no account, case or dealer says otherwise alone."""
    kinds = set()
    for histories in first_file(broken)[:25]:
        spanning = list(findings_of(histories, THEIR_END))
        for subject, history in histories.items():
            inquiry = Inquiry(subject, THEIR_END, 10**9, history[0].event.region)
            alone = findings(inquiry, histories)["findings"]
            own = [f for f in spanning if f["subject"] == subject]
            assert [f for f in alone if f["subject"] == subject] == own
            kinds.add(kind_of(subject))
    assert kinds == {"party", "account", "dealer", "case"}


# -- the check can fail -------------------------------------------------------------------------------------


def test_a_breach_nobody_planted_is_told(broken):
    """Given a life of which the truth says nothing."""
    checked = Checked()
    check_life(first_file(broken)[1], {"known_at": THEIR_END.isoformat()}, {}, checked)
    assert checked.wrong
    assert "was not planted" in checked.mistakes[0]


def test_a_breach_that_is_not_found_is_told(lawful):
    """Given a truth that says more than there is."""
    breach = {
        "kind": "made up", "rule_id": "late-fee", "subject": "account/A4-1-1", "event_ids": ["4-1.1"],
        "expected": [{"rule_id": "late-fee", "subject": "account/A4-1-1", "verdict": "breach"}],
    }  # fmt: skip
    checked = Checked()
    histories = first_file(lawful)[1]
    compare(findings_of(histories, ITS_END), [breach], checked)
    assert [m.partition(":")[2] for m in checked.mistakes] == [
        " late-fee is planted ['made up'] and not found",
        " made up is not shown by ['4-1.1']",
    ]


def test_a_breach_that_is_undone_is_told(broken, tmp_path):
    """Given files from which the events that show a breach were taken away: each is missed."""
    for path in broken.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    breach = next(b for b in planted_in(broken) if b["kind"] == "no such entry")
    path = tmp_path / breach["file"]
    lines = [
        line
        for line in path.read_bytes().splitlines(keepends=True)
        if f'"id":"{breach["event_ids"][0]}"'.encode() not in line
    ]
    path.write_bytes(b"".join(lines))
    checked = check(tmp_path)
    assert checked.wrong == 2
    assert all(breach["party"] in mistake for mistake in checked.mistakes)


# -- imported -----------------------------------------------------------------------------------------------


@pytest.mark.storage
def test_an_imported_population_is_found_as_it_was_planted(runtime, broken):
    """By the findings that everybody asks for, as known at the moment the truth names."""
    name = "events-0001.jsonl"
    tally, refusals = import_file(runtime.deployment, broken / name, THEIR_END)
    assert (refusals, tally.appended) == ([], tally.lines)
    planted = {b["party"]: [b] for b in planted_in(broken) if b["file"] == name}
    checked = Checked()
    for subject in (s for histories in first_file(broken) for s in histories if kind_of(s) == "party"):
        answer = found(runtime, subject, known_at=THEIR_END.isoformat())
        compare(answer["findings"], planted.get(subject, []), checked)
    assert checked.mistakes == []
    assert len(planted) > 20


# -- a city -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("first", "breaches"), [("2012-01-01", "0"), ("2022-01-01", "0.1")])
def test_a_town_of_two_thousand_accounts_is_found_as_it_was_planted(tmp_path, first, breaches):
    """Some two hundred thousand events, in two processes."""
    day = datetime.fromisoformat(first).date()
    counts = made(tmp_path / "p", 2_000, 4, breaches=Fraction(breaches), first=day)
    checked = check(tmp_path / "p", processes=2)
    assert checked.mistakes == []
    assert checked.undetermined() == {}
    assert (checked.events, checked.breaches) == (counts["events"], counts["planted"])
    assert checked.breaches == int(counts["parties"] * Fraction(breaches))


@pytest.mark.storage
@pytest.mark.skipif(
    "RECOUNT_CITY" not in os.environ, reason="set RECOUNT_CITY=20000 for a city; it takes minutes"
)
@pytest.mark.timeout(3_600)
def test_a_city_is_imported_and_found_as_it_was_planted(runtime, tmp_path):
    """Given so many accounts in a ledger, when findings are asked of every party, then they are what is planted."""
    folder = tmp_path / "city"
    accounts = int(os.environ["RECOUNT_CITY"])
    counts = made(folder, accounts, 4, breaches=Fraction(1, 10), first=ALL_RULES_FROM)
    appended = 0
    for path in sorted(folder.glob("events-*.jsonl")):
        tally, refusals = import_file(runtime.deployment, path, THEIR_END)
        assert refusals == []
        appended += tally.appended
    assert appended == counts["events"]
    planted = {b["party"]: [b] for b in planted_in(folder)}
    checked = Checked()
    for path in sorted(folder.glob("events-*.jsonl")):
        for histories in lives_of(path):
            for subject in (s for s in histories if kind_of(s) == "party"):
                answer = found(runtime, subject, known_at=THEIR_END.isoformat())
                checked.breaches += len(planted.get(subject, []))
                compare(answer["findings"], planted.get(subject, []), checked)
    assert checked.mistakes == []
    assert checked.breaches == counts["planted"] == counts["parties"] // 10
