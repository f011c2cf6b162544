"""A party: the customer as a person or an organisation, how to reach it, and its standing.

Its accounts and numbers stand in the accounts' own streams; `party_view` joins them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from domain.account import Account, figures
from domain.events import party as ev
from domain.events.envelope import Recorded
from domain.fold import Fold


@dataclass(slots=True)
class ContactPoint:
    """Where the party can be reached; `invalid_since` is when it stopped reaching them."""

    contact_point_id: str
    kind: str
    added_at: datetime
    invalid_since: datetime | None = None
    reason: str | None = None

    def valid_at(self, moment: datetime) -> bool:
        """Whether it was the party's own, and still reached them, at a moment."""
        return self.added_at <= moment and (self.invalid_since is None or moment < self.invalid_since)


@dataclass(slots=True)
class Verification:
    """A comparison of the person with the documents for one registration."""

    registration_id: str
    method: str
    result: str
    dealer_id: str | None
    at: datetime
    recorded_at: datetime
    event_id: str


@dataclass(slots=True)
class BlacklistEntry:
    """An entry on the blacklist, and when and why it went."""

    entry_id: str
    basis_account_id: str
    amount_fen: int
    basis_event_ids: tuple[str, ...]
    notice_id: str | None
    added_at: datetime
    event_id: str
    removed_at: datetime | None = None
    removal_reason: str | None = None


@dataclass(slots=True)
class Party:
    """A person or organisation."""

    party_id: str
    region: str = ""
    opened: bool = False
    kind: str = ""
    merged_into: str | None = None
    contact_points: dict[str, ContactPoint] = field(default_factory=dict)
    verifications: dict[str, Verification] = field(default_factory=dict)
    """The last verification of each registration."""
    audits: dict[str, str] = field(default_factory=dict)
    misused_registrations: set[str] = field(default_factory=set)
    misused_numbers: set[str] = field(default_factory=set)
    blacklist: dict[str, BlacklistEntry] = field(default_factory=dict)
    refusals: list[tuple[datetime, str, str | None]] = field(default_factory=list)
    restrictions: list[str] = field(default_factory=list)
    erased_at: datetime | None = None
    early: dict[str, Recorded] = field(default_factory=dict)
    """Removals dated before their blacklist entries: they count once the entry is there."""
    unmatched_event_ids: list[str] = field(default_factory=list)

    @property
    def blacklisted(self) -> bool:
        """Whether any entry stands."""
        return any(e.removed_at is None for e in self.blacklist.values())


fold: Fold[Party] = Fold("party")
fold.passes(ev.PartyDetailsChanged, ev.PersonalDataDisclosed)  # personal data is never part of a state


@fold.on(ev.PartyRegistered)
def _registered(s: Party, r: Recorded, d: ev.PartyRegistered) -> None:
    s.opened, s.region, s.kind = True, r.event.region, d.kind


@fold.on(ev.PartyMerged)
def _merged(s: Party, _r: Recorded, d: ev.PartyMerged) -> None:
    s.merged_into = d.into_party_id


@fold.on(ev.IdentityVerified)
def _verified(s: Party, r: Recorded, d: ev.IdentityVerified) -> None:
    s.verifications[d.registration_id] = Verification(
        d.registration_id,
        d.method,
        d.result,
        d.dealer_id,
        r.event.time,
        r.event.recordedtime,
        r.event.id,
    )


@fold.on(ev.RegistrationAudited)
def _audited(s: Party, _r: Recorded, d: ev.RegistrationAudited) -> None:
    s.audits[d.registration_id] = d.result


@fold.on(ev.IdentityMisuseConfirmed)
def _misused(s: Party, _r: Recorded, d: ev.IdentityMisuseConfirmed) -> None:
    s.misused_registrations.update(d.registration_ids)
    s.misused_numbers.update(d.numbers)


@fold.on(ev.ContactPointAdded)
def _contact(s: Party, r: Recorded, d: ev.ContactPointAdded) -> None:
    s.contact_points[d.contact_point_id] = ContactPoint(d.contact_point_id, d.kind, r.event.time)


@fold.on(ev.ContactPointInvalidated)
def _invalid(s: Party, r: Recorded, d: ev.ContactPointInvalidated) -> None:
    point = s.contact_points.get(d.contact_point_id)
    if point is None:
        s.unmatched_event_ids.append(r.event.id)
    elif point.invalid_since is None:
        point.invalid_since, point.reason = r.event.time, d.reason


@fold.on(ev.BlacklistEntryAdded)
def _listed(s: Party, r: Recorded, d: ev.BlacklistEntryAdded) -> None:
    s.blacklist[d.entry_id] = BlacklistEntry(
        d.entry_id,
        d.basis_account_id,
        d.amount_fen,
        d.basis_event_ids,
        d.notice_id,
        r.event.time,
        r.event.id,
    )
    if (removal := s.early.pop(d.entry_id, None)) is not None:
        s.unmatched_event_ids.remove(removal.event.id)
        fold.step(s, removal)


@fold.on(ev.BlacklistEntryRemoved)
def _unlisted(s: Party, r: Recorded, d: ev.BlacklistEntryRemoved) -> None:
    entry = s.blacklist.get(d.entry_id)
    if entry is None:
        s.early[d.entry_id] = r
        s.unmatched_event_ids.append(r.event.id)
    else:
        entry.removed_at, entry.removal_reason = r.event.time, d.reason


@fold.on(ev.SignUpRefused)
def _refused(s: Party, r: Recorded, d: ev.SignUpRefused) -> None:
    s.refusals.append((r.event.time, d.reason, d.entry_id))


@fold.on(ev.ProcessingRestricted)
def _restricted(s: Party, _r: Recorded, d: ev.ProcessingRestricted) -> None:
    s.restrictions.append(d.scope)


@fold.on(ev.PersonalDataErased)
def _erased(s: Party, r: Recorded, _d: ev.PersonalDataErased) -> None:
    s.erased_at = r.event.time


def party_view(party: Party, accounts: Iterable[Account], on: date) -> dict[str, Any]:
    """Return the party's state on a day, with the accounts it holds then; amounts in fen."""
    held = [a for a in accounts if a.party_id == party.party_id]
    return {
        "party_id": party.party_id,
        "kind": party.kind or None,
        "merged_into": party.merged_into,
        "blacklisted": party.blacklisted,
        "blacklist_entries": [
            {
                "entry_id": e.entry_id,
                "basis_account_id": e.basis_account_id,
                "amount_fen": e.amount_fen,
                "basis_event_ids": list(e.basis_event_ids),
                "notice_id": e.notice_id,
                "added_at": e.added_at,
                "removed_at": e.removed_at,
                "removal_reason": e.removal_reason,
            }
            for e in party.blacklist.values()
        ],
        "contact_points": [
            {
                "contact_point_id": c.contact_point_id,
                "kind": c.kind,
                "added_at": c.added_at,
                "valid": c.invalid_since is None,
                "invalid_since": c.invalid_since,
                "reason": c.reason,
            }
            for c in party.contact_points.values()
        ],
        "accounts": [
            {
                "account_id": a.account_id,
                "line_of_business": a.line_of_business,
                "status": a.status,
                "balance_fen": figures(a.books, on).balance_fen,
            }
            for a in held
        ],
        "balance_fen": sum(figures(a.books, on).balance_fen for a in held),
        "numbers": [
            {
                "number_id": n.number_id,
                "account_id": a.account_id,
                "registration_id": n.registration_id,
                "dealer_id": n.dealer_id,
                "status": n.status,
                "misuse_confirmed": n.number_id in party.misused_numbers
                or n.registration_id in party.misused_registrations,
            }
            for a in held
            for n in a.numbers.values()
        ],
        "registrations": [
            {
                "registration_id": v.registration_id,
                "method": v.method,
                "result": v.result,
                "dealer_id": v.dealer_id,
                "verified_at": v.at,
                "audit": party.audits.get(v.registration_id),
                "misuse_confirmed": v.registration_id in party.misused_registrations,
            }
            for v in party.verifications.values()
        ],
        "sign_ups_refused": [{"at": at, "reason": why, "entry_id": e} for at, why, e in party.refusals],
        "erased_at": party.erased_at,
        "unmatched_event_ids": party.unmatched_event_ids,
    }
