"""Packages by the year: the choice at the sale, the reminders around the end, and what follows it."""

from typing import Any

from api.population.chronicle import STORE, Moment
from api.population.contracts import Contract
from api.population.monthly import live_by_the_month, subscribe

OPTIONS = ("suspend", "convert_to_monthly", "renew_annual")
AFTER_DAYS = 31
"""Until when after a year's end everything about it has happened: no year ends later than so long before the last."""
ANNUAL_OF_MONTHLY = 9
"""A year costs nine months."""


def fits(contract: Contract, start: int) -> bool:
    """Whether a year that begins on a day ends while there are days left to say so."""
    return contract.years.year_after(start) + AFTER_DAYS <= contract.years.last


def live_by_the_year(contract: Contract) -> None:
    """Sell a year, and let it go on as the customer chose."""
    _sell(contract, "PK1", contract.plan.opened, 600)


def _sell(contract: Contract, package_id: str, day: int, minute: int) -> None:
    """Show the options, take the customer's choice, sell a year and charge for it; then live it."""
    plan, person, end = contract.plan, contract.person, contract.years.year_after(day)
    shown = {"package_id": package_id, "options": list(OPTIONS)}
    contract.note("ExpiryOptionPresented", (day, minute), shown, STORE)
    _choose(contract, package_id, plan.option, (day, minute + 1))
    price_fen = contract.price_fen * ANNUAL_OF_MONTHLY
    sold = contract.note(
        "PackageSubscribed",
        (day, minute + 5),
        {
            "package_id": package_id,
            "offer_id": f"BB-{contract.price_fen}-Y",
            "cycle": "annual",
            "price_fen": price_fen,
            "start": contract.day(day),
            "end": contract.day(end),
        },
        person.by,
    )
    _charge_year(contract, price_fen, (day, end), (day, minute + 10), basis=sold)
    _come_to_the_end(contract, package_id, day, end)


def _choose(contract: Contract, package_id: str, option: str, at: Moment) -> str:
    """Take the customer's choice; return the event's id."""
    data = {
        "package_id": package_id,
        "option": option,
        "selected_by": "customer",
        "consent_ref": f"form/{contract.account_id}/{package_id}",
    }
    return contract.note("ExpiryOptionSelected", at, data, contract.person.by)


def _charge_year(
    contract: Contract, price_fen: int, year: tuple[int, int], at: Moment, *, basis: str
) -> None:
    """Charge for a year, and let it be paid: at once, within some days, or in parts on agreed days."""
    chance, (start, minute) = contract.chance, at
    in_parts = chance.happens(0.06)
    due = start + (62 if in_parts else 15)
    charge = contract.charge("package", price_fen, year, at, due=due, basis=basis)
    contract.bill([charge], (start, minute + 1))
    if not in_parts:
        day = start if chance.happens(0.7) else chance.between(start, due)
        if day <= contract.years.last:
            contract.pay([charge], (day, minute + 20))
        return
    days = [start + 1, start + 31, start + 61]
    parts = [price_fen // 3, price_fen // 3, price_fen - 2 * (price_fen // 3)]
    contract.note(
        "InstalmentPlanAgreed",
        (start, minute + 2),
        {
            "plan_id": f"{charge.charge_id}-I",
            "charge_ids": [charge.charge_id],
            "instalments": [
                {"due_on": contract.day(d), "amount_fen": p} for d, p in zip(days, parts, strict=True)
            ],
        },
        contract.person.by,
    )
    for day, part_fen in zip(days, parts, strict=True):
        payment_id, known = contract.receive(part_fen, (day, 800))
        contract.put(payment_id, [("charge_id", charge.charge_id, part_fen)], known)


def _come_to_the_end(contract: Contract, package_id: str, start: int, end: int) -> None:
    """Remind the customer before a year's end, do at it what they chose, and tell them after it."""
    plan = contract.plan
    if plan.leaves is not None and start + 30 < plan.leaves < end:
        _leave_early(contract, plan.leaves)
        return
    option = plan.option
    if option == "renew_annual" and not fits(contract, end):
        option = plan.option = "convert_to_monthly"
        _choose(contract, package_id, option, (end - 32, 660))
    _remind(contract, package_id, end, option)
    expired = {"package_id": package_id, "expired_on": contract.day(end)}
    contract.note("PackageExpired", (end, 5), expired)
    about = {"package_id": package_id}
    match option:
        case "renew_annual":
            contract.notices.tell("post_expiry", end + contract.chance.between(1, 10), about)
            _renew(contract, package_id, end)
        case "convert_to_monthly":
            contract.notices.tell("post_expiry", end + contract.chance.between(1, 10), about)
            _convert(contract, package_id, end)
        case _:
            contract.note("ServiceSuspended", (end, 10), {"reason": "expiry"})
            contract.notices.tell("post_expiry", end + contract.chance.between(1, 3), about)
            _rest(contract, end)


def _remind(contract: Contract, package_id: str, end: int, option: str) -> None:
    """Tell the customer that a year ends, and of a renewal in time for them to withdraw."""
    about: dict[str, Any] = {"package_id": package_id}
    if option == "renew_annual":
        contract.notices.tell("renewal", end - contract.chance.between(18, 28), about)
        contract.notices.tell("pre_expiry", end - contract.chance.between(5, 12), about)
    elif contract.plan.told_before:
        contract.notices.tell("pre_expiry", end - contract.chance.between(10, 28), about)
    else:
        contract.notices.try_all("pre_expiry", end - contract.chance.between(10, 28), about)


def _renew(contract: Contract, package_id: str, day: int) -> None:
    """Let a year go on for another one."""
    end = contract.years.year_after(day)
    price_fen = contract.price_fen * ANNUAL_OF_MONTHLY
    renewed = {
        "package_id": package_id,
        "price_fen": price_fen,
        "start": contract.day(day),
        "end": contract.day(end),
    }
    basis = contract.note("PackageRenewed", (day, 15), renewed)
    _charge_year(contract, price_fen, (day, end), (day, 30), basis=basis)
    _come_to_the_end(contract, package_id, day, end)


def _convert(contract: Contract, package_id: str, day: int) -> None:
    """Let the package go on by the month."""
    basis = contract.note(
        "PackageConverted",
        (day, 15),
        {
            "package_id": package_id,
            "to_offer_id": f"BB-M-{contract.price_fen}",
            "monthly_price_fen": contract.price_fen,
            "from": contract.day(day),
        },
    )
    live_by_the_month(contract, package_id, basis, day)


def _rest(contract: Contract, end: int) -> None:
    """Let the service rest until the customer comes back, by the year or the month, or leaves."""
    chance, plan = contract.chance, contract.plan
    day = end + chance.between(8, 60)
    if plan.after_expiry == "rests" or day + 60 > contract.years.last:
        return
    if plan.after_expiry == "leaves":
        _leave_early(contract, day)
        return
    package_id = f"PK-{contract.day(day)}"
    contract.note("ServiceResumed", (day, 640), {"reason": "package_bought"})
    plan.leaves = None
    if fits(contract, day):
        _sell(contract, package_id, day, 600)
    else:
        live_by_the_month(contract, package_id, subscribe(contract, package_id, day), day)


def _leave_early(contract: Contract, day: int) -> None:
    """Let the customer cancel a service of which nothing is left to charge."""
    data: dict[str, Any] = {"effective_from": contract.day(day), "blockers": []}
    contract.note(
        "CancellationRequested", (day - contract.chance.between(1, 6), 620), data, contract.person.by
    )
    contract.end("customer_request", (day, 10))
