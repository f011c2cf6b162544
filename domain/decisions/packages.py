"""Decisions on packages: sold with a choice, ended on their day, carried on only where the customer chose it.

The rules `expiry-choice` and `charge-basis`: what happens at an annual term's end is the customer's own
choice among three options; a default set by staff or a system is none.
"""

from datetime import date, datetime
from typing import get_args

from domain.account import Account
from domain.account.state import Choice, Package
from domain.calendar import day_of
from domain.commands import account as cmd
from domain.commands.asking import to_event
from domain.decisions.debts import annual_ends, customers_choice, reference
from domain.decisions.hearing import (
    Decisions,
    Hearing,
    check_consent,
    check_effective,
    check_not_backdated,
    the,
)
from domain.events import account as ev
from domain.events.fields import ExpiryOption
from domain.refusals import Code, refuse
from domain.rules.windows import MONTHLY_TERM_DAYS

decisions: Decisions[Account] = Decisions()

OPTIONS: tuple[str, ...] = get_args(ExpiryOption)
"""What the customer chooses among: all three are presented."""


def _package(a: Account, package_id: str) -> Package:
    return the(a.packages, package_id, Code.PACKAGE_NOT_FOUND, "package")


def _check_annual(a: Account, package_id: str) -> None:
    """Refuse where the package is there and has no term; before it is sold there is nothing to check."""
    package = a.packages.get(package_id)
    if package is not None and package.cycle != "annual":
        refuse(
            Code.PACKAGE_NOT_ANNUAL,
            f"The package {package_id} runs by the month: it has no annual term that could end.",
            package_id=package_id,
        )


@decisions.on(cmd.SubscribePackage, new_id=("package_id", lambda a: a.packages))
def _subscribe(h: Hearing, a: Account, c: cmd.SubscribePackage) -> ev.PackageSubscribed:
    if c.cycle == "annual":
        _check_choice(h, a, c)
    else:
        _check_monthly_term(c)
    if _goes_on(a, c.end):
        check_consent(h, h.asked.evidenceref, "A package that goes on after an annual term")
    return to_event(ev.PackageSubscribed, c)


def _check_choice(h: Hearing, a: Account, c: cmd.SubscribePackage) -> None:
    """Refuse an annual package without the options and the customer's choice, both recorded by then."""
    choice = a.choices.get(c.package_id, Choice())
    shown = choice.presented if _known(h, choice.presented_recorded_at) else ()
    missing = [o for o in OPTIONS if o not in shown]
    if missing:
        refuse(
            Code.EXPIRY_OPTIONS_NOT_PRESENTED,
            f"Present the options for the end of package {c.package_id} first: {', '.join(OPTIONS)}.",
            package_id=c.package_id,
            missing=", ".join(missing),
        )
    if customers_choice(a, c.package_id, *OPTIONS) is None or not _known(h, choice.recorded_at):
        refuse(
            Code.EXPIRY_CHOICE_MISSING,
            f"Record the customer's own choice for the end of package {c.package_id} first.",
            package_id=c.package_id,
            selected_by=choice.selected_by,
        )


def _known(h: Hearing, recorded_at: datetime | None) -> bool:
    """Whether what a sale rests on was on record when it is said to have happened."""
    return recorded_at is not None and recorded_at <= h.asked.time


def _check_monthly_term(c: cmd.SubscribePackage) -> None:
    """Refuse an annual package in disguise: sold as monthly, it would need no choice."""
    if c.end is not None and (c.end - c.start).days > MONTHLY_TERM_DAYS:
        refuse(
            Code.PACKAGE_TERM_NOT_MONTHLY,
            f"A monthly package ends within {MONTHLY_TERM_DAYS} days or runs on: sell {c.package_id} as annual.",
            package_id=c.package_id,
            end=c.end,
        )


def _goes_on(a: Account, end: date | None) -> bool:
    """Whether a package until a day (or without an end) covers time after an annual term of the account."""
    return any(end is None or e < end for p in a.packages.values() for e in annual_ends(p))


@decisions.on(cmd.PresentExpiryOptions)
def _present(_h: Hearing, a: Account, c: cmd.PresentExpiryOptions) -> ev.ExpiryOptionPresented:
    _check_annual(a, c.package_id)
    return to_event(ev.ExpiryOptionPresented, c)


@decisions.on(cmd.SelectExpiryOption)
def _select(h: Hearing, a: Account, c: cmd.SelectExpiryOption) -> ev.ExpiryOptionSelected:
    if c.selected_by == "customer":
        check_consent(h, c.consent_ref, "A choice of the customer's", "consent_ref")
    if c.selected_by != "customer":
        refuse(
            Code.EXPIRY_CHOICE_NOT_CUSTOMERS,
            f"Ask the customer: a {c.selected_by} is no choice, and selected_by should be customer.",
            package_id=c.package_id,
            selected_by=c.selected_by,
        )
    _check_annual(a, c.package_id)
    presented = a.choices.get(c.package_id, Choice()).presented
    if c.option not in presented:
        refuse(
            Code.EXPIRY_CHOICE_NOT_OFFERED,
            f"Present {c.option} for package {c.package_id} before it is chosen.",
            package_id=c.package_id,
            option=c.option,
            presented=", ".join(presented),
        )
    return to_event(ev.ExpiryOptionSelected, c)


def _ended(h: Hearing, a: Account, package_id: str) -> Package:
    """Return the package whose term has ended by now: its end is the first day it does not cover."""
    package = _package(a, package_id)
    if package.end is None:
        refuse(
            Code.PACKAGE_NOT_ANNUAL,
            f"The package {package_id} runs on: it has no term that could end.",
            package_id=package_id,
        )
    if h.day < package.end:
        refuse(
            Code.PACKAGE_NOT_ENDED,
            f"The package {package_id} runs until {package.end}: not before that day.",
            package_id=package_id,
            end=package.end,
        )
    return package


@decisions.on(cmd.ExpirePackage, after=["terminated"])
def _expire(h: Hearing, a: Account, c: cmd.ExpirePackage) -> ev.PackageExpired:
    package = _package(a, c.package_id)
    if package.expired_on is not None:
        refuse(
            Code.PACKAGE_ALREADY_EXPIRED,
            f"The package {c.package_id} expired on {package.expired_on}.",
            package_id=c.package_id,
            expired_on=package.expired_on,
        )
    return to_event(ev.PackageExpired, c, expired_on=_ended(h, a, c.package_id).end)


@decisions.on(cmd.ConvertPackage)
def _convert(h: Hearing, a: Account, c: cmd.ConvertPackage) -> ev.PackageConverted:
    package = _ended(h, a, c.package_id)
    choice = customers_choice(a, c.package_id, "convert_to_monthly")
    if choice is None:
        refuse(
            Code.CONVERSION_NOT_CHOSEN,
            f"The customer did not choose convert_to_monthly for package {c.package_id}: ask, and record it.",
            package_id=c.package_id,
        )
    start = c.from_ or _first_day(h, a, package, choice)
    _check_after(h, a, package, choice, start)
    return to_event(ev.PackageConverted, c, from_=start, basis_event_id=_basis(choice))


@decisions.on(cmd.RenewPackage)
def _renew(h: Hearing, a: Account, c: cmd.RenewPackage) -> ev.PackageRenewed:
    package = _ended(h, a, c.package_id)
    choice = customers_choice(a, c.package_id, "renew_annual")
    if choice is None:
        refuse(
            Code.RENEWAL_NOT_CHOSEN,
            f"The customer did not choose renew_annual for package {c.package_id}: ask, and record it.",
            package_id=c.package_id,
        )
    start = c.start or _first_day(h, a, package, choice)
    _check_after(h, a, package, choice, start)
    if c.end <= start:
        refuse(
            Code.PERIOD_OVERLAPS,
            f"The new term of package {c.package_id} should end after it starts, on {start}.",
            package_id=c.package_id,
            start=start,
        )
    return to_event(ev.PackageRenewed, c, start=start, basis_event_id=_basis(choice))


def _first_day(h: Hearing, a: Account, package: Package, choice: Choice) -> date:
    """Return from when a package may go on: from its term's end.

    Where the service stopped then, from the day the customer chose that it goes on: they had nothing before.
    """
    assert package.end is not None  # its term has ended
    region = h.asked.region
    stopped = any(until is None or day_of(until, region) > package.end for _, until in a.stops)
    if choice.recorded_at is None or not stopped:
        return package.end
    return max(package.end, day_of(choice.recorded_at, region))


def _check_after(h: Hearing, a: Account, package: Package, choice: Choice, start: date) -> None:
    if package.end is not None and start < package.end:
        refuse(
            Code.PERIOD_OVERLAPS,
            f"The package {package.package_id} is paid until {package.end}: start on that day or later.",
            package_id=package.package_id,
            end=package.end,
        )
    first = _first_day(h, a, package, choice)
    if start < first:
        refuse(
            Code.PERIOD_BEFORE_CHOICE,
            f"The customer chose it for package {package.package_id} on {first}: start on that day or later.",
            package_id=package.package_id,
            chosen_on=first,
        )


def _basis(choice: Choice) -> str | None:
    return reference(choice.source, choice.event_id) if choice.event_id else None


@decisions.on(cmd.ChangePlan)
def _change_plan(h: Hearing, a: Account, c: cmd.ChangePlan) -> ev.PlanChanged:
    package = _package(a, c.package_id)
    if c.requested_by == "customer":
        check_consent(h, h.asked.evidenceref, "A change at the customer's request")
    else:
        check_not_backdated(h)
        if c.price_fen > package.on(c.effective_from)[1]:
            check_consent(h, h.asked.evidenceref, "A change to a higher price")
    check_effective(h, c.effective_from)
    return to_event(ev.PlanChanged, c)


@decisions.on(cmd.RequestCancellation)
def _cancel(h: Hearing, _a: Account, c: cmd.RequestCancellation) -> ev.CancellationRequested:
    check_consent(h, h.asked.evidenceref, "A cancellation")
    check_effective(h, c.effective_from)
    return to_event(ev.CancellationRequested, c)
