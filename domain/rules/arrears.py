"""Rules on arrears: late fees, when service may be suspended and ended, and when it has to come back."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from domain.account import late_fee_fen
from domain.account.money import LATE_FEE_PPM_DIVISOR
from domain.account.state import Hold
from domain.calendar import day_of, start_of
from domain.events import account as ev
from domain.events.envelope import Recorded
from domain.rules import windows
from domain.rules.facts import AccountFacts, Measure
from domain.rules.finding import Observation

ONE_DAY = timedelta(days=1)


# -- late-fee -----------------------------------------------------------------------------------------------


def late_fee(account: AccountFacts, measure: Measure) -> Iterator[Observation]:
    """See that each late fee is no more than the law allows on what was owed, day by day."""
    levied: dict[str, set[date]] = {}
    for assessed, fee in account.of(ev.LateFeeAssessed):
        standing_fen = account.debt(assessed).standing_fen
        days = levied.setdefault(fee.charge_id, set())
        allowed_fen, why = _allowed(account, assessed, fee, days, measure)
        if standing_fen:  # a fee that was taken back leaves its days open again
            days |= set(_days(fee.from_, fee.to))
        excess_fen = max(0, standing_fen - allowed_fen)
        evidence = account.world.names(assessed, account.posted.get(fee.charge_id))
        if excess_fen:
            yield Observation(
                "breach",
                account.day(assessed),
                f"late fee on {fee.charge_id}: {why}",
                evidence,
                (),
                excess_fen,
            )
        elif standing_fen and account.state.terms is None:
            said = f"late fee on {fee.charge_id}: from when the contract lets it run is not on record"
            yield Observation("undetermined", account.day(assessed), said, evidence, ("AccountOpened",))
        else:
            what = "stands" if standing_fen else "was taken back"
            yield Observation("kept", account.day(assessed), f"late fee on {fee.charge_id} {what}", evidence)


def _days(start: date, end: date) -> Iterator[date]:
    return (start + timedelta(days=n) for n in range((end - start).days))


def _allowed(
    account: AccountFacts, assessed: Recorded, fee: ev.LateFeeAssessed, levied: set[date], measure: Measure
) -> tuple[int, str]:
    """Return the lawful amount of a fee in fen, and why it is not more."""
    if fee.charge_id in account.unsupported:
        return 0, f"the charge has no basis ({account.unsupported[fee.charge_id]})"
    charge = account.state.books.charges.get(fee.charge_id)
    if charge is None:
        return 0, "no such charge is on record"
    if not charge.standing_fen:
        return 0, "the charge was reversed"
    terms = account.state.terms
    suspended = _suspended_after(account, charge.due_on)
    first = windows.late_fee_start(terms, charge.due_on, suspended) if terms else charge.due_on + ONE_DAY
    rate_ppm = measure.at(account.day(assessed), "rate_ppm")
    owed_days_fen = 0
    reasons: dict[str, None] = {}
    for day in _days(fee.from_, fee.to):
        reason = _no_fee(account, fee.charge_id, day, first, levied)
        if reason is None:
            unpaid_fen = account.unpaid_on(fee.charge_id, day)
            reason = "it was paid" if not unpaid_fen else None
            owed_days_fen += min(fee.base_fen, unpaid_fen)
        if reason is not None:
            reasons[reason] = None
    allowed_fen = owed_days_fen * rate_ppm // LATE_FEE_PPM_DIVISOR
    lawful_fen = late_fee_fen(fee.base_fen, rate_ppm, (fee.to - fee.from_).days)
    if not reasons and fee.amount_fen > lawful_fen:
        reasons["it is more than the rate allows"] = None
    return allowed_fen, "; ".join(reasons) or "more than was owed"


def _suspended_after(account: AccountFacts, due_on: date) -> date | None:
    """Return the day of the suspension for arrears that stood, or came, once a charge was past its deadline."""
    since: date | None = None
    for day, stopped in account.stops:
        if stopped:
            since = since or day
        elif day <= due_on + ONE_DAY:
            since = None
    return since


def _no_fee(
    account: AccountFacts, charge_id: str, day: date, first: date | None, levied: set[date]
) -> str | None:
    """Return why no fee may be levied for a day at all."""
    if first is None or day < first:
        return "its day had not come"
    if day in levied:
        return "that day was levied before"
    if any(h.covers("late_fee", charge_id) for h in holds_on(account, day)):
        return "a dispute hold covered it"
    return None


def holds_on(account: AccountFacts, day: date) -> Iterator[Hold]:
    """Return the holds that stood on a day."""
    region = account.state.region
    for hold in account.state.holds.values():
        if day_of(hold.placed_at, region) <= day:
            yield hold
    for hold, released_at in account.state.past_holds:
        if day_of(hold.placed_at, region) <= day < day_of(released_at, region):
            yield hold


# -- windows ------------------------------------------------------------------------------------------------


def suspension_window(account: AccountFacts, measure: Measure) -> Iterator[Observation]:
    """See that service was suspended for arrears only after its day had come."""
    terms = account.state.terms
    for suspended, data in account.of(ev.ServiceSuspended):
        if data.reason != "arrears":
            continue
        day = account.day(suspended)
        if terms is None:
            yield Observation(
                "undetermined", day, f"suspended on {day}; what the contract says is not on record",
                account.world.names(suspended), ("AccountOpened",),
            )  # fmt: skip
            continue
        oldest = next(iter(account.owed_at(suspended.event.time, account.state.region).open_items), None)
        if oldest is None or oldest.due_on >= day:
            yield Observation(
                "breach", day, f"suspended on {day} with nothing unpaid past its deadline",
                account.world.names(suspended),
            )  # fmt: skip
            continue
        earliest = windows.earliest_suspension(
            account.state.line_of_business, terms, oldest.due_on, measure.at(day, "fixed_line_days")
        )
        yield Observation(
            "kept" if day >= earliest else "breach",
            day,
            f"suspended on {day}, {(day - oldest.due_on).days} days past the deadline {oldest.due_on} of "
            f"{oldest.charge_id}; the first lawful day was {earliest}",
            account.world.names(suspended, account.posted.get(oldest.charge_id)),
        )


def termination_window(account: AccountFacts, measure: Measure) -> Iterator[Observation]:
    """See that service was ended for arrears only after it had been suspended, unpaid, for long enough."""
    for ended, data in account.of(ev.ServiceTerminated):
        if data.reason != "arrears":
            continue
        day = account.day(ended)
        suspended = _suspended_before(account, ended)
        if suspended is None:
            yield _never_suspended(account, ended)
            continue
        since = account.day(suspended)
        earliest = since + timedelta(days=measure.at(day, "days"))
        owed = account.owed_at(ended.event.time, account.state.region)
        overdue = bool(owed.past_due.arrears_since or owed.late_fee_fen)
        lawful = day >= earliest and overdue
        unpaid = "" if overdue else ", with nothing unpaid past its deadline"
        yield Observation(
            "kept" if lawful else "breach",
            day,
            f"ended on {day}, {(day - since).days} days after the suspension of {since}{unpaid}",
            account.world.names(suspended, ended),
        )


def _never_suspended(account: AccountFacts, ended: Recorded) -> Observation:
    """Return what is to be said of an end for arrears before which no suspension for them is on record."""
    day = account.day(ended)
    names = account.world.names
    before = account.history[: account.history.index(ended)]
    if not any(isinstance(r.event.data, ev.ServiceSuspended | ev.ServiceResumed) for r in before):
        if not account.of(ev.AccountOpened):
            said = f"ended on {day}; what was before the account's first event is not on record"
            return Observation("undetermined", day, said, names(ended), ("AccountOpened", "ServiceSuspended"))
        migrated = _begins_with_migration(before)
        if migrated is not None:
            said = f"ended on {day}; whether the system it came from had suspended it is not on record"
            return Observation("undetermined", day, said, names(migrated, ended), ("ServiceSuspended",))
    said = f"ended on {day} without having been suspended for arrears"
    return Observation("breach", day, said, names(ended), ("ServiceSuspended",))


def _begins_with_migration(history: Sequence[Recorded]) -> Recorded | None:
    """Return the migration with which an account's history begins: nothing came along of what was before."""
    first = next((r for r in history if not isinstance(r.event.data, ev.AccountOpened)), None)
    return first if first is not None and isinstance(first.event.data, ev.AccountMigrated) else None


def _suspended_before(account: AccountFacts, ended: Recorded) -> Recorded | None:
    """Return the suspension for arrears in which the account was when it was ended."""
    found = None
    for recorded in account.history:
        data = recorded.event.data
        if recorded is ended:
            return found
        if isinstance(data, ev.ServiceSuspended) and data.reason == "arrears":
            found = found or recorded  # one way first, then both: one suspension
        elif isinstance(data, ev.ServiceResumed):
            found = None
    return found


def restore_within(account: AccountFacts, measure: Measure) -> Iterator[Observation]:
    """See that service came back in time after arrears and late fees had been paid in full."""
    terms = account.state.terms
    suspended: Recorded | None = None
    for recorded in account.history:
        data = recorded.event.data
        if isinstance(data, ev.ServiceSuspended):
            suspended = recorded if data.reason == "arrears" else None
        elif isinstance(data, ev.ServiceResumed | ev.ServiceTerminated):
            suspended = None
        elif isinstance(data, ev.PaymentReceived) and suspended is not None:
            counts_at = max(recorded.event.time, start_of(data.value_date, recorded.event.region))
            owed = account.owed_at(counts_at, account.state.region)
            if not owed.late_fee_fen and owed.past_due.arrears_since is None:
                hours = measure.at(account.day(recorded), "hours")
                hours = min(terms.restore_hours, hours) if terms else hours
                yield _restored(account, suspended, recorded, counts_at + timedelta(hours=hours), hours)
                suspended = None


def _restored(
    account: AccountFacts, suspended: Recorded, paid: Recorded, deadline: datetime, hours: int
) -> Observation:
    day = account.day(paid)
    back = next((r for r, _ in account.of(ev.ServiceResumed) if r.event.time >= paid.event.time), None)
    said = f"paid in full on {paid.event.time.isoformat()}, {hours} hours to restore"
    evidence = account.world.names(suspended, paid, back)
    if back is not None and back.event.time <= deadline:
        return Observation("kept", day, f"{said}, back on {back.event.time.isoformat()}", evidence)
    if back is None and account.world.known_at <= deadline:
        return Observation("undetermined", day, f"{said}; they have not passed", evidence)
    absent = ("ServiceResumed",) if back is None else ()
    when = f"back only on {back.event.time.isoformat()}" if back else "not back"
    return Observation("breach", day, f"{said}, {when}", evidence, absent)
