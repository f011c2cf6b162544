"""A customer who stops paying: reminders, late fees, suspension, and how it ends; each step on a lawful day."""

from dataclasses import dataclass

from api.population.chronicle import HEAD, STORE, Moment, minutes_after
from api.population.contracts import LINES, Charge, Contract
from domain.rules.windows import FIXED_LINE_GRACE_DAYS, FIXED_LINES, TERMINATION_DAYS

ROOM_DAYS = 330
"""How long it may take from the first unpaid charge until nothing is left to happen."""
RETENTION_DAYS = 5 * 365
"""A little less than the years after which an entry goes."""
INSTALMENTS = 3


@dataclass(slots=True)
class Arrears:
    """What somebody owes who was suspended for it, from when on."""

    contract: Contract
    unpaid: list[Charge]
    suspended: int

    @property
    def about(self) -> dict[str, list[str]]:
        """What notices of it name."""
        return {"charge_ids": [c.charge_id for c in self.unpaid]}

    @property
    def owed_fen(self) -> int:
        """What is owed in all."""
        return sum(c.amount_fen for c in self.unpaid) + sum(self.contract.fees.values())


def suspension_day(contract: Contract, due: int) -> int:
    """Return the day on which the service is suspended for a charge: the first lawful one, or soon after."""
    fixed = LINES[contract.plan.product] in FIXED_LINES
    grace = FIXED_LINE_GRACE_DAYS if fixed else contract.suspend_after_days
    return due + grace + 1 + contract.chance.below(10)


def remind(contract: Contract, charge: Charge) -> str:
    """Note that a charge is overdue, and tell the customer; return the notice's id."""
    contract.overdue(charge)
    day = charge.due + contract.chance.between(3, 8)
    return contract.notices.tell("arrears", day, {"charge_ids": [charge.charge_id]})


def suspend(contract: Contract, unpaid: list[Charge], day: int) -> int | None:
    """Suspend the service, and let it come to its end; return the day from which it is billed again, if ever."""
    arrears = Arrears(contract, unpaid, day)
    contract.notices.send("suspension", "sms", day - 2, {"charge_ids": [unpaid[0].charge_id]})
    if contract.plan.fee_after_suspension:
        for charge in unpaid:
            charge.fee_from = max(charge.due + 1, day)
    contract.levy(unpaid, day)
    contract.note("ServiceSuspended", (day, 600), {"reason": "arrears", "arrears_fen": arrears.owed_fen})
    match contract.plan.outcome:
        case "pays":
            return _pay(arrears, day + contract.chance.between(2, 50))
        case "instalments":
            return _pay_in_parts(arrears)
        case _:
            _lose(arrears)
            return None


def _pay(arrears: Arrears, day: int) -> int:
    """Let the customer pay everything, with the fees to the day before: a payment counts from the start of its day."""
    contract = arrears.contract
    contract.levy(arrears.unpaid, day - 1)
    contract.pay(arrears.unpaid, (day, 700), with_fees=True)
    return _restore(contract, (day, 700))


def _restore(contract: Contract, paid: Moment) -> int:
    """Bring the service back within the contract's hours; return the day."""
    contract.cleared(minutes_after(paid, 10))
    back = minutes_after(paid, contract.chance.between(20, 60 * contract.restore_hours - 60))
    contract.note("ServiceResumed", back, {"reason": "arrears_paid"})
    return back[0]


def _pay_in_parts(arrears: Arrears) -> int:
    """Let the customer agree on instalments and keep to them; nothing is levied meanwhile."""
    contract, chance = arrears.contract, arrears.contract.chance
    agreed = arrears.suspended + chance.between(3, 10)
    days = [agreed + 2 + 30 * n for n in range(INSTALMENTS)]
    owed_fen = arrears.owed_fen
    parts = [owed_fen // INSTALMENTS] * (INSTALMENTS - 1)
    parts.append(owed_fen - sum(parts))
    contract.note(
        "InstalmentPlanAgreed",
        (agreed, 620),
        {
            "plan_id": f"{contract.account_id}-I1",
            **arrears.about,
            "instalments": [
                {"due_on": contract.day(d), "amount_fen": p} for d, p in zip(days, parts, strict=True)
            ],
        },
        contract.person.by,
    )
    left = [["charge_id", c.charge_id, c.amount_fen] for c in arrears.unpaid]
    left += [["fee_id", fee_id, amount_fen] for fee_id, amount_fen in contract.fees.items()]
    contract.fees.clear()
    for day, part_fen in zip(days, parts, strict=True):
        payment_id, known = contract.receive(part_fen, (day, 700))
        contract.put(payment_id, _taken(left, part_fen), known)
    return _restore(contract, (days[-1], 700))


def _taken(left: list[list[object]], amount_fen: int) -> list[tuple[str, str, int]]:
    """Take an amount from what is left of debts, oldest first; return what it pays of which."""
    found = []
    while amount_fen:
        kind, debt_id, unpaid_fen = left[0]
        assert isinstance(unpaid_fen, int)
        part_fen = min(amount_fen, unpaid_fen)
        found.append((str(kind), str(debt_id), part_fen))
        amount_fen -= part_fen
        left[0][2] = unpaid_fen - part_fen
        if part_fen == unpaid_fen:
            del left[0]
    return found


def _lose(arrears: Arrears) -> None:
    """End the service once the suspension was long enough, put the customer on the blacklist, and see what comes."""
    contract, chance, person = arrears.contract, arrears.contract.chance, arrears.contract.person
    day = arrears.suspended + TERMINATION_DAYS + chance.between(1, 20)
    contract.notices.send("termination", "letter", day - 15, arrears.about)
    contract.levy(arrears.unpaid, day)
    contract.end("arrears", (day, 615))
    notice_id = contract.notices.tell("blacklist", day + 3, arrears.about)
    listed = day + chance.between(10, 20)
    entry_id = f"{contract.account_id}-BL"
    person.note(
        "BlacklistEntryAdded",
        (listed, 630),
        {
            "entry_id": entry_id,
            "basis_account_id": contract.account_id,
            "amount_fen": sum(c.amount_fen for c in arrears.unpaid),
            "basis_event_ids": [c.event_id for c in arrears.unpaid],
            "notice_id": notice_id,
        },
    )
    if contract.plan.refused:
        refused = {"reason": "blacklisted", "entry_id": entry_id}
        person.note("SignUpRefused", (listed + chance.between(3, 30), 640), refused, STORE)
    _settle_late(arrears, entry_id, listed)


def _settle_late(arrears: Arrears, entry_id: str, listed: int) -> None:
    """Let the debt be paid or given up, where it is, and the entry go in time."""
    contract, chance = arrears.contract, arrears.contract.chance
    day = listed + chance.between(35, 75)
    reason = "arrears_cleared"
    match contract.plan.outcome:
        case "lost_pays":
            contract.pay(arrears.unpaid, (day, 700), with_fees=True)
            contract.cleared((day, 710))
        case "written_off":
            given_up = {"amount_fen": arrears.owed_fen, "approver": "staff/S-90"}
            contract.note("DebtWrittenOff", (day, 700), given_up, HEAD)
        case _:
            day, reason = listed + RETENTION_DAYS - 3, "retention_lapsed"
            if day + 3 > contract.years.last:
                return
    gone = {"entry_id": entry_id, "reason": reason}
    contract.person.note("BlacklistEntryRemoved", (day + chance.between(0, 3), 720), gone)
