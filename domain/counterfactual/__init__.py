"""What should have happened: the exogenous kept, the endogenous derived anew by the policies of a real day.

Prices, periods and due dates are facts of the contract, reused from the history and never invented. What the
operator might have levied or done but did not is not added: a counterfactual is never worse for the customer
than what happened. Assumptions are explicit, and the answer names each.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from domain.account import Account, figures
from domain.account.money import balance_fen
from domain.account.state import fold
from domain.counterfactual.walk import Difference, Lawful, lawful_account, until_day
from domain.events import party as pv
from domain.events.envelope import Recorded
from domain.events.fields import MalformedError
from domain.policies.service import DEFAULT_OPTION
from domain.replay import canonical, in_order
from domain.rules.book import Rulebook, rulebook_of
from domain.rules.facts import AccountFacts, Measure, PartyFacts, World
from domain.rules.standing import cleared_by, entry_basis, removal_of, working_days_after

OPTIONS = ("suspend", "convert_to_monthly", "renew_annual")
ASSUMABLE = ("expiry_option",)
PROPOSAL = ("subject", "position", "until", "assumptions", "rulebook_version", "proposed_events")
"""What of an answer makes a proposal. The known-at instant is none of it: where it was not named it is the moment
of asking."""


def check_assumptions(given: Mapping[str, str]) -> dict[str, str]:
    """Return assumptions with the defaults filled in; raises MalformedError that names the one that is wrong."""
    for name, value in given.items():
        if name not in ASSUMABLE:
            raise MalformedError(f"assume {name}", f"can't be assumed: only {', '.join(ASSUMABLE)} can")
        if value not in OPTIONS:
            raise MalformedError(f"assume {name}", f"should be one of {', '.join(OPTIONS)}")
    return {"expiry_option": DEFAULT_OPTION, **given}


def counterfactual(
    subject: str,
    histories: Mapping[str, list[Recorded]] | Mapping[str, Any],
    *,
    known_at: datetime,
    position: int,
    region: str,
    until: date,
    assume: Mapping[str, str],
) -> dict[str, Any]:
    """Return both histories side by side for an account, or for a party over all its accounts.

    Raises MalformedError where the subject is neither, or an assumption is none.
    """
    assumptions = check_assumptions(assume)
    world = World(histories, known_at, position, region)
    book = rulebook_of(world.book_events)
    facts = world.facts(subject)
    if isinstance(facts, AccountFacts):
        accounts = [facts]
    elif isinstance(facts, PartyFacts):
        accounts = facts.accounts
    else:
        raise MalformedError(
            "subject", "should be an account or a party: only they have money and a standing"
        )
    walked = [(a, lawful_account(a, until, assumptions, book)) for a in accounts]
    actual_fen = sum(figures(until_day(a, until).books, until).balance_fen for a in accounts)
    lawful_fen = sum(figures(w.account.books, until).balance_fen for _, w in walked)
    actual: dict[str, Any] = {"balance_fen": actual_fen}
    lawful: dict[str, Any] = {"balance_fen": lawful_fen}
    differences = [d for _, w in walked for d in w.differences]
    proposed = [p for _, w in walked for p in w.proposed]
    if isinstance(facts, PartyFacts):
        actual["blacklisted"] = any(entry_standing(facts, until))
        lawful["blacklisted"], more, corrections = _lawful_standing(facts, until, book)
        differences += more
        proposed += corrections
    else:
        actual["status"] = until_day(facts, until).status
        lawful["status"] = walked[0][1].account.status
    answer = {
        "subject": subject,
        "until": until.isoformat(),
        "known_at": known_at.isoformat(),
        "position": position,
        "rulebook_version": book.version,
        "assumptions": {**assumptions, **{k: v for _, w in walked for k, v in w.assumed.items()}},
        "actual": actual,
        "lawful": lawful,
        "days": [point for a, w in walked for point in _days(a, w, until)],
        "differences": [
            {
                "on": d.on.isoformat(),
                "what": d.what,
                "event_ids": list(d.event_ids),
                "rule_id": d.rule_id,
                "amount_fen": d.amount_fen,
            }
            for d in sorted(differences, key=lambda d: d.on)
        ],
        "undetermined": [u for _, w in walked for u in w.undetermined],
        "to_reverse_fen": sum(w.to_reverse_fen for _, w in walked),
        "to_refund_fen": sum(w.to_refund_fen for _, w in walked),
        "proposed_events": proposed,
    }
    return {**answer, "proposal_digest": proposal_digest(answer)}


def proposal_digest(answer: Mapping[str, Any]) -> str:
    """Return what a counterfactual proposes as one digest: by it the proposal that was read is known again."""
    body = {name: answer[name] for name in PROPOSAL}
    return "sha256:" + hashlib.sha256(canonical(body)).hexdigest()


def entry_standing(party: PartyFacts, until: date) -> Iterator[str]:
    """Return the entries that stood at the end of a day."""
    removed = {d.entry_id for r, d in party.of(pv.BlacklistEntryRemoved) if party.day(r) <= until}
    for recorded, entry in party.of(pv.BlacklistEntryAdded):
        if party.day(recorded) <= until and entry.entry_id not in removed:
            yield entry.entry_id


def _lawful_standing(
    party: PartyFacts, until: date, book: Rulebook
) -> tuple[bool, list[Difference], list[dict[str, Any]]]:
    """Return whether the party would be on the blacklist, what differs, and what would correct it."""
    standing = set(entry_standing(party, until))
    listed, differences, corrections = False, [], []
    for added, entry in party.of(pv.BlacklistEntryAdded):
        if party.day(added) > until:
            continue
        fails, said = entry_basis(party, added, entry, Measure(book, "blacklist-basis"))
        rule_id, reason = "blacklist-basis", "entered_in_error"
        if not fails:
            cleared = cleared_by(party, added, entry)
            limit = Measure(book, "blacklist-removal")
            overdue = cleared is not None and _stood_too_long(
                party,
                working_days_after(cleared[0], limit.at(cleared[0], "working_days")),
                added,
                entry,
                until,
            )
            if not overdue:
                listed = listed or entry.entry_id in standing
                continue
            rule_id, reason, said = "blacklist-removal", "arrears_cleared", "the debt was cleared"
        names = party.world.names(added)
        differences.append(Difference(party.day(added), f"entry {entry.entry_id}: {said}", names, rule_id))
        if entry.entry_id in standing and removal_of(party, added, entry) is None:
            corrections.append(
                {
                    "type": "BlacklistEntryRemoved",
                    "subject": party.subject,
                    "region": added.event.region,
                    "data": {"entry_id": entry.entry_id, "reason": reason},
                }
            )
    return listed, differences, corrections


def _stood_too_long(
    party: PartyFacts, deadline: date, added: Recorded, entry: pv.BlacklistEntryAdded, until: date
) -> bool:
    """Whether an entry stood, or stands, longer than its deadline."""
    gone = removal_of(party, added, entry)
    return deadline < (party.day(gone) if gone is not None else until)


def _days(account: AccountFacts, lawful: Lawful, until: date) -> Iterator[dict[str, Any]]:
    """Return the days on which the status or the balance changes, in what happened or should have."""
    happened = in_order(account.history)
    moments = {account.day(r) for r in happened} | {account.day(r) for r in lawful.history}
    both = (iter(happened), iter(in_order(lawful.history)))
    states = (Account(""), Account(""))
    ahead = [next(events, None) for events in both]
    last: tuple[Any, ...] | None = None
    for day in sorted(d for d in moments if d <= until):
        for index in (0, 1):
            while (recorded := ahead[index]) is not None and account.day(recorded) <= day:
                fold.step(states[index], recorded)
                ahead[index] = next(both[index], None)
        now = tuple((s.status, balance_fen(s.books, day)) for s in states)
        if now != last:
            last = now
            yield {
                "account": account.subject,
                "on": day.isoformat(),
                "actual": {"status": now[0][0], "balance_fen": now[0][1]},
                "lawful": {"status": now[1][0], "balance_fen": now[1][1]},
            }
