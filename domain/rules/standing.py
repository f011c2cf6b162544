"""Rules on the blacklist: what an entry may rest on, when it has to go, and refusals that rest on it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby

from domain.account import Account, Figures, figures
from domain.account import fold as account_fold
from domain.calendar import day_of, months_after, start_of
from domain.events import account as av
from domain.events import party as ev
from domain.events.envelope import Recorded
from domain.rules.facts import AccountFacts, Delivery, Measure, PartyFacts, across_streams
from domain.rules.finding import Observation, Verdict
from domain.rules.identity import unverified
from domain.rules.past import MONEY

SATURDAY = 5
YEARS_MAX = 100  # a published retention that is longer never ends


def blacklist_basis(party: PartyFacts, measure: Measure) -> Iterator[Observation]:
    """See that each entry rests on a debt that is owed and on a notice of it that reached the party."""
    for added, entry in party.of(ev.BlacklistEntryAdded):
        verdict, said, evidence, absent = _basis(party, added, entry, measure)
        yield Observation(
            verdict,
            party.day(added),
            f"{entry.entry_id}: {said}",
            party.world.names(added, *evidence),
            absent,
        )


def _basis(
    party: PartyFacts, added: Recorded, entry: ev.BlacklistEntryAdded, measure: Measure
) -> tuple[Verdict, str, list[Recorded], tuple[str, ...]]:
    """Return whether an entry's basis holds, why, what shows it, and what is absent."""
    account = party.world.accounts.get(f"account/{entry.basis_account_id}")
    if account is None or not account.history:
        return "breach", f"the account {entry.basis_account_id} is not on record", [], ("AccountOpened",)
    wrong, absent = [], []
    lawful_fen, void = _lawful_debt_fen(party, account, added.event.time)
    if void:
        wrong.append(void)
    elif not lawful_fen:
        wrong.append(f"no lawful debt of the party's was overdue ({_why_not(account)})")
    purposes = measure.at(party.day(added), "purposes")
    told = [
        d
        for d in account.deliveries
        if d.attempt.purpose in purposes
        and d.delivered.event.recordedtime <= added.event.time
        and _tells(party, account, d, added.event.time)
    ]
    reached = [d for d in told if d.reach == "reached"]
    unknown = [d for d in told if d.reach == "unknown"]
    if not reached and not unknown:
        wrong.append(
            "no notice of the arrears had reached the party" + (" (delivered elsewhere)" if told else "")
        )
        absent.append("NoticeDelivered")
    shown = [d.delivered for d in (reached or unknown or told)]
    if wrong:
        return "breach", "; ".join(wrong), shown, tuple(absent)
    if not reached:
        said = "the history does not say which contact point the notice of the arrears went to"
        return "undetermined", said, shown, ()
    return "kept", f"{lawful_fen} fen were overdue and the party had been told", shown, ()


def _tells(party: PartyFacts, account: AccountFacts, told: Delivery, moment: datetime) -> bool:
    """Whether a notice was to the party, and of what was overdue at a moment: sent once it was, and naming it."""
    holder = account.holder_at(told.delivered.event.time)
    if holder not in (None, party.party_id) and party not in party.world.person(holder):
        return False
    day = day_of(moment, account.state.region)
    overdue = [i for i in account.owed_at(moment, account.state.region).open_items if i.due_on < day]
    named = told.attempt.charge_ids
    return not overdue or any(
        i.due_on < account.day(told.attempted) and (named is None or i.charge_id in named) for i in overdue
    )


def entry_basis(
    party: PartyFacts, added: Recorded, entry: ev.BlacklistEntryAdded, measure: Measure
) -> tuple[bool, str]:
    """Return whether an entry's basis fails, and what is said of it."""
    verdict, said, _, _ = _basis(party, added, entry, measure)
    return verdict == "breach", said


def _lawful_debt_fen(party: PartyFacts, account: AccountFacts, moment: datetime) -> tuple[int, str]:
    """Return what of the overdue principal has a basis and is the party's, in fen, or why it is void for them."""
    if unverified(account):
        return 0, "the number was opened without a verified identity: its debt is void for the person named"
    owed = account.owed_at(moment, account.state.region)
    day = day_of(moment, account.state.region)
    return sum(
        i.unpaid_fen
        for i in owed.open_items
        if i.due_on < day
        and i.charge_id not in account.unsupported
        and _owes(party, account, i.charge_id, moment)
    ), ""


def _owes(party: PartyFacts, account: AccountFacts, charge_id: str, moment: datetime) -> bool:
    """Whether a charge was the party's debt: after a transfer the old holder's may stay with them."""
    debtor = account.debtor_at(charge_id, moment)
    return debtor in (None, party.party_id) or party in party.world.person(debtor)


def _why_not(account: AccountFacts) -> str:
    reasons = dict.fromkeys(account.unsupported.values())
    return "; ".join(reasons) if reasons else "nothing was unpaid past its deadline"


def blacklist_removal(party: PartyFacts, measure: Measure) -> Iterator[Observation]:
    """See that each entry went in time after its debt was cleared or found void."""
    for added, entry in party.of(ev.BlacklistEntryAdded):
        removed = removal_of(party, added, entry)
        cleared = cleared_by(party, added, entry)
        if cleared is None:
            yield _uncleared(party, added, entry, measure)
            continue
        cleared_on, by = cleared
        deadline = working_days_after(cleared_on, measure.at(cleared_on, "working_days"))
        said = f"{entry.entry_id}: the debt ended on {cleared_on}, the entry had to go by {deadline}"
        evidence = party.world.names(added, by, removed)
        if removed is not None and party.day(removed) <= deadline:
            yield Observation("kept", cleared_on, said, evidence)
        elif removed is None and party.today <= deadline:
            yield Observation("undetermined", cleared_on, f"{said}; that day has not passed", evidence)
        else:
            absent = ("BlacklistEntryRemoved",) if removed is None else ()
            when = f"it went only on {party.day(removed)}" if removed else "it still stands"
            yield Observation("breach", cleared_on, f"{said}; {when}", evidence, absent)


def cleared_by(
    party: PartyFacts, added: Recorded, entry: ev.BlacklistEntryAdded
) -> tuple[date, Recorded] | None:
    """Return the day on which the entry's debt was cleared or found void, and the event that did it."""
    account = party.world.accounts.get(f"account/{entry.basis_account_id}")
    if account is None:
        return None
    steps = [r for r in account.history if isinstance(r.event.data, CLEARING)]
    steps += [r for r, d in party.of(ev.IdentityMisuseConfirmed) if _concerns(account, d)]
    steps.sort(key=lambda r: (counts_at(r), *across_streams(r)))
    before = [r for r in steps if counts_at(r) <= added.event.time]
    for recorded in [*before[-1:], *steps[len(before) :]]:
        moment = max(added.event.time, counts_at(recorded))
        void = next((r for r in before if isinstance(r.event.data, ev.IdentityMisuseConfirmed)), None)
        if void is not None or isinstance(recorded.event.data, ev.IdentityMisuseConfirmed):
            return day_of(moment, added.event.region), void or recorded
        owed = account.owed_at(moment, account.state.region, as_it_stood=True)
        if not owed.late_fee_fen and owed.past_due.arrears_since is None:
            return day_of(moment, added.event.region), recorded
    return None


CLEARING = (av.PaymentReceived, av.ChargeReversed, av.DebtWrittenOff, av.CreditGranted)
"""What may clear a debt."""


def counts_at(recorded: Recorded) -> datetime:
    """Return the moment from which an event clears a debt: a payment from the start of its value date."""
    event = recorded.event
    if isinstance(event.data, av.PaymentReceived):
        return start_of(event.data.value_date, event.region)
    return event.time


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which an account owed something overdue or a late fee, as the books stood then; `until` is exclusive.

    `cleared_at` is when `cleared_by` finds a debt of this time cleared: mostly its end. None: not yet.
    """

    since: datetime
    until: datetime | None
    cleared_at: datetime | None


def overdue_spells(account: AccountFacts) -> tuple[list[Spell], datetime | None]:
    """Return an account's overdue spells, and the first moment from which anything that may clear a debt counts.

    The same as asking `owed_at` of each moment, `as_it_stood`, in one pass. What is due some day and unpaid so far
    makes a spell that begins in the future.
    """
    clearing = {counts_at(r) for r in account.history if isinstance(r.event.data, CLEARING)}
    paid = Counter(d.payment_id for _, d in account.of(av.PaymentReceived))
    if any(paid[d.payment_id] > 1 for _, d in account.of(av.PaymentReversed)):
        return spells_one_by_one(account), min(
            clearing, default=None
        )  # which one bounced changes with the moment
    region = account.state.region
    books = Account("")
    found: list[Spell] = []
    since: datetime | None = None
    lapses: datetime | None = None  # the first moment at which something unpaid may become overdue
    steps = {
        m: [r for _, r in group] for m, group in groupby(_money_steps(account), key=lambda step: step[0])
    }
    for moment in sorted(steps.keys() | clearing):
        if since is None and lapses is not None and lapses < moment:
            lapses = _lapse(figures(books.books, day_of(moment, region)), region)
            since = lapses if lapses is not None and lapses < moment else None
        moves = steps.get(moment, [])  # none, where a payment that bounced would have counted
        account_fold.over(books, moves)
        lapses = min(filter(None, [lapses, *(_due(r, region) for r in moves)]), default=None)
        overdue = since is not None
        harmless = not books.books.fees and all(isinstance(r.event.data, HARMLESS) for r in moves)
        if overdue or not harmless or (lapses is not None and lapses <= moment):
            owed = figures(books.books, day_of(moment, region))
            overdue = bool(owed.late_fee_fen) or owed.past_due.arrears_since is not None
            lapses = _lapse(owed, region)
        if overdue:
            since = since or moment
        elif since is not None:
            found.append(Spell(since, moment, None))
            since = None
        if not overdue and moment in clearing:
            found = [s if s.cleared_at else replace(s, cleared_at=moment) for s in found]
    if since is None and lapses is not None:
        since = _lapse(figures(books.books, day_of(lapses, region)), region)
    if since is not None:
        found.append(Spell(since, None, None))
    return found, min(clearing, default=None)


def spells_one_by_one(account: AccountFacts) -> list[Spell]:
    """Return an account's overdue spells by asking the books anew of each moment that may begin or end one."""
    home = account.state.region
    clearing = {counts_at(r) for r in account.history if isinstance(r.event.data, CLEARING)}
    moments = {counts_at(r) for r in account.history} | {r.event.time for r in account.history}
    moments |= {start_of(d.due_on + timedelta(days=1), home) for _, d in account.of(av.ChargePosted)}
    since: datetime | None = None
    found: list[Spell] = []
    for moment in sorted(moments):
        owed = account.owed_at(moment, home, as_it_stood=True)
        if owed.late_fee_fen or owed.past_due.arrears_since is not None:
            since = since or moment
            continue
        if since is not None:
            found.append(Spell(since, moment, None))
            since = None
        if moment in clearing:
            found = [s if s.cleared_at else replace(s, cleared_at=moment) for s in found]
    return [*found, Spell(since, None, None)] if since is not None else found


HARMLESS = (av.ChargePosted, av.PaymentReceived, av.CreditGranted, av.DebtWrittenOff)
"""What makes nothing overdue at once where nothing is: a charge is due later, and more money only pays more.

Where there are late fees, a charge may: it takes the money they were paid with, as principal goes first.
"""


def _lapse(owed: Figures, region: str) -> datetime | None:
    """Return when the oldest unpaid charge is overdue."""
    return start_of(owed.open_items[0].due_on + timedelta(days=1), region) if owed.open_items else None


def _due(recorded: Recorded, region: str) -> datetime | None:
    """Return when a charge is overdue if it stays unpaid; None for what is no charge."""
    data = recorded.event.data
    return start_of(data.due_on + timedelta(days=1), region) if isinstance(data, av.ChargePosted) else None


def _money_steps(account: AccountFacts) -> list[tuple[datetime, Recorded]]:
    """Return what moved the sums, from when it counts: payments that bounced never did, reversals with their charge."""
    bounced = {p.event_id for p in account.state.books.payments.values() if p.reversed_by is not None}
    posted: dict[str, datetime] = {}
    for recorded, charge in account.of(av.ChargePosted):
        posted.setdefault(charge.charge_id, recorded.event.time)
    for recorded, fee in account.of(av.LateFeeAssessed):
        posted.setdefault(fee.fee_id, recorded.event.time)
    steps = []
    for recorded in account.history:
        data = recorded.event.data
        if isinstance(data, av.ChargeReversed):
            there = posted.get(data.charge_id or data.fee_id or "")
            if there is not None:
                steps.append((max(there, recorded.event.time), recorded))
        elif isinstance(data, av.PaymentReceived):
            if recorded.event.id not in bounced:
                steps.append((counts_at(recorded), recorded))
        elif isinstance(data, MONEY) and not isinstance(data, av.PaymentReversed):
            steps.append((recorded.event.time, recorded))
    return sorted(steps, key=lambda step: (step[0], across_streams(step[1])))


def removal_of(party: PartyFacts, added: Recorded, entry: ev.BlacklistEntryAdded) -> Recorded | None:
    """Return the removal of an entry, if there is one."""
    return next(
        (
            r
            for r, d in party.of(ev.BlacklistEntryRemoved)
            if d.entry_id == entry.entry_id and r.event.time >= added.event.time
        ),
        None,
    )


def _uncleared(
    party: PartyFacts, added: Recorded, entry: ev.BlacklistEntryAdded, measure: Measure
) -> Observation:
    """Return what is to be said of an entry whose debt has not been cleared."""
    removed = removal_of(party, added, entry)
    evidence = party.world.names(added, removed)
    day = party.day(added)
    years = min(measure.at(day, "retention_years"), YEARS_MAX)
    lapses_on = months_after(day, 12 * years)
    stood_until = party.day(removed) if removed else party.today
    if stood_until > lapses_on:
        said = f"its debt has not been cleared, and it stood for more than {years} years, past {lapses_on}"
        silent = f"{said}; the history does not say when the bad conduct ended"
        return Observation("undetermined", day, f"{entry.entry_id}: {silent}", evidence)
    said = "removed" if removed else "the debt it names has not been cleared"
    return Observation("kept", day, f"{entry.entry_id}: {said}", evidence)


def _concerns(account: AccountFacts, misuse: ev.IdentityMisuseConfirmed) -> bool:
    return any(
        n.number_id in misuse.numbers or n.registration_id in misuse.registration_ids
        for n in account.state.numbers.values()
    )


def working_days_after(day: date, count: int) -> date:
    """Return the day so many working days later: Monday to Friday, public holidays not known (assumed)."""
    while count > 0:
        day += timedelta(days=1)
        if day.weekday() < SATURDAY:
            count -= 1
    return day


def refusal_basis(party: PartyFacts, measure: Measure) -> Iterator[Observation]:
    """See that no service was refused on an entry that should not have been there."""
    basis = Measure(measure.book, "blacklist-basis")
    removal = Measure(measure.book, "blacklist-removal")
    for refused, data in party.of(ev.SignUpRefused):
        day = party.day(refused)
        if data.entry_id is None:
            if "blacklist" in data.reason.lower():
                yield Observation(
                    "undetermined", day, f"refused on {day} ({data.reason}); on which entry is not on record",
                    party.world.names(refused),
                )  # fmt: skip
            continue
        entries = [(r, d) for r, d in party.of(ev.BlacklistEntryAdded) if d.entry_id == data.entry_id]
        found = next((e for e in reversed(entries) if e[0].event.time <= refused.event.time), None)
        found = found or next(iter(entries), None)
        if found is None:
            yield Observation(
                "breach", day, f"refused on {day} on {data.entry_id}, which is not on record",
                party.world.names(refused), ("BlacklistEntryAdded",),
            )  # fmt: skip
            continue
        listed_on = party.day(found[0])
        verdict, said, _, _ = _basis(party, *found, basis)
        wrong = [said] if verdict == "breach" and measure.book.on("blacklist-basis", listed_on) else []
        removed = removal_of(party, *found)
        if refused.event.time < found[0].event.time:
            wrong.append(f"it was made only on {listed_on}")
        elif removed is not None and removed.event.time <= refused.event.time:
            wrong.append(f"it had been removed on {party.day(removed)}")
        cleared = cleared_by(party, *found)
        if cleared is not None:
            deadline = working_days_after(cleared[0], removal.at(cleared[0], "working_days"))
            if deadline < day and (removed is None or deadline < party.day(removed)):
                wrong.append(f"it should have gone by {deadline}")
        evidence = party.world.names(refused, found[0])
        if wrong:
            yield Observation(
                "breach", day, f"refused on {day} on {data.entry_id}: {'; '.join(wrong)}", evidence
            )
        elif verdict == "undetermined":
            yield Observation("undetermined", day, f"refused on {day} on {data.entry_id}: {said}", evidence)
        else:
            yield Observation(
                "kept", day, f"refused on {day} on {data.entry_id}, which stood rightly", evidence
            )
