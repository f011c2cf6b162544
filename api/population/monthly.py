"""Plans by the month: what is charged for each, and how it is paid."""

from bisect import bisect_right
from collections.abc import Iterator

from api.population.arrears import ROOM_DAYS, remind, suspend, suspension_day
from api.population.contracts import MONTH_DAYS, OFFERS, Charge, Contract

LATE_SHARE = 0.25
"""Share of the months in which somebody who pays late does so."""
FEE_AFTER_DAYS = 4
"""The operator levies nothing on a delay that is shorter, and on an account only once: after a fee was paid, what
should have happened depends on what the fee's money is put against.
"""
SHORTEST_MONTH_DAYS = 28
"""Who pays late does so before the next bill: a fee paid beside an open charge would go to that charge first."""


def subscribe(contract: Contract, package_id: str, day: int, minute: int = 610) -> str:
    """Sell a plan by the month; return the event's id, on which its charges rest."""
    return contract.note(
        "PackageSubscribed",
        (day, minute),
        {
            "package_id": package_id,
            "offer_id": f"{OFFERS[contract.plan.product]}-{contract.price_fen}",
            "cycle": "monthly",
            "price_fen": contract.price_fen,
            "start": contract.day(day),
        },
        contract.person.by,
    )


def live_by_the_month(contract: Contract, package_id: str, basis: str, start: int) -> None:
    """Charge month by month from a day until the contract or the years are over."""
    plan, years = contract.plan, contract.years
    leaves = plan.leaves if plan.leaves is not None and plan.leaves > start + 40 else None
    last = years.last if leaves is None else leaves
    months = [m for m in years.months[bisect_right(years.months, start) :] if m <= last]
    changes = contract.chance.between(2, 30) if contract.chance.happens(0.08) else -1
    since, number = start, 0
    for month in months:
        if month <= since:
            continue  # the service stood still
        charges = _post(contract, basis, since, month)
        since, number = month, number + 1
        debtor = plan.payer == "debtor" and not contract.fell_behind and number > plan.debt_month
        if debtor and month + ROOM_DAYS <= last:
            contract.fell_behind = True
            resumed = _fall_behind(contract, basis, charges, month)
            if resumed is None:
                return
            since = resumed
            continue
        _settle(contract, charges)
        if number == changes:
            _change_plan(contract, package_id, month)
    if leaves is not None:
        _leave(contract, basis, since, leaves)


def _post(contract: Contract, basis: str, start: int, end: int) -> list[Charge]:
    """Post what a time that is over comes to, and bill it."""
    due = end + contract.deadline_days
    days = end - start
    price_fen = contract.price_fen if days >= 28 else contract.price_fen * days // MONTH_DAYS
    charges = [contract.charge("monthly", max(price_fen, 100), (start, end), (end, 60), due=due, basis=basis)]
    if contract.plan.product in ("mobile", "voice") and contract.chance.happens(0.4):
        used_fen = contract.chance.between(100, 6_000)
        charges.append(contract.charge("usage", used_fen, (start, end), (end, 61), due=due, basis=basis))
    contract.bill(charges, (end, 65))
    return charges


def _settle(contract: Contract, charges: list[Charge]) -> None:
    """Let a bill be paid: by its day, or, by those who pay late, some days after it."""
    chance, due = contract.chance, charges[0].due
    last = min(charges[0].posted + SHORTEST_MONTH_DAYS - 1, contract.years.last)
    if contract.plan.payer == "late" and due < last and chance.happens(LATE_SHARE):
        _pay_late(contract, charges, chance.between(due + 1, last))
        return
    day = chance.between(charges[0].posted + 1, due)
    if day > contract.years.last:
        return  # paid when the years are over
    if contract.plan.method == "direct_debit" and day + 3 <= due and chance.happens(0.01):
        bounced, _ = contract.receive(sum(c.amount_fen for c in charges), (day, 400))
        data = {"payment_id": bounced, "reason": "insufficient_funds"}
        contract.note("PaymentReversed", (day + 2, 410), data)
        day += 3
    if day <= contract.years.last:
        contract.pay(charges, (day, chance.between(480, 1_300)))


def _pay_late(contract: Contract, charges: list[Charge], day: int) -> None:
    """Let a bill be paid late, with the fee where one is levied."""
    for charge in charges:
        contract.overdue(charge)
    if day > charges[0].due + 4:
        about = {"charge_ids": [c.charge_id for c in charges]}
        contract.notices.send("arrears", "sms", charges[0].due + 3, about)
    levied = contract.plan.fee_after_suspension or contract.fees_levied
    if day > charges[0].due + FEE_AFTER_DAYS and not levied:
        contract.levy(charges, day - 1)
    contract.pay(charges, (day, 720), with_fees=True)
    contract.cleared((day, 725))


def _fall_behind(contract: Contract, basis: str, charges: list[Charge], month: int) -> int | None:
    """Let nothing be paid from a bill on until it comes to a suspension; return from when it is billed again."""
    suspended = suspension_day(contract, charges[0].due)
    unpaid = list(charges)
    for charge in charges:
        remind(contract, charge)
    since = month
    for following in _until(contract.years.months, month, suspended):
        more = _post(contract, basis, since, following)
        for charge in more:
            if charge.due + 1 < suspended:
                contract.overdue(charge)
        unpaid += more
        since = following
    return suspend(contract, unpaid, suspended)


def _until(months: list[int], month: int, day: int) -> Iterator[int]:
    """Return the months that begin after a month and before a day."""
    return (m for m in months[bisect_right(months, month) :] if m < day)


def _change_plan(contract: Contract, package_id: str, month: int) -> None:
    """Let the customer change to another price from this month on."""
    contract.price_fen = max(1_000, contract.price_fen + contract.chance.one((-2_000, 2_000, 4_000)))
    contract.note(
        "PlanChanged",
        (month, 70),
        {
            "package_id": package_id,
            "to_offer_id": f"{OFFERS[contract.plan.product]}-{contract.price_fen}",
            "price_fen": contract.price_fen,
            "effective_from": contract.day(month),
            "requested_by": "customer",
        },
        contract.person.by,
    )


def _leave(contract: Contract, basis: str, since: int, day: int) -> None:
    """Let the customer cancel: the service ends on the day, and what was used before it is charged."""
    asked = day - contract.chance.between(1, 10)
    blockers = ["modem to return"] if contract.chance.happens(0.3) else []
    data = {"effective_from": contract.day(day), "blockers": blockers}
    contract.note("CancellationRequested", (asked, 620), data, contract.person.by)
    contract.end("customer_request", (day, 10))
    if since < day:
        _settle(contract, _post(contract, basis, since, day))
