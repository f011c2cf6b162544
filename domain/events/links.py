"""Which other streams an event speaks of: how a party's accounts, cases and dealers are found again."""

from collections.abc import Callable, Iterable
from typing import Any

from domain.events import account, case, dealer, party
from domain.events.envelope import Event


def _some(kind: str, *ids: str | None) -> tuple[str, ...]:
    return tuple(f"{kind}/{i}" for i in ids if i is not None)


_LINKS: dict[type, Callable[[Any], Iterable[str]]] = {
    account.AccountOpened: lambda d: _some("party", d.party_id),
    account.AccountTransferred: lambda d: _some("party", d.to_party_id),
    account.NumberActivated: lambda d: _some("dealer", d.dealer_id),
    account.DisputeHoldPlaced: lambda d: _some("case", d.case_id),
    account.CreditGranted: lambda d: _some("case", d.case_id),
    account.ChargeReversed: lambda d: _some("case", d.case_id),
    account.RefundPaid: lambda d: _some("case", d.case_id),
    party.PartyMerged: lambda d: _some("party", d.into_party_id),
    party.IdentityVerified: lambda d: _some("dealer", d.dealer_id),
    party.IdentityMisuseConfirmed: lambda d: _some("dealer", d.dealer_id) + _some("case", d.case_id),
    party.PersonalDataDisclosed: lambda d: _some("case", d.case_id),
    party.BlacklistEntryAdded: lambda d: _some("account", d.basis_account_id),
    dealer.DealerBlocked: lambda d: _some("case", d.case_id),
    case.ComplaintReceived: lambda d: _some("party", d.party_id) + _some("account", *d.account_ids),
    case.InvestigationOpened: lambda d: _some("party", d.party_id) + _some("account", *d.account_ids),
    case.RemedyGranted: lambda d: _some("account", d.account_id),
    case.PenaltyImposed: lambda d: _some("dealer", d.subject_id) if d.subject_kind == "dealer" else (),
}

LINKING = tuple(_LINKS)
"""Event types that may tie their stream to others."""

OWNERS = (account.AccountOpened, account.AccountTransferred, case.ComplaintReceived, case.InvestigationOpened)
"""Event types that say whose stream it is, and so with whose key its personal data is sealed."""


def links_of(event: Event) -> tuple[str, ...]:
    """Return the subjects of the streams this event ties its own to."""
    find = _LINKS.get(type(event.data))
    return tuple(dict.fromkeys(find(event.data))) if find else ()
