"""Claims about who the customer is: numbers in their name, verifications, and the blacklist."""

from collections.abc import Mapping

from domain.calendar import end_of, start_of
from domain.claims import forms
from domain.claims.customer import Answer, Customer, Shown, day, names
from domain.events import account as av
from domain.events import party as pv
from domain.events.envelope import Recorded

JUDGED: Mapping[Answer, str] = {
    "yes": "opened with a verification of the customer's identity that passed",
    "open": "opened without a verification on record that shows who it was, and no misuse is confirmed",
    "no": "the misuse of the customer's identity is confirmed",
}
"""What is said of numbers; where several are meant, one that the customer opened says most."""
SEEN = ("in_person", "proxy")
"""Methods of a verification that show who stood there: themselves, or somebody with both documents."""


def numbers(claim: forms.OpenedNumber | forms.NeverOpenedNumber, customer: Customer) -> Shown:
    """See whether the customer opened a number: a passed verification shows it, a confirmed misuse the opposite."""
    activated = [
        (r, d)
        for _, r, d in customer.of(av.NumberActivated, claim.account_id)
        if claim.number_id in (None, d.number_id) and claim.registration_id in (None, d.registration_id)
    ]
    if not activated and customer.account_alone:
        return Shown("open", "the account has no such number; whether another has, the party's history says")
    if not activated:
        return Shown("silent", "no such number is on record in the customer's name")
    judged = [(d.number_id, *_opened(customer, r, d)) for r, d in activated]
    wanted = next(a for a in JUDGED if any(answer == a for _, answer, _ in judged))
    found = [(number, events) for number, answer, events in judged if answer == wanted]
    said = f"{names(number for number, _ in found)}: {JUDGED[wanted]}"
    events = [r for _, some in found for r in some]
    return Shown(wanted, said, events) if wanted != "open" else Shown(wanted, said, nearest=events)


def _opened(
    customer: Customer, activated: Recorded, number: av.NumberActivated
) -> tuple[Answer, list[Recorded]]:
    """Return whether the customer opened a number, and the events that bear on it."""
    misused = [
        r
        for _, r, d in customer.self_of(pv.IdentityMisuseConfirmed)
        if number.registration_id in d.registration_ids or number.number_id in d.numbers
    ]
    if misused:
        return "no", [activated, *misused]
    checks = [
        found
        for party in customer.parties
        if (found := party.verification(number.registration_id, activated.event.time)) is not None
    ]
    passed = any(d.result == "passed" and d.method in SEEN for _, d in checks)
    return "yes" if passed else "open", [activated, *(r for r, _ in checks)]


def verification(claim: forms.WasVerified | forms.NeverVerified, customer: Customer) -> Shown:
    """See whether a verification of the customer's identity passed."""
    if not customer.parties:
        return Shown("open", "the party whose account it is is not on record")
    checks = [
        (r, d)
        for _, r, d in customer.self_of(pv.IdentityVerified)
        if claim.registration_id in (None, d.registration_id)
    ]
    passed = [(r, d) for r, d in checks if d.result == "passed"]
    if passed:
        how = names(f"{d.registration_id} on {day(r)} ({d.method})" for r, d in passed)
        return Shown("yes", f"a verification passed: {how}", [r for r, _ in passed])
    if checks:
        results = names(f"{d.registration_id} {d.result}" for _, d in checks)
        return Shown("no", f"no verification passed: {results}", [r for r, _ in checks])
    return Shown("silent", "no verification is on record")


def blacklist(claim: forms.WasBlacklisted | forms.WasNotBlacklisted, customer: Customer) -> Shown:
    """See whether an entry stood at some time of a day."""
    if claim.on > customer.today:
        return Shown("open", f"{claim.on} lies after the day the ledger is asked as known on")
    if not customer.parties:
        return Shown("open", "the party whose account it is is not on record")
    starts, ends = start_of(claim.on, customer.region), end_of(claim.on, customer.region)
    removed = {d.entry_id: r for _, r, d in customer.self_of(pv.BlacklistEntryRemoved)}
    entries = [(r, d) for _, r, d in customer.self_of(pv.BlacklistEntryAdded)]
    for added, entry in entries:
        gone = removed.get(entry.entry_id)
        if added.event.time <= ends and (gone is None or gone.event.time > starts):
            until = f"until {day(gone)}" if gone else "and stands as far as is known"
            said = f"{entry.entry_id} was entered on {day(added)} {until}"
            return Shown("yes", said, [r for r in (added, gone) if r is not None])
    events = [r for added, entry in entries for r in (added, removed.get(entry.entry_id)) if r is not None]
    return Shown("no", f"no entry stood on {claim.on}", events)
