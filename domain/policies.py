"""What the calendar makes due for an account on a day: the same for what is done and for what should have been.

A policy looks at a state, the day and the law, and names the events that fall due. It reads no clock and keeps
nothing. The counterfactual walks the calendar with these functions; so does whatever closes a real day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from domain.account import Account, figures
from domain.account.state import Package
from domain.events import account as ev
from domain.events.fields import Payload
from domain.rules import windows

DEFAULT_OPTION = "suspend"
"""Without a choice of the customer's there is nothing to charge: the service stops at the term's end."""


@dataclass(slots=True)
class Prices:
    """Figures of the contract that a policy may use, and never invents."""

    conversions: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By package: the monthly offer and its price in fen."""
    renewals: dict[str, int] = field(default_factory=dict)
    """By package: the price in fen of another year."""


@dataclass(slots=True)
class Handling:
    """What a package's end leads to: the option, and whose it is."""

    option: str
    assumed: bool


@dataclass(slots=True)
class Missing:
    """Something that is due but lacks a figure: a person has to say it."""

    on: date
    what: str


def cancellation_due(account: Account, day: date) -> Iterator[Payload]:
    """Name the end of a service whose cancellation takes effect, whatever blockers were noted."""
    effective = account.cancellation_from
    if effective is not None and effective <= day and account.status in ("active", "suspended"):
        yield ev.ServiceTerminated(reason="customer_request")


def expiry_due(
    account: Account, day: date, handling: dict[str, Handling], prices: Prices
) -> Iterator[Payload | Missing]:
    """Name a term's end and its handling, once the day has come."""
    for package in list(account.packages.values()):
        if package.cycle != "annual" or package.end is None or package.end > day or package.expired_on:
            continue
        if account.status == "terminated":
            continue
        yield ev.PackageExpired(package_id=package.package_id, expired_on=package.end)
        chosen = handling.get(package.package_id, Handling(DEFAULT_OPTION, assumed=True))
        yield from _handled(account, package, package.end, chosen.option, prices)


def _handled(
    account: Account, package: Package, end: date, option: str, prices: Prices
) -> Iterator[Payload | Missing]:
    package_id = package.package_id
    if option == "convert_to_monthly":
        if package_id not in prices.conversions:
            yield Missing(end, f"the monthly price after {package_id}")
            return
        offer_id, price_fen = prices.conversions[package_id]
        yield ev.PackageConverted(
            package_id=package_id, to_offer_id=offer_id, monthly_price_fen=price_fen, from_=end
        )
    elif option == "renew_annual":
        if package_id not in prices.renewals:
            yield Missing(end, f"the price of another year of {package_id}")
            return
        yield ev.PackageRenewed(
            package_id=package_id, price_fen=prices.renewals[package_id], start=end, end=a_year_after(end)
        )
    elif account.status == "active":
        yield ev.ServiceSuspended(reason="expiry")


def a_year_after(day: date) -> date:
    """Return the same day of the next year; 28 February after a 29 February."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)


def arrears_suspension_due(account: Account, day: date) -> Iterator[Payload]:
    """Name a suspension for arrears on the first day the law and the contract allow it, and no hold forbids it."""
    if account.status != "active" or account.terms is None or account.held("suspension") is not None:
        return
    money = figures(account.books, day)
    oldest = next(iter(money.open_items), None)
    if oldest is not None and day >= windows.earliest_suspension(
        account.line_of_business, account.terms, oldest.due_on
    ):
        yield ev.ServiceSuspended(reason="arrears", arrears_fen=money.principal_fen)


def termination_due(account: Account, day: date, suspended_on: date | None) -> Iterator[Payload]:
    """Name a termination for arrears, once the suspension has lasted unpaid for as long as it must."""
    if account.status != "suspended" or account.suspension_reason != "arrears" or account.terms is None:
        return
    if suspended_on is None or account.held("suspension") is not None:
        return
    money = figures(account.books, day)
    if money.past_due.arrears_since and day >= windows.earliest_termination(account.terms, suspended_on):
        yield ev.ServiceTerminated(reason="arrears")


def restoration_due(account: Account, day: date) -> Iterator[Payload]:
    """Name the return of a service that was suspended for arrears which are paid."""
    if account.status == "suspended" and account.suspension_reason == "arrears":
        money = figures(account.books, day)
        if money.past_due.arrears_since is None and not money.late_fee_fen:
            yield ev.ServiceResumed(reason="arrears_paid")


def days(start: date, end: date) -> Iterator[date]:
    """Return each day from the first to the last, both included."""
    return (start + timedelta(days=n) for n in range((end - start).days + 1))
