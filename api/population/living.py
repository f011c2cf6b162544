"""One party's whole life: what is planned of it, and everything that then happens, lawfully."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from api.population.chronicle import STORE, Chronicle
from api.population.complaints import CLOSED_WITHIN_DAYS, Complaint, Promise, complain, uncover
from api.population.contracts import Contract, Option, Plan, Product
from api.population.monthly import live_by_the_month, subscribe
from api.population.packages import AFTER_DAYS, live_by_the_year
from api.population.people import Person
from api.population.registrations import activate, give_up
from api.population.years import Chance, Years

ACCOUNTS_OF_A_PARTY = (1,) * 80 + (2,) * 14 + (3,) * 5 + (4,)
PRODUCTS: tuple[Product, ...] = ("annual",) * 7 + ("broadband",) * 3 + ("voice",) * 2 + ("mobile",) * 8
OPTIONS: tuple[Option, ...] = (
    "suspend",
    "convert_to_monthly",
    "convert_to_monthly",
    "renew_annual",
    "renew_annual",
)
METHODS = ("app", "app", "direct_debit", "direct_debit", "bank_transfer", "cash")
LATE_PAYERS = 0.12
DEBTORS = 0.05
LEAVES_A_YEAR = 0.06
COMPLAINS_A_YEAR = 0.04
HANDS_OVER = 0.05
"""Share of the settled accounts that go to another party."""
MISUSED = 0.004
"""Share of the parties whose documents a dealer misused."""
NEW_CUSTOMERS = 0.5
"""Share of the accounts that were not there from the first weeks on."""
FIRST_WEEKS_DAYS = 60


@dataclass(frozen=True, slots=True)
class Wish:
    """What a life should be like so that something can be put wrong in it; the rest of it stays chance."""

    account: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the first account's plan."""
    complaint: Promise | None = None
    complaint_from: int = 0
    misuse: bool = False

    @property
    def complains(self) -> bool:
        """Whether a case is wanted."""
        return self.misuse or self.complaint is not None


@dataclass(slots=True)
class Life:
    """A party, its accounts and its cases, as they were lived."""

    person: Person
    chronicle: Chronicle
    chance: Chance
    years: Years
    contracts: list[Contract]
    cases: list[Complaint]

    @property
    def first(self) -> Contract:
        """The account a wish was about."""
        return self.contracts[0]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a party lives: what it shares with its neighbours."""

    years: Years
    source: str
    seed: int
    region: str
    city: str
    dealer_id: str


def accounts_of(party: int, seed: int) -> int:
    """Return how many accounts a party would have."""
    return Chance(f"{seed}/{party}/accounts").one(ACCOUNTS_OF_A_PARTY)


def live(party: int, accounts: int, setting: Setting, wish: Wish | None = None) -> Life:
    """Return the life of a party with so many accounts: the same for the same arguments, whatever came before."""
    years, name = setting.years, f"{setting.seed}-{party}"
    chance = Chance(f"{setting.seed}/{party}")
    plans = [_planned(chance, years) for _ in range(accounts)]
    if wish is not None:
        plans[0] = replace(
            plans[0], **{"payer": "punctual", "leaves": None, "migrated": False, **wish.account}
        )
    since = min(plan.opened for plan in plans)
    chronicle = Chronicle(name, setting.source, setting.region, years)
    person = Person(f"P{name}", chance, chronicle, years, city=setting.city, since=since)
    life = Life(person, chronicle, chance, years, [], [])
    for number, plan in enumerate(plans, 1):
        own = Chance(f"{setting.seed}/{party}/{number}")
        contract = Contract(f"A{name}-{number}", person, plan, own, years)
        life.contracts.append(contract)
        _live_contract(contract, setting.dealer_id)
    if wish is None:
        _hand_over(life, setting.city)
    _complaints(life, name, wish)
    return life


def _planned(chance: Chance, years: Years) -> Plan:
    """Return what is decided of an account at first."""
    span = years.last - FIRST_WEEKS_DAYS
    opened = chance.below(FIRST_WEEKS_DAYS)
    if chance.happens(NEW_CUSTOMERS):
        opened += chance.below(span)
    product = chance.one(PRODUCTS)
    if product == "annual" and years.year_after(opened) + AFTER_DAYS > years.last:
        product = "broadband"
    plan = Plan(product, opened, method=chance.one(METHODS))
    plan.option, plan.after_expiry = (
        chance.one(OPTIONS),
        chance.one(("returns", "returns", "rests", "leaves")),
    )
    plan.told_before = not chance.happens(0.05)
    plan.by_dealer = chance.happens(0.5)
    plan.fee_after_suspension = chance.happens(0.2)
    paying = chance.random()
    if paying < DEBTORS:
        plan.payer = "debtor"
        plan.debt_month = chance.below(1 + years.last // 60)
        plan.outcome = chance.one(("pays", "pays", "instalments", "lost", "lost_pays", "written_off"))
        plan.refused = chance.happens(0.3)
    elif paying < DEBTORS + LATE_PAYERS:
        plan.payer = "late"
    plan.migrated = opened < FIRST_WEEKS_DAYS and chance.happens(0.3)
    if plan.payer != "debtor":
        leaves = opened + 60 + chance.days_until(LEAVES_A_YEAR)
        plan.leaves = leaves if leaves < years.last - 5 else None
    return plan


def _live_contract(contract: Contract, dealer_id: str) -> None:
    """Live one account from its opening on."""
    plan = contract.plan
    contract.open()
    if plan.product == "annual":
        live_by_the_year(contract)
        return
    number_id = ""
    if plan.product == "mobile":
        number_id = activate(contract, dealer_id if plan.by_dealer else None)
    elif contract.chance.happens(0.05) and plan.opened + 200 < contract.years.last:
        moved = plan.opened + contract.chance.between(30, 200)
        contract.note(
            "ServiceMoved", (moved, 660), {"address": contract.person.address()}, contract.person.by
        )
    deposit = contract.chance.happens(0.05)
    if deposit:
        taken = {"deposit_id": f"{contract.account_id}-D", "amount_fen": 10_000}
        contract.note("DepositTaken", (plan.opened, 615), taken, STORE)
    basis = subscribe(contract, "PK1", plan.opened)
    live_by_the_month(contract, "PK1", basis, plan.opened)
    if contract.ended is None or contract.fell_behind:
        return
    if number_id:
        give_up(contract, number_id, contract.ended)
    if deposit:
        contract.note("DepositReturned", (contract.ended, 700), taken, STORE)


def _hand_over(life: Life, city: str) -> None:
    """Let an account that is paid on time go to another party now and then, which pays from that day on."""
    chance, years = life.chance, life.years
    contract = chance.one(life.contracts)
    plan = contract.plan
    settled = plan.payer == "punctual" and plan.product in ("broadband", "voice") and contract.ended is None
    if not settled or plan.opened + 90 > years.last or not chance.happens(HANDS_OVER):
        return
    day = chance.between(plan.opened + 60, years.last - 10)
    taker = Person(f"{life.person.party_id}-2", chance, life.chronicle, years, city=city, since=day)
    moment = life.chronicle.moment((day, 600))
    for event in life.chronicle.of(("PaymentReceived", "PlanChanged"), contract.subject):
        if event["time"] > moment:
            event["actor"], event["channel"] = taker.by
    transfer = {
        "from_party_id": life.person.party_id,
        "to_party_id": taker.party_id,
        "debt_stays_with": chance.one(("from", "to")),
    }
    contract.note("AccountTransferred", (day, 600), transfer, STORE)
    contract.handed_over = day


def _complaints(life: Life, name: str, wish: Wish | None) -> None:
    """Let the party complain now and then, and find once in a while what a dealer did in its name.

    Where something is to be put wrong, nobody complains by chance: what follows from it has to be known.
    """
    chance, years = life.chance, life.years
    earliest, latest = life.person.since + 60, years.last - CLOSED_WITHIN_DAYS
    if wish is not None:
        if wish.complains and (day := max(earliest, wish.complaint_from)) <= latest:
            promise = wish.complaint or "met"
            _complain(life, name, chance.between(day, latest), promise, misuse=wish.misuse)
        return
    day = earliest + chance.days_until(COMPLAINS_A_YEAR)
    misuse = chance.happens(MISUSED)
    if misuse:
        day = chance.between(earliest, latest)
    while day <= latest:
        _complain(life, name, day, "met" if chance.happens(0.9) else "missed", misuse=misuse)
        misuse = False
        day += 30 + chance.days_until(COMPLAINS_A_YEAR)


def _complain(life: Life, name: str, day: int, promise: Promise, *, misuse: bool) -> None:
    """Let the party complain on a day about an account it has."""
    chance = life.chance
    own = [c for c in life.contracts if c.plan.opened < day]
    contract = chance.one([c for c in own if c.handed_over is None] or own)
    case = Complaint(f"C{name}-{len(life.cases) + 1}", life.person, contract, day)
    life.cases.append(case)
    if misuse:
        uncover(case, f"D{name}", f"M{name}")
        return
    hold = contract.plan.payer == "punctual" and chance.happens(0.5)
    complain(case, promise, hold=hold)
