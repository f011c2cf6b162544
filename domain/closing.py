"""The close of a day: what the calendar makes due for one stream by a day, in the order in which it is done.

The answer follows from the states alone, so a day may be closed twice, late, or again after a kill: what was
done is no longer due. Several things may follow from each other (a term ends, the package is converted, a month
of it is charged): the caller asks again until nothing new is due.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from domain.account import Account
from domain.account.state import Package
from domain.calendar import CLOCK_SKEW, day_of, end_of
from domain.case import Case
from domain.commands.asking import COMMANDS, Asked, Command
from domain.decisions.debts import customers_choice, free, holders_own, misused_number, overdue
from domain.events.fields import MalformedError, Payload
from domain.party import Party
from domain.policies import billing, promises, reminders, service, standing
from domain.policies.due import Due, Happening, Missing, Order, Prices, Task
from domain.rules.book import Rulebook
from domain.rules.facts import Measure
from domain.rules.windows import BACKDATING

ACTOR = "system/close-of-day"

Tariff = Mapping[str, "Offer"]
"""What the operator sells, by offer: figures that no event has before they are used."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an annual offer leads to at its end; a renewal without a price costs what the year did."""

    monthly_offer_id: str | None = None
    monthly_price_fen: int | None = None
    annual_price_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """What one day is closed with: the day, the moment at which it is done, the law, and the price list."""

    day: date
    moment: datetime
    book: Rulebook
    tariff: Tariff = field(default_factory=dict)


def moment_of_closing(day: date, now: datetime, region: str) -> datetime:
    """Return when what a day makes due happens: the day's end, if that has just passed, else now.

    What is done late is recorded as done late. Raises MalformedError for a day that has not come.
    """
    if day > day_of(now, region):
        raise MalformedError("day", f"should not be after today, {day_of(now, region)}")
    end = end_of(day, region)
    return end if end <= now <= end + BACKDATING - CLOCK_SKEW else now


def due_on_account(account: Account, people: Sequence[Party], closing: Closing) -> Iterator[Due]:
    """Name what is due on an account, and on the blacklist for it.

    `people` are the party who holds it and those it was merged into.
    """
    day, book = closing.day, closing.book
    subject = f"account/{account.account_id}"
    grace_days = Measure(book, "suspension-window").at(day, "fixed_line_days")
    least_days = Measure(book, "termination-window").at(day, "days")
    yield from _asked(subject, service.cancellation_due(account, day))
    number_id = misused_number(account, people)
    if number_id is not None:
        if account.status != "terminated":
            # The number and its debt are void for the person misused: nothing is charged, levied or pressed for.
            what = (
                f"the number {number_id} was made with misused documents: end the service, reverse its debt"
            )
            yield Task("misused_number", subject, what)
        return
    yield from _packages(account, people, closing)
    yield from billing.fee_corrections_due(account)
    yield from _asked(subject, service.restoration_due(account, day))
    yield from billing.late_fees_due(account, day)
    yield from _asked(subject, service.arrears_suspension_due(account, day, grace_days))
    if not _settled_since(account, day):
        yield from _asked(subject, service.termination_due(account, day, least_days))
    yield from billing.charges_due(account, day)
    yield from billing.arrears_reports_due(account, day)
    yield from reminders.reminders_due(account, people, day, book)
    yield from standing.listing_due(account, people, day)


def _settled_since(account: Account, day: date) -> bool:
    """Whether what a service was suspended for is settled: newer debts do not end it (`termination.other_debt`)."""
    if account.status_since is None:
        return False
    owed = free(account, holders_own(account, overdue(account, day)), "suspension")
    return not owed or owed[0].charge.due_on >= day_of(account.status_since, account.region)


def due_on_party(
    party: Party, people: Sequence[Party], accounts: Mapping[str, Account], closing: Closing
) -> Iterator[Due]:
    """Name what is due on a party.

    `people` are the party and those it was merged into, `accounts` those its blacklist entries name, by id.
    """
    return standing.unlisting_due(party, people, accounts, closing.day)


def due_on_case(case: Case, closing: Closing) -> Iterator[Due]:
    """Name what is due on a case."""
    yield from promises.commitments_due(case, closing.moment)
    yield from promises.answers_due(case, closing.day)


def asked_of(order: Order, closing: Closing, region: str) -> Asked:
    """Return an order as it is asked by the close of the day."""
    return Asked(
        subject=order.subject,
        command=order.command,
        actor=ACTOR,
        channel="system",
        region=region,
        time=closing.moment,
        correlationid=f"close-day.{closing.day.isoformat()}",
    )


# -- from what happens to what is asked ---------------------------------------------------------------------

_ASKS: Mapping[type[Payload], type[Command]] = {kind.EMITS[0]: kind for kind in COMMANDS.values()}


def _asked(subject: str, happenings: Iterator[Happening]) -> Iterator[Due]:
    """Return the commands that lead to events: with those of the events' fields that may be asked for."""
    for happening in happenings:
        if isinstance(happening, Missing):
            yield Task("price_missing", subject, f"{happening.what} is not in the price list", happening.on)
        else:
            yield Order(subject, command_for(happening))


def command_for(data: Payload) -> Command:
    """Return the command that leads to an event."""
    kind = _ASKS[type(data)]
    fields: dict[str, Any] = kind.__pydantic_fields__  # type: ignore[attr-defined]
    given = {name: getattr(data, name) for name in fields if getattr(data, name, None) is not None}
    return kind(**given)


# -- the end of a term --------------------------------------------------------------------------------------


def _packages(account: Account, people: Sequence[Party], closing: Closing) -> Iterator[Due]:
    """Let terms end and packages go on, as the customers chose."""
    subject, day = f"account/{account.account_id}", closing.day
    handling = service.own_handling(account)
    for package in account.packages.values():
        ended = package.cycle == "annual" and package.end is not None and package.end <= day
        if ended and not _renewable(account, people, package, closing):
            # Without the notice the law asks for nothing is renewed by itself: the service stops.
            if handling[package.package_id].chosen_on < package.end:  # type: ignore[operator]
                del handling[package.package_id]
            if package.expired_on is None:
                what = f"{package.package_id} is not renewed: no renewal notice reached the customer in time"
                yield Task("renewal_notice_missing", subject, what, package.end)
    prices = prices_of(account, closing)
    yield from _asked(subject, service.expiry_due(account, day, handling, prices))
    yield from _asked(subject, service.carrying_on_due(account, day, handling, prices))
    yield from _asked(subject, service.return_due(account, day))
    yield from _asked(subject, service.lapse_due(account, day, handling))


def _renewable(account: Account, people: Sequence[Party], package: Package, closing: Closing) -> bool:
    """Whether a package may go on by a choice made at its sale, without asking again."""
    if package.end is None or customers_choice(account, package.package_id, "renew_annual") is None:
        return True
    return reminders.told_of_renewal(account, people, package, package.end, closing.book)


def prices_of(account: Account, closing: Closing) -> Prices:
    """Return the figures with which an account's packages may go on, by the price list and the contract."""
    prices = Prices()
    for package in account.packages.values():
        offer_id, price_fen = package.on(closing.day)
        offer = closing.tariff.get(offer_id, Offer())
        if offer.monthly_offer_id is not None and offer.monthly_price_fen is not None:
            prices.conversions[package.package_id] = offer.monthly_offer_id, offer.monthly_price_fen
        another_fen = offer.annual_price_fen if offer.annual_price_fen is not None else price_fen
        prices.renewals[package.package_id] = another_fen
    return prices
