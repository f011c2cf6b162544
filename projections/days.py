"""An account's books as they stood at the end of each day on which something in them changed, as known now.

The same as a replay at the end of that day: it takes what had happened by then, and a payment from its value date on,
though it was posted later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from domain.account import Account, Figures, figures, fold
from domain.account.money import Books, Debt, Payment, oldest_first
from domain.calendar import day_of
from domain.events.account import (
    ChargePosted,
    ChargeReversed,
    PaymentAllocated,
    PaymentReceived,
    PaymentReversed,
)
from domain.events.envelope import Recorded


class Day(NamedTuple):
    """A day, and what the books said at its end."""

    on: date
    money: Figures
    fees_due: dict[str, date]
    """By late fee that is not settled: when it was due."""
    taken_back: dict[str, int]
    """By the event of a payment's reversal: what it takes back of payments that would count by now, in fen."""


def days(moves: Sequence[Recorded], region: str) -> Iterator[Day]:
    """Yield each day on which what is owed may have changed, by the events that move it, in the order of the world.

    A day costs as much as there is unsettled on it; in a history with allocations, as much as there ever was.
    """
    happened = [day_of(r.event.time, region) for r in moves]
    late = [(d, n) for n, r in enumerate(moves) if (d := _value_date(r, happened[n])) < happened[n]]
    late.sort(reverse=True)
    counting: list[int] = []
    bounces = any(isinstance(r.event.data, PaymentReversed) for r in moves)
    allocates = any(isinstance(r.event.data, PaymentAllocated) for r in moves)
    account, done, unsettled = Account(""), 0, _Unsettled(moves)
    for on in change_days(moves, region):
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
            money = figures(books, on)
        else:
            money = unsettled.figures(books, sum(r.event.data.amount_fen for r in posted_later), on)  # type: ignore[attr-defined]
            unsettled.put_by(money, done, on)
        fees_due = {fee_id: books.fees[fee_id].due_on for fee_id in money.unpaid_fee_fen}
        yield Day(on, money, fees_due, _taken_back(books, on) if bounces else {})


def change_days(moves: Sequence[Recorded], region: str) -> list[date]:
    """Return the days on which events happened, and the value dates of payments, in order."""
    found = {day_of(r.event.time, region) for r in moves}
    return sorted(
        found | {r.event.data.value_date for r in moves if isinstance(r.event.data, PaymentReceived)}
    )


def _taken_back(books: Books, on: date) -> dict[str, int]:
    found: dict[str, int] = {}
    for payment in books.payments.values():
        if payment.reversed_by is not None and payment.value_date <= on:
            found[payment.reversed_by] = found.get(payment.reversed_by, 0) + payment.amount_fen
    return found


def _value_date(recorded: Recorded, otherwise: date) -> date:
    data = recorded.event.data
    return data.value_date if isinstance(data, PaymentReceived) else otherwise


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
        self._charges: dict[str, Debt] = {}
        self._payments: dict[str, Payment] = {}
        self._put_by_fen = 0
        self._named: dict[str, int] = {}
        soonest = [date.max]
        for n, recorded in enumerate(moves):
            if isinstance(recorded.event.data, ChargeReversed):
                self._named[f"charge {recorded.event.data.charge_id}"] = n
            elif isinstance(recorded.event.data, PaymentReversed):
                self._named[f"payment {recorded.event.data.payment_id}"] = n
        for recorded in reversed(moves):
            data = recorded.event.data
            soonest.append(min(soonest[-1], data.due_on) if isinstance(data, ChargePosted) else soonest[-1])
        self._soonest = soonest[::-1]

    def take_in(self, books: Books, recorded: Recorded) -> None:
        """Keep the charge or the payment that the books have just taken in."""
        if isinstance(recorded.event.data, ChargePosted):
            key = next(reversed(books.charges))
            self._charges[key] = books.charges[key]
        elif isinstance(recorded.event.data, PaymentReceived):
            key = next(reversed(books.payments))
            self._payments[key] = books.payments[key]

    def figures(self, books: Books, late_fen: int, on: date) -> Figures:
        """Return what the books say on a day, with so much money besides, which was posted later and counts already."""
        less = replace(
            books,
            charges=self._charges,
            payments=self._payments,
            credits_fen=books.credits_fen + late_fen + self._put_by_fen,
        )
        money = figures(less, on)
        if money.principal_fen == sum(i.unpaid_fen for i in money.open_items):
            return money
        # Not enough is left for what was settled before.
        return figures(replace(books, credits_fen=books.credits_fen + late_fen), on)

    def put_by(self, money: Figures, done: int, on: date) -> None:
        """Leave out what is settled on a day, after the first `done` events, and can't be touched any more."""
        unpaid = {i.charge_id for i in money.open_items}
        for charge in oldest_first(self._charges.values()):
            later = charge.due_on > self._soonest[done] or self._touched("charge", charge.debt_id, done)
            if later or charge.debt_id in unpaid:
                break
            del self._charges[charge.debt_id]
            self._put_by_fen -= charge.amount_fen - charge.reversed_fen
        for key, payment in list(self._payments.items()):
            if payment.value_date <= on and not self._touched("payment", key, done):
                del self._payments[key]
                self._put_by_fen += payment.amount_fen if payment.reversed_by is None else 0

    def _touched(self, kind: str, key: str, done: int) -> bool:
        """Whether a later event names a charge or a payment, by its id or one it was told apart from."""
        parts = key.split("#")
        ids = ("#".join(parts[:n]) for n in range(1, len(parts) + 1))
        return any(self._named.get(f"{kind} {i}", -1) >= done for i in ids)
