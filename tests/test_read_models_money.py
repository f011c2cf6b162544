"""The money models: whatever the history, statement, double entry, aging and worklist say what a replay says."""

import random
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.account.money import AGING_BUCKETS
from domain.calendar import end_of, start_of
from domain.commands import account as ac
from domain.events import account as ev
from domain.replay import Question, replay, selected
from domain.rules.past import MONEY
from projections.dunning import Dunning
from projections.engine import Seen, catch_up
from projections.paging import Column, Order
from projections.postings import CHART
from projections.statement import ACCOUNT_KEY, LINE_KINDS, Statement, aging, trial_balance
from tests.conftest import CASES, HARBIN, fresh_database, import_file, opened_deployment
from tests.histories import REGION, History, moment
from tests.lawful import Operator

FIRST = date(2014, 1, 1)
LATER = moment("2020-01-01")
BY_ACCOUNT = Order(Column("account_id"), descending=False, key=ACCOUNT_KEY)


def rows_of(model, history, now=LATER):
    """Return a model's tables for one stream's history."""
    known = selected(history, Question(history[0].event.subject, now, now, 10**9, REGION))
    state = model.begin(history[0].event.subject)
    for recorded in known:
        model.step(state, recorded)
    return model.rows(state, Seen(history[0].event.subject, len(history), history[-1].position, now)).tables


def replayed(history, on, now=LATER):
    """Return what a replay says at the end of a day, as known later."""
    subject = history[0].event.subject
    return replay(Question(subject, end_of(on, REGION), now, 10**9, REGION), {subject: history})["state"]


def aged_of(open_items, on):
    """Return the balance, the principal and the buckets of what stands open on a day."""
    standing = [i for i in open_items if i.from_on <= on and (i.until_on is None or on < i.until_on)]
    buckets = dict.fromkeys(AGING_BUCKETS, 0)
    for item in standing:
        late = (on - item.due_on).days if item.kind == "charge" else 0
        if item.kind in ("charge", "overdrawn"):
            bounds = ((0, "current"), (30, "d1_30"), (60, "d31_60"), (90, "d61_90"), (10**6, "d90_plus"))
            buckets[next(name for end, name in bounds if late <= end)] += item.unpaid_fen
    return sum(i.unpaid_fen for i in standing), buckets


# -- any history whatever -----------------------------------------------------------------------------------

DAY = st.integers(0, 60).map(lambda n: FIRST + timedelta(days=n))
KINDS = ("charge", "fee", "reversed", "fee_reversed", "paid", "bounced", "credit", "written_off", "refund",
         "allocated", "deposit", "deposit_back")  # fmt: skip


@st.composite
def odd_histories(draw):
    """Money in any order: ids used twice, reversals of what is not there yet, payments posted late or in advance."""
    history = History().account(at="2013-12-01")
    for number in range(draw(st.integers(1, 14))):
        day, other = draw(DAY), draw(DAY)
        history.at(f"{day}T{8 + number:02}:00:00")
        which, fen = draw(st.sampled_from("12")), draw(st.integers(0, 300))
        match draw(st.sampled_from(KINDS)):
            case "charge":
                history.charge(f"c{which}", fen, start=str(day), end=str(day), due=str(other))
            case "fee":
                history.fee(f"c{which}", str(day), str(day), fee_id=f"f{which}", amount_fen=fen)
            case "reversed":
                history.reversed(f"c{which}", fen)
            case "fee_reversed":
                history.reversed(fee_id=f"f{which}", amount_fen=fen)
            case "paid":
                history.paid(fen, on=str(other), payment_id=f"p{which}")
            case "bounced":
                history.bounced(f"p{which}")
            case "credit":
                history.add(ev.CreditGranted(credit_id=f"k{which}", amount_fen=fen, reason="goodwill"))
            case "written_off":
                history.written_off(fen)
            case "refund":
                history.add(ev.RefundPaid(amount_fen=fen, method="cash"))
            case "allocated":
                history.add(
                    ev.PaymentAllocated(payment_id=f"p{which}", charge_id=f"c{which}", amount_fen=fen)
                )
            case "deposit":
                history.add(ev.DepositTaken(deposit_id=f"d{which}", amount_fen=fen))
            case _:
                history.add(ev.DepositReturned(deposit_id=f"d{which}", amount_fen=fen))
    return history.recorded()["account/A"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=odd_histories(), day=DAY)
def test_whatever_happened_each_day_is_what_a_replay_at_it_says(history, day):
    """On any day the receivable, the open items and their aging are the replay's balance, principal and buckets."""
    tables = rows_of(Statement(), history)
    answer = replayed(history, day)
    receivable_fen = sum(
        p.amount_fen for p in tables["posting"] if p.code == "receivable" and p.effective_on <= day
    )
    assert receivable_fen == answer["balance_fen"]
    assert aged_of(tables["open_item"], day) == (answer["balance_fen"], answer["aging"])
    until = [line for line in tables["statement_line"] if line.effective_on <= day]
    assert (until[-1].balance_fen if until else 0) == answer["balance_fen"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=odd_histories())
def test_each_events_postings_sum_to_zero_and_none_is_lost(history):
    """Two entries an event, and what they do to the receivable is what its line says it does to the balance."""
    tables = rows_of(Statement(), history)
    postings: dict[int, list] = {}
    for one in tables["posting"]:
        postings.setdefault(one.position, []).append(one)
    for found in postings.values():
        assert sum(p.amount_fen for p in found) == 0
        assert len(found) >= 2
        assert {p.code for p in found} <= CHART.keys()
    changes: Counter[int] = Counter()
    for line in tables["statement_line"]:
        changes[line.position] += line.change_fen
    assert changes.keys() == {r.position for r in history if not isinstance(r.event.data, ev.AccountOpened)}
    for position, change_fen in changes.items():
        found = postings.get(position, [])
        assert change_fen == sum(p.amount_fen for p in found if p.code == "receivable")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=odd_histories())
def test_rows_are_those_of_replays_day_by_day(history):
    """What `verify` holds against: open items and balances from a replay at the end of each day."""
    seen = Seen("account/A", len(history), history[-1].position, LATER)
    expected = Statement().expected(history, seen, REGION)
    for table, rows in rows_of(Statement(), history).items():
        assert Counter(map(repr, rows)) == Counter(map(repr, expected[table]))


def test_every_event_that_moves_a_balance_has_a_line():
    """Those a rule takes for money, and the deposits."""
    assert LINE_KINDS.keys() == {*MONEY, ev.DepositTaken, ev.DepositReturned}


# -- what a statement says ----------------------------------------------------------------------------------


def lines_of(history):
    return rows_of(Statement(), history.recorded()["account/A"])["statement_line"]


def test_a_payment_posted_late_stands_where_it_counts():
    """Given a payment of value date 5 May posted on 20 May, the fee of 10 May stands on the balance after it."""
    history = History().account(at="2014-03-01").at("2014-04-01").charge("m1", 10_000)
    history.fee("m1", "2014-05-01", "2014-05-11", at="2014-05-11").paid(
        10_000, on="2014-05-05", at="2014-05-20"
    )
    assert [
        (str(line.effective_on), line.kind, line.change_fen, line.balance_fen) for line in lines_of(history)
    ] == [
        ("2014-04-01", "charge_posted", 10_000, 10_000),
        ("2014-05-05", "payment_received", -10_000, 0),
        ("2014-05-11", "late_fee_assessed", 300, 300),
    ]


def test_a_bounced_payment_counts_until_it_bounced():
    """As of a day between, the debt was paid: so says the replay, and so the postings."""
    history = History().account(at="2014-03-01").at("2014-04-01").charge("m1", 10_000)
    history.paid(10_000, at="2014-05-05").bounced(at="2014-05-09")
    assert [(str(line.effective_on), line.kind, line.balance_fen) for line in lines_of(history)][1:] == [
        ("2014-05-05", "payment_received", 0),
        ("2014-05-09", "payment_reversed", 10_000),
    ]


def test_a_reversal_dated_before_its_payment_counts_from_the_payments_value_date():
    """It takes back what is not there yet only once it is there; one that finds nothing moves nothing."""
    history = History().account(at="2014-03-01").at("2014-04-01").charge("m1", 10_000)
    history.bounced(at="2014-05-01").bounced("other", at="2014-05-02").paid(10_000, at="2014-05-05")
    found = [(str(line.effective_on), line.kind, line.change_fen) for line in lines_of(history)][1:]
    assert found == [
        ("2014-05-02", "payment_reversed", 0),
        ("2014-05-05", "payment_reversed", 10_000),
        ("2014-05-05", "payment_received", -10_000),
    ]


def test_a_line_names_the_events_it_rests_on_and_the_rule():
    """A charge its basis, a fee its charge, reversals what they take back, each with the day of its rule."""
    history = History().account(at="2014-03-01").at("2014-04-01").charge("m1", 10_000, basis="choice-1")
    history.fee("m1", at="2014-05-11").reversed("m1", 4_000, at="2014-05-12").paid(1_000, at="2014-05-13")
    history.reversed(fee_id="lf", amount_fen=300, at="2014-05-14").bounced(at="2014-05-15")
    found = {line.event_id: (line.rests_on, line.rule_id, line.rule_on) for line in lines_of(history)}
    assert found == {
        "ChargePosted:m1": (["choice-1"], "charge-basis", date(2014, 4, 1)),
        "LateFeeAssessed:lf": (["ChargePosted:m1"], "late-fee", date(2014, 5, 11)),
        "ChargeReversed:m1": (["ChargePosted:m1"], None, None),
        "PaymentReceived:py": ([], None, None),
        "ChargeReversed:lf": (["LateFeeAssessed:lf"], None, None),
        "PaymentReversed:py": (["PaymentReceived:py"], None, None),
    }


def test_deposits_stand_on_the_statement_and_not_in_the_balance():
    """They are the customer's own money, held."""
    history = History().account(at="2014-03-01").at("2014-04-01")
    history.add(ev.DepositTaken(deposit_id="d", amount_fen=20_000))
    tables = rows_of(Statement(), history.recorded()["account/A"])
    assert [(line.amount_fen, line.change_fen, line.balance_fen) for line in tables["statement_line"]] == [
        (20_000, 0, 0)
    ]
    assert [(p.code, p.amount_fen) for p in tables["posting"]] == [("cash", 20_000), ("deposits", -20_000)]


# -- over a whole ledger ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases(server):
    """Return a deployment with every case in it, its models up to date."""
    with fresh_database(server, "money") as url:
        opened = opened_deployment(url)
        for path in [*sorted(CASES.glob("*/history.jsonl")), HARBIN]:
            import_file(opened, path)
        catch_up(opened, (Statement(),), lambda: LATER)
        yield opened
        opened.close()


@pytest.mark.storage
@pytest.mark.parametrize("day", ["2010-06-01", "2013-12-31", "2014-08-20", "2014-12-09", "2019-12-31"])
def test_the_trial_balance_and_the_aging_of_any_day_are_the_sums_of_the_replays(cases, day):
    """By region: debits equal credits, and the receivables are the balances of all accounts, replayed one by one."""
    on = date.fromisoformat(day)
    for ledger in cases.ledgers:
        histories = account_histories(ledger)
        balances: Counter[str] = Counter()
        buckets: dict[str, dict] = {}
        for subject, history in histories.items():
            answer = replayed(history, on)
            region = next(r.event.region for r in history if isinstance(r.event.data, ev.AccountOpened))
            balances[region] += answer["balance_fen"]
            if answer["balance_fen"] or answer["principal_fen"]:
                buckets[subject.partition("/")[2]] = answer["aging"]
        found = trial_balance(ledger, on)
        for region in {t.region for t in found.turnovers}:
            mine = [t for t in found.turnovers if t.region == region]
            assert sum(t.debit_fen for t in mine) == sum(t.credit_fen for t in mine)
            receivable = sum(t.debit_fen - t.credit_fen for t in mine if t.code == "receivable")
            assert receivable == balances[region]
        assert {o.region: o.balance_fen for o in found.owing if o.balance_fen} == {
            region: fen for region, fen in balances.items() if fen
        }
        wanted = {"city": None, "past_due_days": 0, "principal_fen": 0}
        aged = aging(ledger, on, wanted, (BY_ACCOUNT, None, 10_000))
        assert {a["account_id"]: {n: a[n] for n in AGING_BUCKETS} for a in aged.accounts} == buckets
        for name in AGING_BUCKETS:
            total = sum(getattr(t, name) for t in aged.totals.values())
            assert total == sum(a[name] for a in buckets.values())


def account_histories(ledger):
    with ledger.journal.database.connection(ledger.schema) as connection:
        rows = connection.execute("SELECT subject FROM event WHERE version = 1 AND subject LIKE 'account/%'")
        return ledger.histories([subject for (subject,) in rows])


# -- the worklist -------------------------------------------------------------------------------------------


def steps_of(history, now):
    """Return the steps of a worklist by action, as of a moment."""
    found = rows_of(Dunning(), history, now).get("dunning_step", [])
    return {s.action: s for s in found}


def live(seed):
    """Let an operator live through some months of a customer who pays late or never; yield each day before its end."""
    chance = random.Random(seed)
    operator = Operator(deliver=lambda _r, _n: chance.choice(["delivered", "no_answer", "silent"]))
    operator.register()
    operator.register("P2")
    operator.open(line=chance.choice(["fixed_broadband", "mobile"]))
    operator.sell("suspend")
    operator.complain()
    for _ in range(200):
        disturb(operator, chance)
        operator._deliver()
        evening = start_of(operator.today + timedelta(days=1), REGION) - timedelta(minutes=6)
        operator._clock = max(operator._clock, evening)
        yield operator
        operator.today += timedelta(days=1)


def disturb(operator, chance):
    """Let the customer pay something, dispute, let go, or hand the account on."""
    subject = "account/A"
    match chance.choices(("nothing", "pay", "hold", "let_go", "transfer"), (950, 15, 10, 20, 2))[0]:
        case "pay":
            operator.pay(amount_fen=chance.choice([None, 1_000, 50_000]))
        case "hold":
            operator.ask(subject, ac.PlaceDisputeHold(
                hold_id=f"H{operator.today}", amount_fen=100, case_id="K",
                charge_ids=chance.choice([None, ("PK-year",)]),
                scope=tuple(chance.sample(["late_fee", "suspension", "blacklist"], 2)),
            ))  # fmt: skip
        case "let_go":
            for hold_id in list(operator.state(subject).holds):
                operator.ask(subject, ac.ReleaseDisputeHold(hold_id=hold_id, outcome="rejected"))
        case "transfer":
            stays = chance.choice(["from", "to"])
            command = ac.TransferAccount(to_party_id="P2", debt_stays_with=stays)
            operator.ask(subject, command, evidenceref="form")


def test_the_worklist_says_what_the_close_of_day_will_do():
    """A service is suspended or terminated on a day if, and only if, that step stood open and nothing blocked it."""
    seen: Counter[str] = Counter()
    for operator in (day for seed in range(8) for day in live(seed)):
        history = operator.histories["account/A"]
        steps = steps_of(history, operator.now)
        due = {a: s for a, s in steps.items() if s.from_on <= operator.today}
        status, before = operator.state("account/A").status, len(history)
        operator.close()
        done = {type(e.data).__name__ for e in in_arrears(history[before:])}
        if status == "active":
            assert ("ServiceSuspended" in done) == ("suspend" in due and not due["suspend"].blocked)
        if status == "suspended":
            assert ("ServiceTerminated" in done) == ("terminate" in due and not due["terminate"].blocked)
        seen.update(done)
        seen.update(block["reason"] for step in due.values() for block in step.blocked_by)
    assert min(seen[what] for what in ("ServiceSuspended", "ServiceTerminated", "dispute_hold")) > 0


def in_arrears(history):
    """Return the events that were for arrears."""
    return [r.event for r in history if getattr(r.event.data, "reason", None) == "arrears"]


def test_a_step_says_from_when_and_what_blocks_it():
    """Given a month due on 30 April: remind from 1 May, suspend a fixed line from 31 May, not under a hold."""
    history = in_may().hold("suspension", "blacklist", at="2014-05-10")
    before = steps_of(in_may().recorded()["account/A"], moment("2014-04-20"))
    assert {a: (str(s.from_on), s.blocked, s.amount_fen) for a, s in before.items()} == {
        "remind": ("2014-05-01", False, 10_000),
        "announce_suspension": ("2014-05-26", False, 10_000),
        "suspend": ("2014-05-31", False, 10_000),
    }
    held = steps_of(history.recorded()["account/A"], moment("2014-05-20"))
    assert {a: s.blocked_by for a, s in held.items()} == {
        "remind": [{"reason": "dispute_hold", "id": "H"}],
        "suspend": [{"reason": "dispute_hold", "id": "H"}],
    }


def in_may():
    return History().account(at="2014-03-01").at("2014-04-01").charge("m1")


def test_a_reminder_that_arrived_is_off_the_list_and_one_without_an_outcome_waits():
    """A delivered notice ends it; a pending one is followed by the next channel after two days."""
    now = moment("2014-05-05")
    tried = in_may().tried("arrears", at="2014-05-02")
    assert str(steps_of(tried.recorded()["account/A"], now)["remind"].from_on) == "2014-05-05"
    assert "remind" not in steps_of(tried.delivered(at="2014-05-02T12:00").recorded()["account/A"], now)


def test_a_debt_that_is_paid_in_time_has_no_steps():
    """Neither has one whose payment is on its way and counts by then; without a payment there are."""
    now = moment("2014-04-20")
    assert steps_of(in_may().recorded()["account/A"], now)
    assert not steps_of(in_may().paid(10_000, at="2014-04-10").recorded()["account/A"], now)
    assert not steps_of(in_may().paid(10_000, at="2014-04-10", on="2014-04-28").recorded()["account/A"], now)
