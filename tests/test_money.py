"""What an account owes: the laws that hold for any books, and the vocabulary's own examples."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.account.money import (
    Allocation,
    Books,
    Debt,
    Payment,
    balance_fen,
    bucket_of,
    figures,
    late_fee_fen,
    left_on,
    oldest_first,
    settled,
    unpaid_of,
    unpaid_spans,
)

DAY = date(2014, 8, 31)
TODAY = date(2014, 12, 9)


def charge(debt_id: str, amount_fen: int, due_on: date = DAY, reversed_fen: int = 0) -> Debt:
    return Debt(
        debt_id, "monthly", amount_fen, due_on, f"e-{debt_id}", "s", due_on, due_on, reversed_fen=reversed_fen
    )


def payment(payment_id: str, amount_fen: int, value_date: date = DAY) -> Payment:
    return Payment(payment_id, amount_fen, value_date, "cash", f"e-{payment_id}")


def books(charges=(), fees=(), payments=(), allocations=(), **sums) -> Books:
    return Books(
        {c.debt_id: c for c in charges},
        {f.debt_id: f for f in fees},
        {p.payment_id: p for p in payments},
        list(allocations),
        **sums,
    )


amounts = st.integers(0, 500_000)
days = st.dates(date(2014, 1, 1), date(2015, 12, 31))
names = st.sampled_from("abcdef")
any_books = st.builds(
    books,
    charges=st.lists(st.builds(charge, names, amounts, days, amounts), max_size=5),
    fees=st.lists(st.builds(charge, names, amounts, days, amounts), max_size=4),
    payments=st.lists(st.builds(payment, names, amounts, days), max_size=5),
    allocations=st.lists(st.builds(Allocation, names, names, st.booleans(), amounts), max_size=6),
    credits_fen=amounts,
    written_off_fen=amounts,
    refunded_fen=amounts,
    stray_reversals_fen=amounts,
)


@given(any_books, days)
def test_the_balance_is_the_sum_the_vocabulary_says(b: Books, on: date):
    """Charges + late fees - reversals - payments that stand - credits - write-offs + refunds paid."""
    debts = [*b.charges.values(), *b.fees.values()]
    expected = (
        sum(d.amount_fen - d.reversed_fen for d in debts)
        - sum(p.amount_fen for p in b.payments.values() if p.value_date <= on)
        - b.stray_reversals_fen
        - b.credits_fen
        - b.written_off_fen
        + b.refunded_fen
    )
    assert figures(b, on).balance_fen == expected


@given(any_books, days)
def test_no_fen_is_lost_between_what_is_owed_and_what_is_credit(b: Books, on: date):
    """The balance is principal plus late fees less credit, none of them negative."""
    f = figures(b, on)
    assert f.balance_fen == f.principal_fen + f.late_fee_fen - f.credit_fen
    assert min(f.principal_fen, f.late_fee_fen, f.credit_fen) >= 0


@given(any_books, days)
def test_the_aging_buckets_add_up_to_the_principal(b: Books, on: date):
    """Every unpaid fen of principal is in exactly one bucket."""
    f = figures(b, on)
    assert sum(f.past_due.aging.values()) == f.principal_fen


@given(any_books, days)
def test_credit_is_only_left_when_nothing_is_owed(b: Books, on: date):
    """Money that no allocation placed settles every debt before it becomes a credit."""
    f = figures(b, on)
    assert not f.credit_fen or (not f.open_items and not f.unpaid_fee_fen)


@given(any_books, days, days)
def test_a_day_changes_only_what_the_calendar_changes(b: Books, one: date, other: date):
    """Two days with the same payments in effect have the same balance."""
    first, second = figures(b, min(one, other)), figures(b, max(one, other))
    if first.next_change_on is None or first.next_change_on > max(one, other):
        assert first.balance_fen == second.balance_fen


@given(any_books, days, names)
def test_what_is_left_of_one_charge_is_what_the_figures_have_of_it(b: Books, on: date, charge_id: str):
    """Asked alone it is found without looking at all the others."""
    expected = next((i.unpaid_fen for i in figures(b, on).open_items if i.charge_id == charge_id), 0)
    assert unpaid_of(b, charge_id, on) == expected


@given(any_books, days)
def test_without_allocations_debts_are_settled_in_their_order_however_it_is_added_up(b: Books, on: date):
    """The running sums come to what paying one debt after the other comes to."""
    b.allocations.clear()
    paid_fen = sum(p.amount_fen for p in b.payments.values() if p.value_date <= on)
    in_turn = settled(b, oldest_first(b.charges.values()), oldest_first(b.fees.values()), paid_fen)
    assert left_on(b, on) == in_turn
    assert list(left_on(b, on).unpaid_fen) == list(in_turn.unpaid_fen)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), amounts, days),
        st.tuples(st.just("levy"), amounts, days),
        st.tuples(st.just("receive"), amounts, days),
        st.tuples(st.just("take_back"), st.integers(0, 9), amounts),
        st.tuples(st.just("bounce"), st.integers(0, 9)),
    ),
    max_size=12,
)


@given(moves, days)
def test_the_sums_are_true_after_every_move(moves_made, on: date):
    """Given figures asked after each move, then they are those of books that nobody has asked before."""
    b = Books()
    for number, (move, *given_) in enumerate(moves_made):
        debts, payments = [*b.charges.values(), *b.fees.values()], [*b.payments.values()]
        if move in ("charge", "levy"):
            getattr(b, move)(charge(f"d{number}", *given_))
        elif move == "receive":
            b.receive(payment(f"p{number}", *given_))
        elif move == "take_back" and debts:
            b.take_back(debts[given_[0] % len(debts)], given_[1])
        elif move == "bounce" and payments:
            b.bounce(payments[given_[0] % len(payments)], f"e{number}")
        anew = Books(b.charges, b.fees, b.payments)
        assert figures(b, on) == figures(anew, on)
        assert balance_fen(b, on) == balance_fen(anew, on) == figures(anew, on).balance_fen


def test_unplaced_money_goes_to_the_oldest_charge_first_and_to_principal_before_late_fees():
    """120 yuan against two charges of 100 and a fee: the older charge and 20 of the younger."""
    f = figures(
        books(
            [charge("new", 10_000, date(2014, 9, 30)), charge("old", 10_000)],
            [charge("fee", 500, date(2014, 1, 1))],
            [payment("p", 12_000)],
        ),
        TODAY,
    )
    assert [(i.charge_id, i.unpaid_fen) for i in f.open_items] == [("new", 8_000)]
    assert (f.principal_fen, f.late_fee_fen) == (8_000, 500)


def test_an_allocation_places_money_where_it_says():
    """The younger charge was named, so the older one stays unpaid."""
    f = figures(
        books(
            [charge("old", 10_000), charge("new", 10_000, date(2014, 9, 30))],
            payments=[payment("p", 10_000)],
            allocations=[Allocation("p", "new", is_fee=False, amount_fen=10_000)],
        ),
        TODAY,
    )
    assert [i.charge_id for i in f.open_items] == ["old"]


def test_a_payment_counts_from_the_start_of_its_value_date():
    """One day earlier it does not count, and the day on which it will is told."""
    b = books([charge("c", 10_000)], payments=[payment("p", 10_000, TODAY)])
    before = figures(b, TODAY - timedelta(days=1))
    assert (before.balance_fen, before.next_change_on) == (10_000, TODAY)
    assert figures(b, TODAY).balance_fen == 0


def test_a_reversed_payment_does_not_count():
    """What bounced pays nothing."""
    bounced = payment("p", 10_000)
    bounced.reversed_by = "e"
    assert figures(books([charge("c", 10_000)], payments=[bounced]), TODAY).balance_fen == 10_000


def test_arrears_begin_on_the_day_after_the_due_date():
    """On the due date itself nothing is late."""
    b = books([charge("c", 10_000, DAY)])
    assert figures(b, DAY).past_due.arrears_since is None
    late = figures(b, DAY + timedelta(days=1)).past_due
    assert (late.arrears_since, late.days_past_due) == (DAY + timedelta(days=1), 1)


def test_more_refunded_than_was_there_is_owed_again():
    """100 paid and 100 refunded: the charge is owed in full."""
    f = figures(books([charge("c", 10_000)], payments=[payment("p", 10_000)], refunded_fen=10_000), TODAY)
    assert (f.balance_fen, f.principal_fen, f.open_items[0].unpaid_fen) == (10_000, 10_000, 10_000)


def test_buckets_begin_on_the_day_after_the_last_one_ends():
    """Due today is current; 1, 30, 31, 60, 61, 90 and 91 days past due are where collections put them."""
    assert [bucket_of(d) for d in (-5, 0, 1, 30, 31, 60, 61, 90, 91)] == [
        "current", "current", "d1_30", "d1_30", "d31_60", "d31_60", "d61_90", "d61_90", "d90_plus",
    ]  # fmt: skip


def test_the_late_fee_is_three_per_mille_a_day_rounded_down():
    """The Harbin fees: 10,000 fen for 121 days is 3,630; one fen for one day is nothing."""
    assert late_fee_fen(10_000, 3_000, 121) == 3_630
    assert late_fee_fen(1, 3_000, 1) == 0


@given(any_books, days)
def test_the_balance_alone_is_the_figures_balance(b: Books, on: date):
    """The short way to the balance comes to the same."""
    assert balance_fen(b, on) == figures(b, on).balance_fen


@given(any_books, days, st.integers(0, 60), names)
def test_spans_of_what_is_unpaid_are_the_days_one_by_one(b: Books, start: date, length: int, debt_id: str):
    """Between two value dates nothing changes: spans and single days say the same."""
    end = start + timedelta(days=length)
    by_day = {}
    for since, until, unpaid_fen in unpaid_spans(b, debt_id, start, end):
        for n in range((until - since).days):
            by_day[since + timedelta(days=n)] = unpaid_fen
    expected = {
        day: next((i.unpaid_fen for i in figures(b, day).open_items if i.charge_id == debt_id), 0)
        for day in (start + timedelta(days=n) for n in range(length))
    }
    assert by_day == expected
