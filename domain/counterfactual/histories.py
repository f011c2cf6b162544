"""What happened and what should have happened as two sets of histories, and why each event stands in one only.

The walk derives an account anew; here its events are matched with those that happened, so that what the operator
did as it should have is one and the same event on both sides. What the operator's systems only noted
(allocations, bills, arrears) stands on the lawful side where what it speaks of does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Literal

from domain.calendar import zone_of
from domain.counterfactual.walk import LAWFUL_SOURCE, Lawful, lawful_account
from domain.events import account as ev
from domain.events import party as pv
from domain.events.envelope import Event, Recorded, data_wire
from domain.events.fields import Payload
from domain.replay import in_order
from domain.rules.book import Rulebook
from domain.rules.facts import AccountFacts, Facts, Measure, PartyFacts
from domain.rules.standing import cleared_by, entry_basis, working_days_after

Reason = Literal[
    "unlawful", "altered", "derived", "not_derived", "recorded_later", "appended_later", "happened_later"
]
Key = tuple[str, str, str]
"""What an event is known by: its subject, source and id. Derived ids count within their stream alone."""

BESIDE = frozenset({"basis_event_id", "arrears_fen", "mode"})
"""Fields by which an act is the same one, whether the operator noted them or not."""
FREE_TEXT: Mapping[type[Payload], frozenset[str]] = {ev.ServiceResumed: frozenset({"reason"})}
NOTES = (ev.PaymentAllocated, ev.BillIssued, ev.ArrearsStarted, ev.ArrearsCleared, ev.ChargeReversed)
"""What speaks of a debt, and falls with it."""
FALLS = "what it speaks of does not stand"
NOT_DUE = "the policies do not bring it about"


@dataclass(frozen=True, slots=True)
class Why:
    """Why an event stands on one side only; `rule_id` is the rule behind it, None where none is."""

    reason: Reason
    text: str
    rule_id: str | None = None


@dataclass(slots=True)
class Pair:
    """Both histories by subject, in the order of the world; `why` of what only happened, `instead` of the rest."""

    actual: dict[str, list[Recorded]] = field(default_factory=dict)
    lawful: dict[str, list[Recorded]] = field(default_factory=dict)
    why: dict[Key, Why] = field(default_factory=dict)
    instead: dict[Key, Why] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)
    """What had to be assumed of single packages."""


def key_of(recorded: Recorded) -> Key:
    """Return what an event is known by."""
    event = recorded.event
    return event.subject, event.source, event.id


def pair(facts: AccountFacts | PartyFacts, until: date, assume: Mapping[str, str], book: Rulebook) -> Pair:
    """Return both histories of an account, or of a party and its accounts, up to the end of a day."""
    found = Pair()
    accounts = [facts] if isinstance(facts, AccountFacts) else facts.accounts
    for account in accounts:
        walked = lawful_account(account, until, assume, book)
        found.assumed.update(walked.assumed)
        _Matching(account, walked, until, found).match()
    if isinstance(facts, PartyFacts):
        _standing(facts, until, book, found)
    return found


def _by_then(facts: Facts, until: date) -> list[Recorded]:
    return [r for r in facts.history if facts.day(r) <= until]


class _Matching:
    """One account's lawful history, told as far as it goes by the events that happened."""

    def __init__(self, account: AccountFacts, lawful: Lawful, until: date, found: Pair) -> None:
        self.facts, self.walked, self.found = account, lawful, found
        self.happened = _by_then(account, until)
        self.broken = {name: d for d in lawful.differences for name in d.event_ids}
        self.lawful: list[Recorded] = []

    def match(self) -> None:
        """Put both sides of the account, and why they differ, into what is found."""
        free = {(self._act(r), self.facts.day(r)): r for r in reversed(self.happened)}
        for recorded in self.walked.history:
            if recorded.event.source != LAWFUL_SOURCE:
                self._keep(recorded)
                continue
            same = free.pop((self._act(recorded), self.facts.day(recorded)), None)
            if same is None:
                self.found.instead[key_of(recorded)] = Why("derived", "derived by the policies of a real day")
            self.lawful.append(same or recorded)
        taken = {key_of(r) for r in self.lawful}
        self.lawful += [r for r in self.happened if key_of(r) not in taken and self._stands_all_the_same(r)]
        debts = self._debts()
        self.lawful += [r for r in self.happened if key_of(r) not in taken and self._noted(r, debts)]
        kept = {key_of(r): r for r in self.lawful}
        for recorded in self.happened:
            other = kept.get(key_of(recorded))
            if other is None or other.event.data != recorded.event.data:
                self._differs(recorded, altered=other is not None)
        self.found.actual[self.facts.subject] = self.happened
        self.found.lawful[self.facts.subject] = in_order(self.lawful)

    def _keep(self, recorded: Recorded) -> None:
        """Keep an event that happened; a fee that no difference speaks of stands as it was assessed."""
        is_fee = isinstance(recorded.event.data, ev.LateFeeAssessed)
        if not is_fee or self._name(recorded) in self.broken:
            self.lawful.append(recorded)

    def _stands_all_the_same(self, recorded: Recorded) -> bool:
        """Whether a fee stands as far as it was not reversed, or it is the reversal of such a fee."""
        data = recorded.event.data
        if isinstance(data, ev.LateFeeAssessed):
            return self._name(recorded) not in self.broken
        if isinstance(data, ev.ChargeReversed) and data.fee_id is not None:
            fees = [r for r, d in self.facts.of(ev.LateFeeAssessed) if d.fee_id == data.fee_id]
            return all(self._name(r) not in self.broken for r in fees)
        return False

    def _debts(self) -> set[str]:
        """Return the charges and fees of the lawful side."""
        return {
            d.charge_id if isinstance(d, ev.ChargePosted) else d.fee_id
            for r in self.lawful
            if isinstance(d := r.event.data, ev.ChargePosted | ev.LateFeeAssessed)
        }

    def _noted(self, recorded: Recorded, debts: set[str]) -> bool:
        """Whether an event only notes what stands on the lawful side too."""
        match recorded.event.data:
            case ev.PaymentAllocated(charge_id=charge_id, fee_id=fee_id):
                return (charge_id or fee_id) in debts
            case ev.BillIssued(charge_ids=charge_ids):
                return debts.issuperset(charge_ids)
            case ev.ArrearsStarted(charge_id=charge_id):
                return charge_id in debts
            case ev.ArrearsCleared():
                started = [d for _, d in self.facts.of(ev.ArrearsStarted)]
                return not started or any(d.charge_id in debts for d in started)
            case _:
                return False

    def _differs(self, recorded: Recorded, *, altered: bool) -> None:
        said = self.broken.get(self._name(recorded))
        if said is not None:
            why = Why("altered" if altered else "unlawful", said.what, said.rule_id)
        else:
            why = Why("not_derived", FALLS if isinstance(recorded.event.data, NOTES) else NOT_DUE)
        self.found.why[key_of(recorded)] = why
        if altered:
            self.found.instead[key_of(recorded)] = why

    def _name(self, recorded: Recorded) -> str:
        return self.facts.world.name(recorded)

    @staticmethod
    def _act(recorded: Recorded) -> tuple[object, ...]:
        """Return what an event does, so that the same act is found whoever brought it about."""
        data = recorded.event.data
        beside = BESIDE | FREE_TEXT.get(type(data), frozenset())
        return recorded.event.type, *((k, str(v)) for k, v in data_wire(data).items() if k not in beside)


# -- a party's standing


def _standing(party: PartyFacts, until: date, book: Rulebook, found: Pair) -> None:
    """Put both sides of the party's own stream into what is found: without entries that should not have stood."""
    happened = _by_then(party, until)
    void, gone = _lawful_entries(party, until, book)
    lawful = []
    for recorded in happened:
        why = _falls(recorded, party.day(recorded), void, gone)
        if why is None:
            lawful.append(recorded)
        else:
            found.why[key_of(recorded)] = why
    kept = {d.entry_id for r in lawful if isinstance(d := r.event.data, pv.BlacklistEntryRemoved)}
    for number, (entry_id, day) in enumerate(sorted(gone.items()), 1):
        if entry_id not in kept:
            removal = pv.BlacklistEntryRemoved(entry_id=entry_id, reason="arrears_cleared")
            derived = _derived(party, day, removal, number)
            lawful.append(derived)
            found.instead[key_of(derived)] = Why(
                "derived", "the debt was cleared so many working days before", "blacklist-removal"
            )
    found.actual[party.subject] = happened
    found.lawful[party.subject] = in_order(lawful)


def _lawful_entries(party: PartyFacts, until: date, book: Rulebook) -> tuple[dict[str, str], dict[str, date]]:
    """Return the entries without a basis and what is said of them, and by when the others should have gone."""
    void: dict[str, str] = {}
    gone: dict[str, date] = {}
    for added, entry in party.of(pv.BlacklistEntryAdded):
        fails, said = entry_basis(party, added, entry, Measure(book, "blacklist-basis"))
        if fails:
            void[entry.entry_id] = said
            continue
        cleared = cleared_by(party, added, entry)
        if cleared is not None:
            allowed = Measure(book, "blacklist-removal").at(cleared[0], "working_days")
            day = working_days_after(cleared[0], allowed)
            if day <= until:
                gone[entry.entry_id] = day
    return void, gone


def _falls(recorded: Recorded, day: date, void: Mapping[str, str], gone: Mapping[str, date]) -> Why | None:
    """Return why an event of a party's stream would not have happened, None where it would."""
    match recorded.event.data:
        case pv.BlacklistEntryAdded(entry_id=entry_id) if entry_id in void:
            return Why("unlawful", void[entry_id], "blacklist-basis")
        case pv.BlacklistEntryRemoved(entry_id=entry_id) if entry_id in void:
            return Why("not_derived", FALLS)
        case pv.BlacklistEntryRemoved(entry_id=entry_id) if day > gone.get(entry_id, day):
            return Why("unlawful", f"the entry should have gone by {gone[entry_id]}", "blacklist-removal")
        case pv.SignUpRefused(entry_id=str(entry_id)) if entry_id in void or day > gone.get(entry_id, day):
            return Why("unlawful", f"{entry_id} should not have stood", "refusal-basis")
        case _:
            return None


def _derived(party: PartyFacts, day: date, data: Payload, number: int) -> Recorded:
    region = party.state.region or party.world.region
    moment = datetime.combine(day, time(0, 5), tzinfo=zone_of(region))
    event = Event(
        id=f"lawful-{number}",
        source=LAWFUL_SOURCE,
        subject=party.subject,
        time=moment,
        recordedtime=moment,
        actor="system/policies",
        channel="system",
        region=region,
        data=data,
    )
    return Recorded(event, 0)
