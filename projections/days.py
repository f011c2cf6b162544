"""What stood open on an account at the end of each day on which something in its books changed, as known now.

The same as a replay at the end of that day: it takes what had happened by then, and a payment from its value date on,
though it was posted later.
"""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from operator import attrgetter
from typing import Literal, NamedTuple, TypeVar

from domain.account import Account, fold
from domain.account.money import Books, Debt, Payment, Settled, oldest_first, settled
from domain.calendar import day_of
from domain.events.account import (
    ChargePosted,
    ChargeReversed,
    LateFeeAssessed,
    PaymentAllocated,
    PaymentReceived,
    PaymentReversed,
)
from domain.events.envelope import Recorded

T = TypeVar("T")
ItemKind = Literal["charge", "late_fee", "overdrawn", "credit"]
Standing = dict[tuple[ItemKind, str], tuple[date | None, int]]
"""By kind and id: when it is due, and what is left unpaid of it in fen."""


class Day(NamedTuple):
    """A day, and what stood open at its end."""

    on: date
    standing: Standing
    taken_back: dict[str, int]
    """By the event of a payment's reversal: what it takes back of payments that would count by now, in fen."""


def days(moves: Sequence[Recorded], happened: Sequence[date]) -> Iterator[Day]:
    """Yield each day on which what is owed may have changed, by the events that move it, in the order of the world.

    `happened` has the day of each. A day costs as much as there is unsettled on it; in a history with allocations, as
    much as there ever was.
    """
    counts = [d.value_date if isinstance(d := r.event.data, PaymentReceived) else None for r in moves]
    late = [(on, n) for n, on in enumerate(counts) if on is not None and on < happened[n]]
    late.sort(reverse=True)
    counting: list[int] = []
    bounces = any(isinstance(r.event.data, PaymentReversed) for r in moves)
    allocates = any(isinstance(r.event.data, PaymentAllocated) for r in moves)
    account, done, unsettled = Account(""), 0, _Unsettled(moves)
    for on in sorted({*happened, *(day for day in counts if day is not None)}):
        while done < len(moves) and happened[done] <= on:
            fold.step(account, moves[done])
            unsettled.take_in(account.books, moves[done])
            done += 1
        books = account.books
        while late and late[-1][0] <= on:
            counting.append(late.pop()[1])
        counting = sorted(n for n in counting if n >= done)
        posted_later = [moves[n] for n in counting]
        if allocates or (posted_later and bounces):  # which payment it is matters: a reversal may wait for it
            books = _with(account, posted_later).books if posted_later else books
            left = _settled(books, on)
        else:
            left = unsettled.settled(books, sum(r.event.data.amount_fen for r in posted_later), on)  # type: ignore[attr-defined]
            unsettled.put_by(left, done, on)
        yield Day(on, _standing(books, left), _taken_back(books, on) if bounces else {})


def change_days(moves: Sequence[Recorded], region: str) -> list[date]:
    """Return the days on which events happened, and the value dates of payments, in order."""
    found = {day_of(r.event.time, region) for r in moves}
    return sorted(
        found | {r.event.data.value_date for r in moves if isinstance(r.event.data, PaymentReceived)}
    )


def _settled(books: Books, on: date, more_fen: int = 0) -> Settled:
    """Settle everything there is, with so much money besides."""
    counted = {k: p for k, p in books.payments.items() if p.reversed_by is None and p.value_date <= on}
    paid_fen = sum(p.amount_fen for p in counted.values()) + more_fen
    charges, fees = oldest_first(books.charges.values()), oldest_first(books.fees.values())
    return settled(books, charges, fees, paid_fen, counted)


def _standing(books: Books, left: Settled) -> Standing:
    found: Standing = {("charge", k): (books.charges[k].due_on, fen) for k, fen in left.unpaid_fen.items()}
    for key, fen in left.unpaid_fee_fen.items():
        found["late_fee", key] = books.fees[key].due_on, fen
    return found | of_no_charge(left.overdrawn_fen, left.credit_fen)


def of_no_charge(overdrawn_fen: int, credit_fen: int) -> Standing:
    """Return what belongs to no charge: what is owed beyond all of them, or what no debt has taken."""
    found: Standing = {}
    if overdrawn_fen:
        found["overdrawn", ""] = None, overdrawn_fen
    if credit_fen:
        found["credit", ""] = None, -credit_fen
    return found


def _taken_back(books: Books, on: date) -> dict[str, int]:
    found: dict[str, int] = {}
    for payment in books.payments.values():
        if payment.reversed_by is not None and payment.value_date <= on:
            found[payment.reversed_by] = found.get(payment.reversed_by, 0) + payment.amount_fen
    return found


def _with(account: Account, payments: Sequence[Recorded]) -> Account:
    """Return an account as it is once these payments are known too; the account itself stays as it is."""
    books = replace(account.books, payments={k: replace(p) for k, p in account.books.payments.items()})
    waiting = {key: list(events) for key, events in account.early.items()}
    missed = list(account.unmatched_event_ids)
    found = replace(account, books=books, early=waiting, unmatched_event_ids=missed)
    for recorded in payments:
        fold.step(found, recorded)
    return found


class _Unsettled:
    """What still bears on what is owed: the books without the oldest charges that are paid, and the money for them.

    Without allocations money goes to the oldest charge first. So charges due before all others, and before all to
    come, stay settled while there is enough for them: they may be left out together with as much money, once no later
    event takes anything of them back.
    """

    def __init__(self, moves: Sequence[Recorded]) -> None:
        self._charges: list[Debt] = []
        self._fees: list[Debt] = []
        """Both oldest first."""
        self._payments: dict[str, Payment] = {}
        self._put_by_fen = 0
        self._named: dict[tuple[str, str | None], int] = {}
        soonest = [date.max]
        for n, recorded in enumerate(moves):
            data = recorded.event.data
            if isinstance(data, ChargeReversed):
                self._named["charge", data.charge_id] = n
            elif isinstance(data, PaymentReversed):
                self._named["payment", data.payment_id] = n
        for recorded in reversed(moves):
            data = recorded.event.data
            soonest.append(min(soonest[-1], data.due_on) if isinstance(data, ChargePosted) else soonest[-1])
        self._soonest = soonest[::-1]

    def take_in(self, books: Books, recorded: Recorded) -> None:
        """Keep the charge, the fee or the payment that the books have just taken in."""
        data = recorded.event.data
        if isinstance(data, ChargePosted):
            insort(self._charges, _newest(books.charges), key=_due_on)
        elif isinstance(data, LateFeeAssessed):
            insort(self._fees, _newest(books.fees), key=_due_on)
        elif isinstance(data, PaymentReceived):
            payment = _newest(books.payments)
            self._payments[payment.payment_id] = payment

    def settled(self, books: Books, late_fen: int, on: date) -> Settled:
        """Settle what is left on a day, with so much money besides, which was posted later and counts already."""
        paid_fen = sum(
            p.amount_fen for p in self._payments.values() if p.reversed_by is None and p.value_date <= on
        )
        left = settled(books, self._charges, self._fees, paid_fen + late_fen + self._put_by_fen)
        if not left.overdrawn_fen:
            return left
        return _settled(books, on, late_fen)  # not enough is left for what was settled before

    def put_by(self, left: Settled, done: int, on: date) -> None:
        """Leave out what is settled on a day, after the first `done` events, and can't be touched any more."""
        count = 0
        for charge in self._charges:
            later = charge.due_on > self._soonest[done] or self._touched("charge", charge.debt_id, done)
            if later or charge.debt_id in left.unpaid_fen:
                break
            self._put_by_fen -= charge.amount_fen - charge.reversed_fen
            count += 1
        del self._charges[:count]
        for key, payment in list(self._payments.items()):
            if payment.value_date <= on and not self._touched("payment", key, done):
                del self._payments[key]
                self._put_by_fen += payment.amount_fen if payment.reversed_by is None else 0

    def _touched(self, kind: str, key: str, done: int) -> bool:
        """Whether a later event names a charge or a payment, by its id or one it was told apart from."""
        if not self._named:
            return False
        parts = key.split("#")
        ids = ("#".join(parts[:n]) for n in range(1, len(parts) + 1))
        return any(self._named.get((kind, i), -1) >= done for i in ids)


_due_on = attrgetter("due_on")


def _newest(of: dict[str, T]) -> T:
    return of[next(reversed(of))]
