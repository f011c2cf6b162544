"""registrations: on which verification and audit each stands, what was activated on it, and who holds the numbers.

The same person is the same party, one that was merged into it, or another one registered with the same identity
document: that is known by its keyed hash, never by the document. Audits have a deadline by the rulebook, counted when
read.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from psycopg.sql import SQL

from domain.calendar import zone_of
from domain.events import account as av
from domain.events import party as pv
from domain.ledger.application import Ledger
from domain.ledger.queries import queries
from domain.rules.facts import AccountFacts, PartyFacts
from domain.rules.identity import number_steps
from projections.engine import Rows, Seen, Table, reading
from projections.facts import FactsModel, Kept, facts_of, measures, region_of, rulebook
from projections.notices import merged_into
from projections.paging import Column, Part, page

Q = queries("projections.sql", "registrations.sql")
DEALERS = SQL("WITH registered AS ({}) {}").format(Q["registrations"], Q["dealers"])


class Registration(NamedTuple):
    """A registration as the party's stream has it: its last verification, its first audit, whether it was misused."""

    subject: str
    registration_id: str
    party_id: str
    region: str
    method: str | None
    result: str | None
    verified_at: datetime | None
    verified_on: date | None
    audited_at: datetime | None
    audited_on: date | None
    audit_result: str | None
    misuse_on: date | None


class ByDealer(NamedTuple):
    """An event that shows a registration made by a dealer in a party's name: a verification or an activation."""

    subject: str
    version: int
    party_id: str
    region: str
    registration_id: str
    dealer_id: str
    at: datetime
    recorded_at: datetime
    happened_on: date


class HeldNumber(NamedTuple):
    """A number that is held now; its registration is null where it was ported in."""

    subject: str
    number_id: str
    account_id: str
    party_id: str
    region: str
    registration_id: str | None
    dealer_id: str | None
    activated_on: date | None


class Activation(NamedTuple):
    """A number that went live, and whose the account was then."""

    subject: str
    version: int
    account_id: str
    party_id: str | None
    number_id: str
    registration_id: str
    dealer_id: str | None
    activated_at: datetime
    activated_on: date
    region: str


class Person(NamedTuple):
    """A party, which one it was merged into, and the keyed hash of the document it was registered with."""

    subject: str
    party_id: str
    region: str
    merged_into: str | None
    document: str | None


class Registrations(FactsModel):
    """The model, as the engine moves it."""

    name = "registrations"
    version = 2
    for_billing = False  # about people and conduct: nothing a bill is made of
    kinds = frozenset({"account", "party"})
    tables = (
        Table("registration", Registration),
        Table("registered_by_dealer", ByDealer),
        Table("held_number", HeldNumber),
        Table("activation", Activation),
        Table("person", Person),
    )
    passes = (
        av.ChargePosted, av.BillIssued, av.LateFeeAssessed, av.PaymentReceived, av.PaymentAllocated,
        av.NoticeAttempted, av.NoticeDelivered, av.NoticeFailed, pv.PartyDetailsChanged, pv.ContactPointAdded,
    )  # fmt: skip

    def rows(self, state: Kept, seen: Seen) -> Rows:
        """Return a party's registrations, or what was activated on an account and is held."""
        facts = facts_of(state, seen)
        if isinstance(facts, AccountFacts):
            return Rows(
                {
                    "registered_by_dealer": list(_activated_by_dealers(facts, seen.subject)),
                    "held_number": list(_held(facts, seen.subject)),
                    "activation": list(_activations(facts, seen.subject)),
                }
            )
        assert isinstance(facts, PartyFacts)
        return Rows(
            {
                "registration": list(_registrations(facts, seen.subject)),
                "registered_by_dealer": list(_verified_by_dealers(facts, seen.subject)),
                "person": [_person(facts, seen.subject)],
            }
        )


def _person(party: PartyFacts, subject: str) -> Person:
    documents = [d.id_hash.hmac for _, d in party.of(pv.PartyRegistered)]
    return Person(
        subject, party.party_id, region_of(party), merged_into(party), documents[-1] if documents else None
    )


def _registrations(party: PartyFacts, subject: str) -> Iterator[Registration]:
    verified = {d.registration_id: (r, d) for r, d in party.of(pv.IdentityVerified)}
    audits = party.of(pv.RegistrationAudited)
    audited = {d.registration_id: r for r, d in reversed(audits)}
    results = {d.registration_id: d.result for _, d in audits}
    misused = {i: r for r, d in reversed(party.of(pv.IdentityMisuseConfirmed)) for i in d.registration_ids}
    for registration_id in sorted({*verified, *audited, *misused}):
        shown, data = verified.get(registration_id, (None, None))
        audit, misuse = audited.get(registration_id), misused.get(registration_id)
        yield Registration(
            subject=subject,
            registration_id=registration_id,
            party_id=party.party_id,
            region=region_of(party),
            method=data.method if data else None,
            result=data.result if data else None,
            verified_at=shown.event.time if shown else None,
            verified_on=party.day(shown) if shown else None,
            audited_at=audit.event.time if audit else None,
            audited_on=party.day(audit) if audit else None,
            audit_result=results.get(registration_id),
            misuse_on=party.day(misuse) if misuse else None,
        )


def _verified_by_dealers(party: PartyFacts, subject: str) -> Iterator[ByDealer]:
    for recorded, data in party.of(pv.IdentityVerified):
        if data.dealer_id is not None:
            yield ByDealer(
                subject, recorded.version, party.party_id, region_of(party), data.registration_id, data.dealer_id,
                recorded.event.time, recorded.event.recordedtime, party.day(recorded),
            )  # fmt: skip


def _activated_by_dealers(account: AccountFacts, subject: str) -> Iterator[ByDealer]:
    for recorded, data in account.of(av.NumberActivated):
        holder = account.holder_at(recorded.event.time)
        if data.dealer_id is not None and holder is not None:
            yield ByDealer(
                subject, recorded.version, holder, region_of(account), data.registration_id, data.dealer_id,
                recorded.event.time, recorded.event.recordedtime, account.day(recorded),
            )  # fmt: skip


def _held(account: AccountFacts, subject: str) -> Iterator[HeldNumber]:
    holder = account.holder_at(account.world.known_at)
    if holder is None:
        return
    held: set[str] = set()
    for _, gained, lost in number_steps(account, holder):
        held = held - lost | gained
    live = {d.number_id: (r, d) for r, d in account.of(av.NumberActivated)}
    for number_id in sorted(held):
        activated, data = live.get(number_id, (None, None))
        yield HeldNumber(
            subject=subject,
            number_id=number_id,
            account_id=account.state.account_id,
            party_id=holder,
            region=region_of(account),
            registration_id=data.registration_id if data else None,
            dealer_id=data.dealer_id if data else None,
            activated_on=account.day(activated) if activated else None,
        )


def _activations(account: AccountFacts, subject: str) -> Iterator[Activation]:
    for recorded, data in account.of(av.NumberActivated):
        yield Activation(
            subject=subject,
            version=recorded.version,
            account_id=account.state.account_id,
            party_id=account.holder_at(recorded.event.time),
            number_id=data.number_id,
            registration_id=data.registration_id,
            dealer_id=data.dealer_id,
            activated_at=recorded.event.time,
            activated_on=account.day(recorded),
            region=region_of(account),
        )


# -- reading ------------------------------------------------------------------------------------------------

KEY = (Column("party_id"), Column("registration_id"))
SORTS = (
    Column("audit_due_on", "date"),
    Column("registered_on", "date"),
    Column("numbers_held", "bigint"),
    Column("dealer_id"),
    Column("party_id"),
)
PERSON_KEY = (Column("person_id"),)
PERSON_SORTS = (Column("numbers_held", "bigint"), Column("registrations", "bigint"), Column("person_id"))
DEALER_KEY = (Column("dealer_id"),)
DEALER_SORTS = (
    Column("registrations", "bigint"),
    Column("audits_missed", "bigint"),
    Column("misused", "bigint"),
    Column("numbers_held", "bigint"),
    Column("dealer_id"),
)


def _given(ledger: Ledger, today: date, wanted: Mapping[str, Any]) -> dict[str, Any]:
    book = rulebook(ledger)
    limit = measures(book, "number-limit", ("numbers",))
    return {
        **measures(book, "registration-audit", ("months",)),
        "limit_since": limit["since"],
        "limit_until": limit["until"],
        "limit_in_force": limit["in_force"],
        "limit_numbers": limit["numbers"],
        "today": today,
        "zone": zone_of(ledger.region).key,
        **wanted,
    }


def registrations(ledger: Ledger, today: date, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of registrations with their audits: `wanted` has city, party_id, dealer_id, audit and misused."""
    given = _given(ledger, today, wanted)
    return reading(ledger, Registrations.name, lambda c: page(c, Q["registrations"], given, *part))


def persons(ledger: Ledger, today: date, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of persons with the numbers they hold: `wanted` has city, party_id and over_limit."""
    given = _given(ledger, today, wanted)
    return reading(ledger, Registrations.name, lambda c: page(c, Q["persons"], given, *part))


def dealers(ledger: Ledger, today: date, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of dealers with what they registered: `wanted` has city and dealer_id."""
    given = _given(ledger, today, {"party_id": None, "audit": None, "misused": None, **wanted})
    return reading(ledger, Registrations.name, lambda c: page(c, DEALERS, given, *part))
