"""Rules on identity: each number on a verification, registrations audited, dealers answerable."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from domain.calendar import months_after
from domain.events import account as av
from domain.events import case as cv
from domain.events import dealer as dv
from domain.events import party as ev
from domain.events.envelope import Recorded
from domain.rules.facts import AccountFacts, DealerFacts, Measure, PartyFacts, across_streams
from domain.rules.finding import Observation

VALID_METHODS = ("in_person", "proxy")


def real_name(account: AccountFacts, _measure: Measure) -> Iterator[Observation]:
    """See that each number rests on a verification of its registration, on record when it went live."""
    amount_fen = sum(
        d.standing_fen for d in (*account.state.books.charges.values(), *account.state.books.fees.values())
    )
    for activated, number in account.of(av.NumberActivated):
        why, shown = _verified(account, activated, number)
        evidence = account.world.names(activated, *shown)
        if why is None:
            yield Observation(
                "kept", account.day(activated), f"{number.number_id} rests on a verified identity", evidence
            )
        else:
            absent = (
                ()
                if any(isinstance(r.event.data, ev.IdentityVerified) for r in shown)
                else ("IdentityVerified",)
            )
            yield Observation(
                "breach", account.day(activated), f"{number.number_id}: {why}", evidence, absent, amount_fen
            )
            amount_fen = 0  # an account's money hangs on it once, however many numbers it has
    activations = {d.number_id for _, d in account.of(av.NumberActivated)}
    for ported, came in account.of(av.NumberPortedIn):
        if came.number_id not in activations:
            yield Observation(
                "undetermined",
                account.day(ported),
                f"{came.number_id} was ported in: the history does not say on which registration it rests",
                account.world.names(ported),
                ("NumberActivated",),
            )


def _verified(
    account: AccountFacts, activated: Recorded, number: av.NumberActivated
) -> tuple[str | None, list[Recorded]]:
    """Return why a number does not rest on a verified identity, None where it does, and what shows it."""
    party = account.party_at(activated.event.time)
    if party is None:
        return "the party is not on record", []
    misuse = [
        r
        for r, d in party.of(ev.IdentityMisuseConfirmed)
        if number.registration_id in d.registration_ids or number.number_id in d.numbers
    ]
    found = party.verification(number.registration_id, activated.event.time)
    if found is None:
        return "no verification of its registration was on record when it went live", misuse
    recorded, data = found
    if data.result != "passed":
        return f"its registration's verification: {data.result}", [recorded, *misuse]
    if data.method not in VALID_METHODS:
        return f"its registration was verified by the method {data.method}", [recorded, *misuse]
    if misuse:
        return "the registration was confirmed to misuse the identity", [recorded, *misuse]
    return None, [recorded]


def unverified(account: AccountFacts) -> bool:
    """Whether a number of the account is in breach of the real-name rule: its debt is void for the person."""
    return any(_verified(account, r, d)[0] is not None for r, d in account.of(av.NumberActivated))


def registration_audit(party: PartyFacts, measure: Measure) -> Iterator[Observation]:
    """See that each registration made by a dealer was audited in time."""
    for registration_id, registered in sorted(_by_dealers(party).items()):
        day = party.day(registered)
        deadline = months_after(day, measure.at(day, "months"))
        audit = next(
            (r for r, d in party.of(ev.RegistrationAudited) if d.registration_id == registration_id), None
        )
        said = f"{registration_id} was registered on {day}, to be audited by {deadline}"
        evidence = party.world.names(registered, audit)
        if audit is not None and party.day(audit) <= deadline:
            yield Observation("kept", day, f"{said}, audited on {party.day(audit)}", evidence)
        elif audit is None and party.today <= deadline:
            yield Observation("undetermined", day, f"{said}; that day has not passed", evidence)
        else:
            absent = ("RegistrationAudited",) if audit is None else ()
            when = f"audited only on {party.day(audit)}" if audit else "never audited"
            yield Observation("breach", day, f"{said}, {when}", evidence, absent)


def _by_dealers(party: PartyFacts) -> dict[str, Recorded]:
    """Return the first event that shows each registration made by a dealer in the party's name."""
    shown = [(r, d.registration_id) for r, d in party.of(ev.IdentityVerified) if d.dealer_id is not None]
    for account in party.accounts:
        shown += [
            (r, d.registration_id)
            for r, d in account.of(av.NumberActivated)
            if d.dealer_id is not None and account.holder_at(r.event.time) == party.party_id
        ]
    found: dict[str, Recorded] = {}
    for recorded, registration_id in sorted(shown, key=lambda s: across_streams(s[0])):
        found.setdefault(registration_id, recorded)
    return found


def number_limit(party: PartyFacts, measure: Measure) -> Iterator[Observation]:
    """See that no number was activated beyond the limit for one identity document."""
    steps = sorted(
        (step for a in party.accounts for step in number_steps(a, party.party_id)),
        key=lambda step: across_streams(step[0]),
    )
    begun = [b for a in party.accounts for b in _begun_unseen(a, party.party_id)]
    held: set[str] = set()
    for recorded, gained, lost in steps:
        held = held - lost | gained
        data = recorded.event.data
        if isinstance(data, av.NumberActivated):
            day = party.day(recorded)
            limit = measure.at(day, "numbers")
            maybe = {
                n: r for n, since, r in begun if n not in held and since <= recorded.event.time < r.event.time
            }
            said = f"{data.number_id} made {len(held)} numbers for one identity document, at most {limit}"
            if len(held) <= limit < len(held) + len(maybe):
                yield Observation(
                    "undetermined",
                    day,
                    f"{said}; since when {', '.join(maybe)} had been held is not on record",
                    party.world.names(recorded, *maybe.values()),
                    ("NumberActivated",),
                )
                continue
            yield Observation(
                "kept" if len(held) <= limit else "breach", day, said, party.world.names(recorded)
            )


def _begun_unseen(account: AccountFacts, party_id: str) -> Iterator[tuple[str, datetime, Recorded]]:
    """Return each number of which only the end is on record, with when it may have begun at the earliest."""
    opened = next((r.event.time for r, _ in account.of(av.AccountOpened)), datetime.min.replace(tzinfo=UTC))
    seen: set[str] = set()
    for recorded in account.history:
        data = recorded.event.data
        match data:
            case av.NumberActivated() | av.NumberPortedIn():
                seen.add(data.number_id)
            case av.NumberPortedOut() | av.NumberReleased() | av.NumberDisowned():
                if data.number_id not in seen and account.holder_at(recorded.event.time) == party_id:
                    yield data.number_id, opened, recorded
                seen.add(data.number_id)
            case _:
                pass


def number_steps(account: AccountFacts, party_id: str) -> Iterator[tuple[Recorded, set[str], set[str]]]:
    """Return each event by which a party came to hold numbers of an account or lost them, with the numbers."""
    numbers: set[str] = set()
    for recorded in account.history:
        data = recorded.event.data
        own = account.holder_at(recorded.event.time) == party_id
        match data:
            case av.NumberActivated() | av.NumberPortedIn():
                numbers.add(data.number_id)
                if own:
                    yield recorded, {data.number_id}, set()
            case av.NumberPortedOut() | av.NumberReleased() | av.NumberDisowned():
                numbers.discard(data.number_id)
                yield recorded, set(), {data.number_id}
            case av.AccountTransferred():
                yield (recorded, set(numbers), set()) if own else (recorded, set(), set(numbers))
            case av.ServiceTerminated():
                yield recorded, set(), set(numbers)
                numbers.clear()
            case _:
                pass


def dealer_block(dealer: DealerFacts, measure: Measure) -> Iterator[Observation]:
    """See that after a confirmed misuse the dealer was blocked and penalised, and its manager as well."""
    dealer_id = dealer.subject.partition("/")[2]
    for party in dealer.world.parties.values():
        for confirmed, data in party.of(ev.IdentityMisuseConfirmed):
            if dealer_id not in dealers_behind(party, data):
                continue
            day = party.day(confirmed)
            deadline = day + timedelta(days=measure.at(day, "days"))
            blocked = _blocked(dealer, day, deadline)
            manager_id = _manager(dealer, confirmed)
            fined = _penalty(dealer, "dealer", dealer_id, day, deadline)
            managed = _penalty(dealer, "manager", manager_id, day, deadline)
            absent = (["DealerBlocked"] if blocked is None else []) + (
                ["PenaltyImposed"] if fined is None or managed is None else []
            )
            missing = [
                text
                for text, event in (
                    ("the dealer's block", blocked),
                    ("the dealer's penalty", fined),
                    (f"a penalty on its manager {manager_id or '(none named)'}", managed),
                )
                if event is None
            ]
            evidence = dealer.world.names(confirmed, blocked, fined, managed)
            said = f"misuse confirmed on {day}, to be answered by {deadline}"
            if not missing:
                yield Observation("kept", day, said, evidence)
            elif dealer.today <= deadline:
                yield Observation("undetermined", day, f"{said}; that day has not passed", evidence)
            elif blocked and fined and manager_id is None:
                silent = f"{said}; which manager answers for the dealer is not on record"
                yield Observation("undetermined", day, silent, evidence, ("DealerAuthorised",))
            else:
                yield Observation(
                    "breach", day, f"{said}; missing: {', '.join(missing)}", evidence, tuple(absent)
                )


def dealers_behind(party: PartyFacts, misuse: ev.IdentityMisuseConfirmed) -> set[str]:
    """Return the dealers who made the misused registrations: the one it names, else those of the registrations."""
    if misuse.dealer_id is not None:
        return {misuse.dealer_id}
    return {
        d.dealer_id
        for _, d in party.of(ev.IdentityVerified)
        if d.dealer_id is not None and d.registration_id in misuse.registration_ids
    }


def _blocked(dealer: DealerFacts, day: date, deadline: date) -> Recorded | None:
    """Return the block that stood after a day, made by the deadline: one that was lifted before is none."""
    found: Recorded | None = None
    for recorded in dealer.history:
        data = recorded.event.data
        if isinstance(data, dv.DealerBlocked) and dealer.day(recorded) <= deadline:
            found = found or recorded
        elif isinstance(data, dv.DealerReinstated) and dealer.day(recorded) < day:
            found = None
    return found


def _manager(dealer: DealerFacts, confirmed: Recorded) -> str | None:
    """Return the manager named when the dealer was authorised, the last time before the misuse was confirmed."""
    named = [d.manager_id for r, d in dealer.of(dv.DealerAuthorised) if r.event.time <= confirmed.event.time]
    return named[-1] if named else dealer.state.manager_id or None


def _penalty(
    dealer: DealerFacts, kind: str, subject_id: str | None, since: date, deadline: date
) -> Recorded | None:
    return _first(
        r
        for case in dealer.world.cases.values()
        for r, d in case.of(cv.PenaltyImposed)
        if d.subject_kind == kind and d.subject_id == subject_id and since <= case.day(r) <= deadline
    )


def _first(found: Iterator[Recorded]) -> Recorded | None:
    return next(iter(found), None)
