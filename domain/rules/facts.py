"""The facts a rule looks at: the streams around a subject as they were known, and what recurs in several rules.

Everything here is derived from histories alone. Consent, verifications and notice outcomes count from their
recorded time: what was recorded only after the conduct does not cure it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from operator import itemgetter
from typing import Any, Literal, TypeVar

from domain.account import Account, Figures
from domain.account.money import Books, Debt, left_on, unpaid_of
from domain.calendar import day_of
from domain.case import Case
from domain.dealer import Dealer
from domain.events import account as ev
from domain.events import party as pv
from domain.events.envelope import Recorded, kind_of
from domain.events.fields import Payload
from domain.party import Party
from domain.replay import effective_at, in_order
from domain.rules.book import Rulebook
from domain.rules.past import Past
from domain.streams import state_of

P = TypeVar("P", bound=Payload)
Reach = Literal["reached", "astray", "unknown"]

ALL_OPTIONS = frozenset({"suspend", "convert_to_monthly", "renew_annual"})
RECURRING = frozenset({"package", "monthly", "usage"})
"""Kinds of charges that are for time; installation and equipment are not."""
CARRIES: Mapping[str, tuple[str, ...]] = {
    "package": ("renew_annual",),
    "monthly": ("convert_to_monthly",),
    "usage": ("convert_to_monthly", "renew_annual"),
}
"""Which choices of the customer's carry a charge for time after an annual term."""


class Facts:
    """One stream as it was known, in the order of the world."""

    def __init__(self, subject: str, history: Sequence[Recorded], world: "World") -> None:
        self.subject = subject
        self.history = history
        self.world = world

    def of(self, kind: type[P]) -> list[tuple[Recorded, P]]:
        """Return the stream's events of a type."""
        return self._by_type.get(kind, [])

    @cached_property
    def _by_type(self) -> dict[type[Payload], list[tuple[Recorded, Any]]]:
        found: dict[type[Payload], list[tuple[Recorded, Any]]] = {}
        for recorded in self.history:
            data = recorded.event.data
            found.setdefault(type(data), []).append((recorded, data))
        return found

    def day(self, recorded: Recorded) -> date:
        """Return the day of an event where it happened."""
        return day_of(recorded.event.time, recorded.event.region)

    @property
    def today(self) -> date:
        """The day of the known-at instant."""
        return self.world.today


@dataclass(frozen=True, slots=True)
class Term:
    """A year that was sold or renewed; `end` is exclusive, None where the history does not say it."""

    package_id: str
    start: date
    end: date | None
    began: Recorded
    renewal: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice that was delivered, to whom as far as the history shows."""

    attempt: ev.NoticeAttempted
    attempted: Recorded
    delivered: Recorded
    reach: Reach


class AccountFacts(Facts):
    """An account as it was known."""

    @cached_property
    def state(self) -> Account:
        """The account's state."""
        state = state_of(self.subject, self.history)
        assert isinstance(state, Account)
        return state

    def holder_at(self, moment: datetime) -> str | None:
        """Return whose account it was at a moment, as far as the history says it."""
        transfers = self.of(ev.AccountTransferred)
        holders = [d.party_id for _, d in self.of(ev.AccountOpened)[:1]]
        holders = holders or [d.from_party_id for _, d in transfers[:1]]
        holders += [d.to_party_id for r, d in transfers if r.event.time <= moment]
        return holders[-1] if holders else None

    def party_at(self, moment: datetime) -> "PartyFacts | None":
        """Return the facts of the party whose account it was at a moment."""
        return self.world.parties.get(f"party/{self.holder_at(moment)}")

    @cached_property
    def terms(self) -> list[Term]:
        """The annual terms sold and renewed, in their order."""
        found = []
        annual: set[str] = set()
        for recorded in self.history:
            data = recorded.event.data
            if isinstance(data, ev.PackageSubscribed) and data.cycle == "annual":
                annual.add(data.package_id)
                found.append(Term(data.package_id, data.start, data.end, recorded, renewal=False))
            elif isinstance(data, ev.PackageRenewed) and data.package_id in annual:
                found.append(Term(data.package_id, data.start, data.end, recorded, renewal=True))
        return found

    def presented_by(self, package_id: str, moment: datetime) -> Recorded | None:
        """Return the presentation of all three options that was on record at a moment."""
        return next(
            (
                r
                for r, d in self.of(ev.ExpiryOptionPresented)
                if d.package_id == package_id
                and set(d.options) >= ALL_OPTIONS
                and r.event.recordedtime <= moment
            ),
            None,
        )

    def own_choice(
        self, package_id: str, moment: datetime
    ) -> tuple[Recorded, ev.ExpiryOptionSelected] | None:
        """Return the customer's last choice among the options shown to them, on record at a moment."""
        found = None
        for recorded, data in self.of(ev.ExpiryOptionSelected):
            if data.package_id == package_id and data.selected_by == "customer":
                shown = self.presented_by(package_id, recorded.event.time)
                if shown is not None and recorded.event.recordedtime <= moment:
                    found = recorded, data
        return found

    # -- notices

    @cached_property
    def deliveries(self) -> list[Delivery]:
        """Every delivered notice, with whom it reached."""
        attempts: dict[str, tuple[Recorded, ev.NoticeAttempted]] = {}
        found = []
        for recorded in self.history:
            data = recorded.event.data
            if isinstance(data, ev.NoticeAttempted):
                attempts[data.notice_id] = recorded, data
            elif isinstance(data, ev.NoticeDelivered) and data.notice_id in attempts:
                attempted, attempt = attempts[data.notice_id]
                found.append(Delivery(attempt, attempted, recorded, self._reach(attempt, recorded)))
        return found

    def _reach(self, attempt: ev.NoticeAttempted, delivered: Recorded) -> Reach:
        moment = delivered.event.time
        party = self.party_at(moment)
        if attempt.contact_point_id is None or party is None:
            return "unknown"
        person = self.world.person(party.party_id)
        reached = any(p.reachable(attempt.contact_point_id, moment) for p in person)
        return "reached" if reached else "astray"

    # -- service

    @cached_property
    def stops(self) -> list[tuple[date, bool]]:
        """The days of suspensions for arrears, and of all resumptions (whether it is a stop)."""
        return [
            (self.day(r), isinstance(r.event.data, ev.ServiceSuspended))
            for r in self.history
            if isinstance(d := r.event.data, ev.ServiceResumed)
            or (isinstance(d, ev.ServiceSuspended) and d.reason == "arrears")
        ]

    # -- money

    @cached_property
    def posted(self) -> dict[str, Recorded]:
        """Where each charge was posted, by its id; of an id that was used twice the first."""
        return {d.charge_id: r for r, d in reversed(self.of(ev.ChargePosted))}

    def debtor_at(self, charge_id: str, moment: datetime) -> str | None:
        """Return whose debt a charge was at a moment: its holder's, until a transfer took it along."""
        posted = self.posted.get(charge_id)
        if posted is None:
            return None
        debtor = self.holder_at(posted.event.time)
        for recorded, data in self.of(ev.AccountTransferred):
            if data.debt_stays_with == "to" and posted.event.time < recorded.event.time <= moment:
                debtor = data.to_party_id
        return debtor

    def debt(self, recorded: Recorded) -> Debt:
        """Return what became of a posted charge or an assessed fee: a legacy system may use one id twice."""
        return self._debts[recorded.event.source, recorded.event.id]

    @cached_property
    def _debts(self) -> dict[tuple[str, str], Debt]:
        books = self.state.books
        return {(d.source, d.event_id): d for d in (*books.charges.values(), *books.fees.values())}

    def unpaid_on(self, charge_id: str, day: date) -> int:
        """Return what of a charge was unpaid on a day, by value date and reversals as known now."""
        if not self.state.books.allocations:
            return unpaid_of(self._books_on(day), charge_id, day)
        paid_by = bisect_right(self._value_dates, day)  # between two movements nothing changes
        found = self._unpaid.get(paid_by)
        if found is None:
            found = self._unpaid[paid_by] = left_on(self._books_on(day), day).unpaid_fen
        return found.get(charge_id, 0)

    @cached_property
    def _unpaid(self) -> dict[int, dict[str, int]]:
        return {}

    @cached_property
    def _value_dates(self) -> list[date]:
        dates = [d.value_date for _, d in self.of(ev.PaymentReceived)]
        return sorted(dates + [day for day, _ in self._given])

    @cached_property
    def _given(self) -> list[tuple[date, ev.CreditGranted | ev.DebtWrittenOff | ev.RefundPaid]]:
        """What lowers or raises a balance from its own day on."""
        given: list[tuple[Recorded, ev.CreditGranted | ev.DebtWrittenOff | ev.RefundPaid]]
        given = [*self.of(ev.CreditGranted), *self.of(ev.DebtWrittenOff), *self.of(ev.RefundPaid)]
        return sorted(((self.day(r), d) for r, d in given), key=itemgetter(0))

    def _books_on(self, day: date) -> Books:
        """Return the books as known now, without the credits, write-offs and refunds that came after a day."""
        by_then = bisect_right(self._given, day, key=itemgetter(0))
        if by_then == len(self._given):
            return self.state.books
        found = self._books.get(by_then)
        if found is None:
            later = [d for _, d in self._given[by_then:]]

            def of(kind: type) -> int:
                return sum(d.amount_fen for d in later if isinstance(d, kind))

            found = self._books[by_then] = self.state.books.without(
                credits_fen=of(ev.CreditGranted),
                written_off_fen=of(ev.DebtWrittenOff),
                refunded_fen=of(ev.RefundPaid),
            )
        return found

    @cached_property
    def _books(self) -> dict[int, Books]:
        return {}

    def owed_at(self, moment: datetime, region: str, *, as_it_stood: bool = False) -> Figures:
        """Return what was owed at a moment on the charges posted by then, as known now.

        What is known to have been reversed does not count, whenever it was reversed; `as_it_stood`, it counts
        until its reversal.
        """
        found = self._owed.get((moment, as_it_stood))
        if found is None:
            past = self._past_as_it_stood if as_it_stood else self._past
            found = self._owed[moment, as_it_stood] = past.at(moment, region)
        return found

    @cached_property
    def _owed(self) -> dict[tuple[datetime, bool], Figures]:
        return {}

    @cached_property
    def _past(self) -> Past:
        return Past(self.history)

    @cached_property
    def _past_as_it_stood(self) -> Past:
        return Past(self.history, as_it_stood=True)

    @cached_property
    def unsupported(self) -> dict[str, str]:
        """Charges for time after an annual term that no choice or request of the customer carries, and why."""
        found = {}
        for recorded, data in self.of(ev.ChargePosted):
            reason = self._unsupported(recorded, data)
            if reason is not None:
                found[data.charge_id] = reason
        return found

    def after_term(self, charge: ev.ChargePosted, source: str) -> Term | None:
        """Return the sold year after whose end a charge's time lies, None where it was sold for itself."""
        if charge.kind not in RECURRING:
            return None
        basis = self.world.event(charge.basis_event_id, source)
        package_id = getattr(basis.event.data, "package_id", None) if basis is not None else None
        if basis is not None and isinstance(basis.event.data, ev.PackageSubscribed):
            sale = basis.event.data
            if sale.end is None or charge.period_start < sale.end:
                return None
        elif package_id is None and any(
            d.start <= charge.period_start and (d.end is None or charge.period_start < d.end)
            for _, d in self.of(ev.PackageSubscribed)
        ):
            return None
        ended = [
            t
            for t in self.terms
            if not t.renewal
            and t.end is not None
            and t.end <= charge.period_start
            and package_id in (None, t.package_id)
        ]
        return ended[-1] if ended else None

    def carries_on_without_end(self, charge: ev.ChargePosted, source: str) -> bool:
        """Whether a charge rests on what carried on a sold year of which no end is on record."""
        basis = self.world.event(charge.basis_event_id, source)
        if basis is None or not isinstance(basis.event.data, ev.PackageConverted | ev.PackageRenewed):
            return False
        package_id = basis.event.data.package_id
        return any(t.package_id == package_id and t.end is None for t in self.terms)

    def _unsupported(self, recorded: Recorded, charge: ev.ChargePosted) -> str | None:
        term = self.after_term(charge, recorded.event.source)
        if term is None:
            return None
        moment = recorded.event.time
        if self._requested(term, charge.period_start, moment):
            return None
        choice = self.own_choice(term.package_id, moment) or self._later_choice(term, moment)
        if choice is None:
            return "no choice of the customer's own was on record"
        option = choice[1].option
        return None if option in CARRIES[charge.kind] else f"the customer had chosen {option}"

    def _requested(self, term: Term, day: date, moment: datetime) -> bool:
        """Whether by a moment the customer had asked for a plan that runs on a day after the term."""
        return any(
            d.package_id == term.package_id
            and d.requested_by == "customer"
            and term.end is not None
            and term.end <= d.effective_from <= day
            and r.event.recordedtime <= moment
            for r, d in self.of(ev.PlanChanged)
        )

    def _later_choice(self, term: Term, moment: datetime) -> tuple[Recorded, ev.ExpiryOptionSelected] | None:
        """Return what the customer asked for after the term, which needs no presentation to be their request."""
        found = None
        for recorded, data in self.of(ev.ExpiryOptionSelected):
            asked = data.package_id == term.package_id and data.selected_by == "customer"
            after = term.end is not None and self.day(recorded) >= term.end
            if asked and after and recorded.event.recordedtime <= moment:
                found = recorded, data
        return found


class PartyFacts(Facts):
    """A party as it was known."""

    @property
    def party_id(self) -> str:
        """The party's id."""
        return self.subject.partition("/")[2]

    @cached_property
    def state(self) -> Party:
        """The party's state."""
        state = state_of(self.subject, self.history)
        assert isinstance(state, Party)
        return state

    @cached_property
    def accounts(self) -> list[AccountFacts]:
        """The accounts that are or were this party's."""
        return [
            account
            for account in self.world.accounts.values()
            if any(d.party_id == self.party_id for _, d in account.of(ev.AccountOpened))
            or any(
                self.party_id in (d.from_party_id, d.to_party_id)
                for _, d in account.of(ev.AccountTransferred)
            )
        ]

    def reachable(self, contact_point_id: str, moment: datetime) -> bool:
        """Whether a contact point was the party's own and still reached them at a moment."""
        found = False
        for changed_at, valid in self._contact_points.get(contact_point_id, ()):
            if changed_at > moment:
                break
            found = valid
        return found

    @cached_property
    def _contact_points(self) -> dict[str, list[tuple[datetime, bool]]]:
        """When each contact point became valid, and when it ceased to be, in the order of the world."""
        found: dict[str, list[tuple[datetime, bool]]] = {}
        for recorded in self.history:
            data = recorded.event.data
            if isinstance(data, pv.ContactPointAdded | pv.ContactPointInvalidated):
                change = recorded.event.time, isinstance(data, pv.ContactPointAdded)
                found.setdefault(data.contact_point_id, []).append(change)
        return found

    def verification(
        self, registration_id: str, moment: datetime
    ) -> tuple[Recorded, pv.IdentityVerified] | None:
        """Return the last verification of a registration that was on record at a moment."""
        found = None
        for recorded, data in self.of(pv.IdentityVerified):
            if data.registration_id == registration_id and recorded.event.recordedtime <= moment:
                found = recorded, data
        return found


class DealerFacts(Facts):
    """A dealer as it was known."""

    @cached_property
    def state(self) -> Dealer:
        """The dealer's state."""
        state = state_of(self.subject, self.history)
        assert isinstance(state, Dealer)
        return state


class CaseFacts(Facts):
    """A case as it was known."""

    @cached_property
    def state(self) -> Case:
        """The case's state."""
        state = state_of(self.subject, self.history)
        assert isinstance(state, Case)
        return state


def across_streams(recorded: Recorded) -> tuple[datetime, datetime, str, int]:
    """Return the key that orders events of several streams, in whatever order the streams were imported."""
    event = recorded.event
    return event.time, event.recordedtime, event.subject, recorded.version


class World:
    """The streams around a subject, as known at a moment and as the log stood at a position."""

    def __init__(
        self, histories: Mapping[str, Sequence[Recorded]], known_at: datetime, position: int, region: str
    ) -> None:
        self.known_at = known_at
        self.today = day_of(known_at, region)
        self.region = region
        self.accounts: dict[str, AccountFacts] = {}
        self.parties: dict[str, PartyFacts] = {}
        self.dealers: dict[str, DealerFacts] = {}
        self.cases: dict[str, CaseFacts] = {}
        self.book_events: list[Recorded] = []
        self._by_id: dict[str, list[Recorded]] = {}
        for subject in sorted(histories):
            history = in_order(
                r
                for r in histories[subject]
                if r.position <= position and r.event.recordedtime <= known_at and effective_at(r) <= known_at
            )
            for recorded in history:
                self._by_id.setdefault(recorded.event.id, []).append(recorded)
            self._add(subject, history)

    def _add(self, subject: str, history: Sequence[Recorded]) -> None:
        match kind_of(subject):
            case "account":
                self.accounts[subject] = AccountFacts(subject, history, self)
            case "party":
                self.parties[subject] = PartyFacts(subject, history, self)
            case "dealer":
                self.dealers[subject] = DealerFacts(subject, history, self)
            case "case":
                self.cases[subject] = CaseFacts(subject, history, self)
            case "rulebook":
                self.book_events = sorted([*self.book_events, *history], key=across_streams)

    def person(self, party_id: str | None) -> list[PartyFacts]:
        """Return a party and those it was merged into: one person, as far as they are on record."""
        found: list[PartyFacts] = []
        party = self.parties.get(f"party/{party_id}")
        while party is not None and party not in found:
            found.append(party)
            merged = party.of(pv.PartyMerged)
            party = self.parties.get(f"party/{merged[-1][1].into_party_id}") if merged else None
        return found

    def facts(self, subject: str) -> Facts:
        """Return one subject's facts, empty where nothing is known of it."""
        for group in (self.accounts, self.parties, self.dealers, self.cases):
            found: Any = group.get(subject)
            if found is not None:
                return found  # type: ignore[no-any-return]
        if kind_of(subject) == "rulebook":
            return Facts(subject, self.book_events, self)
        self._add(subject, [])
        return self.facts(subject)

    def event(self, reference: str | None, source: str) -> Recorded | None:
        """Return the event a reference names: an id of the same source, or `source#id`."""
        if reference is None:
            return None
        for recorded in self._by_id.get(reference, ()):
            if recorded.event.source == source:
                return recorded
        other, _, event_id = reference.rpartition("#")
        return next((r for r in self._by_id.get(event_id, ()) if r.event.source == other), None)

    def name(self, recorded: Recorded) -> str:
        """Return an event's id as evidence: with its source, where another source uses the same id."""
        event = recorded.event
        return event.id if len(self._by_id[event.id]) == 1 else f"{event.source}#{event.id}"

    def names(self, *events: Recorded | None) -> tuple[str, ...]:
        """Return events as evidence, without the absent ones."""
        return tuple(self.name(r) for r in events if r is not None)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a rule measures with: its parameters on the day of the conduct."""

    book: Rulebook
    rule_id: str

    def at(self, day: date, name: str) -> Any:
        """Return a parameter on a day."""
        return self.book.parameter(self.rule_id, day, name)
