"""The table of rules: for each kind of subject which rules speak of it, and the findings they come to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.events import account as av
from domain.events import party as pv
from domain.events.envelope import Recorded, kind_of
from domain.rules import arrears, complaints, disputes, expiry, identity, standing
from domain.rules.book import Rulebook, rulebook_of
from domain.rules.facts import Facts, Measure, PartyFacts, World
from domain.rules.finding import Finding, Observation, Rule, digest_of, gather

Check = Callable[[Any, Measure], Iterator[Observation]]

ACCOUNT: tuple[tuple[Rule, Check], ...] = (
    (
        Rule(
            "expiry-choice",
            "an annual broadband package is sold with suspend, convert to monthly and renew annual shown to the "
            "customer, and the customer's own choice on record before or at activation",
            "ask the customer; treat the package as suspended at its end until they choose",
        ),
        expiry.expiry_choice,
    ),
    (
        Rule(
            "expiry-notice",
            "reminders before and after the term's end: one delivered before it, or every channel tried; "
            "one delivered after it",
            "tell the customer now, through a channel that reaches them",
        ),
        expiry.expiry_notice,
    ),
    (
        Rule(
            "charge-basis",
            "each charge for time after an annual term's end rests on the customer's own valid choice or later request",
            "reverse the unsupported charges, refund what was paid on them",
        ),
        expiry.charge_basis,
    ),
    (
        Rule(
            "late-fee",
            "simple 3 per mille a day on the sum owed, from the contract's start, never on an unsupported or reversed "
            "charge, for days after the payment's value date, or under a dispute hold",
            "reverse what was assessed beyond that",
            kept_whole=True,
        ),
        arrears.late_fee,
    ),
    (
        Rule(
            "suspension-window",
            "no suspension for arrears before more than 30 days past the oldest unpaid charge's deadline on fixed "
            "lines, on mobile before the contract's own term",
            "restore the service",
        ),
        arrears.suspension_window,
    ),
    (
        Rule(
            "termination-window",
            "no termination for arrears before 60 days of suspension have passed unpaid",
            "restore the service, or release the customer from the contract, as they wish",
        ),
        arrears.termination_window,
    ),
    (
        Rule(
            "restore-within",
            "service back within the contract's hours, 48 at most, after arrears and late fees are paid in full",
            "restore the service at once",
        ),
        arrears.restore_within,
    ),
    (
        Rule(
            "real-name",
            "every number rests on a passed verification of its registration, in person or by a proxy, on record at "
            "or before the activation",
            "cancel the number; its charges and fees are void for the person named",
        ),
        identity.real_name,
    ),
    (
        Rule(
            "cancellation",
            "no charge for periods from the cancellation's effective date on, and the service ends on that date",
            "reverse the charges and end the service as of that date",
        ),
        disputes.cancellation,
    ),
    (
        Rule(
            "dispute-hold",
            "while a hold stands, no late fee, suspension or blacklisting that its scope covers",
            "undo what was done under the hold",
        ),
        disputes.dispute_hold,
    ),
    (
        Rule(
            "notice-reach",
            "a notice counts as delivered only to a contact point that was the party's own and not invalidated",
            "find a contact point that reaches the customer; what rested on the notice falls",
        ),
        disputes.notice_reach,
    ),
    (
        Rule(
            "renewal-notice",
            "a prominent notice at least 5 days before each automatic renewal",
            "let the customer withdraw from the renewal and refund the time not used",
        ),
        expiry.renewal_notice,
    ),
)

PARTY: tuple[tuple[Rule, Check], ...] = (
    (
        Rule(
            "blacklist-basis",
            "an entry only for a debt that is owed, and after a notice of the arrears was delivered to the party",
            "remove the entry as entered in error",
        ),
        standing.blacklist_basis,
    ),
    (
        Rule(
            "blacklist-removal",
            "an entry goes within 5 working days after the debt is cleared or found void, and 5 years after the bad "
            "conduct ended at the latest",
            "remove the entry",
        ),
        standing.blacklist_removal,
    ),
    (
        Rule(
            "refusal-basis",
            "no refusal of service on an entry that should not have been made or should have gone",
            "offer the service that was refused",
        ),
        standing.refusal_basis,
    ),
    (
        Rule(
            "registration-audit",
            "each registration made by a dealer is audited within 12 months",
            "audit the registrations",
        ),
        identity.registration_audit,
    ),
    (
        Rule(
            "number-limit",
            "at most 5 numbers for one identity document with one operator",
            "let the customer say which numbers they keep",
        ),
        identity.number_limit,
    ),
)

DEALER: tuple[tuple[Rule, Check], ...] = (
    (
        Rule(
            "dealer-block",
            "within 10 days after a confirmed identity misuse the dealer is blocked and penalised, and a penalty "
            "falls on the manager named when the dealer was authorised",
            "block the dealer and hold both to account",
        ),
        identity.dealer_block,
    ),
)

CASE: tuple[tuple[Rule, Check], ...] = (
    (
        Rule("complaint-answer", "a complaint is answered within 15 days", "answer the complaint"),
        complaints.complaint_answer,
    ),
    (
        Rule(
            "commitment-first",
            "a commitment is made before handling starts; a missed commitment's remedy is granted",
            "make the commitment, grant the remedy of the missed one",
        ),
        complaints.commitment_first,
    ),
    (
        Rule(
            "clear-explanation",
            "contacts on one complaint have one owner and are explained clearly",
            "name one owner, and explain once more, in writing",
        ),
        complaints.clear_explanation,
    ),
)

TABLE: Mapping[str, tuple[tuple[Rule, Check], ...]] = {
    "account": ACCOUNT,
    "party": PARTY,
    "dealer": DEALER,
    "case": CASE,
    "rulebook": (),
}
RULE_IDS = tuple(rule.rule_id for rules in TABLE.values() for rule, _ in rules)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What findings are asked for: as known when, as the log stood where."""

    subject: str
    known_at: datetime
    position: int
    region: str


def findings(
    inquiry: Inquiry, histories: Mapping[str, Sequence[Recorded]], only: str | None = None
) -> dict[str, Any]:
    """Return the findings on a subject under the rulebook, in the table's order, with their digest.

    Asked for a party, they span its accounts, the cases about it and the dealers who registered for it; asked
    for another subject, they are that subject's alone. `only` names one rule.
    """
    world = World(histories, inquiry.known_at, inquiry.position, inquiry.region)
    book = rulebook_of(world.book_events)
    found = [
        finding
        for facts in _asked(world, inquiry.subject)
        for finding in findings_on(facts, book)
        if only in (None, finding.rule_id)
    ]
    answer: dict[str, Any] = {
        "subject": inquiry.subject,
        "known_at": inquiry.known_at.isoformat(),
        "position": inquiry.position,
        "rulebook_version": book.version,
        "findings": [f.as_data() for f in found],
    }
    return {**answer, "digest": digest_of(answer)}


def findings_on(facts: Facts, book: Rulebook) -> Iterator[Finding]:
    """Return one subject's findings, in the table's order."""
    for rule, check in TABLE[kind_of(facts.subject)]:
        seen = check(facts, Measure(book, rule.rule_id))
        yield from gather(rule, facts.subject, seen, book, facts.today)


def _asked(world: World, subject: str) -> list[Facts]:
    own = world.facts(subject)
    if not isinstance(own, PartyFacts):
        return [own]
    cases = [c for c in world.cases.values() if c.state.party_id == own.party_id]
    dealer_ids = {d.dealer_id for _, d in own.of(pv.IdentityVerified)}
    dealer_ids |= {
        d.dealer_id
        for a in own.accounts
        for r, d in a.of(av.NumberActivated)
        if a.holder_at(r.event.time) == own.party_id
    }
    for _, misuse in own.of(pv.IdentityMisuseConfirmed):
        dealer_ids |= identity.dealers_behind(own, misuse)
    dealers = [world.facts(f"dealer/{d}") for d in sorted(d for d in dealer_ids if d is not None)]
    return [own, *own.accounts, *cases, *dealers]
