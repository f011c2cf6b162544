"""Hot spots, accountability, a party's timeline and the change feed: what they say of cases that are known exactly."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.investigations.timeline import timeline
from api.runtime import Runtime, present
from domain.events import case as cv
from domain.replay import Question, effective_at, selected
from domain.rules.book import BUILT_IN
from projections.accountability import (
    ACTION_KEY,
    ACTION_SORTS,
    PAIR_KEY,
    PAIR_SORTS,
    PENALTY_KEY,
    PENALTY_SORTS,
    STEPS,
    Accountability,
    Month,
    Scope,
    bulletin,
    corrective_actions,
    pairing,
    penalties,
    readiness,
    summary,
)
from projections.billing_status import BillingStatus, changes, status_of, statuses
from projections.complaints import CAUSES, KEY, ROOT_CAUSE_OF_RULE, SORTS, Asked, Complaints, hot_spots
from projections.engine import Seen, advance, catch_up, install, rebuild
from projections.engine.storing import digest_of
from projections.paging import Order, place_of
from projections.timeline import Asked as Around
from projections.timeline import Timeline, page_of
from tests.conftest import HARBIN, fresh_database, import_file, opened_deployment
from tests.histories import History, moment
from tests.support import LEDGER, bring, charge_line, event_line, opening_line, payment_line

MODELS = (Complaints(), Accountability(), Timeline())
BILLING = BillingStatus()
CITY = "heilongjiang.harbin"
MOST = Order(SORTS[0], descending=True, key=KEY)
BY_DAY = Order(PAIR_SORTS[0], descending=False, key=PAIR_KEY)
STORAGE = pytest.mark.storage


@pytest.fixture(scope="module")
def harbin(server):
    """Return the ledger of the Harbin case, for tests that change nothing."""
    with fresh_database(server, "management") as url:
        opened = opened_deployment(url)
        import_file(opened, HARBIN)
        catch_up(opened, MODELS, present)
        yield opened
        opened.close()


def whole(ask, order, limit):
    """Return a list by pages of so many rows."""
    found, place = [], None
    while True:
        rows = ask((order, place, limit))
        found += rows
        if len(rows) < limit:
            return found
        place = place_of(rows[-1], order)


# -- rows ---------------------------------------------------------------------------------------------------


def test_every_rule_of_the_book_has_a_root_cause():
    """A breach of each built-in rule is traced to the rule, its execution or the system; no other rule is named."""
    assert ROOT_CAUSE_OF_RULE.keys() == {version.rule_id for version in BUILT_IN}
    assert set(ROOT_CAUSE_OF_RULE.values()) == set(CAUSES)


def finding(number, rule_id="late-fee", verdict="breach", amount_fen=100):
    return cv.FindingRecorded(
        finding_id=f"F{number}",
        rule_id=rule_id,
        rule_version="1",
        verdict=verdict,
        evidence_event_ids=(),
        amount_fen=amount_fen,
    )


def opened_action(number, root_cause="rule", due_on="2015-03-31"):
    return cv.CorrectiveActionOpened(
        action_id=f"M{number}", scope="city", title="t", root_cause=root_cause, due_on=due_on
    )


DOINGS = {
    "complaint": lambda h, _n, **at: h.complaint(**at),
    "investigation": lambda h, _n, **at: h.add(
        cv.InvestigationOpened(party_id=None, account_ids=("A",), reason="r"), **at
    ),
    "answered": lambda h, _n, **at: h.answered(**at),
    "finding": lambda h, n, **at: h.add(finding(n, ["late-fee", "real-name", "ours"][n]), **at),
    "kept": lambda h, n, **at: h.add(finding(n, verdict="kept"), **at),
    "penalty": lambda h, n, **at: h.penalty(["dealer", "manager", "staff"][n], f"S{n}", **at),
    "action": lambda h, n, **at: h.add(opened_action(n, CAUSES[n]), **at),
    "step": lambda h, n, **at: h.add(
        cv.CorrectiveActionStepCompleted(action_id=f"M{n}", kind=STEPS[n]), **at
    ),
    "ended": lambda h, n, **at: h.add(cv.CorrectiveActionClosed(action_id=f"M{n}"), **at),
    "blocked": lambda h, _n, **at: h.blocked(**at),
    "reinstated": lambda h, _n, **at: h.reinstated(**at),
    "misused": lambda h, n, **at: h.misused("R1", numbers=("N",), dealer=f"D{n}", **at),
    "audited": lambda h, n, **at: h.audited(f"R{n}", ["clean", "suspect", "breach"][n], **at),
    "merged": lambda h, n, **at: h.merged("P", f"Q{n}", **at),
    "transferred": lambda h, n, **at: h.transferred(f"P{n}", **at),
    "number": lambda h, n, **at: h.number(f"N{n}", dealer=f"D{n}", **at),
    "hold": lambda h, n, **at: h.hold("late_fee", hold_id=f"H{n}", **at),
    "released": lambda h, n, **at: h.let_go(f"H{n}", **at),
    "charge": lambda h, n, **at: h.charge(f"c{n}", **at),
    "paid": lambda h, n, **at: h.paid(3_000, on=f"2014-0{4 + n}-01", payment_id=f"p{n}", **at),
}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(DOINGS)), st.integers(0, 2), st.integers(1, 28)), max_size=25),
    st.sampled_from(["complaint", "investigation"]),
    st.integers(1, 20),
    st.sampled_from(["2014-03-10", "2014-05-01", "2020-01-01"]),
)
def test_whatever_happened_the_rows_are_what_a_replay_says(doings, begun, opened_on, now):
    """Given anything in any order of time, ids used twice among it, then both ways to the rows agree."""
    history = History().at(f"2014-03-{opened_on:02}").party().account().dealer()
    DOINGS[begun](history, 0)
    for name, number, day in doings:
        DOINGS[name](history, number, at=f"2014-03-{day:02}")
    for subject, recorded in history.recorded().items():
        for model in (*MODELS, BILLING):
            if subject.partition("/")[0] not in model.kinds:
                continue
            seen = Seen(subject, len(recorded), recorded[-1].position, moment(now))
            state = model.begin(subject)
            taken = selected(recorded, Question(subject, seen.now, seen.now, 10**9, CITY))
            for one in taken:
                model.step(state, one)
            moments = (max(effective_at(one), one.event.recordedtime) for one in taken)
            seen = replace(seen, counted_from=max(moments, default=None))
            found = model.rows(state, seen).tables
            assert digest_of(subject, found) == digest_of(subject, model.expected(recorded, seen, CITY)), (
                found,
                model.expected(recorded, seen, CITY),
            )


# -- hot spots ----------------------------------------------------------------------------------------------


@STORAGE
def test_the_harbin_complaint_as_a_hot_spot(harbin):
    """One complaint about two accounts; nothing found or held on it, so what these owe hangs on it."""
    asked = Asked(date(2014, 12, 1), date(2014, 12, 31), CITY)
    (spot,) = hot_spots(harbin.ledger(LEDGER), asked, date(2015, 1, 10), (MOST, None, 20))
    shown = spot.pop("corrective_actions")
    assert spot == {
        "region": CITY,
        "category": "annual_package_expiry",
        "complaints": 1,
        "accounts": 2,
        "parties": 1,
        "unanswered": 1,
        "not_closed": 1,
        "first_on": date(2014, 12, 9),
        "last_on": date(2014, 12, 9),
        "breaches": 0,
        "findings_fen": 0,
        "disputed_fen": 0,
        "owed_fen": 38_100 + 45_460,
        "at_stake_fen": 83_560,
        "root_cause": "several",
        "cause_rule": 1,
        "cause_execution": 1,
        "cause_system": 1,
        "cause_unknown": 0,
        "causes_derived": 0,
        "actions": 5,
        "actions_closed": 0,
        "actions_overdue": 0,
        "next_due_on": date(2015, 3, 31),
    }
    assert [(a["action_id"], a["root_cause"]) for a in shown] == [
        ("M-1", "rule"),
        ("M-2", "execution"),
        ("M-3", "system"),
        ("M-4", "system"),
        ("M-5", "rule"),
    ]


@STORAGE
def test_a_hot_spot_has_its_day_and_place(harbin):
    """Given the day before or after, or another city, then there is none; the last day counts."""
    ledger, today, part = harbin.ledger(LEDGER), date(2015, 4, 1), (MOST, None, 20)
    day = date(2014, 12, 9)
    assert hot_spots(ledger, Asked(day, day), today, part)
    assert not hot_spots(ledger, Asked(until=day - timedelta(days=1)), today, part)
    assert not hot_spots(ledger, Asked(since=day + timedelta(days=1)), today, part)
    assert not hot_spots(ledger, Asked(region="heilongjiang.harb"), today, part)
    assert not hot_spots(ledger, Asked(category="other"), today, part)
    (province,) = hot_spots(ledger, Asked(by="province"), today, part)
    assert (province["region"], province["actions_overdue"]) == ("heilongjiang", 5)


def branch(seed, cases=120):
    """Return lines of many complaints, and per place and category what they come to, counted here."""
    chance = random.Random(seed)
    lines, owing, spots = [], {}, {}
    for n in range(40):
        account_id, amount_fen = f"A{n}", chance.choice([0, 700, 1_100])
        lines.append(opening_line(account_id, party_id=f"P{n}"))
        if amount_fen:
            lines.append(charge_line(account_id, amount_fen=amount_fen))
            owing[account_id] = amount_fen
    for n in range(cases):
        subject, place = f"case/C{n}", chance.choice(["heilongjiang.harbin", "heilongjiang.daqing"])
        category, accounts = f"problem-{chance.randrange(25):02}", chance.sample(range(40), 2)
        about = {
            "party_id": f"P{accounts[0]}",
            "account_ids": [f"A{a}" for a in accounts],
            "category": category,
            "summary": "s",
            "answer_due_on": "2014-12-24",
        }

        def add(kind, data, subject=subject, place=place, n=n):
            lines.append(event_line(f"{subject}-{len(lines)}", kind, subject, data, region=place))

        add("ComplaintReceived", about)
        found_fen, held_fen, rules = 0, 0, []
        for number in range(chance.choice([0, 0, 1, 2])):
            rule_id, amount_fen = chance.choice([*ROOT_CAUSE_OF_RULE, "ours"]), chance.choice([0, 50])
            evidence = {"rule_version": "1", "verdict": "breach", "evidence_event_ids": []}
            add(
                "FindingRecorded",
                {"finding_id": f"F{number}", "rule_id": rule_id, **evidence, "amount_fen": amount_fen},
            )
            found_fen += amount_fen
            rules.append(rule_id)
        if chance.random() < 0.3:
            held_fen = 33
            hold = {"hold_id": f"H{n}", "amount_fen": held_fen, "case_id": f"C{n}", "scope": ["late_fee"]}
            lines.append(event_line(f"hold-{n}", "DisputeHoldPlaced", f"account/A{accounts[0]}", hold))
        cause = chance.choice([None, None, *CAUSES])
        if cause:
            action = {"action_id": "M", "scope": "city", "title": "t", "root_cause": cause}
            add("CorrectiveActionOpened", {**action, "due_on": f"2015-01-{chance.randrange(10, 29)}"})
        named = {cause} if cause else {ROOT_CAUSE_OF_RULE[r] for r in rules if r in ROOT_CAUSE_OF_RULE}
        spots.setdefault((place, category), []).append((accounts, found_fen, held_fen, named))
    return lines, owing, spots


def counted(owing, cases):
    """Return what complaints of a group come to."""
    by_balance = {a for accounts, found, held, _ in cases for a in accounts if not found and not held}
    otherwise = {a for accounts, found, held, _ in cases for a in accounts if found or held}
    found_fen = sum(found for _, found, _, _ in cases)
    held_fen = sum(held for _, found, held, _ in cases if not found)
    owed_fen = sum(owing.get(f"A{a}", 0) for a in by_balance - otherwise)
    causes = Counter(cause for *_, named in cases for cause in named or {"unknown"})
    return {
        "complaints": len(cases),
        "accounts": len(by_balance | otherwise),
        "parties": len({accounts[0] for accounts, *_ in cases}),
        "findings_fen": found_fen,
        "disputed_fen": held_fen,
        "owed_fen": owed_fen,
        "at_stake_fen": found_fen + held_fen + owed_fen,
        **{f"cause_{cause}": causes[cause] for cause in (*CAUSES, "unknown")},
    }


@STORAGE
@pytest.mark.parametrize("seed", [1, 2])
def test_hot_spots_of_a_branch_are_as_counted_by_hand(deployment, seed):
    """Given complaints of 25 kinds in two cities, then every figure is right, twenty are offered, in every order."""
    lines, owing, spots = branch(seed)
    bring(deployment, *lines)
    catch_up(deployment, MODELS, present)
    ledger, today = deployment.ledger(LEDGER), date(2015, 1, 15)
    everything = hot_spots(ledger, Asked(), today, (MOST, None, 500))
    assert {(s["region"], s["category"]) for s in everything} == spots.keys()
    for spot in everything:
        right = counted(owing, spots[spot["region"], spot["category"]])
        assert {name: spot[name] for name in right} == right
    here = Asked(region=CITY)
    assert len(hot_spots(ledger, here, today, (MOST, None, 20))) == 20
    for column in SORTS[:4]:
        order = Order(column, descending=True, key=KEY)
        right = sorted(everything, key=lambda s, c=column: (-s[c.name], s["region"], s["category"]))
        for limit in (7, 500):
            assert whole(lambda p: hot_spots(ledger, Asked(), today, p), order, limit) == right


# -- accountability -----------------------------------------------------------------------------------------


@STORAGE
def test_the_harbin_penalties(harbin):
    """Ten of them; each list is the same in pages of any size, and by amount where none is named too."""
    ledger = harbin.ledger(LEDGER)
    for column in PENALTY_SORTS:
        for descending in (False, True):
            order = Order(column, descending, PENALTY_KEY)
            lists = [whole(lambda p: penalties(ledger, Scope(), p), order, n) for n in (1, 3, 100)]
            assert lists[0] == lists[1] == lists[2]
            assert len({p["penalty_id"] for p in lists[0]}) == len(lists[0]) == 10
    first = Order(PENALTY_SORTS[0], descending=False, key=PENALTY_KEY)
    warned = penalties(ledger, Scope(CITY), (first, None, 100), subject_kind="manager", kind="warning")
    assert [p["subject_id"] for p in warned] == ["AGENT-DEPT-LEAD", "COMPLAINT-DEPT-LEAD"]
    sums, outcomes = summary(ledger, Scope())
    assert {
        (s["month"], s["subject_kind"], s["kind"]): (s["penalties"], s["without_amount"]) for s in sums
    } == {
        ("2014-12", "dealer", "blocking"): (1, 1),
        ("2014-12", "dealer", "fine"): (1, 1),
        ("2014-12", "manager", "accountability"): (2, 2),
        ("2014-12", "manager", "pay_deduction"): (4, 4),
        ("2014-12", "manager", "warning"): (2, 2),
    }
    assert outcomes == {"both": 1, "dealer_only": 0, "manager_only": 0, "manager_unknown": 0}


@STORAGE
def test_the_harbin_dealer_and_its_manager_were_both_punished(harbin):
    """The block and two penalties on the dealer, two on the manager named when it was authorised."""
    (pair,) = pairing(harbin.ledger(LEDGER), Scope(), (BY_DAY, None, 100))
    told = ("case_id", "dealer_id", "manager_id", "outcome", "blocked")
    assert [pair[name] for name in told] == ["C-HRB", "D-17", "AGENT-DEPT-LEAD", "both", True]
    assert [p["kind"] for p in pair["dealer_penalties"]] == ["blocking", "fine"]
    assert [p["kind"] for p in pair["manager_penalties"]] == ["warning", "pay_deduction"]


def authorised(dealer_id, manager_id, at="2014-01-01T10:00:00+08:00"):
    data = {"name": "Shop", "manager_id": manager_id}
    return event_line(f"auth-{dealer_id}-{at}", "DealerAuthorised", f"dealer/{dealer_id}", data, at)


def blocked(dealer_id, at="2014-12-01T10:00:00+08:00", case_id=None):
    data = {"reason": "misuse", **({"case_id": case_id} if case_id else {})}
    return event_line(f"block-{dealer_id}-{at}", "DealerBlocked", f"dealer/{dealer_id}", data, at)


def investigated(case_id):
    data = {"account_ids": [], "reason": "r"}
    return event_line(f"open-{case_id}", "InvestigationOpened", f"case/{case_id}", data)


def penalised(case_id, penalty_id, kind, subject_id, at="2014-12-02T10:00:00+08:00", **more):
    data = {
        "penalty_id": penalty_id,
        "subject_kind": kind,
        "subject_id": subject_id,
        "kind": "fine",
        "finding_ids": [],
    }
    return event_line(f"{case_id}-{penalty_id}", "PenaltyImposed", f"case/{case_id}", {**data, **more}, at)


PAIRINGS = {
    "the dealer alone": (
        [authorised("D", "M"), blocked("D", case_id="C")],
        [("C", "D", "M", "dealer_only")],
    ),
    "both in one case, however late": (
        [
            authorised("D", "M"),
            blocked("D", case_id="C"),
            penalised("C", "1", "manager", "M", "2015-06-01T10:00:00+08:00"),
        ],
        [("C", "D", "M", "both")],
    ),
    "the manager in another case, the tenth day after": (
        [
            authorised("D", "M"),
            blocked("D"),
            penalised("C", "1", "manager", "M", "2014-12-11T23:59:00+08:00"),
        ],
        [("", "D", "M", "both")],
    ),
    "the manager in another case, the eleventh day after": (
        [
            authorised("D", "M"),
            blocked("D"),
            penalised("C", "1", "manager", "M", "2014-12-12T00:00:00+08:00"),
        ],
        [("", "D", "M", "dealer_only"), ("C", "", "M", "manager_only")],
    ),
    "a manager of no dealer": ([authorised("D", "M"), penalised("C", "1", "manager", "GM")], []),
    "the manager alone": (
        [authorised("D", "M"), penalised("C", "1", "manager", "M"), penalised("C", "2", "dealer", "E")],
        [("C", "", "M", "manager_only"), ("C", "E", "", "manager_unknown")],
    ),
}


@STORAGE
@pytest.mark.parametrize("name", PAIRINGS)
def test_double_penalty(deployment, name):
    """Given a dealer blocked or punished, or a manager, then the other side is found or missed."""
    lines, right = PAIRINGS[name]
    bring(deployment, investigated("C"), *lines)
    catch_up(deployment, MODELS, present)
    found = pairing(deployment.ledger(LEDGER), Scope(), (BY_DAY, None, 100))
    told = [(p["case_id"], p["dealer_id"], p["manager_id"], p["outcome"]) for p in found]
    assert sorted(told) == sorted(right)
    for outcome in {p["outcome"] for p in found}:
        some = pairing(deployment.ledger(LEDGER), Scope(), (BY_DAY, None, 100), outcome=outcome)
        assert some == [p for p in found if p["outcome"] == outcome]


@STORAGE
def test_a_penalty_shows_the_findings_it_rests_on(deployment):
    """Those of its case with rule and amount; an id without a finding is shown as it stands."""
    data = {"finding_id": "F", "rule_id": "late-fee", "rule_version": "2014", "verdict": "breach"}
    more = {"evidence_event_ids": [], "amount_fen": 70}
    bring(
        deployment,
        investigated("C"),
        event_line("f", "FindingRecorded", "case/C", {**data, **more}),
        penalised("C", "1", "staff", "S", finding_ids=["F", "GONE"], amount_fen=500),
    )
    catch_up(deployment, MODELS, present)
    order = Order(PENALTY_SORTS[0], descending=False, key=PENALTY_KEY)
    (penalty,) = penalties(deployment.ledger(LEDGER), Scope(), (order, None, 9))
    assert penalty["amount_fen"] == 500
    assert penalty["findings"] == [
        {**data, "amount_fen": 70},
        {"finding_id": "GONE", **dict.fromkeys(("rule_id", "rule_version", "verdict", "amount_fen"))},
    ]


@STORAGE
def test_the_bulletin_of_december_2014(harbin):
    """Beside November, in which nothing happened; actions due in March are overdue in April's."""
    ledger = harbin.ledger(LEDGER)
    month, before = bulletin(ledger, Month(date(2014, 12, 1)), today=date(2016, 1, 1))
    counts = {name: value for name, value in month.items() if isinstance(value, int) and value}
    assert counts == {
        "penalties": 10,
        "penalties_without_amount": 10,
        "penalised": 5,
        "blocks": 1,
        "dealers_blocked": 1,
        "misuses_confirmed": 1,
        "registrations_misused": 6,
        "numbers_misused": 6,
        "audits": 6,
        "audits_breach": 6,
        "actions_opened": 5,
        "actions_open": 5,
    }
    assert month["pairing"]["both"] == 1
    assert not any(value for value in before.values() if isinstance(value, int))
    april, march = bulletin(ledger, Month(date(2015, 4, 1)), today=date(2016, 1, 1))
    assert (march["actions_overdue"], april["actions_overdue"], april["actions_opened"]) == (5, 5, 0)
    early, _ = bulletin(ledger, Month(date(2015, 3, 1)), today=date(2015, 3, 31))
    assert early["actions_overdue"] == 0
    elsewhere, _ = bulletin(
        ledger, Month(date(2014, 12, 1)), today=date(2016, 1, 1), region="heilongjiang.daqing"
    )
    assert (elsewhere["penalties"], elsewhere["actions_open"], elsewhere["audits"]) == (0, 0, 0)


@STORAGE
def test_corrective_actions_with_their_steps(deployment):
    """Given one closed, one open and one overdue, then each says which steps are missing, and so does the report."""

    def action(name, due_on, *steps, closed=False):
        at = "2014-12-15T10:00:00+08:00"
        data = {"scope": "city", "title": "t", "root_cause": "system", "due_on": due_on, "action_id": name}
        yield event_line(f"{name}-o", "CorrectiveActionOpened", "case/C", data, at)
        for kind in steps:
            step = {"action_id": name, "kind": kind}
            yield event_line(f"{name}-{kind}", "CorrectiveActionStepCompleted", "case/C", step, at)
        if closed:
            yield event_line(f"{name}-c", "CorrectiveActionClosed", "case/C", {"action_id": name}, at)

    bring(
        deployment,
        investigated("C"),
        *action("DONE", "2014-12-20", *STEPS, closed=True),
        *action("LATE", "2014-12-31", "review", "training"),
        *action("OPEN", "2015-01-01"),
    )
    catch_up(deployment, MODELS, present)
    ledger, today = deployment.ledger(LEDGER), date(2015, 1, 1)
    order = Order(ACTION_SORTS[0], descending=False, key=ACTION_KEY)

    def names(status):
        found = corrective_actions(ledger, (order, None, 9), today=today, status=status)
        return [(a["action_id"], a["status"]) for a in found]

    assert names(None) == [("DONE", "closed"), ("LATE", "overdue"), ("OPEN", "open")]
    assert (names("closed"), names("overdue")) == ([("DONE", "closed")], [("LATE", "overdue")])
    assert names("open") == [("LATE", "overdue"), ("OPEN", "open")]
    late = corrective_actions(ledger, (order, None, 9), today=today)[1]
    assert [s["kind"] for s in late["steps"]] == ["review", "training"]
    assert late["steps_missing"] == ["contingency_plan", "rectification", "inspection", "reward_penalty"]
    (group,) = readiness(ledger, today=today)
    assert group == {
        "scope": "city",
        "root_cause": "system",
        "actions": 3,
        "closed": 1,
        "overdue": 1,
        "next_due_on": date(2014, 12, 31),
        **{step: 2 if step in ("review", "training") else 1 for step in STEPS},
        "all_steps": 1,
    }


# -- the timeline -------------------------------------------------------------------------------------------


def positions(ledger, asked, limit=1000, now=None):
    """Return the positions of a whole timeline, by pages."""
    found, place = [], None
    while True:
        page = page_of(ledger, asked, now or present(), limit, place)
        found += [r.position for r in page.events]
        if page.next is None:
            return found
        place = page.next


@STORAGE
def test_the_harbin_timeline_is_that_of_a_replay_at_now(harbin):
    """Both addresses show the same events in the same order; in pages of any size, and backwards."""
    ledger = harbin.ledger(LEDGER)
    right = timeline(
        Runtime(harbin),
        "party/P-HRB",
        after=None,
        limit=1000,
        at=None,
        known_at=None,
        position=None,
        region=None,
    )
    replayed = [e["position"] for e in right["events"]]
    assert len(replayed) == 102
    for limit in (1, 7, 1000):
        assert positions(ledger, Around("P-HRB"), limit) == replayed
        assert positions(ledger, Around("P-HRB", newest_first=True), limit) == replayed[::-1]
    cases = positions(ledger, Around("P-HRB", kind="case"))
    assert cases == [e["position"] for e in right["events"] if e["subject"] == "case/C-HRB"]
    refused = positions(ledger, Around("P-HRB", type="SignUpRefused"))
    assert refused == [e["position"] for e in right["events"] if e["type"] == "SignUpRefused"]


def party_line(party_id):
    data = {
        "kind": "individual", "id_type": "id", "id_hash": f"sha256:{party_id}", "name": "n", "id_number": "1",
        "address": "a",
    }  # fmt: skip
    return event_line(
        f"party-{party_id}", "PartyRegistered", f"party/{party_id}", data, "2010-01-01T10:00:00+08:00"
    )


def transfer_line(account_id, from_party, to_party, at):
    data = {"from_party_id": from_party, "to_party_id": to_party, "debt_stays_with": "from"}
    return event_line(f"{account_id}-{at}", "AccountTransferred", f"account/{account_id}", data, at)


@STORAGE
def test_an_account_that_passed_on_is_seen_by_each_holder_for_their_time(deployment):
    """Given an account held by one, another and the first again, then nobody sees the other's days."""
    bring(
        deployment,
        party_line("P1"),
        party_line("P2"),
        opening_line("A"),
        charge_line("A", "FIRST", at="2014-01-05T10:00:00+08:00"),
        transfer_line("A", "P1", "P2", "2014-02-01T10:00:00+08:00"),
        charge_line("A", "SECOND", at="2014-02-05T10:00:00+08:00"),
        transfer_line("A", "P2", "P1", "2014-03-01T10:00:00+08:00"),
        charge_line("A", "THIRD", at="2014-03-05T10:00:00+08:00"),
    )
    catch_up(deployment, MODELS, present)
    ledger = deployment.ledger(LEDGER)
    assert positions(ledger, Around("P1")) == [1, 3, 4, 5, 7, 8]
    assert positions(ledger, Around("P2")) == [2, 5, 6, 7]


@STORAGE
def test_what_was_merged_and_what_names_only_an_account_is_in_the_timeline(deployment):
    """Given a party merged into another, then its events and accounts are there; so is a case about an account."""
    merged = event_line("merge", "PartyMerged", "party/P1", {"into_party_id": "P2"})
    case = event_line("inv", "InvestigationOpened", "case/C", {"account_ids": ["A"], "reason": "r"})
    bring(deployment, party_line("P1"), party_line("P2"), opening_line("A"), case, merged)
    catch_up(deployment, MODELS, present)
    ledger = deployment.ledger(LEDGER)
    assert sorted(positions(ledger, Around("P2"))) == [1, 2, 3, 4, 5]
    assert sorted(positions(ledger, Around("P1"))) == [1, 3, 4, 5]


@STORAGE
def test_what_arrives_between_two_pages_shifts_nothing(deployment):
    """Given a page, when older and newer events arrive, then the next pages are as they would have been."""
    bring(deployment, party_line("P1"), opening_line("A"), *(charge_line("A", f"C{n}") for n in range(4)))
    catch_up(deployment, MODELS, present)
    ledger = deployment.ledger(LEDGER)
    first = page_of(ledger, Around("P1"), present(), 3)
    bring(deployment, charge_line("A", "OLD", at="2013-06-01T10:00:00+08:00"), charge_line("A", "NEW"))
    catch_up(deployment, MODELS, present)
    second = page_of(ledger, Around("P1"), present(), 3, first.next)
    assert [r.position for r in (*first.events, *second.events)] == [1, 2, 3, 4, 5, 6]
    assert second.next is None
    assert positions(ledger, Around("P1"), 3) == [1, 2, 7, 3, 4, 5, 6, 8]


# -- the change feed ----------------------------------------------------------------------------------------


class Clock:
    """A clock that goes on when it is told."""

    def __init__(self, time):
        self.time = time

    def now(self):
        return self.time


class Consumer:
    """A billing system: it keeps what the feed brought, and reads on with the last cursor."""

    def __init__(self, ledger):
        self.ledger, self.cursor, self.kept = ledger, None, {}

    def read(self, now, limit=100):
        """Read a page; return the accounts it brought."""
        rows, self.cursor = changes(self.ledger, self.cursor, now, limit)
        self.kept |= {row.account_id: row for row in rows}
        return [row.account_id for row in rows]

    def read_on(self, now, limit=100):
        """Read to the end of a round; return the accounts it brought."""
        found = self.read(now, limit)
        while self.cursor.at is not None:
            found += self.read(now, limit)
        return found


def follow(deployment, now):
    catch_up(deployment, [BILLING], lambda: now)


@STORAGE
def test_the_feed_begins_with_all_accounts_and_goes_on_with_what_changed(deployment):
    """Given accounts, when one of them moves, then it comes alone, as it is now, and once."""
    now = moment("2014-06-01")
    bring(deployment, *(opening_line(f"A{n}") for n in range(5)), now=now)
    follow(deployment, now)
    reader = Consumer(deployment.ledger(LEDGER))
    assert reader.read_on(now, 2) == ["A0", "A1", "A2", "A3", "A4"]
    later = now + timedelta(minutes=1)
    assert reader.read_on(later) == []
    bring(deployment, charge_line("A3", "C1"), charge_line("A1", "C1"), charge_line("A3", "C2"), now=later)
    follow(deployment, later)
    assert reader.read_on(later) == ["A1", "A3"]
    assert reader.kept["A3"].balance_fen == 20_000
    assert reader.read_on(later + timedelta(minutes=1)) == []


@STORAGE
def test_a_payment_comes_again_on_its_value_date(deployment):
    """Given a payment of the day after tomorrow, then the account comes when it is recorded and when it counts."""
    now = moment("2014-06-01")
    bring(
        deployment,
        opening_line("A1"),
        charge_line("A1"),
        payment_line("A1", value_date="2014-06-03", at="2014-06-01T09:00:00+08:00"),
        now=now,
    )
    follow(deployment, now)
    reader = Consumer(deployment.ledger(LEDGER))
    assert reader.read_on(now) == ["A1"]
    assert reader.kept["A1"].balance_fen == 10_000
    tomorrow = now + timedelta(days=1)
    follow(deployment, tomorrow)
    assert reader.read_on(tomorrow) == []
    then = now + timedelta(days=2)
    assert reader.read_on(then) == []  # the model has yet to look at the calendar
    follow(deployment, then)
    assert reader.read_on(then) == ["A1"]
    assert reader.kept["A1"].balance_fen == 9_900
    assert reader.read_on(then + timedelta(minutes=1)) == []


@STORAGE
def test_an_event_of_a_clock_ahead_comes_again_once_its_moment_has_come(deployment):
    """Given a charge dated two minutes ahead, then the account comes without it, and later with it."""
    now = moment("2014-06-01")
    ahead = (now + timedelta(minutes=2)).isoformat()
    bring(deployment, opening_line("A1"), now=now)
    bring(
        deployment,
        event_line(
            "ahead",
            "ChargePosted",
            "account/A1",
            {"charge_id": "C", "kind": "usage", "amount_fen": 5, "period_start": "2014-05-01",
             "period_end": "2014-06-01", "due_on": "2014-06-30"},
            ahead,
            recordedtime=now.isoformat(),
        ),
        now=now,
    )  # fmt: skip
    follow(deployment, now)
    reader = Consumer(deployment.ledger(LEDGER))
    assert reader.read_on(now) == ["A1"]
    assert reader.kept["A1"].balance_fen == 0
    then = now + timedelta(minutes=3)
    follow(deployment, then)
    assert reader.read_on(then) == ["A1"]
    assert reader.kept["A1"].balance_fen == 5


class Anew(BillingStatus):
    """The model's next version."""

    version = BillingStatus.version + 1


@STORAGE
def test_a_rebuild_brings_nothing_again_and_a_new_version_everything(deployment):
    """Positions and moments mean the same in every generation; another version may read the same events otherwise."""
    now = moment("2014-06-01")
    bring(deployment, *(opening_line(f"A{n}") for n in range(3)), now=now)
    follow(deployment, now)
    ledger = deployment.ledger(LEDGER)
    reader = Consumer(ledger)
    reader.read_on(now)
    later = now + timedelta(minutes=1)
    rebuild(deployment, ledger, BILLING, lambda: later, partitions=3)
    assert reader.read_on(later) == []
    rebuild(deployment, ledger, Anew(), lambda: later)
    assert reader.read_on(later) == ["A0", "A1", "A2"]
    assert reader.read_on(later) == []


@STORAGE
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_meanwhile_no_change_is_missed(deployment, seed):
    """Given parts at different places, rebuilds, days that pass and pages between, the reader ends with every row."""
    chance = random.Random(seed)
    clock = Clock(moment("2014-06-01"))
    bring(deployment, *(opening_line(f"A{n}") for n in range(8)), now=clock.time)
    ledger = deployment.ledger(LEDGER)
    install(deployment, ledger, [BILLING])
    reader = Consumer(ledger)
    for step in range(120):
        match chance.choice(["event", "event", "fold", "fold", "read", "read", "time", "rebuild"]):
            case "event":
                account_id, value = (
                    f"A{chance.randrange(8)}",
                    clock.time + timedelta(days=chance.randrange(-2, 4)),
                )
                line = payment_line(
                    account_id, f"P{step}", step + 1, f"{value:%Y-%m-%d}", at=clock.time.isoformat()
                )
                bring(deployment, line, now=clock.time)
            case "fold":
                advance(ledger, BILLING, clock.now, chance.randrange(1, 4))
            case "read":
                reader.read(clock.time, chance.randrange(1, 5))
            case "time":
                clock.time += timedelta(hours=chance.choice([1, 7, 31]))
            case "rebuild" if chance.random() < 0.3:
                rebuild(deployment, ledger, BILLING, clock.now, partitions=chance.choice([1, 3]))
            case _:
                pass
    follow(deployment, clock.time)
    reader.read_on(clock.time, 3)
    reader.read_on(clock.time, 3)
    assert reader.kept.keys() == {f"A{n}" for n in range(8)}
    for row in statuses(ledger, limit=100):
        kept = reader.kept[row.account_id]
        assert kept._replace(counted_from=None) == row == status_of(ledger, row.account_id)
