"""What of an account's charges is overdue, rests on something, and is not disputed: shared by decisions.

The supported part of a debt is what the rule `charge-basis` leaves of it; the free part what no hold covers.
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple, NoReturn

from domain.account import Account, figures
from domain.account.money import Debt
from domain.account.state import Choice, Package
from domain.calendar import day_of
from domain.refusals import Code, refuse

RECURRING = frozenset({"package", "monthly"})


class Owed(NamedTuple):
    """A charge and what is left unpaid of it in fen."""

    charge: Debt
    unpaid_fen: int


def reference(source: str | None, event_id: str) -> str:
    """Return the full reference to an event: `source#id`, or the id alone where the source is not known."""
    return f"{source}#{event_id}" if source else event_id


def overdue(account: Account, on: date) -> list[Owed]:
    """Return the charges that are unpaid past their deadline on a day, oldest first."""
    items = figures(account.books, on).open_items
    return [Owed(account.books.charges[i.charge_id], i.unpaid_fen) for i in items if i.due_on < on]


def unpaid_fen(account: Account, charge_id: str, on: date) -> int:
    """Return what is left unpaid of a charge on a day, in fen."""
    items = figures(account.books, on).open_items
    return next((i.unpaid_fen for i in items if i.charge_id == charge_id), 0)


def free(account: Account, debts: Iterable[Owed], what: str) -> list[Owed]:
    """Return the debts for which no dispute hold forbids something."""
    return [d for d in debts if account.held(what, d.charge.debt_id) is None]


def refuse_held(account: Account, what: str, charge_id: str) -> NoReturn:
    """Refuse because of the hold that forbids something for a charge."""
    hold = account.held(what, charge_id)
    hold_id = hold.hold_id if hold else None
    refuse(
        Code.HOLD_COVERS,
        f"The dispute hold {hold_id} covers it: wait until the dispute is decided and the hold released.",
        hold_id=hold_id,
        charge_id=charge_id,
        scope=what,
    )


def customers_choice(account: Account, package_id: str, *options: str) -> Choice | None:
    """Return the choice of what happens at a package's end, if it is the customer's and one of these."""
    choice = account.choices.get(package_id)
    if choice is None or choice.selected_by != "customer" or choice.option not in options:
        return None
    return choice


def carried_by(account: Account, start: date, end: date) -> Package | None:
    """Return the package that runs through a period, by the customer's choice where an annual term ended."""
    for package in account.packages.values():
        runs = package.start <= start and (package.end is None or end <= package.end)
        if runs and (package.term_end is None or _chosen(account, package)):
            return package
    return None


def holders_own(account: Account, debts: Iterable[Owed]) -> list[Owed]:
    """Return the debts that are the present holder's: what stayed with an earlier one is not held against them."""
    return [d for d in debts if debtor(account, d.charge) == account.party_id]


def debtor(account: Account, charge: Debt) -> str:
    """Return the party whose debt a charge is."""
    return charge.debtor_id or account.party_id


def lacks_basis(account: Account, kind: str, start: date, end: date) -> date | None:
    """Return the end of the annual term beyond which a period would be charged without a basis, if it is so.

    Installation and equipment are bought one by one; usage counts for broadband only, where nothing else
    could be used than the package that ended.
    """
    if kind not in RECURRING and not (kind == "usage" and account.line_of_business == "fixed_broadband"):
        return None
    return uncarried(account, start, end)


def uncarried(account: Account, start: date, end: date) -> date | None:
    """Return the end of the annual term that a period goes beyond with no package to carry it, if it does."""
    passed = [e for p in account.packages.values() for e in annual_ends(p) if e < end]
    if not passed or carried_by(account, start, end) is not None:
        return None
    return max(passed)


def supported(account: Account, charge: Debt) -> bool:
    """Whether a posted charge has a basis."""
    return lacks_basis(account, charge.kind, charge.period_start, charge.period_end) is None


def annual_ends(package: Package) -> list[date]:
    """Return where a package's annual terms ended, or will."""
    ends = [package.term_end, package.end if package.cycle == "annual" else None]
    return [e for e in ends if e is not None]


def _chosen(account: Account, package: Package) -> bool:
    """Whether the customer chose that a package goes on after the annual term that ended."""
    if package.cycle == "monthly":
        return customers_choice(account, package.package_id, "convert_to_monthly") is not None
    choice = account.choices.get(package.package_id)
    if choice is None or choice.selected_by != "customer":
        return False
    # A renewed term may have a new choice for its own end by now: any choice made since supports it.
    known = choice.recorded_at
    since = known is not None and day_of(known, account.region) >= package.start
    return since or choice.option == "renew_annual"
