"""One account's calendar, walked day by day: what is kept of its history, and what the policies derive anew."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from domain.account import Account, figures, late_fee_fen
from domain.account.money import balance_fen, unpaid_spans
from domain.account.state import fold
from domain.calendar import day_of, start_of, zone_of
from domain.events import account as ev
from domain.events.envelope import Event, Recorded
from domain.events.fields import Payload
from domain.party import Party
from domain.policies.due import Handling, Happening, Missing, Prices
from domain.policies.reminders import told_of_renewal
from domain.policies.service import (
    arrears_suspension_due,
    cancellation_due,
    carrying_on_due,
    days,
    expiry_due,
    lapse_due,
    own_handling,
    restoration_due,
    return_due,
    termination_due,
    turning_days,
)
from domain.replay import in_order
from domain.rules import windows
from domain.rules.arrears import holds_on
from domain.rules.book import Rulebook
from domain.rules.disputes import for_a_period
from domain.rules.facts import AccountFacts, Measure
from domain.rules.identity import unverified

LAWFUL_SOURCE = "urn:recount:counterfactual"
ONE_DAY = timedelta(days=1)
PAYMENTS = (ev.PaymentReceived, ev.PaymentReversed)
AT_ITS_START, AT_ITS_END = time(0, 5), time(23, 59, 59)


@dataclass(frozen=True, slots=True)
class Difference:
    """What happened otherwise than it should have: the events, the rule behind it, the fen that hang on it."""

    on: date
    what: str
    event_ids: tuple[str, ...]
    rule_id: str
    amount_fen: int = 0


@dataclass(slots=True)
class Lawful:
    """One account as it should have been."""

    account: Account
    history: list[Recorded]
    differences: list[Difference]
    undetermined: list[str]
    proposed: list[dict[str, Any]]
    to_reverse_fen: int
    to_refund_fen: int
    assumed: dict[str, str] = field(default_factory=dict)


def lawful_account(account: AccountFacts, until: date, assume: Mapping[str, str], book: Rulebook) -> Lawful:
    """Return an account as it should have been at the end of a day."""
    walk = _Walk(account, until, assume, book)
    walk.run()
    return walk.result()


class _Walk:
    """The calendar of one account, day by day."""

    def __init__(self, account: AccountFacts, until: date, assume: Mapping[str, str], book: Rulebook) -> None:
        self.facts = account
        self.until = until
        self.book = book
        self.handling: dict[str, Handling] = {}
        self.ends: dict[str, date] = {}
        """Where the terms end that were sold, by package."""
        self.assumed: dict[str, str] = {}
        self.prices = Prices()
        self.differences: list[Difference] = []
        self.undetermined: list[str] = []
        self.void = unverified(account)
        self.state = Account(account.subject.partition("/")[2])
        self.lawful: list[Recorded] = []
        self._known = fold.over(
            Account(self.state.account_id), [r for r in account.history if isinstance(r.event.data, PAYMENTS)]
        )
        """The lawful account with every payment that is known, whenever it was posted."""
        self._suspended_on: date | None = None
        self._missing: set[str] = set()
        self._levied: dict[str, set[date]] = {}
        """The days for which a fee was levied on each charge."""
        self._actual = Standing.of(account.history)
        self._learn(assume)

    def _learn(self, assume: Mapping[str, str]) -> None:
        """Read from the history what was chosen and what the contract's figures are."""
        for _, converted in self.facts.of(ev.PackageConverted):
            figure = (converted.to_offer_id, converted.monthly_price_fen)
            self.prices.conversions.setdefault(converted.package_id, figure)
        for _, renewed in self.facts.of(ev.PackageRenewed):
            self.prices.renewals.setdefault(renewed.package_id, renewed.price_fen)
        for term in self.facts.terms:
            if term.renewal or term.end is None:
                continue
            self.ends[term.package_id] = term.end
            choice = self.facts.own_choice(term.package_id, start_of(term.end, self.facts.state.region))
            if choice is not None:
                self.handling[term.package_id] = Handling(choice[1].option, assumed=False)
            else:
                self.handling[term.package_id] = Handling(assume["expiry_option"], assumed=True)
                self.assumed[f"expiry_option of {term.package_id}"] = assume["expiry_option"]

    # -- what is kept of the history

    def kept(self) -> list[Recorded]:
        """Return the exogenous events, and of the endogenous the charges that stand."""
        dropped: set[str] = set()
        found = []
        stopped_for: str | None = None
        for recorded in self.facts.history:
            data = recorded.event.data
            if self.facts.day(recorded) > self.until:
                continue
            if isinstance(data, ev.ChargePosted):
                rule_id = self._falls(recorded, data)
                if rule_id is not None:
                    dropped.add(data.charge_id)
                    self._differs(
                        recorded, rule_id, f"charge {data.charge_id} does not stand", data.charge_id
                    )
                    continue
            elif isinstance(data, ev.ChargeReversed):
                if data.fee_id is not None or data.charge_id in dropped:
                    continue
            elif type(data).ENDOGENOUS and not _of_the_customer(data, stopped_for):
                continue
            stopped_for = _stopped_for(data, stopped_for)
            found.append(recorded)
        return found

    def _falls(self, recorded: Recorded, charge: ev.ChargePosted) -> str | None:
        """Return the rule under which a charge does not stand, None where it does."""
        if self.void:
            return "real-name"
        effective = self.facts.state.cancellation_from
        if effective is not None and charge.period_start >= effective and for_a_period(charge):
            return "cancellation"
        term = self.facts.after_term(charge, recorded.event.source)
        if term is None or charge.charge_id not in self.facts.unsupported:
            return None
        chosen = self.handling.get(term.package_id)
        carried = {"package": "renew_annual"}.get(charge.kind, "convert_to_monthly")
        assumed = chosen is not None and chosen.assumed and chosen.option == carried
        return None if assumed else "charge-basis"

    def _differs(self, recorded: Recorded, rule_id: str, what: str, charge_id: str | None = None) -> None:
        amount_fen = 0
        if charge_id is not None:
            amount_fen = self.facts.state.books.charges[charge_id].standing_fen
        self.differences.append(
            Difference(self.facts.day(recorded), what, self.facts.world.names(recorded), rule_id, amount_fen)
        )

    # -- the calendar

    def run(self) -> None:
        """Walk from the first event to the last day."""
        kept = self.kept()
        if not kept:
            return
        region = self.facts.state.region or self.facts.world.region
        fees: dict[date, list[tuple[Recorded, ev.LateFeeAssessed]]] = {}
        for recorded, fee in self.facts.of(ev.LateFeeAssessed):
            fees.setdefault(self.facts.day(recorded), []).append((recorded, fee))
        happens = sorted({self.facts.day(r) for r in kept} | fees.keys() | set(self._actual.days))
        queue = iter(kept)
        waiting = next(queue, None)
        day: date | None = happens[0]
        while day is not None and day <= self.until:
            self._close(day, AT_ITS_START, region)
            ends = start_of(day + ONE_DAY, region)
            while waiting is not None and waiting.event.time < ends:
                self._step(waiting)
                waiting = next(queue, None)
            self._close(day, AT_ITS_END, region)
            for recorded, fee in fees.get(day, ()):
                self._levy(recorded, fee)
            # Between events nothing changes but by the calendar: the days on which it might are known.
            day = self._next_day(day, happens)

    def _next_day(self, day: date, happens: Sequence[date]) -> date | None:
        """Return the next day on which something happens, or may be due that is not due yet."""
        index = bisect_right(happens, day)
        coming = {*turning_days(self.state, day), *happens[index : index + 1]}
        return min((d for d in coming if d > day), default=None)

    def _step(self, recorded: Recorded) -> None:
        fold.step(self.state, recorded)
        self.lawful.append(recorded)
        data = recorded.event.data
        if not isinstance(data, PAYMENTS):
            fold.step(self._known, recorded)
        if isinstance(data, ev.ServiceSuspended):
            self._suspended_on = day_of(recorded.event.time, recorded.event.region)

    def _due(self, day: date) -> Iterator[Payload]:
        """Return what a day makes due; of what burdens the customer only what the operator did by then."""
        yield from cancellation_due(self.state, day)
        later = self._chosen_later()
        handling = {
            k: h for k, h in {**self.handling, **later}.items() if k in later or self._goes_on_by_itself(k, h)
        }
        yield from self._priced(expiry_due(self.state, day, handling, self.prices))
        yield from self._priced(carrying_on_due(self.state, day, later, self.prices))
        yield from return_due(self.state, day)
        yield from restoration_due(self.state, day)
        yield from lapse_due(self.state, day, handling)
        status, reason = self._actual.on(day)
        if reason == "arrears":
            yield from arrears_suspension_due(self.state, day)
        if reason == "arrears" and status == "terminated":
            yield from termination_due(self.state, day)

    def _priced(self, happenings: Iterator[Happening]) -> Iterator[Payload]:
        """Return what happens, and keep what lacks a figure."""
        for happening in happenings:
            if not isinstance(happening, Missing):
                yield happening
            elif happening.what not in self._missing:
                self._missing.add(happening.what)
                self.undetermined.append(f"{happening.on}: {happening.what} is not on record")

    def _goes_on_by_itself(self, package_id: str, chosen: Handling) -> bool:
        """Whether a choice made at the sale is carried out without asking again.

        Where the law asks for a renewal notice and none was delivered in time, an operator that did not renew was
        right; one that did is measured by `renewal-notice`, and the customer keeps what they chose.
        """
        package = self.state.packages.get(package_id)
        if package is None or package.end is None or chosen.option != "renew_annual":
            return True
        renewed = any(
            d.package_id == package_id and d.start >= package.end for _, d in self.facts.of(ev.PackageRenewed)
        )
        return renewed or told_of_renewal(self.state, self._people(), package, package.end, self.book)

    def _people(self) -> list[Party]:
        """Return the party who holds the account and those it was merged into, as they are known now."""
        return [p.state for p in self.facts.world.person(self.state.party_id)]

    def _chosen_later(self) -> dict[str, Handling]:
        """Return what the customers asked for once their terms had ended, which needs no presentation."""
        return {
            package_id: chosen
            for package_id, chosen in own_handling(self.state).items()
            if package_id in self.ends
            and chosen.chosen_on is not None
            and chosen.chosen_on >= self.ends[package_id]
        }

    def _close(self, day: date, hour: time, region: str) -> None:
        """Do what is due: an operator may close a day early or late, and what was due by either was lawful."""
        for data in self._due(day):
            self._step(self._event(datetime.combine(day, hour, tzinfo=zone_of(region)), data, region))

    def _event(self, moment: datetime, data: Payload, region: str) -> Recorded:
        event = Event(
            id=f"lawful-{len(self.lawful) + 1}",
            source=LAWFUL_SOURCE,
            subject=self.facts.subject,
            time=moment,
            recordedtime=moment,
            actor="system/policies",
            channel="system",
            region=region,
            data=data,
        )
        return Recorded(event, 0)

    # -- late fees

    def _levy(self, recorded: Recorded, fee: ev.LateFeeAssessed) -> None:
        """Levy what of a fee was lawful, on what was lawfully owed."""
        standing_fen = self.facts.state.books.fees[fee.fee_id].standing_fen
        allowed_fen = min(standing_fen, self._lawful_fee_fen(recorded, fee))
        if allowed_fen:
            levied = days(fee.from_, fee.to - ONE_DAY)
            self._levied.setdefault(fee.charge_id, set()).update(levied)
            self._step(
                replace(recorded, event=replace(recorded.event, data=replace(fee, amount_fen=allowed_fen)))
            )
        if standing_fen > allowed_fen:
            self.differences.append(
                Difference(
                    self.facts.day(recorded),
                    f"late fee {fee.fee_id}: {allowed_fen} fen instead of {standing_fen}",
                    self.facts.world.names(recorded),
                    "late-fee",
                    standing_fen - allowed_fen,
                )
            )

    def _lawful_fee_fen(self, recorded: Recorded, fee: ev.LateFeeAssessed) -> int:
        charge = self.state.books.charges.get(fee.charge_id)
        if charge is None or self.state.terms is None:
            return 0
        suspended = self._suspended_on if self.state.suspension_reason == "arrears" else None
        first = windows.late_fee_start(self.state.terms, charge.due_on, suspended)
        rate_ppm = Measure(self.book, "late-fee").at(self.facts.day(recorded), "rate_ppm")
        levied = self._levied.get(fee.charge_id, ())
        total_fen = 0
        # Every payment that is known counts, whenever it was posted.
        for start, end, unpaid_fen in unpaid_spans(self._known.books, fee.charge_id, fee.from_, fee.to):
            for day in days(start, end - ONE_DAY):
                held = any(h.covers("late_fee", fee.charge_id) for h in holds_on(self.facts, day))
                if first is not None and day >= first and day not in levied and not held:
                    total_fen += min(fee.base_fen, unpaid_fen)
        return late_fee_fen(total_fen, rate_ppm, 1)

    # -- what it comes to

    def result(self) -> Lawful:
        """Return the account as it should have been, with the sums and what would correct it."""
        actual = self.facts.state
        proposed = [
            *self._reversals(actual.books.charges, "charge_id"),
            *self._reversals(actual.books.fees, "fee_id"),
        ]
        before = figures(until_day(self.facts, self.until).books, self.until)
        after = figures(self.state.books, self.until)
        refund_fen = max(0, after.credit_fen - before.credit_fen)
        refund_fen = min(refund_fen - self._refunded_since(), self._credit_fen(proposed))
        if refund_fen > 0:
            proposed.append(self._proposal("RefundPaid", {"amount_fen": refund_fen, "method": "as paid"}))
        # Whoever is cut off without right is let back in; nobody is cut off by a correction.
        if self.state.status == "active" and actual.status == "suspended":
            proposed.append(self._proposal("ServiceResumed", {"reason": "suspended_without_basis"}))
        self._service_differences()
        return Lawful(
            account=self.state,
            history=self.lawful,
            differences=sorted(self.differences, key=lambda d: d.on),
            undetermined=self.undetermined,
            proposed=proposed,
            to_reverse_fen=sum(p["data"]["amount_fen"] for p in proposed if p["type"] == "ChargeReversed"),
            to_refund_fen=max(0, refund_fen),
            assumed=self.assumed,
        )

    def _reversals(self, debts: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
        lawful = self.state.books.charges if name == "charge_id" else self.state.books.fees
        for debt_id, debt in debts.items():
            if debt.posted_at is None or day_of(debt.posted_at, self.facts.state.region) > self.until:
                continue  # what came later is not looked at
            stands_fen = lawful[debt_id].standing_fen if debt_id in lawful else 0
            excess_fen = debt.standing_fen - stands_fen
            if excess_fen > 0:
                yield self._proposal(
                    "ChargeReversed", {name: debt_id, "amount_fen": excess_fen, "reason": "no_basis"}
                )

    def _proposal(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        return {"type": kind, "subject": self.facts.subject, "region": self.facts.state.region, "data": data}

    def _refunded_since(self) -> int:
        """Return what was paid back after the last day: it is not owed back a second time."""
        return sum(d.amount_fen for r, d in self.facts.of(ev.RefundPaid) if self.facts.day(r) > self.until)

    def _credit_fen(self, proposed: Sequence[Mapping[str, Any]]) -> int:
        """Return the credit that stands now, with what is proposed to be reversed."""
        reversed_fen: int = sum(p["data"]["amount_fen"] for p in proposed if p["type"] == "ChargeReversed")
        today = max(self.until, self.facts.today)
        return max(0, reversed_fen - balance_fen(self.facts.state.books, today))

    def _service_differences(self) -> None:
        """Name the suspensions, terminations, conversions and renewals that were not lawful as they happened."""
        lawful = Standing.of(self.lawful)
        for recorded in self.facts.history:
            data, day = recorded.event.data, self.facts.day(recorded)
            if day > self.until or _of_the_customer(data, None):
                continue
            stood = {lawful.on(day)[0], lawful.on(day + ONE_DAY)[0]}  # closed early or late in the day
            match data:
                case ev.ServiceSuspended() if not stood & {"suspended", "terminated"}:
                    rule_id = self._why_not(day, "suspension-window")
                case ev.ServiceTerminated() if "terminated" not in stood:
                    rule_id = self._why_not(day, "termination-window")
                case ev.PackageConverted() | ev.PackageRenewed() if not self._goes_on(data):
                    rule_id = "charge-basis"
                case _:
                    continue
            self._differs(recorded, rule_id, f"{recorded.event.type} would not have happened on {day}")

    def _why_not(self, day: date, window: str) -> str:
        """Return the rule behind a stop that was not lawful: a hold, charges without a basis, or else its day."""
        if any(h.covers("suspension") for h in holds_on(self.facts, day)):
            return "dispute-hold"
        if self.void:
            return "real-name"
        posted = {d.charge_id for r, d in self.facts.of(ev.ChargePosted) if self.facts.day(r) <= day}
        return "charge-basis" if posted & self.facts.unsupported.keys() else window

    def _goes_on(self, data: ev.PackageConverted | ev.PackageRenewed) -> bool:
        """Whether a package lawfully went on as it did, from that day or the day after."""
        start = _begins(data)
        return any(
            type(d) is type(data)
            and isinstance(d, ev.PackageConverted | ev.PackageRenewed)
            and d.package_id == data.package_id
            and abs(_begins(d) - start) <= ONE_DAY
            for d in (r.event.data for r in self.lawful)
        )


def _begins(data: ev.PackageConverted | ev.PackageRenewed) -> date:
    return data.from_ if isinstance(data, ev.PackageConverted) else data.start


class Standing:
    """How a service stood at the end of each day: its status, and the reason of a stop."""

    def __init__(self) -> None:
        self.days: list[date] = []
        """The days on which it changed."""
        self._stood: list[tuple[str, str | None]] = []

    @classmethod
    def of(cls, history: Iterable[Recorded]) -> "Standing":
        """Return it by a history."""
        made = cls()
        reason: str | None = None
        for recorded in in_order(history):
            match recorded.event.data:
                case ev.ServiceSuspended(reason=why):
                    status, reason = "suspended", why
                case ev.ServiceResumed():
                    status, reason = "active", None
                case ev.ServiceTerminated(reason=why):
                    # An end for arrears is one whatever came before; another keeps what it was stopped for.
                    status, reason = "terminated", why if reason is None or why == "arrears" else reason
                case _:
                    continue
            made.days.append(day_of(recorded.event.time, recorded.event.region))
            made._stood.append((status, reason))
        return made

    def on(self, day: date) -> tuple[str, str | None]:
        """Return the status and the reason at the end of a day."""
        index = bisect_right(self.days, day)
        return self._stood[index - 1] if index else ("active", None)


_WISHES = ("customer_request", "fraud")


def _of_the_customer(data: Payload, stopped_for: str | None) -> bool:
    """Whether a service event follows the customer's or a court's wish, which no policy can derive."""
    if isinstance(data, ev.ServiceSuspended):
        return data.reason in _WISHES
    if isinstance(data, ev.ServiceResumed):
        return stopped_for in _WISHES
    return isinstance(data, ev.ServiceTerminated) and data.reason == "identity_misuse"


def _stopped_for(data: Payload, before: str | None) -> str | None:
    """Return for whose wish the service stands still after an event that is kept."""
    if isinstance(data, ev.ServiceSuspended):
        return data.reason
    return None if isinstance(data, ev.ServiceResumed) else before


def until_day(account: AccountFacts, until: date) -> Account:
    """Return the account as it was at the end of a day."""
    return fold.over(
        Account(account.subject.partition("/")[2]), [r for r in account.history if account.day(r) <= until]
    )
