"""What was owed at the moments of an account's past, as known now: asked in their order, all answers cost one pass."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from domain.account import Account, Figures, figures
from domain.account.state import fold
from domain.calendar import day_of
from domain.events import account as ev
from domain.events.envelope import Recorded
from domain.replay import effective_at

MONEY = (
    ev.ChargePosted,
    ev.LateFeeAssessed,
    ev.ChargeReversed,
    ev.PaymentReceived,
    ev.PaymentAllocated,
    ev.PaymentReversed,
    ev.CreditGranted,
    ev.DebtWrittenOff,
    ev.RefundPaid,
)
"""What moves the sums owed."""


class Past:
    """An account's books as they stood at one moment after the other.

    On the charges posted by then, and the payments that count by then and never bounced. What is known to have been
    reversed does not count, whenever it was reversed; `as_it_stood`, it counts until its reversal.
    """

    def __init__(self, history: Sequence[Recorded], *, as_it_stood: bool = False) -> None:
        self._money = [r for r in history if isinstance(r.event.data, MONEY)]
        self._as_it_stood = as_it_stood
        self._steps = sorted(self._counted(), key=lambda step: step[:2]) if _told_apart(self._money) else None
        self._account, self._done = Account(""), 0
        self._reached: datetime | None = None

    def at(self, moment: datetime, region: str) -> Figures:
        """Return what was owed at a moment."""
        day = day_of(moment, region)
        if self._steps is None:
            return figures(self._anew(moment).books, day)
        if self._reached is not None and moment < self._reached:
            self._account, self._done = Account(""), 0
        self._reached = moment
        while self._done < len(self._steps) and self._steps[self._done][0] <= moment:
            fold.step(self._account, self._steps[self._done][2])
            self._done += 1
        return figures(self._account.books, day)

    def _counted(self) -> Iterator[tuple[datetime, int, Recorded]]:
        """Return what moved the sums, from when it counts, and its place: none of what bounced, nor of its return."""
        bounced = {d.payment_id for r in self._money if isinstance(d := r.event.data, ev.PaymentReversed)}
        posted = {_debt_id(r): r.event.time for r in self._money if _debt_id(r) is not None}
        for place, recorded in enumerate(self._money):
            data, moment = recorded.event.data, recorded.event.time
            if isinstance(data, ev.PaymentReversed):
                continue
            if isinstance(data, ev.PaymentReceived):
                if data.payment_id in bounced:
                    continue
                moment = effective_at(recorded)
            elif isinstance(data, ev.ChargeReversed):
                there = posted.get(data.charge_id or data.fee_id)
                if there is None:
                    continue
                moment = max(there, moment) if self._as_it_stood else there
            yield moment, place, recorded

    def _anew(self, moment: datetime) -> Account:
        """Return the account at a moment, folded from its beginning: what one id means may change with the moment."""
        posted = {_debt_id(r) for r in self._money if r.event.time <= moment}
        return fold.over(Account(""), (r for r in self._money if self._counts(r, moment, posted)))

    def _counts(self, recorded: Recorded, moment: datetime, posted: set[str | None]) -> bool:
        data = recorded.event.data
        if isinstance(data, ev.ChargeReversed):
            known = recorded.event.time <= moment or not self._as_it_stood
            return known and (data.charge_id or data.fee_id) in posted
        if isinstance(data, ev.PaymentReceived):
            return effective_at(recorded) <= moment
        return isinstance(data, ev.PaymentReversed) or recorded.event.time <= moment


def _debt_id(recorded: Recorded) -> str | None:
    """Return the id of the charge or the fee that an event makes; None where it makes none."""
    data = recorded.event.data
    if isinstance(data, ev.ChargePosted):
        return data.charge_id
    return data.fee_id if isinstance(data, ev.LateFeeAssessed) else None


def _told_apart(money: Sequence[Recorded]) -> bool:
    """Whether no id stands for two charges, fees or payments; a legacy system may have used one twice."""
    debts = [found for r in money if (found := _debt_id(r)) is not None]
    payments = [d.payment_id for r in money if isinstance(d := r.event.data, ev.PaymentReceived)]
    # The fold tells entries of one id apart by what it appends behind a `#`.
    return all(len(set(ids)) == len(ids) and not any("#" in i for i in ids) for ids in (debts, payments))
