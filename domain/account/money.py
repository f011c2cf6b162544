"""What an account owes on a day: balance, principal, late fees, arrears and aging, in integer fen.

The rules are the vocabulary's ("Order, and what the money means"): a payment counts from the start of its
value date; what no allocation in effect has placed goes to the oldest due charge first, all principal before
any late fee. Pure arithmetic over what the fold gathered; no event and no clock is read here.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from domain.account.running import Running

AGING_BUCKETS = ("current", "d1_30", "d31_60", "d61_90", "d90_plus")
_BUCKET_ENDS = ((0, "current"), (30, "d1_30"), (60, "d31_60"), (90, "d61_90"))

LATE_FEE_PPM_DIVISOR = 1_000_000


@dataclass(slots=True)
class Debt:
    """A posted charge or an assessed late fee, and what has been taken back of it."""

    debt_id: str
    kind: str
    amount_fen: int
    due_on: date
    event_id: str
    source: str
    period_start: date
    period_end: date
    basis_event_id: str | None = None
    charge_id: str | None = None
    reversed_fen: int = 0
    posted_at: datetime | None = None
    debtor_id: str = ""
    """Whose debt it is: after a transfer the old holder's debts may stay with them."""

    @property
    def standing_fen(self) -> int:
        """What of it still stands, paid or not."""
        return max(0, self.amount_fen - self.reversed_fen)


@dataclass(slots=True)
class Payment:
    """Money received; `reversed_by` is the event that took it back."""

    payment_id: str
    amount_fen: int
    value_date: date
    method: str
    event_id: str
    reversed_by: str | None = None
    received_at: datetime | None = None

    @property
    def standing_fen(self) -> int:
        """What of it counts, from its value date on."""
        return self.amount_fen if self.reversed_by is None else 0


@dataclass(slots=True, frozen=True)
class Allocation:
    """What an allocation event put of a payment against a charge or a fee."""

    payment_id: str
    debt_id: str
    is_fee: bool
    amount_fen: int


class Sums:
    """What books come to, kept up from the first time it is asked for."""

    __slots__ = ("charges", "fees", "over_reversed_fen", "payments")

    def __init__(self, books: "Books") -> None:
        self.charges = Running(books.charges.values(), _due_on, _standing_fen)
        self.fees = Running(books.fees.values(), _due_on, _standing_fen)
        self.payments = Running(books.payments.values(), _value_date, _standing_fen)
        self.over_reversed_fen = _over_reversed_fen((*books.charges.values(), *books.fees.values()))
        """What was taken back of debts beyond what they were."""


@dataclass(slots=True)
class Books:
    """Everything that moves an account's balance, in the order it was folded.

    What changes a debt or a payment goes through the methods here: they keep the sums true.
    """

    charges: dict[str, Debt] = field(default_factory=dict)
    fees: dict[str, Debt] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    allocations: list[Allocation] = field(default_factory=list)
    credits_fen: int = 0
    written_off_fen: int = 0
    refunded_fen: int = 0
    stray_reversals_fen: int = 0
    """Reversals of charges the history does not have: they lower the balance all the same."""
    _sums: Sums | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def sums(self) -> Sums:
        """What it all comes to."""
        if self._sums is None:
            self._sums = Sums(self)
        return self._sums

    def charge(self, debt: Debt) -> None:
        """Take in a posted charge."""
        self.charges[debt.debt_id] = debt
        if self._sums is not None:
            self._sums.charges.add(debt)

    def levy(self, fee: Debt) -> None:
        """Take in an assessed late fee."""
        self.fees[fee.debt_id] = fee
        if self._sums is not None:
            self._sums.fees.add(fee)

    def take_back(self, debt: Debt, amount_fen: int) -> None:
        """Reverse so much of a charge or a fee."""
        before_fen = max(0, debt.reversed_fen - debt.amount_fen)
        debt.reversed_fen += amount_fen
        if self._sums is not None:
            self._sums.over_reversed_fen += max(0, debt.reversed_fen - debt.amount_fen) - before_fen
            levied = self.fees.get(debt.debt_id) is debt
            (self._sums.fees if levied else self._sums.charges).changed(debt)

    def receive(self, payment: Payment) -> None:
        """Take in money."""
        self.payments[payment.payment_id] = payment
        if self._sums is not None:
            self._sums.payments.add(payment)

    def bounce(self, payment: Payment, event_id: str) -> None:
        """Let a payment count no more."""
        payment.reversed_by = event_id
        if self._sums is not None:
            self._sums.payments.changed(payment)

    def without(self, *, credits_fen: int, written_off_fen: int, refunded_fen: int) -> "Books":
        """Return the same debts and payments with so much less given, to look at: nothing may be added to them."""
        found = replace(
            self,
            credits_fen=self.credits_fen - credits_fen,
            written_off_fen=self.written_off_fen - written_off_fen,
            refunded_fen=self.refunded_fen - refunded_fen,
        )
        found._sums = self.sums  # noqa: SLF001 - its own kind
        return found


@dataclass(slots=True, frozen=True)
class OpenItem:
    """A charge that is not settled, and what is left unpaid of it."""

    charge_id: str
    due_on: date
    unpaid_fen: int


@dataclass(slots=True, frozen=True)
class PastDue:
    """How late what is unpaid is, on one day."""

    arrears_since: date | None
    days_past_due: int
    aging: dict[str, int]


@dataclass(slots=True, frozen=True)
class Figures:
    """An account's money on one day. `balance_fen` positive is owed, negative is a credit."""

    balance_fen: int
    principal_fen: int
    late_fee_fen: int
    credit_fen: int
    past_due: PastDue
    open_items: tuple[OpenItem, ...]
    """Charges that are not settled, oldest first."""
    unpaid_fee_fen: dict[str, int]
    """What is left unpaid of each late fee that is not settled, by fee id, oldest first."""
    next_change_on: date | None
    """The next day on which a payment already known will begin to count."""


def late_fee_fen(base_fen: int, rate_ppm: int, days: int) -> int:
    """Return the simple late fee in fen: floor(base x ppm x days / 1,000,000).

    Source: Telecommunications Regulations, art. 35 (2000) and art. 34 (2014): 3 per mille a day.
    """
    return base_fen * rate_ppm * days // LATE_FEE_PPM_DIVISOR


def bucket_of(days_past_due: int) -> str:
    """Return the aging bucket of a debt so many days past its due date."""
    return next((name for end, name in _BUCKET_ENDS if days_past_due <= end), "d90_plus")


def oldest_first(debts: Iterable[Debt]) -> list[Debt]:
    """Return debts by due date, those of one day as they were posted."""
    return sorted(debts, key=_due_on)


_due_on = attrgetter("due_on")
_value_date = attrgetter("value_date")
_standing_fen = attrgetter("standing_fen")


def balance_fen(books: Books, on: date) -> int:
    """Return the balance on a day alone: what stands of charges and fees less what was paid, as `figures` has it."""
    sums = books.sums
    paid_fen = sums.payments.first(sums.payments.until(on))
    owed_fen = sums.charges.total_fen + sums.fees.total_fen
    return owed_fen - _funds_fen(books, sums.over_reversed_fen, paid_fen)


def _over_reversed_fen(debts: Iterable[Debt]) -> int:
    """Return what was taken back of debts beyond what they were, in fen."""
    return sum(d.reversed_fen - d.amount_fen for d in debts if d.reversed_fen > d.amount_fen)


def _funds_fen(books: Books, over_reversed_fen: int, paid_fen: int) -> int:
    """Return what there is to settle debts with, in fen; below zero where more was given back than there was."""
    return (
        paid_fen
        + books.credits_fen
        + books.written_off_fen
        + books.stray_reversals_fen
        + over_reversed_fen
        - books.refunded_fen
    )


class Settled(NamedTuple):
    """What is left of debts and of the money for them once they were paid in their order."""

    unpaid_fen: dict[str, int]
    """Of each charge that is not settled, by its id, oldest first."""
    unpaid_fee_fen: dict[str, int]
    """The same of late fees."""
    overdrawn_fen: int
    """What was given back beyond all there was."""
    credit_fen: int


def settled(
    books: Books,
    charges: Sequence[Debt],
    fees: Sequence[Debt],
    paid_fen: int,
    counted: Mapping[str, Payment] = {},
) -> Settled:
    """Settle debts, oldest first, with so much paid money and what else the books have given.

    `counted` are the payments that allocations may place; without any, none does.
    """
    funds_fen = _funds_fen(books, _over_reversed_fen((*charges, *fees)), paid_fen)
    overdrawn_fen, funds_fen = max(0, -funds_fen), max(0, funds_fen)
    unpaid = {d.debt_id: d.amount_fen - d.reversed_fen for d in charges if d.amount_fen > d.reversed_fen}
    unpaid_fee = {d.debt_id: d.amount_fen - d.reversed_fen for d in fees if d.amount_fen > d.reversed_fen}
    if books.allocations:
        funds_fen -= _allocate(books.allocations, counted, unpaid, unpaid_fee, funds_fen)
    unpaid, funds_fen = _settle(unpaid, funds_fen)
    unpaid_fee, funds_fen = _settle(unpaid_fee, funds_fen)
    return Settled(unpaid, unpaid_fee, overdrawn_fen, funds_fen)


def left_on(books: Books, on: date) -> Settled:
    """Return what is left of debts and money on a day."""
    payments = books.sums.payments
    counting = payments.until(on)
    if not books.allocations:
        return _settled_in_order(books, payments.first(counting))
    counted = {p.payment_id: p for p in payments.entries[:counting] if p.reversed_by is None}
    charges, fees = books.sums.charges.entries, books.sums.fees.entries
    return settled(books, charges, fees, payments.first(counting), counted)


def figures(books: Books, on: date) -> Figures:
    """Return what the books say on a day (in the region's time zone)."""
    left = left_on(books, on)
    principal_fen = sum(left.unpaid_fen.values()) + left.overdrawn_fen
    fee_fen = sum(left.unpaid_fee_fen.values())
    open_items = tuple(
        OpenItem(debt_id, books.charges[debt_id].due_on, fen) for debt_id, fen in left.unpaid_fen.items()
    )
    return Figures(
        balance_fen=principal_fen + fee_fen - left.credit_fen,
        principal_fen=principal_fen,
        late_fee_fen=fee_fen,
        credit_fen=left.credit_fen,
        past_due=past_due(open_items, principal_fen, on),
        open_items=open_items,
        unpaid_fee_fen=left.unpaid_fee_fen,
        next_change_on=_next_value_date(books, on),
    )


def _next_value_date(books: Books, on: date) -> date | None:
    """Return from when the first payment counts that does not count yet on a day."""
    payments = books.sums.payments
    for index in range(payments.until(on), len(payments.entries)):
        if payments.entries[index].reversed_by is None:
            return payments.entries[index].value_date
    return None


def _settled_in_order(books: Books, paid_fen: int) -> Settled:
    """Do what `settled` does with all debts where no allocation places a payment, without looking at each of them."""
    sums = books.sums
    funds_fen = _funds_fen(books, sums.over_reversed_fen, paid_fen)
    overdrawn_fen = max(0, -funds_fen)
    unpaid, funds_fen = _unpaid(sums.charges, max(0, funds_fen))
    unpaid_fee, funds_fen = _unpaid(sums.fees, funds_fen)
    return Settled(unpaid, unpaid_fee, overdrawn_fen, funds_fen)


def _unpaid(debts: Running[Debt], funds_fen: int) -> tuple[dict[str, int], int]:
    """Pay debts in their order from funds; return what is left unpaid of each, and of the funds."""
    if debts.total_fen <= funds_fen:
        return {}, funds_fen - debts.total_fen
    at = bisect_right(debts.sums, funds_fen)
    left = {d.debt_id: d.standing_fen for d in debts.entries[at:] if d.standing_fen}
    left[debts.entries[at].debt_id] = debts.sums[at] - funds_fen
    return left, 0


def unpaid_of(books: Books, charge_id: str, on: date) -> int:
    """Return what is left unpaid of a charge on a day, in fen: what `figures` has of it among the open items."""
    charge = books.charges.get(charge_id)
    if charge is None:
        return 0
    if books.allocations:
        return left_on(books, on).unpaid_fen.get(charge_id, 0)
    sums = books.sums
    paid_fen = sums.payments.first(sums.payments.until(on))
    funds_fen = max(0, _funds_fen(books, sums.over_reversed_fen, paid_fen))
    return min(charge.standing_fen, max(0, sums.charges.up_to(charge) - funds_fen))


def unpaid_spans(books: Books, charge_id: str, start: date, end: date) -> Iterator[tuple[date, date, int]]:
    """Return what of a charge is unpaid from a day to another (exclusive), as (from, to, fen) where it is constant."""
    day = start
    while day < end:
        until = min(end, _next_value_date(books, day) or end)
        yield day, until, unpaid_of(books, charge_id, day)
        day = until


def past_due(open_items: Sequence[OpenItem], principal_fen: int, on: date) -> PastDue:
    """Return arrears and aging of the open items, oldest first, on a day.

    The buckets' sum is the principal: what of it belongs to no charge (more was refunded than was there) is
    current. `arrears_since` is the day after the oldest unpaid charge's due date, once that day has come.
    """
    aging = dict.fromkeys(AGING_BUCKETS, 0)
    for item in open_items:
        aging[bucket_of((on - item.due_on).days)] += item.unpaid_fen
    aging["current"] += principal_fen - sum(aging.values())
    oldest = open_items[0].due_on if open_items else None
    if oldest is None or oldest >= on:
        return PastDue(None, 0, aging)
    return PastDue(oldest + timedelta(days=1), (on - oldest).days, aging)


def _allocate(
    allocations: Sequence[Allocation],
    payments: Mapping[str, Payment],
    unpaid: dict[str, int],
    unpaid_fee: dict[str, int],
    funds_fen: int,
) -> int:
    """Pay debts as the allocations in effect say; return how many fen that took."""
    left_of = {k: p.amount_fen for k, p in payments.items()}
    taken_fen = 0
    for part in allocations:
        debts = unpaid_fee if part.is_fee else unpaid
        take = min(
            part.amount_fen,
            left_of.get(part.payment_id, 0),
            debts.get(part.debt_id, 0),
            funds_fen - taken_fen,
        )
        if take > 0:
            left_of[part.payment_id] -= take
            debts[part.debt_id] -= take
            taken_fen += take
    return taken_fen


def _settle(unpaid: Mapping[str, int], funds_fen: int) -> tuple[dict[str, int], int]:
    """Pay debts in their order from funds; return what is left unpaid, and of the funds."""
    left: dict[str, int] = {}
    for debt_id, owed_fen in unpaid.items():
        if owed_fen > funds_fen:
            left[debt_id] = owed_fen - funds_fen
            funds_fen = 0
        else:
            funds_fen -= owed_fen
    return left, funds_fen
