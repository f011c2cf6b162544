"""The blacklist by the calendar: an entry where all that it needs is there, and its removal once it has to go."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from domain.account import Account, figures
from domain.account.money import Debt
from domain.account.state import Notice
from domain.calendar import day_of
from domain.commands import party as cmd
from domain.decisions.debts import (
    debtor,
    entry_basis_charges,
    free,
    misused_number,
    overdue,
    supported,
    unpaid_fen,
)
from domain.party import BlacklistEntry, Party
from domain.policies.due import Due, Order
from domain.policies.naming import identifier
from domain.policies.reminders import reached
from domain.rules.windows import blacklist_retention_end

BLACKLIST_AFTER_DAYS = 90
"""How long a debt has to be overdue before its account's holder is listed (operator's policy, assumed).

Only after the service was ended for it: before that, the suspension is the means to have it paid.
"""


FINAL = frozenset({"entered_in_error", "debt_void", "retention_lapsed"})
"""Reasons after which nobody is listed for the same debt again."""


def listing_due(account: Account, people: Sequence[Party], day: date) -> Iterator[Due]:
    """Name the entry for a debt that outlived the service, once the holder was told of it.

    `people` are the party who holds the account and those it was merged into, the last the one that goes on.
    """
    if account.status != "terminated" or account.suspension_reason != "arrears" or not people:
        return
    money = figures(account.books, day).past_due
    if money.arrears_since is None or money.days_past_due < BLACKLIST_AFTER_DAYS:
        return
    party = people[-1]
    stands = any(
        e.basis_account_id == account.account_id and e.removed_at is None
        for p in people
        for e in p.blacklist.values()
    )
    if stands or party.erased_at is not None or misused_number(account, people) is not None:
        return
    listable = _listable(account, people, day)
    if _no_more(people) & {account.books.charges[charge_id].event_id for charge_id in listable}:
        return
    if any(_told(account, people, charge_id) for charge_id in listable):
        entry_id = identifier("BL", account.account_id, f"{day:%Y%m%d}")
        command = cmd.AddBlacklistEntry(entry_id=entry_id, basis_account_id=account.account_id)
        yield Order(f"party/{party.party_id}", command)


def _no_more(people: Sequence[Party]) -> set[str]:
    """Return the events of the debts for which an entry went and may not come back."""
    return {
        event_id.rpartition("#")[2]
        for party in people
        for entry in party.blacklist.values()
        if entry.removal_reason in FINAL
        for event_id in entry.basis_event_ids
    }


def _listable(account: Account, people: Sequence[Party], day: date) -> list[str]:
    """Return the charges an entry may rest on: overdue, supported, undisputed, and the holder's own."""
    ids = {p.party_id for p in people}
    return [
        d.charge.debt_id
        for d in free(account, overdue(account, day), "blacklist")
        if supported(account, d.charge) and debtor(account, d.charge) in ids
    ]


def _told(account: Account, people: Sequence[Party], charge_id: str) -> bool:
    """Whether a notice of the arrears reached the holder that spoke of a charge once it was overdue."""
    charge = account.books.charges[charge_id]
    return any(speaks_of(account, n, charge) and reached(people, n) for n in account.notices.values())


def speaks_of(account: Account, notice: Notice, charge: Debt) -> bool:
    """Whether a notice is of the arrears and of a charge, and was sent once that was overdue and posted."""
    return (
        notice.purpose in ("arrears", "blacklist")
        and (notice.charge_ids is None or charge.debt_id in notice.charge_ids)
        and day_of(notice.attempted_at, account.region) > charge.due_on
        and (charge.posted_at is None or charge.posted_at <= notice.attempted_at)
    )


def unlisting_due(
    party: Party, people: Sequence[Party], accounts: Mapping[str, Account], day: date
) -> Iterator[Due]:
    """Name the removal of the entries whose debt is cleared or void, or that were kept for long enough.

    `people` are the party and those it was merged into, `accounts` those the entries name, by id.
    """
    for entry in party.blacklist.values():
        account = accounts.get(entry.basis_account_id)
        if entry.removed_at is None and account is not None and account.opened:
            reason = _why_it_goes(party, people, account, entry, day)
            if reason is not None:
                command = cmd.RemoveBlacklistEntry(entry_id=entry.entry_id, reason=reason)  # type: ignore[arg-type]
                yield Order(f"party/{party.party_id}", command)


def _why_it_goes(
    party: Party, people: Sequence[Party], account: Account, entry: BlacklistEntry, day: date
) -> str | None:
    charges = entry_basis_charges(account, entry, day)
    owed = [c for c in charges if c.standing_fen and supported(account, c)]
    if misused_number(account, people) is not None or (charges and not owed):
        return "debt_void"
    if not any(unpaid_fen(account, c.debt_id, day) for c in charges):
        return "arrears_cleared"
    if day >= blacklist_retention_end(day_of(entry.added_at, party.region)):
        return "retention_lapsed"
    return None
