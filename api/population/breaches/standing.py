"""Wrongs about the blacklist: listed without ground, left on it, refused for what is not there."""

from api.population.breaches.planting import FIRST_BILL_DAYS, Breaks, Planted, Planting, owing, paying
from api.population.chronicle import BILLING, Event

breaks = Breaks()


def _listed(p: Planting) -> Event:
    """Return the entry for the account's debt."""
    (entry,) = p.of("BlacklistEntryAdded", p.person.subject, basis_account_id=p.contract.account_id)
    return entry


def _removed(p: Planting) -> Event:
    """Return the removal of the entry."""
    (gone,) = p.of("BlacklistEntryRemoved", p.person.subject, entry_id=_listed(p)["data"]["entry_id"])
    return gone


# -- blacklist-basis


@breaks("blacklist-basis", "not told", owing("lost", refused=False))
def listed_untold(p: Planting) -> Planted:
    """List the customer for a debt of which no notice arrived."""
    return Planted(p.person.subject, (_untold(p),))


@breaks("blacklist-basis", "not told, and refused", owing("lost", refused=True))
def listed_untold_and_refused(p: Planting) -> Planted:
    """List the customer untold, and refuse them for it: a refusal falls with its entry."""
    return Planted(p.person.subject, (_untold(p),), (("refusal-basis", p.person.subject),))


def _untold(p: Planting) -> str:
    told = [
        e["data"]["notice_id"]
        for purpose in ("arrears", "blacklist")
        for e in p.of("NoticeAttempted", p.subject, purpose=purpose)
    ]
    p.fail(told)
    return str(_listed(p)["id"])


@breaks("blacklist-basis", "nothing was owed", paying(room_days=160))
def listed_for_nothing(p: Planting) -> Planted:
    """List a customer who owes nothing, until somebody sees it two days later."""
    day = p.chance.between(p.contract.plan.opened + 2 * FIRST_BILL_DAYS, p.years.last - 5)
    entry_id = f"{p.contract.account_id}-BLX"
    entry = {
        "entry_id": entry_id,
        "basis_account_id": p.contract.account_id,
        "amount_fen": p.contract.price_fen,
        "basis_event_ids": [],
    }
    listed = p.add(p.person.subject, "BlacklistEntryAdded", (day, 630), entry, by=BILLING)
    gone = {"entry_id": entry_id, "reason": "entered_in_error"}
    p.add(p.person.subject, "BlacklistEntryRemoved", (day + 2, 630), gone, by=BILLING)
    return Planted(p.person.subject, (listed,))


# -- blacklist-removal


@breaks("blacklist-removal", "too late", owing("lost_pays"))
def removed_late(p: Planting) -> Planted:
    """Let the entry go weeks after the debt was paid."""
    gone = _removed(p)
    late = p.move(gone, p.day(gone) + p.chance.between(8, 40))
    return Planted(p.person.subject, (_listed(p)["id"], late))


@breaks("blacklist-removal", "never", owing("written_off"))
def never_removed(p: Planting) -> Planted:
    """Let the entry stay although the debt was given up."""
    p.drop([_removed(p)])
    return Planted(p.person.subject, (_listed(p)["id"], p.one("DebtWrittenOff")["id"]))


# -- refusal-basis


@breaks("refusal-basis", "no such entry", paying())
def refused_for_nothing(p: Planting) -> Planted:
    """Refuse a service on an entry that was never there."""
    day = p.chance.between(p.contract.plan.opened + 1, p.years.last)
    refused = {"reason": "blacklisted", "entry_id": f"{p.contract.account_id}-none"}
    return Planted(p.person.subject, (p.add(p.person.subject, "SignUpRefused", (day, 660), refused),))


@breaks("refusal-basis", "the entry was gone", owing("lost_pays"))
def refused_afterwards(p: Planting) -> Planted:
    """Refuse a service on an entry that was removed."""
    gone = _removed(p)
    refused = {"reason": "blacklisted", "entry_id": gone["data"]["entry_id"]}
    day = p.day(gone) + p.chance.between(1, 40)
    event_id = p.add(p.person.subject, "SignUpRefused", (day, 660), refused)
    return Planted(p.person.subject, (event_id, _listed(p)["id"]))
