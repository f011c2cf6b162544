"""One account: its contract, and the charges, payments and late fees of it, to the fen.

What is written here keeps to the rules of `domain.rules`: every payment is put against what it pays, a late fee is
levied once for a day, on what was unpaid that day, and only from the day the contract names.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from api.population.chronicle import BILLING, STORE, Actor, Moment
from api.population.people import Notices, Person
from api.population.years import Chance, Years
from domain.account import late_fee_fen
from domain.rules.windows import LATE_FEE_PPM

Product = Literal["annual", "broadband", "voice", "mobile"]
Payer = Literal["punctual", "late", "debtor"]
Option = Literal["suspend", "convert_to_monthly", "renew_annual"]
Outcome = Literal["pays", "instalments", "lost", "lost_pays", "written_off"]
AfterExpiry = Literal["returns", "rests", "leaves"]

LINES = {
    "annual": "fixed_broadband",
    "broadband": "fixed_broadband",
    "voice": "fixed_voice",
    "mobile": "mobile",
}
MONTHLY_FEN = {
    "annual": (9_800, 10_800, 12_800, 14_800),
    "broadband": (9_800, 11_800, 13_800),
    "voice": (2_000, 2_500, 3_500),
    "mobile": (3_800, 5_800, 8_800, 12_800),
}
OFFERS = {"annual": "BB", "broadband": "BB-M", "voice": "FV", "mobile": "MM"}
MONTH_DAYS = 30
"""By which a part of a month is charged."""


@dataclass(slots=True)
class Plan:
    """What is decided of an account before it is lived: everything else is chance on the way."""

    product: Product
    opened: int
    payer: Payer = "punctual"
    method: str = "app"
    option: Option = "suspend"
    """What the customer wants at the end of a year sold."""
    after_expiry: AfterExpiry = "rests"
    """What a customer does whose service rests once the year is over."""
    debt_month: int = 6
    """After how many months a debtor stops paying."""
    outcome: Outcome = "pays"
    refused: bool = False
    """Whether somebody who is listed asks for another service and is refused."""
    fee_after_suspension: bool = False
    leaves: int | None = None
    """The day from which the contract is cancelled."""
    by_dealer: bool = False
    told_before: bool = True
    """Whether a notice before a year's end arrives; else every channel was tried."""
    migrated: bool = False
    """Whether the account came from another system."""


@dataclass(slots=True)
class Charge:
    """A posted charge of which nothing is paid yet; from `fee_from` on no fee has been levied on it."""

    charge_id: str
    event_id: str
    amount_fen: int
    posted: int
    due: int
    fee_from: int


@dataclass(slots=True)
class Contract:
    """An account that is lived by its plan."""

    account_id: str
    person: Person
    plan: Plan
    chance: Chance
    years: Years
    notices: Notices = field(init=False)
    subject: str = field(init=False)
    price_fen: int = field(init=False)
    deadline_days: int = field(init=False)
    restore_hours: int = field(init=False)
    suspend_after_days: int = field(init=False)
    fees: dict[str, int] = field(default_factory=dict)
    """Late fees that are not paid, by id."""
    posted: list[Charge] = field(default_factory=list)
    """Every charge so far of which nothing was taken back."""
    charges: int = 0
    payments: int = 0
    fees_levied: int = 0
    fell_behind: bool = False
    """Whether a debtor's arrears have come: once in a life."""
    ended: int | None = None
    """The day on which the service ended."""
    handed_over: int | None = None
    """The day on which it went to another party."""

    def __post_init__(self) -> None:
        chance = self.chance
        self.subject = f"account/{self.account_id}"
        self.notices = Notices(self.subject, self.person)
        self.price_fen = chance.one(MONTHLY_FEN[self.plan.product])
        self.deadline_days = chance.between(15, 25)
        self.restore_hours = chance.one((24, 48))
        self.suspend_after_days = chance.one((10, 15, 30))

    def note(
        self,
        kind: str,
        at: Moment,
        data: dict[str, Any],
        by: Actor = BILLING,
        *,
        known: Moment | None = None,
    ) -> str:
        """Note something on the account's stream; return the event's id."""
        return self.person.chronicle.note(self.subject, kind, at, data, by=by, known=known)

    def day(self, number: int) -> str:
        """Return a day as events name it."""
        return self.years.names[number]

    def open(self) -> None:
        """Note that the contract came into being."""
        terms = {
            "payment_deadline_days": self.deadline_days,
            "late_fee_start": "after_suspension" if self.plan.fee_after_suspension else "after_due",
            "restore_hours": self.restore_hours,
            "suspend_after_days": self.suspend_after_days,
            "terminate_after_days": 60,
        }
        self.note(
            "AccountOpened",
            (self.plan.opened, 580),
            {
                "party_id": self.person.party_id,
                "line_of_business": LINES[self.plan.product],
                "contract_terms": terms,
            },
            STORE,
        )
        if self.plan.migrated:
            before = self.years.first - timedelta(days=self.chance.between(100, 3_000))
            came = {
                "legacy_system": "boss-1",
                "legacy_id": f"L{self.account_id}",
                "opened_on": before.isoformat(),
            }
            self.note("AccountMigrated", (self.plan.opened, 585), came)

    # -- money

    def charge(
        self, kind: str, amount_fen: int, period: tuple[int, int], at: Moment, *, due: int, basis: str
    ) -> Charge:
        """Post a charge for the time from a day to another (exclusive)."""
        self.charges += 1
        charge_id = f"{self.account_id}-C{self.charges}"
        event_id = self.note(
            "ChargePosted",
            at,
            {
                "charge_id": charge_id,
                "kind": kind,
                "amount_fen": amount_fen,
                "period_start": self.day(period[0]),
                "period_end": self.day(period[1]),
                "due_on": self.day(due),
                "basis_event_id": basis,
            },
        )
        charge = Charge(charge_id, event_id, amount_fen, at[0], due, due + 1)
        self.posted.append(charge)
        return charge

    def bill(self, charges: list[Charge], at: Moment) -> None:
        """Put charges on a bill."""
        self.note(
            "BillIssued",
            at,
            {
                "bill_id": f"{charges[0].charge_id}-B",
                "charge_ids": [c.charge_id for c in charges],
                "total_fen": sum(c.amount_fen for c in charges),
                "due_on": self.day(charges[0].due),
            },
        )

    def pay(self, charges: list[Charge], at: Moment, *, with_fees: bool = False) -> None:
        """Take a payment of whole charges, and of every late fee that is open where that is said."""
        parts = [("charge_id", c.charge_id, c.amount_fen) for c in charges]
        if with_fees:
            parts += [("fee_id", fee_id, amount_fen) for fee_id, amount_fen in self.fees.items()]
            self.fees.clear()
        payment_id, known = self.receive(sum(p[2] for p in parts), at)
        self.put(payment_id, parts, known)

    def receive(self, amount_fen: int, at: Moment) -> tuple[str, Moment]:
        """Take a payment; return its id and when it was known: a bank tells of it the next morning."""
        self.payments += 1
        payment_id = f"{self.account_id}-P{self.payments}"
        by_bank = self.plan.method == "bank_transfer" and self.plan.payer == "punctual"
        known = (at[0] + 1, 480) if by_bank and at[0] < self.years.last else at
        data = {
            "payment_id": payment_id,
            "amount_fen": amount_fen,
            "value_date": self.day(at[0]),
            "method": self.plan.method,
        }
        self.note("PaymentReceived", at, data, self.person.by, known=known)
        return payment_id, known

    def put(self, payment_id: str, parts: list[tuple[str, str, int]], at: Moment) -> None:
        """Put a payment against charges and fees."""
        for kind, debt_id, amount_fen in parts:
            self.note(
                "PaymentAllocated", at, {"payment_id": payment_id, kind: debt_id, "amount_fen": amount_fen}
            )

    def levy(self, charges: list[Charge], day: int) -> None:
        """Levy late fees on unpaid charges for the days before a day that were not levied yet."""
        for charge in charges:
            days = day - charge.fee_from
            amount_fen = late_fee_fen(charge.amount_fen, LATE_FEE_PPM, days) if days > 0 else 0
            if not amount_fen:
                continue
            self.fees_levied += 1
            fee_id = f"{self.account_id}-F{self.fees_levied}"
            self.note(
                "LateFeeAssessed",
                (day, 90),
                {
                    "fee_id": fee_id,
                    "charge_id": charge.charge_id,
                    "base_fen": charge.amount_fen,
                    "rate_ppm": LATE_FEE_PPM,
                    "from": self.day(charge.fee_from),
                    "to": self.day(day),
                    "amount_fen": amount_fen,
                },
            )
            self.fees[fee_id] = amount_fen
            charge.fee_from = day

    def overdue(self, charge: Charge) -> None:
        """Note that a charge is overdue, on the day after its due date."""
        data = {
            "charge_id": charge.charge_id,
            "amount_fen": charge.amount_fen,
            "since": self.day(charge.due + 1),
        }
        self.note("ArrearsStarted", (charge.due + 1, 20), data)

    def cleared(self, at: Moment) -> None:
        """Note that nothing is overdue any more."""
        self.note("ArrearsCleared", at, {"cleared_on": self.day(at[0])})

    # -- service

    def end(self, reason: str, at: Moment, by: Actor = BILLING) -> None:
        """End the service for good."""
        self.note("ServiceTerminated", at, {"reason": reason}, by)
        self.ended = at[0]
