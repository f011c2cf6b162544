"""blacklist: every entry with its basis, the notice it names and whether that reached anyone, and when it has to go.

When the debt behind an entry was cleared is asked in SQL: the entry is in the party's stream, the account's overdue
spells in its own. Deadlines are the rulebook's, counted when read.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from domain.calendar import zone_of
from domain.events import account as av
from domain.events import party as pv
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.queries import queries
from domain.rules.facts import AccountFacts, PartyFacts, World
from domain.rules.standing import YEARS_MAX, Spell, overdue_spells, removal_of, spells_one_by_one
from projections.engine import Rows, Seen, Table, Tables, reading
from projections.facts import FactsModel, Kept, facts_of, measures, region_of, rulebook
from projections.notices import ContactPeriod, Person, contact_periods, merged_into
from projections.paging import Column, Part, page

Q = queries("projections.sql", "blacklist.sql")
AROUND_TERMS = frozenset({"pre_expiry", "post_expiry", "renewal"})
"""Purposes of notices that say nothing of arrears."""


class Entry(NamedTuple):
    """An entry as it was made, and when and why it went."""

    subject: str
    version: int
    entry_id: str
    party_id: str
    region: str
    basis_account_id: str
    amount_fen: int
    basis_event_ids: list[str]
    notice_id: str | None
    event_id: str
    added_at: datetime
    added_on: date
    removed_at: datetime | None
    removed_on: date | None
    removal_reason: str | None


class Misuse(NamedTuple):
    """A confirmed misuse of the party's identity: what was opened with it is no debt of the party's."""

    subject: str
    version: int
    party_id: str
    confirmed_at: datetime
    registration_ids: list[str]
    number_ids: list[str]


class Basis(NamedTuple):
    """An account an entry may rest on; `first_clearing_at` is when something first counted that may clear a debt."""

    subject: str
    account_id: str
    first_clearing_at: datetime | None
    registration_ids: list[str]
    number_ids: list[str]


class OverdueSpell(NamedTuple):
    """A time in which something was overdue, or a late fee unpaid (see `overdue_spells`)."""

    subject: str
    since: datetime
    account_id: str
    until: datetime | None
    cleared_at: datetime | None


class Told(NamedTuple):
    """A delivery of a notice that may have spoken of arrears."""

    subject: str
    version: int
    account_id: str
    notice_id: str
    purpose: str
    contact_point_id: str | None
    holder_id: str | None
    delivered_at: datetime
    recorded_at: datetime


class Blacklist(FactsModel):
    """The model, as the engine moves it."""

    name = "blacklist"
    version = 2
    kinds = frozenset({"account", "party"})
    tables = (
        Table("blacklist_entry", Entry),
        Table("identity_misuse", Misuse),
        Table("blacklist_basis", Basis),
        Table("overdue_spell", OverdueSpell),
        Table("arrears_told", Told),
        Table("contact_period", ContactPeriod),
        Table("person", Person),
    )
    passes = (av.BillIssued, pv.PartyDetailsChanged, pv.IdentityVerified, pv.RegistrationAudited)

    def rows(self, state: Kept, seen: Seen) -> Rows:
        """Return a party's entries and how it was reached, or what an entry on an account rests on."""
        facts = facts_of(state, seen)
        if isinstance(facts, AccountFacts):
            return Rows(_account_rows(facts, seen.subject))
        assert isinstance(facts, PartyFacts)
        return Rows(
            {
                "blacklist_entry": list(_entries(facts, seen.subject)),
                "identity_misuse": [
                    Misuse(
                        seen.subject, r.version, facts.party_id, r.event.time,
                        sorted(set(d.registration_ids)), sorted(set(d.numbers)),
                    )
                    for r, d in facts.of(pv.IdentityMisuseConfirmed)
                ],
                "contact_period": contact_periods(facts, seen.subject),
                "person": [Person(seen.subject, facts.party_id, region_of(facts), merged_into(facts))],
            }
        )  # fmt: skip

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the rows, an account's spells by asking the books anew of each moment that may begin or end one."""
        tables = dict(super().expected(history, seen, region))
        account = World({seen.subject: history}, seen.now, seen.position, region).facts(seen.subject)
        if isinstance(account, AccountFacts):
            tables["overdue_spell"] = _spells(
                seen.subject, account.state.account_id, spells_one_by_one(account)
            )
        return tables


def _entries(party: PartyFacts, subject: str) -> Iterator[Entry]:
    for added, entry in party.of(pv.BlacklistEntryAdded):
        removed = removal_of(party, added, entry)
        yield Entry(
            subject=subject,
            version=added.version,
            entry_id=entry.entry_id,
            party_id=party.party_id,
            region=region_of(party),
            basis_account_id=entry.basis_account_id,
            amount_fen=entry.amount_fen,
            basis_event_ids=list(entry.basis_event_ids),
            notice_id=entry.notice_id,
            event_id=added.event.id,
            added_at=added.event.time,
            added_on=party.day(added),
            removed_at=removed.event.time if removed else None,
            removed_on=party.day(removed) if removed else None,
            removal_reason=getattr(removed.event.data, "reason", None) if removed else None,
        )


def _spells(subject: str, account_id: str, spells: Sequence[Spell]) -> list[OverdueSpell]:
    return [OverdueSpell(subject, s.since, account_id, s.until, s.cleared_at) for s in spells]


def _account_rows(account: AccountFacts, subject: str) -> Mapping[str, Sequence[tuple[Any, ...]]]:
    account_id = account.state.account_id
    spells, first_clearing_at = overdue_spells(account)
    numbers = account.state.numbers.values()
    return {
        "blacklist_basis": [
            Basis(
                subject,
                account_id,
                first_clearing_at,
                sorted({n.registration_id for n in numbers if n.registration_id is not None}),
                sorted({n.number_id for n in numbers}),
            )
        ],
        "overdue_spell": _spells(subject, account_id, spells),
        "arrears_told": [
            Told(
                subject,
                d.delivered.version,
                account_id,
                d.attempt.notice_id,
                d.attempt.purpose,
                d.attempt.contact_point_id,
                account.holder_at(d.delivered.event.time),
                d.delivered.event.time,
                d.delivered.event.recordedtime,
            )
            for d in account.deliveries
            if d.attempt.purpose not in AROUND_TERMS
        ],
    }


# -- reading ------------------------------------------------------------------------------------------------

KEY = (Column("party_id"), Column("version", "bigint"))
SORTS = (
    Column("must_leave_by", "date"),
    Column("added_on", "date"),
    Column("amount_fen", "bigint"),
    Column("cleared_on", "date"),
    Column("party_id"),
)


def entries(ledger: Ledger, today: date, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of entries as they read on a day.

    `wanted` has city, party_id, account_id, standing, overdue and cleared, each None where it does not matter.
    """
    book = rulebook(ledger)
    removal = measures(book, "blacklist-removal", ("working_days", "retention_years"))
    basis = measures(book, "blacklist-basis", ("purposes",))
    given = {
        **removal,
        "basis_since": basis["since"],
        "basis_until": basis["until"],
        "purposes": basis["purposes"],
        "years_max": YEARS_MAX,
        "today": today,
        "zone": zone_of(ledger.region).key,
        **wanted,
    }
    return reading(ledger, Blacklist.name, lambda c: page(c, Q["entries"], given, *part))
