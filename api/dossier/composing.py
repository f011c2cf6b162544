"""What a dossier says: every part asked at one position and one known-at instant, in no language yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from api.dossier.proving import Proven, proven, sealed_now
from api.inquiry import derived, replayed
from api.runtime import Runtime
from domain.calendar import day_of
from domain.case import Case
from domain.counterfactual import check_assumptions
from domain.events import account as av
from domain.events.envelope import Recorded, kind_of
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger
from domain.ledger.codec import LedgerEvent
from domain.ledger.surroundings import TooWideError, inquiry
from domain.replay import Histories
from domain.rules.book import Rulebook, rulebook_of
from domain.rules.facts import AccountFacts, World, across_streams
from domain.rules.table import findings

SUBJECTS = ("party", "account", "case")
ACCOUNTS_MAX = 50  # accounts of one dossier: an organisation with more is looked at account by account


LAST = (datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), "")
"""Where an account stands of which nothing was known yet."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event with its number in the dossier, by which findings refer to it."""

    number: int
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class Part:
    """What was found on one subject, and what should have happened to it."""

    subject: str
    region: str
    findings: dict[str, Any]
    counterfactual: dict[str, Any]
    streams: tuple[str, ...]
    """All streams that were looked at for it, those that are not there among them."""


@dataclass(slots=True)
class Dossier:
    """A dispute at one position of one ledger, as known at one instant."""

    subject: str
    ledger_region: str
    region: str
    known_at: datetime
    position: int
    world: World
    book: Rulebook
    parts: list[Part]
    findings: list[dict[str, Any]]
    """Those of every part, each once, in the order of the parts."""
    replays: dict[str, dict[str, Any]]
    """The replay of the customer and of each account, at the known-at instant."""
    events: list[Numbered]
    """What happened around the subject as it was known, in the order of the world, numbered from 1."""
    stored: list[LedgerEvent]
    """Every stream that an answer rests on, as it is stored up to the position, in the log's order."""
    numbers: dict[str, int] = field(default_factory=dict)
    assume: Mapping[str, str] = field(default_factory=dict)
    """What the lawful side was asked to assume."""
    proven: Proven | None = None
    """What proves that these are all events of these streams; None where no key to seal with was ever set."""

    @property
    def until(self) -> date:
        """The day of the known-at instant: balances stand at its end."""
        return day_of(self.known_at, self.region)

    @property
    def accounts(self) -> list[AccountFacts]:
        """The accounts whose money is counted, the oldest first."""
        found = [self.world.accounts[s] for s in self.replays if kind_of(s) == "account"]
        return sorted(found, key=lambda a: across_streams(a.history[0])[:3] if a.history else LAST)

    @property
    def parties(self) -> list[str]:
        """The customers the dossier is about."""
        return [s for s in self.replays if kind_of(s) == "party"]

    def number_of(self, reference: str) -> int | None:
        """Return the number of the event that an evidence reference names, None where it is not in the dossier."""
        return self.numbers.get(reference)

    def of_verdict(self, verdict: str) -> list[dict[str, Any]]:
        """Return the findings of one verdict."""
        return [f for f in self.findings if f["verdict"] == verdict]


def compose(
    runtime: Runtime,
    subject: str,
    *,
    known_at: str | None = None,
    position: int | None = None,
    region: str | None = None,
    assume: Mapping[str, str] | None = None,
) -> Dossier:
    """Return the dossier of a party, an account, or a case (which is its customer's, or its accounts').

    Asked without a position, it seals the ledger and is of the position that is sealed. Raises SubjectError,
    TooWideError, SealError, SealKeyError, and MalformedError that names the field.
    """
    if kind_of(subject) not in SUBJECTS:
        raise MalformedError("subject", "should be a party, an account or a case")
    check_assumptions(assume or {})
    ledger = runtime.deployment.locate(subject, region)
    if position is None and (seal := sealed_now(runtime, ledger)) is not None:
        position = seal.position
    asked, around = inquiry(
        runtime.deployment, subject, runtime.clock(), known_at=known_at, position=position, region=region
    )
    world = World(around, asked.known_at, asked.position, asked.region)
    parts = []
    every: dict[str, Sequence[Recorded]] = dict(around)
    for root in _roots(ledger, world, subject):
        about, histories = inquiry(
            runtime.deployment, root, asked.known_at, position=asked.position, region=ledger.region
        )
        every.update(histories)
        lawful = derived(about, histories, until=asked_day(asked.known_at, asked.region), assume=assume)
        parts.append(Part(root, about.region, findings(about, histories), lawful, tuple(sorted(histories))))
    found = [f for p in parts for f in p.findings["findings"]]
    if subject not in {f["subject"] for f in found}:
        found += findings(asked, around)["findings"]
    world = World(every, asked.known_at, asked.position, asked.region)
    dossier = Dossier(
        subject=subject,
        ledger_region=ledger.region,
        region=asked.region,
        known_at=asked.known_at,
        position=asked.position,
        world=world,
        book=rulebook_of(world.book_events),
        parts=parts,
        findings=found,
        replays={},
        events=[],
        stored=_stored(ledger, every, asked.position),
        assume=assume or {},
    )
    dossier.replays = _replays(runtime, dossier)
    dossier.events, dossier.numbers = _numbered(dossier, every)
    dossier.proven = proven(runtime, ledger, asked.position, {s: len(h) for s, h in every.items()})
    return dossier


def asked_day(moment: datetime, region: str) -> str:
    """Return the day of a moment as a question names it."""
    return day_of(moment, region).isoformat()


def _roots(ledger: Ledger, world: World, subject: str) -> list[str]:
    """Return whose money and standing a dossier is about: of a case, its customer's, else its accounts'."""
    if kind_of(subject) != "case":
        return [subject]
    state = world.facts(subject).state  # type: ignore[attr-defined]
    assert isinstance(state, Case)
    named = [f"party/{state.party_id}"] if state.party_id else [f"account/{a}" for a in state.account_ids]
    found = [s for s in named if ledger.journal.exists(s)]
    if not found:
        raise MalformedError("subject", "names no customer and no account that was known then")
    return found


def _replays(runtime: Runtime, dossier: Dossier) -> dict[str, dict[str, Any]]:
    world, known_at = dossier.world, dossier.known_at
    subjects: dict[str, None] = {}
    for part in dossier.parts:
        subjects[part.subject] = None
        if kind_of(part.subject) == "party":
            subjects.update(dict.fromkeys(a.subject for a in world.parties[part.subject].accounts))
        else:
            holder = world.parties.get(f"party/{world.accounts[part.subject].holder_at(known_at)}")
            if holder is not None and holder.history:  # named by the account, perhaps never registered
                subjects[holder.subject] = None
    if len(subjects) > ACCOUNTS_MAX:
        raise TooWideError(f"{len(subjects)} accounts, {ACCOUNTS_MAX} at most: ask for them one by one")
    moment = known_at.isoformat()
    return {
        s: replayed(
            runtime, s, at=moment, known_at=moment, position=dossier.position, region=dossier.ledger_region
        )
        for s in subjects
    }


def _stored(ledger: Ledger, histories: Histories, position: int) -> list[LedgerEvent]:
    subjects = [s for s, history in histories.items() if history]
    streams = ledger.journal.streams(sorted(subjects), position)
    return sorted((e for events in streams.values() for e in events), key=lambda e: e.position)


def _numbered(dossier: Dossier, histories: Histories) -> tuple[list[Numbered], dict[str, int]]:
    """Return the events of the streams that are told, and whatever else is evidence, with their numbers."""
    told = {f["subject"] for f in dossier.findings} | dossier.replays.keys() | {dossier.subject}
    told |= {s for s in dossier.world.cases if _concerns(dossier, s)}
    evidence = {e for f in dossier.findings for e in f["evidence_event_ids"]}
    known = [r for s in histories for r in _known(dossier.world, s)]
    taken = [
        r
        for r in known
        if r.event.subject in told or r.event.id in evidence or f"{r.event.source}#{r.event.id}" in evidence
    ]
    taken.sort(key=lambda r: (*across_streams(r)[:2], r.position))
    events = [Numbered(number, recorded) for number, recorded in enumerate(taken, 1)]
    numbers: dict[str, int] = {}
    for item in events:
        numbers[f"{item.recorded.event.source}#{item.recorded.event.id}"] = item.number
        numbers.setdefault(item.recorded.event.id, item.number)
    return events, numbers


def _known(world: World, subject: str) -> Iterator[Recorded]:
    """Return a stream's events as the findings saw them; what was published of rules stands in the rulebook."""
    if kind_of(subject) != "rulebook":
        yield from world.facts(subject).history


def _concerns(dossier: Dossier, subject: str) -> bool:
    """Whether a case is about a customer or an account of the dossier."""
    case = dossier.world.cases[subject].state
    accounts = {f"account/{a}" for a in case.account_ids}
    held = any(
        f"case/{d.case_id}" == subject for a in dossier.accounts for _, d in a.of(av.DisputeHoldPlaced)
    )
    return held or f"party/{case.party_id}" in dossier.replays or bool(accounts & dossier.replays.keys())
