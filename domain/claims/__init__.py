"""A customer's claims held against the ledger: each confirmed, contradicted or unknown, shown by which events.

The ledger is the operator's own record, so what it lacks is weighed with care:

- what happened is `confirmed` where the history shows it and `contradicted` only where it shows the opposite;
  that an event is absent disproves nothing the customer says they did;
- that something never happened is `contradicted` where the history shows it, and `confirmed` where it shows the
  opposite (staff set the choice, every notice failed) or is whole and has nothing of the kind;
- where the history before a migration is missing, an absence shows nothing: `unknown`.

`forms` says what may be claimed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from domain.claims import contact, contract, identity, money
from domain.claims.customer import Customer, Shown
from domain.claims.forms import Asserted, Claim, NeverVerified, OnAccount
from domain.events.envelope import Recorded
from domain.events.fields import MalformedError
from domain.replay import Histories
from domain.rules.facts import AccountFacts, PartyFacts, World, across_streams
from domain.rules.finding import digest_of
from domain.rules.table import Inquiry

EVENTS_MAX = 50  # events shown for one claim; how many there are is said in `because`
RESTS_ON_ACCOUNTS = (OnAccount, NeverVerified)
"""Claims that an account's missing history leaves open; cases begin in this ledger."""
VERDICTS = ("confirmed", "contradicted", "unknown")

WEIGHED: Mapping[str, Callable[[Any, Customer], Shown]] = {
    "paid": money.paid,
    "never_paid": money.payments_made,
    "owed": money.owed,
    "was_charged": money.charged,
    "chose": contract.choice,
    "never_chose": contract.choice,
    "was_presented_options": contract.presentation,
    "never_presented_options": contract.presentation,
    "was_notified": contact.notices,
    "never_notified": contact.notices,
    "requested": contract.request,
    "never_requested": contract.request,
    "opened_number": identity.numbers,
    "never_opened_number": identity.numbers,
    "was_verified": identity.verification,
    "never_verified": identity.verification,
    "was_suspended": contract.suspension,
    "was_not_suspended": contract.suspension,
    "was_blacklisted": identity.blacklist,
    "was_not_blacklisted": identity.blacklist,
    "complained": contact.complaint,
    "was_answered": contact.answer,
    "was_not_answered": contact.answer,
    "contacted_by": contact.contacts,
}
"""How each form is weighed."""


def weigh(inquiry: Inquiry, histories: Histories, claims: Sequence[Asserted]) -> dict[str, Any]:
    """Return each claim with its verdict, as known at a moment and as the log stood at a position.

    Raises MalformedError where the subject is no account and no party.
    """
    world = World(histories, inquiry.known_at, inquiry.position, inquiry.region)
    facts = world.facts(inquiry.subject)
    if not isinstance(facts, AccountFacts | PartyFacts):
        raise MalformedError("subject", "should be an account or a party: claims are a customer's")
    customer = Customer(world, facts)
    results = [_weighed(index, asserted, customer) for index, asserted in enumerate(claims)]
    counts = Counter(r["verdict"] for r in results)
    body = {
        "subject": inquiry.subject,
        "known_at": inquiry.known_at.isoformat(),
        "position": inquiry.position,
        "claims": results,
        "counts": {verdict: counts[verdict] for verdict in VERDICTS},
    }
    plain: dict[str, Any] = orjson.loads(orjson.dumps(body))
    return {**plain, "digest": digest_of(plain)}


def _weighed(index: int, asserted: Asserted, customer: Customer) -> dict[str, Any]:
    claim = asserted.claim
    shown = _shown(claim, customer)
    verdict, because = _verdict(claim, shown, customer)
    known = verdict != "unknown"
    return {
        "index": index,
        "claim": asserted.given,
        "verdict": verdict,
        "because": because,
        "event_ids": _names(customer.world, shown.events or shown.nearest) if known else [],
        "nearest": [] if known else _names(customer.world, shown.nearest or shown.events),
    }


def _shown(claim: Claim, customer: Customer) -> Shown:
    account_id = getattr(claim, "account_id", None)
    if account_id is not None and not customer.accounts(account_id):
        return Shown("open", f"{account_id} is no account of the customer's on record")
    return WEIGHED[claim.NAME](claim, customer)


def _verdict(claim: Claim, shown: Shown, customer: Customer) -> tuple[str, str]:
    """Return the verdict and the sentence that says why."""
    if shown.answer == "open":
        return "unknown", shown.said
    if shown.answer == "yes":
        return ("contradicted" if claim.NEVER else "confirmed"), shown.said
    if shown.answer == "no":
        return ("confirmed" if claim.NEVER else "contradicted"), shown.said
    if not claim.NEVER:
        return "unknown", f"{shown.said}, which does not disprove it"
    lacking = None
    if isinstance(claim, RESTS_ON_ACCOUNTS):
        since, until = getattr(claim, "since", None), getattr(claim, "until", None)
        lacking = customer.uncovered(getattr(claim, "account_id", None), since, until)
    if lacking is not None:
        return "unknown", f"{shown.said}, but {lacking}"
    return "confirmed", f"{shown.said}, and the history has no gap there"


def _names(world: World, events: Sequence[Recorded]) -> list[str]:
    ordered = sorted(events, key=across_streams)
    return list(dict.fromkeys(world.name(r) for r in ordered))[:EVENTS_MAX]
