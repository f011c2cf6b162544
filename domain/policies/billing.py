"""What the calendar makes due in an account's money: recurring charges, late fees, and what is said of arrears."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from domain.account import Account, figures, late_fee_fen
from domain.account.money import Debt, unpaid_spans
from domain.account.state import Package
from domain.calendar import day_of, months_after
from domain.commands import account as cmd
from domain.decisions.debts import (
    Owed,
    free,
    held_days,
    holders_own,
    lacks_basis,
    late_fee_from,
    overdue,
    supported,
)
from domain.policies.due import Due, Order, Task
from domain.policies.naming import identifier
from domain.rules.windows import LATE_FEE_PPM

YEARISH_DAYS = 62
"""What covers more days than two months is a charge for a year, and stands for no month of another package."""

BACK_CHARGE_DAYS = 62
"""How long after its end a month is still charged for: two closings of a month may have been missed.

What is older the operator has let pass, or another system has charged for: a person decides.
"""


@dataclass(frozen=True, slots=True)
class Period:
    """A month of a monthly package, or the year of a renewed one; `end` is exclusive."""

    package: Package
    start: date
    end: date
    kind: Literal["monthly", "package"]

    @property
    def charge_id(self) -> str:
        """The id of its charge, which follows from what it is for."""
        return identifier(self.package.package_id, f"{self.start:%Y%m%d}")

    @property
    def amount_fen(self) -> int:
        """The price that stood on its first day, in fen."""
        return self.package.on(self.start)[1]


def charges_due(account: Account, day: date) -> Iterator[Due]:
    """Name the charges for the months of monthly packages that are over, and for the years that were renewed."""
    subject = f"account/{account.account_id}"
    for period in uncharged(account, day):
        package_id, span = period.package.package_id, f"{period.start} to {period.end}"
        chargeable_on = period.end if period.kind == "monthly" else period.start
        if lacks_basis(account, period.kind, period.start, period.end) is not None:
            what = (
                f"{package_id} goes on without a choice of the customer's: ask; nothing is charged for {span}"
            )
            yield Task("charge_without_basis", subject, what)
        elif (day - chargeable_on).days > BACK_CHARGE_DAYS:
            yield Task("charge_too_old", subject, f"{package_id} was never charged for {span}")
        else:
            yield Order(
                subject,
                cmd.PostCharge(
                    charge_id=period.charge_id,
                    kind=period.kind,
                    amount_fen=period.amount_fen,
                    period_start=period.start,
                    period_end=period.end,
                ),
            )


def uncharged(account: Account, day: date) -> Iterator[Period]:
    """Return the periods that are to be paid for by a day, were served, and are not charged for."""
    if account.status == "terminated":
        return
    for package in account.packages.values():
        for period in _periods(account, package, day):
            if period.amount_fen and not _charged(account, period) and not _stopped(account, period):
                yield period


def _periods(account: Account, package: Package, day: date) -> Iterator[Period]:
    """Return a package's months that are over by a day, or its renewed year once it has begun.

    The year that was sold is charged for at its sale.
    """
    cancelled = account.cancellation_from or date.max
    if package.cycle == "monthly":
        number, start = 0, package.start
        until = min(day, cancelled, package.end or date.max)
        while (end := months_after(package.start, number + 1)) <= until:
            yield Period(package, start, end, "monthly")
            number, start = number + 1, end
        return
    renewed = package.term_end is not None and package.end is not None
    if renewed and package.start <= day and package.end <= cancelled:  # type: ignore[operator]
        yield Period(package, package.start, package.end, "package")  # type: ignore[arg-type]


def _charged(account: Account, period: Period) -> bool:
    """Whether a period has its charge, or one of another system's that covers some of it."""
    charges = account.books.charges
    if period.charge_id in charges:
        return True
    ours = tuple(identifier(p.package_id, "") for p in account.packages.values())
    return any(
        c.period_start < period.end
        and period.start < c.period_end
        and c.kind in ("monthly", "package")
        and ((c.period_end - c.period_start).days > YEARISH_DAYS) == (period.kind == "package")
        and not c.debt_id.startswith(ours)
        for c in charges.values()
    )


def _stopped(account: Account, period: Period) -> bool:
    """Whether the service stood still through all of a period: there is nothing to charge for."""
    return any(
        day_of(since, account.region) <= period.start
        and (until is None or day_of(until, account.region) >= period.end)
        for since, until in account.stops
    )


# -- late fees ----------------------------------------------------------------------------------------------


def late_fees_due(account: Account, day: date) -> Iterator[Due]:
    """Name the late fees that are assessed at the end of a month, on what is owed, supported and undisputed.

    Each for the days since the last one, or since a dispute hold, until the month's last day. Once the service
    has ended the debt grows no more (operator's policy).
    """
    if account.terms is None or account.status == "terminated":
        return
    to = day.replace(day=1)
    for owed in free(account, holders_own(account, overdue(account, day)), "late_fee"):
        if not supported(account, owed.charge):
            continue
        until = _fee_until(account, owed, to)
        if until is not None:
            fee_id = identifier("LF", owed.charge.debt_id, f"{until:%Y%m%d}")
            command = cmd.AssessLateFee(fee_id=fee_id, charge_id=owed.charge.debt_id, to=until)
            yield Order(f"account/{account.account_id}", command)


def _fee_until(account: Account, owed: Owed, to: date) -> date | None:
    """Return the day before which a fee is due now, None where it would be nothing."""
    start = late_fee_from(account, owed.charge, account.region)
    if start is None:
        return None
    for held_from, _ in held_days(account, owed.charge, account.region):
        if start < held_from < to:
            to = held_from
    if to <= start or not late_fee_fen(owed.unpaid_fen, LATE_FEE_PPM, (to - start).days):
        return None
    return to


def fee_corrections_due(account: Account) -> Iterator[Due]:
    """Name what has to be taken back of late fees that were assessed before a payment or a reversal was known.

    A payment that is posted late counts from its value date: for the days after it nothing was owed.
    """
    for fee in account.books.fees.values():
        if not fee.standing_fen or not _owed_less_since(account, fee):
            continue
        excess_fen = fee.standing_fen - _earned_fen(account, fee)
        if excess_fen > 0:
            command = cmd.ReverseCharge(fee_id=fee.debt_id, amount_fen=excess_fen, reason="not_owed_then")
            yield Order(f"account/{account.account_id}", command)


def _owed_less_since(account: Account, fee: Debt) -> bool:
    """Whether less was owed in a fee's days than was known when it was assessed."""
    charge = account.books.charges.get(fee.charge_id or "")
    if charge is None or fee.posted_at is None:
        return False
    return charge.reversed_fen > 0 or any(
        p.value_date < fee.period_end and p.received_at is not None and p.received_at > fee.posted_at
        for p in account.books.payments.values()
    )


def _earned_fen(account: Account, fee: Debt) -> int:
    """Return what a fee comes to on what was owed day by day, as it is known now, in fen."""
    spans = unpaid_spans(account.books, fee.charge_id or "", fee.period_start, fee.period_end)
    total_fen = sum(unpaid_fen * (end - start).days for start, end, unpaid_fen in spans)
    return min(fee.standing_fen, late_fee_fen(total_fen, LATE_FEE_PPM, 1))


# -- what the operator says of arrears ----------------------------------------------------------------------


def arrears_reports_due(account: Account, day: date) -> Iterator[Due]:
    """Name that arrears began, or ended, where that is not on record yet."""
    since = figures(account.books, day).past_due.arrears_since
    subject = f"account/{account.account_id}"
    if since is not None and account.reported_arrears_since is None:
        yield Order(subject, cmd.StartArrears(charge_id=overdue(account, day)[0].charge.debt_id))
    elif since is None and account.reported_arrears_since is not None:
        yield Order(subject, cmd.ClearArrears())
