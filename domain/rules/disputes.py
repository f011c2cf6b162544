"""Rules on what must not go on: after a cancellation, and under a dispute hold; and whom a notice reached."""

from collections.abc import Iterator, Sequence

from domain.events import account as ev
from domain.events import party as pv
from domain.events.envelope import Recorded
from domain.rules.facts import RECURRING, AccountFacts, Measure
from domain.rules.finding import Observation


def cancellation(account: AccountFacts, _measure: Measure) -> Iterator[Observation]:
    """See that nothing was charged for time after a cancellation, and that the service ended on its day."""
    counted: set[tuple[str, str]] = set()
    asked = account.of(ev.CancellationRequested)
    for number, (requested, data) in enumerate(asked):
        effective = data.effective_from
        if any(account.day(later) <= effective for later, _ in asked[number + 1 :]):
            continue  # the customer named another day before this one came
        charged = [
            (r, d)
            for r, d in account.of(ev.ChargePosted)
            if d.period_start >= effective and for_a_period(d) and account.debt(r).standing_fen
        ]
        ended = next((r for r, _ in account.of(ev.ServiceTerminated)), None)
        wrong, absent = [], []
        if charged:
            wrong.append(f"{len(charged)} charges for time from then on")
        if account.today > effective and (ended is None or account.day(ended) > effective):
            wrong.append(f"the service ended on {account.day(ended)}" if ended else "the service did not end")
            absent += [] if ended else ["ServiceTerminated"]
        new = [r for r, _ in charged if (r.event.source, r.event.id) not in counted]
        counted |= {(r.event.source, r.event.id) for r in new}  # asked for twice, charged once
        amount_fen = sum(account.debt(r).standing_fen for r in new)
        evidence = account.world.names(requested, *(r for r, _ in charged), ended)
        said = f"cancelled from {effective}"
        if wrong:
            yield Observation(
                "breach", effective, f"{said}: {'; '.join(wrong)}", evidence, tuple(absent), amount_fen
            )
        elif account.today <= effective and ended is None:
            yield Observation("undetermined", effective, f"{said}; that day has not passed", evidence)
        else:
            yield Observation("kept", effective, f"{said}, and nothing went on", evidence)


def for_a_period(charge: ev.ChargePosted) -> bool:
    """Whether a charge is for time: equipment that was not given back may be charged after the end."""
    return charge.kind in RECURRING or charge.period_end > charge.period_start


def dispute_hold(account: AccountFacts, _measure: Measure) -> Iterator[Observation]:
    """See that nothing a standing hold forbids was done while it stood."""
    for placed, hold in account.of(ev.DisputeHoldPlaced):
        released = next((r for r, d in account.of(ev.DisputeHoldReleased) if d.hold_id == hold.hold_id), None)
        under = [
            r for r in _acts(account) if _between(placed, r, released) and _covers(hold, r, account, placed)
        ]
        doubtful = [r for r in under if _coverage_unknown(hold, r, account)]
        broken = [r for r in under if r not in doubtful]
        day = account.day(placed)
        evidence = account.world.names(placed, *(broken or doubtful), released)
        if broken:
            yield Observation(
                "breach", account.day(broken[0]), f"{hold.hold_id}: {_kinds(broken)} while it stood", evidence
            )
        elif doubtful:
            said = (
                f"{hold.hold_id}: {_kinds(doubtful)} while it stood; the charges it names are not on record"
            )
            yield Observation("undetermined", account.day(doubtful[0]), said, evidence, ("ChargePosted",))
        else:
            yield Observation("kept", day, f"{hold.hold_id} was respected", evidence)
    yield from _unplaced(account)


def _unplaced(account: AccountFacts) -> Iterator[Observation]:
    """Return what is to be said of holds of which only the release is on record, where something was done before."""
    placed = {d.hold_id for _, d in account.of(ev.DisputeHoldPlaced)}
    for released, data in account.of(ev.DisputeHoldReleased):
        acts = [r for r in _acts(account) if r.event.time < released.event.time]
        if data.hold_id not in placed and acts:
            said = f"{data.hold_id} was released; since when it stood and for what is not on record"
            yield Observation(
                "undetermined", account.day(released), f"{said}: {_kinds(acts)} came before its end",
                account.world.names(*acts, released), ("DisputeHoldPlaced",),
            )  # fmt: skip


def _kinds(acts: Sequence[Recorded]) -> str:
    return ", ".join(dict.fromkeys(r.event.type for r in acts))


def _acts(account: AccountFacts) -> Iterator[Recorded]:
    """Return what a hold may forbid: fees and suspensions of the account, blacklist entries resting on it."""
    account_id = account.subject.partition("/")[2]
    yield from (r for r, _ in account.of(ev.LateFeeAssessed))
    yield from (r for r, d in account.of(ev.ServiceSuspended) if d.reason == "arrears")
    for party in account.world.parties.values():
        yield from (r for r, d in party.of(pv.BlacklistEntryAdded) if d.basis_account_id == account_id)


def _between(placed: Recorded, act: Recorded, released: Recorded | None) -> bool:
    return placed.event.time <= act.event.time and (released is None or act.event.time < released.event.time)


def _covers(hold: ev.DisputeHoldPlaced, act: Recorded, account: AccountFacts, placed: Recorded) -> bool:
    """Whether a hold's scope forbids an act; a fee only for days from the hold on."""
    data = act.event.data
    match data:
        case ev.LateFeeAssessed():
            named = hold.charge_ids is None or data.charge_id in hold.charge_ids
            return "late_fee" in hold.scope and named and data.to > account.day(placed)
        case ev.ServiceSuspended():
            return "suspension" in hold.scope and _all_disputed(hold, act, account)
        case _:
            return "blacklist" in hold.scope and _all_disputed(hold, act, account)


def _all_disputed(hold: ev.DisputeHoldPlaced, act: Recorded, account: AccountFacts) -> bool:
    """Whether the hold covers everything that was overdue: what is not disputed may still be collected."""
    if hold.charge_ids is None:
        return True
    return all(charge_id in hold.charge_ids for charge_id in _overdue(act, account))


def _coverage_unknown(hold: ev.DisputeHoldPlaced, act: Recorded, account: AccountFacts) -> bool:
    """Whether an act was for arrears of which nothing is on record, under a hold on charges that are not either."""
    if hold.charge_ids is None or isinstance(act.event.data, ev.LateFeeAssessed):
        return False
    return not _overdue(act, account) and not set(hold.charge_ids) & account.state.books.charges.keys()


def _overdue(act: Recorded, account: AccountFacts) -> list[str]:
    """Return the charges that were overdue at an act."""
    day = account.day(act)
    owed = account.owed_at(act.event.time, account.state.region)
    return [i.charge_id for i in owed.open_items if i.due_on < day]


def notice_reach(account: AccountFacts, _measure: Measure) -> Iterator[Observation]:
    """See that what counts as delivered went to a contact point that was the party's own and still reached it."""
    attempted = {d.delivered.event.id for d in account.deliveries}
    for delivered, stray in account.of(ev.NoticeDelivered):
        if delivered.event.id not in attempted:
            yield Observation(
                "undetermined",
                account.day(delivered),
                f"{stray.notice_id} was delivered, but no attempt of it is on record",
                account.world.names(delivered),
                ("NoticeAttempted",),
            )
    for delivery in account.deliveries:
        day = account.day(delivery.delivered)
        evidence = account.world.names(delivery.attempted, delivery.delivered)
        name = f"{delivery.attempt.notice_id} ({delivery.attempt.purpose}, {delivery.attempt.channel})"
        match delivery.reach:
            case "reached":
                yield Observation("kept", day, f"{name} reached the party", evidence)
            case "astray":
                point = delivery.attempt.contact_point_id
                yield Observation(
                    "breach",
                    day,
                    f"{name} went to {point}, which was not the party's valid contact point",
                    evidence,
                )
            case _:
                yield Observation(
                    "undetermined",
                    day,
                    f"{name}: the history does not say which contact point it went to",
                    evidence,
                )
