"""What the calendar brings about for a service: ends, expiries, suspensions and returns, as the events they are.

The counterfactual walks the calendar with these functions; the close of a real day asks the commands that lead
to the same events.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from domain.account import Account, figures
from domain.account.state import Package
from domain.calendar import day_of, months_after
from domain.decisions.debts import customers_choice, own_late_fees_fen, own_open_items
from domain.decisions.packages import OPTIONS
from domain.events import account as ev
from domain.events.fields import Payload
from domain.policies.due import Handling, Happening, Missing, Prices
from domain.rules import windows
from domain.rules.windows import ONE_DAY

DEFAULT_OPTION = "suspend"
"""Without a choice of the customer's there is nothing to charge: the service stops at the term's end."""

CHOSEN: Mapping[str, str] = {"convert_to_monthly": "monthly", "renew_annual": "annual"}
"""Options that carry a package on, and the cycle it then runs by."""


def cancellation_due(account: Account, day: date) -> Iterator[Payload]:
    """Name the end of a service whose cancellation takes effect, whatever blockers were noted."""
    effective = account.cancellation_from
    if effective is not None and effective <= day and account.status in ("active", "suspended"):
        yield ev.ServiceTerminated(reason="customer_request")


def expiry_due(
    account: Account, day: date, handling: Mapping[str, Handling], prices: Prices
) -> Iterator[Happening]:
    """Name a term's end and its handling, once the day has come."""
    for package in list(account.packages.values()):
        if package.cycle != "annual" or package.end is None or package.end > day or package.expired_on:
            continue
        if account.status == "terminated":
            continue
        yield ev.PackageExpired(package_id=package.package_id, expired_on=package.end)
        chosen = handling.get(package.package_id, Handling(DEFAULT_OPTION, assumed=True))
        if chosen.option in CHOSEN:
            yield from carried_on(package, package.end, chosen.option, prices)
        elif account.status == "active" and not running(account, day):
            yield ev.ServiceSuspended(reason="expiry")


def carried_on(package: Package, start: date, option: str, prices: Prices) -> Iterator[Happening]:
    """Name how a package goes on from a day by a choice, or the figure that is missing for it."""
    package_id = package.package_id
    if option == "convert_to_monthly":
        if package_id not in prices.conversions:
            yield Missing(start, f"the monthly price after {package_id}")
            return
        offer_id, price_fen = prices.conversions[package_id]
        yield ev.PackageConverted(
            package_id=package_id, to_offer_id=offer_id, monthly_price_fen=price_fen, from_=start
        )
    elif option == "renew_annual":
        if package_id not in prices.renewals:
            yield Missing(start, f"the price of another year of {package_id}")
            return
        yield ev.PackageRenewed(
            package_id=package_id,
            price_fen=prices.renewals[package_id],
            start=start,
            end=months_after(start, 12),
        )


def own_handling(account: Account) -> dict[str, Handling]:
    """Return what the customers themselves chose for their packages' ends, by package."""
    found = {}
    for package_id in account.packages:
        choice = customers_choice(account, package_id, *OPTIONS)
        if choice is not None and choice.option is not None and choice.recorded_at is not None:
            chosen_on = day_of(choice.recorded_at, account.region)
            found[package_id] = Handling(choice.option, assumed=False, chosen_on=chosen_on)
    return found


def carrying_on_due(
    account: Account, day: date, handling: Mapping[str, Handling], prices: Prices
) -> Iterator[Happening]:
    """Name how an expired package goes on by the customer's own choice.

    From its end where the choice was there and only a price was missing, from the day where it came later.
    """
    if account.status not in ("active", "suspended"):
        return
    for package in list(account.packages.values()):
        chosen = handling.get(package.package_id)
        if package.expired_on is None or package.cycle != "annual" or chosen is None:
            continue
        if chosen.option in CHOSEN and chosen.chosen_on is not None:
            later = chosen.chosen_on >= package.expired_on
            start = day if later else package.expired_on
            yield from carried_on(package, start, chosen.option, prices)


def lapse_due(account: Account, day: date, handling: Mapping[str, Handling]) -> Iterator[Payload]:
    """Name the stop of a service that came back, or went on, with nothing but a package that has expired.

    Not where the customer had it carried on by the month and only the price is missing.
    """
    expired = [p for p in account.packages.values() if p.expired_on is not None]
    waits = any(_awaits_price(p, handling.get(p.package_id)) for p in expired)
    if expired and account.status == "active" and not running(account, day) and not waits:
        yield ev.ServiceSuspended(reason="expiry")


def _awaits_price(package: Package, chosen: Handling | None) -> bool:
    return chosen is not None and chosen.option in CHOSEN and package.cycle == "annual"


def running(account: Account, day: date) -> Package | None:
    """Return a package that covers a day, if there is one."""
    for package in account.packages.values():
        if package.start <= day and (package.end is None or day < package.end):
            return package
    return None


def return_due(account: Account, day: date) -> Iterator[Payload]:
    """Name the return of a service that stopped at its term's end, once a package of the customer's runs again."""
    if account.status == "suspended" and account.suspension_reason == "expiry" and running(account, day):
        yield ev.ServiceResumed(reason="customer_request")


def arrears_suspension_due(
    account: Account, day: date, grace_days: int = windows.FIXED_LINE_GRACE_DAYS
) -> Iterator[Payload]:
    """Name a suspension for arrears on the first day the law and the contract allow it, and no hold forbids it."""
    first = suspension_day(account, day, grace_days)
    if first is not None and day >= first:
        yield ev.ServiceSuspended(reason="arrears", arrears_fen=figures(account.books, day).principal_fen)


def suspension_day(
    account: Account, day: date, grace_days: int = windows.FIXED_LINE_GRACE_DAYS
) -> date | None:
    """Return from when the service may be suspended for what is unpaid, None where nothing lets it be."""
    if account.status != "active" or account.terms is None or account.held("suspension") is not None:
        return None
    oldest = next(iter(own_open_items(account, figures(account.books, day))), None)
    if oldest is None:
        return None
    return windows.earliest_suspension(account.line_of_business, account.terms, oldest.due_on, grace_days)


def termination_due(account: Account, day: date, least_days: int = 0) -> Iterator[Payload]:
    """Name a termination for arrears, once the suspension has lasted unpaid for as long as it must."""
    first = termination_day(account, day, least_days)
    if first is not None and day >= first:
        yield ev.ServiceTerminated(reason="arrears")


def termination_day(account: Account, day: date, least_days: int = 0) -> date | None:
    """Return from when a suspended service may be ended for what is unpaid, None where nothing lets it be."""
    if account.status != "suspended" or account.suspension_reason != "arrears" or account.terms is None:
        return None
    if account.status_since is None or account.held("suspension") is not None:
        return None
    if not _overdue(account, day):
        return None
    suspended_on = day_of(account.status_since, account.region)
    return max(
        windows.earliest_termination(account.terms, suspended_on),
        suspended_on + timedelta(days=least_days) + ONE_DAY,
    )


def restoration_due(account: Account, day: date) -> Iterator[Payload]:
    """Name the return of a service that was suspended for arrears which are paid."""
    if account.status == "suspended" and account.suspension_reason == "arrears":
        owes = _overdue(account, day) or own_late_fees_fen(account, figures(account.books, day))
        if not owes:
            yield ev.ServiceResumed(reason="arrears_paid")


def _overdue(account: Account, day: date) -> bool:
    """Whether anything is overdue that the present holder owes."""
    return any(i.due_on < day for i in own_open_items(account, figures(account.books, day)))


def turning_days(account: Account, day: date) -> Iterator[date]:
    """Return the days on which what these policies name may become different, with no event in between.

    Some of them may have passed, and on some nothing will be due: a walk that stops on each misses nothing.
    """
    if account.cancellation_from is not None:
        yield account.cancellation_from
    for package in account.packages.values():
        yield package.start
        if package.end is not None:
            yield package.end
    money = figures(account.books, day)
    if money.next_change_on is not None:
        yield money.next_change_on
    oldest = next(iter(own_open_items(account, money)), None)
    if oldest is None or account.terms is None:
        return
    yield oldest.due_on + ONE_DAY
    yield windows.earliest_suspension(account.line_of_business, account.terms, oldest.due_on)
    if account.status == "suspended" and account.status_since is not None:
        yield windows.earliest_termination(account.terms, day_of(account.status_since, account.region))


def days(start: date, end: date) -> Iterator[date]:
    """Return each day from the first to the last, both included."""
    return (start + timedelta(days=n) for n in range((end - start).days + 1))
