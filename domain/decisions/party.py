"""Decisions on a party: its identity, how to reach it, the blacklist, and its data."""

from collections.abc import Iterable

from domain.account import Account
from domain.account.state import Notice
from domain.calendar import day_of
from domain.commands import party as cmd
from domain.commands.asking import to_event
from domain.decisions.debts import (
    Owed,
    debtor,
    entry_basis_charges,
    free,
    misused_number,
    overdue,
    reference,
    refuse_held,
    supported,
    unpaid_fen,
)
from domain.decisions.hearing import Decisions, Hearing, check_after, the
from domain.events import party as ev
from domain.party import BlacklistEntry, Party
from domain.refusals import Code, refuse
from domain.rules.windows import blacklist_retention_end

decisions: Decisions[Party] = Decisions()

NOTICE_PURPOSES = frozenset({"arrears", "blacklist"})
"""Of which notices an entry may rest on one."""

# -- identity -----------------------------------------------------------------------------------------------


@decisions.on(cmd.RegisterParty)
def _register(_h: Hearing, _p: Party, c: cmd.RegisterParty) -> ev.PartyRegistered:
    return to_event(ev.PartyRegistered, c)


@decisions.on(cmd.ChangePartyDetails)
def _change(_h: Hearing, _p: Party, c: cmd.ChangePartyDetails) -> ev.PartyDetailsChanged:
    return to_event(ev.PartyDetailsChanged, c)


@decisions.on(cmd.MergeParty)
def _merge(_h: Hearing, p: Party, c: cmd.MergeParty) -> ev.PartyMerged:
    if c.into_party_id == p.party_id:
        refuse(
            Code.MERGE_INTO_ITSELF,
            f"The party {p.party_id} is itself: name the one that goes on.",
            into_party_id=c.into_party_id,
        )
    return to_event(ev.PartyMerged, c)


@decisions.on(cmd.VerifyIdentity)
def _verify(_h: Hearing, _p: Party, c: cmd.VerifyIdentity) -> ev.IdentityVerified:
    return to_event(ev.IdentityVerified, c)


@decisions.on(cmd.AuditRegistration)
def _audit(_h: Hearing, p: Party, c: cmd.AuditRegistration) -> ev.RegistrationAudited:
    the(p.verifications, c.registration_id, Code.REGISTRATION_NOT_FOUND, "registration")
    return to_event(ev.RegistrationAudited, c)


@decisions.on(cmd.ConfirmIdentityMisuse, after=["merged", "erased"], accuses=True)
def _misuse(_h: Hearing, _p: Party, c: cmd.ConfirmIdentityMisuse) -> ev.IdentityMisuseConfirmed:
    return to_event(ev.IdentityMisuseConfirmed, c)


# -- contact points -----------------------------------------------------------------------------------------


@decisions.on(cmd.AddContactPoint, new_id=("contact_point_id", lambda p: p.contact_points))
def _add_contact(_h: Hearing, _p: Party, c: cmd.AddContactPoint) -> ev.ContactPointAdded:
    return to_event(ev.ContactPointAdded, c)


@decisions.on(cmd.InvalidateContactPoint, after=["merged"])
def _invalidate(_h: Hearing, p: Party, c: cmd.InvalidateContactPoint) -> ev.ContactPointInvalidated:
    point = the(p.contact_points, c.contact_point_id, Code.CONTACT_POINT_NOT_FOUND, "contact point")
    if point.invalid_since is not None:
        refuse(
            Code.CONTACT_POINT_ALREADY_INVALID,
            f"The contact point {c.contact_point_id} was invalidated before.",
            contact_point_id=c.contact_point_id,
            reason=point.reason,
        )
    return to_event(ev.ContactPointInvalidated, c)


# -- the blacklist ------------------------------------------------------------------------------------------


def _debtor_ids(account: Account) -> list[str]:
    """Return the account's holder, and the earlier ones with whom a debt stayed."""
    ids = [account.party_id, *(debtor(account, c) for c in account.books.charges.values())]
    return list(dict.fromkeys(ids))


def _basis_debtors(h: Hearing, _p: Party, c: cmd.AddBlacklistEntry) -> Iterable[str]:
    account = h.states.get(f"account/{c.basis_account_id}")
    if isinstance(account, Account) and account.opened:
        for party_id in _debtor_ids(account):
            yield from h.person_subjects(party_id)


@decisions.on(cmd.AddBlacklistEntry, new_id=("entry_id", lambda p: p.blacklist), needs=_basis_debtors)
def _list(h: Hearing, p: Party, c: cmd.AddBlacklistEntry) -> ev.BlacklistEntryAdded:
    account = h.account(c.basis_account_id)
    answers_for = {i for i in _debtor_ids(account) if p.party_id in {q.party_id for q in h.person(i)}}
    _check_listable_party(p, account, answers_for)
    person = list({q.party_id: q for i in sorted(answers_for) for q in h.person(i)}.values())
    debts = _listable(h, account, person, answers_for)
    notice, told = _delivered_notice(h, account, person, c.notice_id, debts)
    return to_event(
        ev.BlacklistEntryAdded,
        c,
        amount_fen=sum(d.unpaid_fen for d in told),
        basis_event_ids=tuple(reference(d.charge.source, d.charge.event_id) for d in told),
        notice_id=notice.notice_id,
    )


def _check_listable_party(p: Party, account: Account, answers_for: set[str]) -> None:
    if not answers_for:
        refuse(
            Code.BLACKLIST_OTHER_PARTY,
            f"The account {account.account_id} is held by the party {account.party_id}.",
            account_id=account.account_id,
            party_id=account.party_id,
        )
    for entry in p.blacklist.values():
        if entry.removed_at is None and entry.basis_account_id == account.account_id:
            refuse(
                Code.BLACKLIST_ALREADY_LISTED,
                f"The entry {entry.entry_id} stands for account {account.account_id}.",
                entry_id=entry.entry_id,
            )


def _listable(h: Hearing, account: Account, person: list[Party], answers_for: set[str]) -> list[Owed]:
    """Return the overdue charges that are the party's debt and are not disputed, oldest first."""
    number_id = misused_number(account, person)
    if number_id is not None:
        # Charges name no number: with one misused number none of them is surely the party's.
        refuse(
            Code.BLACKLIST_MISUSED_IDENTITY,
            f"Misuse is confirmed for the number {number_id} of account {account.account_id}.",
            account_id=account.account_id,
            number_id=number_id,
        )
    owed = _owed_by(h, account, answers_for)
    undisputed = free(account, owed, "blacklist")
    if not undisputed:
        refuse_held(account, "blacklist", owed[0].charge.debt_id)
    return undisputed


def _owed_by(h: Hearing, account: Account, answers_for: set[str]) -> list[Owed]:
    """Return the overdue charges with a basis that are a party's own; refuses where there are none."""
    owed = [d for d in overdue(account, h.day) if supported(account, d.charge)]
    if not owed:
        refuse(
            Code.BLACKLIST_NOTHING_OWED,
            f"No charge on account {account.account_id} that has a basis is unpaid past its deadline.",
            account_id=account.account_id,
        )
    own = [d for d in owed if debtor(account, d.charge) in answers_for]
    if not own:
        refuse(
            Code.BLACKLIST_OTHER_DEBTOR,
            f"What is owed on account {account.account_id} stayed with {debtor(account, owed[0].charge)},"
            " who held it before.",
            account_id=account.account_id,
            party_id=debtor(account, owed[0].charge),
        )
    return own


def _delivered_notice(
    h: Hearing, account: Account, person: list[Party], notice_id: str | None, debts: list[Owed]
) -> tuple[Notice, list[Owed]]:
    """Return the notice that arrived at the party and told of most, and the debts it told of."""
    if notice_id is not None:
        the(account.notices, notice_id, Code.NOTICE_NOT_FOUND, "notice")
    notices = [n for n in account.notices.values() if notice_id in (None, n.notice_id) and _arrived(h, n)]
    fitting = [(n, told) for n in notices if (told := _told_of(h, n, debts))]
    if not fitting:
        refuse(
            Code.BLACKLIST_NOTICE_MISSING,
            f"Have a notice of the arrears of account {account.account_id} delivered to the party first.",
            account_id=account.account_id,
            notice_id=notice_id,
        )
    reached = [(n, told) for n, told in fitting if _reached(n, person)]
    if not reached:
        astray = fitting[0][0]
        refuse(
            Code.BLACKLIST_NOTICE_ASTRAY,
            f"The notice {astray.notice_id} did not go to a contact point that was the party's then.",
            notice_id=astray.notice_id,
            contact_point_id=astray.contact_point_id,
        )
    return max(reached, key=lambda found: sum(d.unpaid_fen for d in found[1]))


def _arrived(h: Hearing, notice: Notice) -> bool:
    """Whether a notice of arrears was delivered, and its delivery on record, by the time of the entry."""
    if notice.purpose not in NOTICE_PURPOSES or notice.outcome != "delivered" or notice.outcome_at is None:
        return False
    return max(notice.outcome_at, notice.outcome_recorded_at or notice.outcome_at) <= h.asked.time


def _told_of(h: Hearing, notice: Notice, debts: list[Owed]) -> list[Owed]:
    """Return the debts a notice spoke of: those it names, or else all, that were overdue when it was sent."""
    sent_at = notice.attempted_at
    sent_on = day_of(sent_at, h.asked.region)
    return [
        d
        for d in debts
        if (notice.charge_ids is None or d.charge.debt_id in notice.charge_ids)
        and d.charge.due_on < sent_on
        and (d.charge.posted_at is None or d.charge.posted_at <= sent_at)
    ]


def _reached(notice: Notice, person: list[Party]) -> bool:
    """Whether a delivered notice went to a contact point that was the party's own and valid at that time."""
    if notice.contact_point_id is None or notice.outcome_at is None:
        return False
    points = [p.contact_points.get(notice.contact_point_id) for p in person]
    return any(point is not None and point.valid_at(notice.outcome_at) for point in points)


def _standing_entry(p: Party, entry_id: str) -> BlacklistEntry:
    entry = the(p.blacklist, entry_id, Code.BLACKLIST_ENTRY_NOT_FOUND, "blacklist entry")
    if entry.removed_at is not None:
        refuse(
            Code.BLACKLIST_ENTRY_REMOVED,
            f"The entry {entry_id} was removed ({entry.removal_reason}): it does not stand.",
            entry_id=entry_id,
            reason=entry.removal_reason,
        )
    return entry


def _entry_basis(h: Hearing, p: Party, c: cmd.RemoveBlacklistEntry) -> Iterable[str]:
    entry = p.blacklist.get(c.entry_id)
    if entry is None:
        return
    subject = f"account/{entry.basis_account_id}"
    yield subject
    account = h.states.get(subject)
    if isinstance(account, Account) and account.opened:
        yield from h.person_subjects(account.party_id)


@decisions.on(cmd.RemoveBlacklistEntry, after=["merged", "erased"], needs=_entry_basis)
def _unlist(h: Hearing, p: Party, c: cmd.RemoveBlacklistEntry) -> ev.BlacklistEntryRemoved:
    entry = _standing_entry(p, c.entry_id)
    check_after(h, entry.added_at, "blacklist entry", entry.entry_id)
    account = h.account(entry.basis_account_id)
    right = _wrong_reason(h, p, account, entry, c.reason)
    if right is not None:
        refuse(
            Code.BLACKLIST_REASON_UNFIT,
            right,
            entry_id=entry.entry_id,
            reason=c.reason,
        )
    return to_event(ev.BlacklistEntryRemoved, c)


def _wrong_reason(h: Hearing, p: Party, account: Account, entry: BlacklistEntry, reason: str) -> str | None:
    """Return what would be right, where the reason is not what the account shows."""
    match reason:
        case "arrears_cleared":
            if any(unpaid_fen(account, c.debt_id, h.day) for c in entry_basis_charges(account, entry, h.day)):
                return f"The debt behind the entry {entry.entry_id} is not paid yet."
        case "debt_void":
            basis = entry_basis_charges(account, entry, h.day)
            owed = [c for c in basis if c.standing_fen and supported(account, c)]
            if owed and misused_number(account, [p, *h.person(account.party_id)]) is None:
                return f"The charge {owed[0].debt_id} behind the entry stands: reverse it first."
        case "retention_lapsed":
            # The conduct cannot have ended before it was listed: five years from then at the least.
            lapses_on = blacklist_retention_end(day_of(entry.added_at, h.asked.region))
            if h.day < lapses_on:
                return f"The entry {entry.entry_id} may be kept until {lapses_on}."
    return None  # entered_in_error is the operator's own admission, and no account shows it


@decisions.on(cmd.RefuseSignUp)
def _refuse_sign_up(_h: Hearing, p: Party, c: cmd.RefuseSignUp) -> ev.SignUpRefused:
    if c.entry_id is not None:
        _standing_entry(p, c.entry_id)
    return to_event(ev.SignUpRefused, c)


# -- personal data ------------------------------------------------------------------------------------------


@decisions.on(cmd.RestrictProcessing, after=["merged", "erased"])
def _restrict(_h: Hearing, _p: Party, c: cmd.RestrictProcessing) -> ev.ProcessingRestricted:
    return to_event(ev.ProcessingRestricted, c)


@decisions.on(cmd.DisclosePersonalData, after=["merged"])
def _disclose(_h: Hearing, _p: Party, c: cmd.DisclosePersonalData) -> ev.PersonalDataDisclosed:
    return to_event(ev.PersonalDataDisclosed, c)
