"""What was owed at moments of the past: in one pass over an account the same as folded anew for each moment."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.account import figures
from domain.calendar import day_of
from domain.events import account as av
from domain.replay import in_order
from domain.rules.past import Past
from tests.histories import REGION, History, moment

BEGAN = moment("2014-01-01")
DAYS = st.integers(0, 60)
AMOUNTS = st.sampled_from([1_000, 3_000, 10_000])
CHARGES = st.sampled_from(
    ["a", "b", "c", "x", "a#1"]
)  # the last looks like a second `a`, `x` is a fee's, too
FEES = st.sampled_from(["m", "n", "x"])
PAYMENTS = st.sampled_from(["1", "2", "3", "1#1"])
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), CHARGES, DAYS, AMOUNTS, DAYS),
        st.tuples(st.just("fee"), FEES, DAYS, AMOUNTS, CHARGES),
        st.tuples(st.just("payment"), PAYMENTS, DAYS, AMOUNTS, DAYS),
        st.tuples(st.just("allocated"), PAYMENTS, DAYS, AMOUNTS, CHARGES),
        st.tuples(st.just("reversed"), st.one_of(CHARGES, FEES), DAYS, AMOUNTS, st.booleans()),
        st.tuples(st.just("bounced"), PAYMENTS, DAYS),
        st.tuples(st.just("credit"), PAYMENTS, DAYS, AMOUNTS),
        st.tuples(st.just("refund"), PAYMENTS, DAYS, AMOUNTS),
    ),
    max_size=14,
)


def day(number):
    return (BEGAN + timedelta(days=number)).date()


def payload(move, name, amount_fen=0, more=None):
    """Return what a move says."""
    match move:
        case "charge":
            return av.ChargePosted(
                charge_id=name, kind="monthly", amount_fen=amount_fen, period_start=day(0), period_end=day(1),
                due_on=day(more),
            )  # fmt: skip
        case "fee":
            return av.LateFeeAssessed(
                fee_id=name, charge_id=more, base_fen=1_000, rate_ppm=3_000, from_=day(1), to=day(2),
                amount_fen=amount_fen,
            )  # fmt: skip
        case "payment":
            return av.PaymentReceived(
                payment_id=name, amount_fen=amount_fen, value_date=day(more), method="cash"
            )
        case "allocated":
            return av.PaymentAllocated(payment_id=name, charge_id=more, amount_fen=amount_fen)
        case "reversed":
            of = {"fee_id": name} if more else {"charge_id": name}
            return av.ChargeReversed(**of, amount_fen=amount_fen, reason="goodwill")
        case "bounced":
            return av.PaymentReversed(payment_id=name, reason="bounced")
        case "credit":
            return av.CreditGranted(credit_id=name, amount_fen=amount_fen, reason="goodwill")
        case "refund":
            return av.RefundPaid(amount_fen=amount_fen, method="cash")
    raise AssertionError(move)


def history_of(moves, *, twice):
    """Return the events, each on its day, whatever comes first; one id stands for several things only if `twice`."""
    made, used = History(), set()
    for number, (move, name, on, *given_) in enumerate(moves):
        of = "debt" if move in ("charge", "fee") else move
        if not twice and of in ("debt", "payment"):
            if "#" in name or (of, name) in used:
                continue
            used.add((of, name))
        made.now = BEGAN + timedelta(days=on, minutes=number)
        made.add(payload(move, name, *given_), about=f"{number}")
    return in_order(made.recorded().get("account/A", []))


@settings(max_examples=300)
@given(MOVES, st.booleans(), st.lists(DAYS, min_size=1, max_size=8), st.booleans())
def test_it_is_the_same_in_one_pass_and_anew_for_each_moment(moves, twice, asked, as_it_stood):
    """Given any history, asked of moments in any order, then each answer is that of a fold for it alone."""
    past = Past(history_of(moves, twice=twice), as_it_stood=as_it_stood)
    for number in asked:
        at = BEGAN + timedelta(days=number, hours=6)
        assert past.at(at, REGION) == figures(past._anew(at).books, day_of(at, REGION))
