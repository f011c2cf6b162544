"""What of an account's charges is overdue, rests on something, and is not disputed: shared by decisions.

The supported part of a debt is what the rule `charge-basis` leaves of it; the free part what no hold covers.
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple, NoReturn

from domain.account import Account, Figures, figures
from domain.account.money import Debt, OpenItem, unpaid_of
from domain.account.state import Choice, Package
from domain.calendar import day_of
from domain.party import BlacklistEntry, Party
from domain.refusals import Code, refuse
from domain.rules.windows import ONE_DAY, late_fee_start

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
    return unpaid_of(account.books, charge_id, on)


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


def late_fee_from(account: Account, charge: Debt, region: str) -> date | None:
    """Return the first day for which no fee was assessed yet on a charge, after the holds that once stood.

    None where the contract lets fees begin with a suspension for arrears that has not come.
    """
    assert account.terms is not None  # an opened account has a contract
    stopped = account.status in ("suspended", "terminated") and account.suspension_reason == "arrears"
    # After a termination it is that day, which is later.
    suspended_on = day_of(account.status_since, region) if stopped and account.status_since else None
    start = late_fee_start(account.terms, charge.due_on, suspended_on)
    if start is None:
        return None
    # What was waived or taken back stays so: no day is levied twice.
    fees = (f for f in account.books.fees.values() if f.charge_id == charge.debt_id)
    start = max([start, *(f.period_end for f in fees)])
    for held_from, held_to in held_days(account, charge, region):
        if held_from <= start < held_to:
            start = held_to
    return start


def held_days(account: Account, charge: Debt, region: str) -> list[tuple[date, date]]:
    """Return the days under holds against late fees that were released, each with the day after its last."""
    return sorted(
        (day_of(hold.placed_at, region), day_of(released_at, region) + ONE_DAY)
        for hold, released_at in account.past_holds
        if hold.covers("late_fee", charge.debt_id)
    )


def entry_basis_charges(account: Account, entry: BlacklistEntry, on: date) -> list[Debt]:
    """Return the charges a blacklist entry rests on; where it names none that are known, what is overdue on a day."""
    named = set(entry.basis_event_ids)
    charges = [
        c
        for c in account.books.charges.values()
        if c.event_id in named or reference(c.source, c.event_id) in named
    ]
    return charges or [d.charge for d in overdue(account, on)]


def misused_number(account: Account, people: Iterable[Party]) -> str | None:
    """Return a number of the account that was made with misused documents, if there is one."""
    for party in people:
        for number in account.numbers.values():
            if (
                number.number_id in party.misused_numbers
                or number.registration_id in party.misused_registrations
            ):
                return number.number_id
    return None


def customers_choice(account: Account, package_id: str, *options: str) -> Choice | None:
    """Return the choice of what happens at a package's end, if it is the customer's and one of these."""
    choice = account.choices.get(package_id)
    if choice is None or choice.selected_by != "customer" or choice.option not in options:
        return None
    return choice


def carried_by(account: Account, kind: str, start: date, end: date) -> Package | None:
    """Return the package that runs through a period, by the customer's choice where an annual term ended.

    After a term a month is charged for by a package that goes on by the month, a year by one that was renewed.
    """
    for package in account.packages.values():
        runs = package.start <= start and (package.end is None or end <= package.end)
        fits = package.term_end is None or _CYCLES.get(kind) in (None, package.cycle)
        if runs and fits and (package.term_end is None or _chosen(account, package)):
            return package
    return None


_CYCLES = {"monthly": "monthly", "package": "annual"}


def own_open_items(account: Account, money: Figures) -> list[OpenItem]:
    """Return what is open of the present holder's own debts, oldest first; an earlier holder's are not theirs."""
    charges = account.books.charges
    return [i for i in money.open_items if debtor(account, charges[i.charge_id]) == account.party_id]


def own_late_fees_fen(account: Account, money: Figures) -> int:
    """Return what is unpaid of late fees on the present holder's own debts, in fen."""
    fees = account.books.fees
    return sum(
        fen
        for fee_id, fen in money.unpaid_fee_fen.items()
        if debtor(account, fees[fee_id]) == account.party_id
    )


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
    return uncarried(account, kind, start, end)


def uncarried(account: Account, kind: str, start: date, end: date) -> date | None:
    """Return the end of the annual term that a period goes beyond with no package to carry it, if it does."""
    passed = [e for p in account.packages.values() for e in annual_ends(p) if e < end]
    if not passed or carried_by(account, kind, start, end) is not None:
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
