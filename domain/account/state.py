"""An account's state, and how each event of its stream evolves it."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, TypeVar

from domain.account.money import Allocation, Books, Debt, Payment
from domain.events import account as ev
from domain.events.envelope import Recorded
from domain.fold import Fold

Status = Literal["pending", "active", "suspended", "terminated"]
T = TypeVar("T")


@dataclass(slots=True)
class Choice:
    """What was presented and chosen for a package's end."""

    presented: tuple[str, ...] = ()
    presented_event_id: str | None = None
    presented_recorded_at: datetime | None = None
    option: str | None = None
    selected_by: str | None = None
    event_id: str | None = None
    source: str | None = None
    recorded_at: datetime | None = None


@dataclass(slots=True)
class Package:
    """A package as it stands: its offer, price and term, after conversions, renewals and changes."""

    package_id: str
    offer_id: str
    cycle: str
    price_fen: int
    start: date
    end: date | None
    event_id: str
    expired_on: date | None = None
    changes: list[tuple[date, str, int]] = field(default_factory=list)
    """(effective from, offer, price) of plan changes, in the order they were made."""
    term_end: date | None = None
    """Where the last term ended that a conversion or a renewal carried on."""

    def on(self, day: date) -> tuple[str, int]:
        """Return the offer and the price in fen on a day."""
        offer_id, price_fen = self.offer_id, self.price_fen
        for effective_from, to_offer_id, to_price_fen in sorted(self.changes, key=lambda change: change[0]):
            if effective_from <= day:
                offer_id, price_fen = to_offer_id, to_price_fen
        return offer_id, price_fen


@dataclass(slots=True)
class Number:
    """A telephone number held by the account."""

    number_id: str
    registration_id: str | None
    dealer_id: str | None
    status: Literal["active", "disowned", "ported_out", "released"]
    since: datetime


@dataclass(slots=True)
class Hold:
    """A dispute hold that stands."""

    hold_id: str
    amount_fen: int
    charge_ids: tuple[str, ...] | None
    case_id: str
    scope: tuple[str, ...]
    placed_at: datetime

    def covers(self, what: str, charge_id: str | None = None) -> bool:
        """Whether the hold forbids something, for the account or for one charge."""
        if what not in self.scope:
            return False
        return self.charge_ids is None or charge_id is None or charge_id in self.charge_ids


@dataclass(slots=True)
class Notice:
    """A notice and what became of it."""

    notice_id: str
    purpose: str
    channel: str
    contact_point_id: str | None
    attempted_at: datetime
    attempt_event_id: str
    package_id: str | None
    charge_ids: tuple[str, ...] | None
    outcome: Literal["pending", "delivered", "failed"] = "pending"
    reason: str | None = None
    outcome_at: datetime | None = None
    outcome_recorded_at: datetime | None = None
    outcome_event_id: str | None = None


@dataclass(slots=True)
class Account:
    """One service contract: who holds it, what was sold, what is owed, what was said to the customer."""

    account_id: str
    region: str = ""
    opened: bool = False
    party_id: str = ""
    left_at: dict[str, datetime] = field(default_factory=dict)
    """When it went from an earlier holder to another party."""
    line_of_business: str = ""
    terms: ev.ContractTerms | None = None
    status: Status = "pending"
    status_since: datetime | None = None
    suspension_reason: str | None = None
    stops: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    """When the service stood still: since when and until when, None where it still does."""
    legacy: dict[str, Any] | None = None
    package_id: str | None = None
    packages: dict[str, Package] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    numbers: dict[str, Number] = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    deposits: dict[str, int] = field(default_factory=dict)
    bills: dict[str, tuple[int, date]] = field(default_factory=dict)
    instalment_plans: dict[str, tuple[tuple[date, int], ...]] = field(default_factory=dict)
    reported_arrears_since: date | None = None
    holds: dict[str, Hold] = field(default_factory=dict)
    released_holds: set[str] = field(default_factory=set)
    past_holds: list[tuple[Hold, datetime]] = field(default_factory=list)
    """Holds that stood once, and when each was released."""
    credit_ids: set[str] = field(default_factory=set)
    notices: dict[str, Notice] = field(default_factory=dict)
    cancellation_from: date | None = None
    blockers: tuple[str, ...] = ()
    early: dict[tuple[str, str], list[Recorded]] = field(default_factory=dict)
    """Events dated before what they speak of, by its kind and id: they count once it is there."""
    shared_ids: set[str] = field(default_factory=set)
    """Ids that more than one charge, fee, payment or notice may stand under."""
    unmatched_event_ids: list[str] = field(default_factory=list)
    """Events that name a charge, payment, package, notice, number or hold the history does not have."""

    def now(self, status: Status, recorded: Recorded, *, anew: bool = False) -> None:
        """Change the status; `anew`: it begins again for another reason."""
        if status != self.status or anew:
            self.status, self.status_since = status, recorded.event.time

    def begins(self, recorded: Recorded) -> None:
        """Become active, where the account was only opened so far."""
        if self.status == "pending":
            self.now("active", recorded)

    def held(self, what: str, charge_id: str | None = None) -> Hold | None:
        """Return the dispute hold that forbids something, if one stands."""
        return next((h for h in self.holds.values() if h.covers(what, charge_id)), None)


fold: Fold[Account] = Fold("account")


def _fresh(s: Account, book: dict[str, Any], key: str, recorded: Recorded) -> str:
    """Return a key for a new entry: a legacy system may have used one id twice, and no fen may be lost."""
    if key in book:
        event = recorded.event
        key = f"{key}#{hashlib.sha256(f'{event.source}#{event.id}'.encode()).hexdigest()[:16]}"
    if "#" in key:
        parts = key.split("#")
        s.shared_ids.update("#".join(parts[:n]) for n in range(1, len(parts)))
    return key


def _same(s: Account, book: dict[str, T], key: str) -> list[T]:
    """Return the entries that came under one id, in the order they came."""
    if key not in s.shared_ids:
        return [book[key]] if key in book else []
    return [entry for name, entry in book.items() if name == key or name.startswith(f"{key}#")]


def _miss(s: Account, r: Recorded) -> None:
    s.unmatched_event_ids.append(r.event.id)


def _wait(s: Account, r: Recorded, kind: str, key: str) -> None:
    """Keep an event that speaks of what is not there (yet): histories may be dated the wrong way round."""
    s.early.setdefault((kind, key), []).append(r)
    _miss(s, r)


def _arrived(s: Account, kind: str, key: str) -> None:
    """Let the events count that were dated before this arrived."""
    for recorded in s.early.pop((kind, key), ()):
        s.unmatched_event_ids.remove(recorded.event.id)
        if isinstance(recorded.event.data, ev.ChargeReversed):
            s.books.stray_reversals_fen -= recorded.event.data.amount_fen
        fold.step(s, recorded)


@fold.on(ev.AccountOpened)
def _opened(s: Account, r: Recorded, d: ev.AccountOpened) -> None:
    s.opened, s.region = True, r.event.region
    s.party_id = s.party_id or d.party_id  # a transfer may be dated before the opening
    s.line_of_business, s.terms = d.line_of_business, d.contract_terms
    s.status_since = s.status_since or r.event.time


@fold.on(ev.AccountMigrated)
def _migrated(s: Account, _r: Recorded, d: ev.AccountMigrated) -> None:
    s.legacy = {"legacy_system": d.legacy_system, "legacy_id": d.legacy_id, "opened_on": d.opened_on}


@fold.on(ev.AccountTransferred)
def _transferred(s: Account, r: Recorded, d: ev.AccountTransferred) -> None:
    s.party_id = d.to_party_id
    s.left_at[d.from_party_id] = r.event.time
    if d.debt_stays_with == "to":
        for debt in (*s.books.charges.values(), *s.books.fees.values()):
            debt.debtor_id = d.to_party_id


fold.passes(ev.ServiceMoved, ev.SimReplaced)  # an address is personal data; a SIM changes no figure

# -- numbers


@fold.on(ev.NumberActivated)
def _activated(s: Account, r: Recorded, d: ev.NumberActivated) -> None:
    s.numbers[d.number_id] = Number(d.number_id, d.registration_id, d.dealer_id, "active", r.event.time)
    s.begins(r)


@fold.on(ev.NumberPortedIn)
def _ported_in(s: Account, r: Recorded, d: ev.NumberPortedIn) -> None:
    if d.number_id not in s.numbers:
        s.numbers[d.number_id] = Number(d.number_id, None, None, "active", r.event.time)
    s.begins(r)


def _number(s: Account, r: Recorded, number_id: str, status: Any) -> None:
    number = s.numbers.get(number_id)
    if number is None:
        return _miss(s, r)
    number.status, number.since = status, r.event.time
    return None


@fold.on(ev.NumberDisowned)
def _disowned(s: Account, r: Recorded, d: ev.NumberDisowned) -> None:
    _number(s, r, d.number_id, "disowned")


@fold.on(ev.NumberPortedOut)
def _ported_out(s: Account, r: Recorded, d: ev.NumberPortedOut) -> None:
    _number(s, r, d.number_id, "ported_out")


@fold.on(ev.NumberReleased)
def _released(s: Account, r: Recorded, d: ev.NumberReleased) -> None:
    _number(s, r, d.number_id, "released")


# -- packages


@fold.on(ev.PackageSubscribed)
def _subscribed(s: Account, r: Recorded, d: ev.PackageSubscribed) -> None:
    s.packages[d.package_id] = Package(
        d.package_id, d.offer_id, d.cycle, d.price_fen, d.start, d.end, r.event.id
    )
    s.package_id = d.package_id
    s.begins(r)


@fold.on(ev.ExpiryOptionPresented)
def _presented(s: Account, r: Recorded, d: ev.ExpiryOptionPresented) -> None:
    choice = s.choices.setdefault(d.package_id, Choice())
    choice.presented, choice.presented_event_id = d.options, r.event.id
    choice.presented_recorded_at = r.event.recordedtime


@fold.on(ev.ExpiryOptionSelected)
def _selected(s: Account, r: Recorded, d: ev.ExpiryOptionSelected) -> None:
    choice = s.choices.setdefault(d.package_id, Choice())
    choice.option, choice.selected_by = d.option, d.selected_by
    choice.event_id, choice.source, choice.recorded_at = r.event.id, r.event.source, r.event.recordedtime


@fold.on(ev.PackageExpired)
def _expired(s: Account, r: Recorded, d: ev.PackageExpired) -> None:
    if package := s.packages.get(d.package_id):
        package.expired_on = d.expired_on
    else:
        _miss(s, r)


@fold.on(ev.PackageConverted)
def _converted(s: Account, r: Recorded, d: ev.PackageConverted) -> None:
    if package := s.packages.get(d.package_id):
        package.offer_id, package.cycle, package.price_fen = d.to_offer_id, "monthly", d.monthly_price_fen
        package.term_end = package.end or package.term_end
        package.start, package.end, package.expired_on = d.from_, None, None
        package.changes = [c for c in package.changes if c[0] > d.from_]
        s.package_id = d.package_id
    else:
        _miss(s, r)


@fold.on(ev.PackageRenewed)
def _renewed(s: Account, r: Recorded, d: ev.PackageRenewed) -> None:
    if package := s.packages.get(d.package_id):
        package.term_end = package.end or package.term_end
        package.price_fen, package.start, package.end = d.price_fen, d.start, d.end
        package.expired_on = None
        package.changes = [c for c in package.changes if c[0] > d.start]
        s.package_id = d.package_id
    else:
        _miss(s, r)


@fold.on(ev.PlanChanged)
def _changed(s: Account, r: Recorded, d: ev.PlanChanged) -> None:
    if package := s.packages.get(d.package_id):
        package.changes.append((d.effective_from, d.to_offer_id, d.price_fen))
    else:
        _miss(s, r)


@fold.on(ev.CancellationRequested)
def _cancelled(s: Account, _r: Recorded, d: ev.CancellationRequested) -> None:
    s.cancellation_from, s.blockers = d.effective_from, d.blockers


# -- service


@fold.on(ev.ServiceSuspended)
def _suspended(s: Account, r: Recorded, d: ev.ServiceSuspended) -> None:
    if s.status != "suspended":
        s.stops.append((r.event.time, None))
    s.now("suspended", r, anew=d.reason != s.suspension_reason)
    s.suspension_reason = d.reason


@fold.on(ev.ServiceResumed)
def _resumed(s: Account, r: Recorded, _d: ev.ServiceResumed) -> None:
    if s.status == "suspended" and s.stops:
        s.stops[-1] = s.stops[-1][0], r.event.time
    s.now("active", r)
    s.suspension_reason = None


@fold.on(ev.ServiceTerminated)
def _terminated(s: Account, r: Recorded, _d: ev.ServiceTerminated) -> None:
    s.now("terminated", r)


# -- charges and credits


@fold.on(ev.ChargePosted)
def _charged(s: Account, r: Recorded, d: ev.ChargePosted) -> None:
    key = _fresh(s, s.books.charges, d.charge_id, r)
    charge = Debt(
        key,
        d.kind,
        d.amount_fen,
        d.due_on,
        r.event.id,
        r.event.source,
        d.period_start,
        d.period_end,
        d.basis_event_id,
        posted_at=r.event.time,
        debtor_id=s.party_id,
    )
    s.books.charge(charge)
    s.begins(r)
    _arrived(s, "charge", d.charge_id)


@fold.on(ev.BillIssued)
def _billed(s: Account, _r: Recorded, d: ev.BillIssued) -> None:
    s.bills[d.bill_id] = (d.total_fen, d.due_on)


@fold.on(ev.LateFeeAssessed)
def _fee(s: Account, r: Recorded, d: ev.LateFeeAssessed) -> None:
    key = _fresh(s, s.books.fees, d.fee_id, r)
    fee = Debt(
        key,
        "late_fee",
        d.amount_fen,
        d.to,
        r.event.id,
        r.event.source,
        d.from_,
        d.to,
        charge_id=d.charge_id,
        posted_at=r.event.time,
        debtor_id=charge.debtor_id if (charge := s.books.charges.get(d.charge_id)) else s.party_id,
    )
    s.books.levy(fee)
    _arrived(s, "fee", d.fee_id)


@fold.on(ev.CreditGranted)
def _credited(s: Account, _r: Recorded, d: ev.CreditGranted) -> None:
    s.credit_ids.add(d.credit_id)
    s.books.credits_fen += d.amount_fen


@fold.on(ev.DepositTaken)
def _deposit(s: Account, _r: Recorded, d: ev.DepositTaken) -> None:
    s.deposits[d.deposit_id] = s.deposits.get(d.deposit_id, 0) + d.amount_fen


@fold.on(ev.DepositReturned)
def _deposit_back(s: Account, r: Recorded, d: ev.DepositReturned) -> None:
    if d.deposit_id not in s.deposits:
        return _miss(s, r)
    s.deposits[d.deposit_id] -= d.amount_fen
    return None


@fold.on(ev.InstalmentPlanAgreed)
def _instalments(s: Account, _r: Recorded, d: ev.InstalmentPlanAgreed) -> None:
    s.instalment_plans[d.plan_id] = tuple((i.due_on, i.amount_fen) for i in d.instalments)


@fold.on(ev.ChargeReversed)
def _reversed(s: Account, r: Recorded, d: ev.ChargeReversed) -> None:
    kind, key = ("charge", d.charge_id) if d.charge_id else ("fee", d.fee_id or "")
    debts = _same(s, s.books.charges if kind == "charge" else s.books.fees, key)
    if not debts:
        s.books.stray_reversals_fen += d.amount_fen
        return _wait(s, r, kind, key)
    debt = next((debt for debt in debts if debt.standing_fen), debts[0])
    s.books.take_back(debt, d.amount_fen)
    return None


@fold.on(ev.DebtWrittenOff)
def _written_off(s: Account, _r: Recorded, d: ev.DebtWrittenOff) -> None:
    s.books.written_off_fen += d.amount_fen


# -- payments


@fold.on(ev.PaymentReceived)
def _paid(s: Account, r: Recorded, d: ev.PaymentReceived) -> None:
    key = _fresh(s, s.books.payments, d.payment_id, r)
    payment = Payment(key, d.amount_fen, d.value_date, d.method, r.event.id, received_at=r.event.time)
    s.books.receive(payment)
    _arrived(s, "payment", d.payment_id)


@fold.on(ev.PaymentAllocated)
def _allocated(s: Account, _r: Recorded, d: ev.PaymentAllocated) -> None:
    debt_id = d.charge_id or d.fee_id or ""
    s.books.allocations.append(Allocation(d.payment_id, debt_id, d.fee_id is not None, d.amount_fen))


@fold.on(ev.PaymentReversed)
def _bounced(s: Account, r: Recorded, d: ev.PaymentReversed) -> None:
    standing = [p for p in _same(s, s.books.payments, d.payment_id) if p.reversed_by is None]
    if standing:
        s.books.bounce(standing[0], r.event.id)
    else:
        _wait(s, r, "payment", d.payment_id)


@fold.on(ev.RefundPaid)
def _refunded(s: Account, _r: Recorded, d: ev.RefundPaid) -> None:
    s.books.refunded_fen += d.amount_fen


# -- collections


@fold.on(ev.ArrearsStarted)
def _arrears(s: Account, _r: Recorded, d: ev.ArrearsStarted) -> None:
    s.reported_arrears_since = d.since


@fold.on(ev.ArrearsCleared)
def _cleared(s: Account, _r: Recorded, _d: ev.ArrearsCleared) -> None:
    s.reported_arrears_since = None


@fold.on(ev.DisputeHoldPlaced)
def _held(s: Account, r: Recorded, d: ev.DisputeHoldPlaced) -> None:
    s.holds[d.hold_id] = Hold(d.hold_id, d.amount_fen, d.charge_ids, d.case_id, d.scope, r.event.time)
    _arrived(s, "hold", d.hold_id)


@fold.on(ev.DisputeHoldReleased)
def _hold_released(s: Account, r: Recorded, d: ev.DisputeHoldReleased) -> None:
    if hold := s.holds.pop(d.hold_id, None):
        s.past_holds.append((hold, r.event.time))
    else:
        _wait(s, r, "hold", d.hold_id)
    s.released_holds.add(d.hold_id)


@fold.on(ev.NoticeAttempted)
def _attempted(s: Account, r: Recorded, d: ev.NoticeAttempted) -> None:
    s.notices[_fresh(s, s.notices, d.notice_id, r)] = Notice(
        d.notice_id,
        d.purpose,
        d.channel,
        d.contact_point_id,
        r.event.time,
        r.event.id,
        d.package_id,
        d.charge_ids,
    )
    _arrived(s, "notice", d.notice_id)


def _outcome(s: Account, r: Recorded, notice_id: str, outcome: Any, reason: str | None) -> None:
    attempts = [n for n in _same(s, s.notices, notice_id) if n.notice_id == notice_id]
    if not attempts:
        return _wait(s, r, "notice", notice_id)
    notice = attempts[-1]
    notice.outcome, notice.reason = outcome, reason
    notice.outcome_at, notice.outcome_event_id = r.event.time, r.event.id
    notice.outcome_recorded_at = r.event.recordedtime
    return None


@fold.on(ev.NoticeDelivered)
def _delivered(s: Account, r: Recorded, d: ev.NoticeDelivered) -> None:
    _outcome(s, r, d.notice_id, "delivered", None)


@fold.on(ev.NoticeFailed)
def _failed(s: Account, r: Recorded, d: ev.NoticeFailed) -> None:
    _outcome(s, r, d.notice_id, "failed", d.reason)
