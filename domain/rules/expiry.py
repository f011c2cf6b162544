"""Rules on annual packages: the choice at the sale, the reminders around the end, what may be charged after."""

from collections.abc import Iterator
from datetime import date, timedelta

from domain.calendar import day_of, start_of
from domain.events import account as ev
from domain.events.envelope import Recorded
from domain.rules.facts import AccountFacts, Delivery, Measure, Term
from domain.rules.finding import Observation

BROADBAND = "fixed_broadband"
UNKNOWN = ""


def _unknown_line(account: AccountFacts, recorded: Recorded) -> Observation:
    """Return that the history does not say whether an annual package is of broadband."""
    return Observation(
        "undetermined",
        account.day(recorded),
        "the history does not say which line of business the account is of",
        account.world.names(recorded),
        ("AccountOpened",),
    )


def expiry_choice(account: AccountFacts, _measure: Measure) -> Iterator[Observation]:
    """See that each annual broadband package was sold with the options shown and the customer's own choice."""
    line = account.state.line_of_business
    if line not in (BROADBAND, UNKNOWN):
        return
    for sold, package in account.of(ev.PackageSubscribed):
        if package.cycle != "annual":
            continue
        if line == UNKNOWN:
            yield _unknown_line(account, sold)
            continue
        moment = sold.event.time
        shown = account.presented_by(package.package_id, moment)
        choice = account.own_choice(package.package_id, moment)
        if shown is not None and choice is not None:
            yield Observation(
                "kept",
                account.day(sold),
                f"{package.package_id}: the customer chose {choice[1].option} among the three options",
                account.world.names(shown, choice[0], sold),
            )
            continue
        others = [r for r, d in account.of(ev.ExpiryOptionSelected) if d.package_id == package.package_id]
        absent = (["ExpiryOptionPresented"] if shown is None else []) + ["ExpiryOptionSelected"]
        yield Observation(
            "breach",
            account.day(sold),
            f"{package.package_id}: sold on {account.day(sold)} "
            + _instead(account, package.package_id, shown),
            account.world.names(*others, shown, sold),
            tuple(absent),
        )


def _instead(account: AccountFacts, package_id: str, shown: Recorded | None) -> str:
    """Return what happened instead of a presentation and the customer's own choice."""
    chosen = [d for _, d in account.of(ev.ExpiryOptionSelected) if d.package_id == package_id]
    presented = "with the options shown" if shown else "without the three options on record before"
    if not chosen:
        return f"{presented}, and no choice was recorded"
    return f"{presented}; {chosen[-1].option} was set by {chosen[-1].selected_by}"


def expiry_notice(account: AccountFacts, measure: Measure) -> Iterator[Observation]:
    """See that the customer was reached before and after each annual term's end."""
    for term in account.terms:
        if account.state.line_of_business == UNKNOWN:
            yield _unknown_line(account, term.began)
            continue
        if account.state.line_of_business != BROADBAND:
            return
        if term.end is None:
            yield Observation(
                "undetermined", account.day(term.began), f"{term.package_id}: no end is on record", (),
            )  # fmt: skip
            continue
        ended_before = any(account.day(r) < term.end for r, _ in account.of(ev.ServiceTerminated))
        if not ended_before:
            yield _reminders(account, term, term.end, measure)


def _reminders(account: AccountFacts, term: Term, end: date, measure: Measure) -> Observation:
    before_days, after_days = measure.at(end, "before_days"), measure.at(end, "after_days")
    channels = set(measure.at(end, "channels"))
    opens, closes = end - timedelta(days=before_days), end + timedelta(days=after_days)
    attempts = [
        (r, d)
        for r, d in account.of(ev.NoticeAttempted)
        if opens <= account.day(r) <= closes and d.package_id in (None, term.package_id)
    ]
    early = [(r, d) for r, d in attempts if account.day(r) < end and d.purpose in ("pre_expiry", "renewal")]
    late = [(r, d) for r, d in attempts if account.day(r) >= end and d.purpose == "post_expiry"]
    start = start_of(end, account.state.region)
    told_early = [d for d in _delivered(account, early) if d.delivered.event.recordedtime < start]
    told_late = [d for d in _delivered(account, late) if _known_on(d) <= closes]
    reached_early = [d for d in told_early if d.reach == "reached"]
    reached_late = [d for d in told_late if d.reach == "reached"]
    all_tried = channels <= {d.channel for _, d in early}
    asked = {d.notice_id for _, d in early + late}
    failed = [r for r, d in account.of(ev.NoticeFailed) if d.notice_id in asked]
    evidence = account.world.names(
        *(r for r, _ in early + late), *(d.delivered for d in told_early + told_late), *failed, term.began
    )
    before = _part(bool(reached_early) or all_tried, account.today < end or _silent(told_early))
    after = _part(bool(reached_late), account.today <= closes or _silent(told_late))
    said = (
        f"{term.package_id}, ended {end}: before it {len(early)} attempts, {len(reached_early)} delivered; "
        f"after it {len(late)} attempts, {len(reached_late)} delivered"
    )
    if "breach" in (before, after):
        untried = (before == "breach" and not all_tried) or (after == "breach" and not late)
        absent = ("NoticeAttempted", "NoticeDelivered") if untried else ("NoticeDelivered",)
        return Observation("breach", end, said, evidence, absent)
    if "undetermined" in (before, after):
        passed = account.today > closes
        why = (
            "which contact point it went to is not on record" if passed else "the time for it has not passed"
        )
        return Observation("undetermined", end, f"{said}; {why}", evidence)
    return Observation("kept", end, said, evidence)


def _part(done: bool, open_still: bool) -> str:  # noqa: FBT001 - two facts, one verdict
    return "kept" if done else "undetermined" if open_still else "breach"


def _delivered(account: AccountFacts, attempts: list[tuple[Recorded, ev.NoticeAttempted]]) -> list[Delivery]:
    wanted = {(r.event.source, r.event.id) for r, _ in attempts}
    return [
        d
        for d in account.deliveries
        if (d.attempted.event.source, d.attempted.event.id) in wanted and d.reach != "astray"
    ]


def _known_on(delivery: Delivery) -> date:
    """Return the day on which a delivery was on record: from then on it counts."""
    event = delivery.delivered.event
    return day_of(max(event.time, event.recordedtime), event.region)


def _silent(deliveries: list[Delivery]) -> bool:
    """Whether something was delivered of which the history does not say to whom."""
    return any(d.reach == "unknown" for d in deliveries)


def charge_basis(account: AccountFacts, _measure: Measure) -> Iterator[Observation]:
    """See that each charge for time after an annual term rests on the customer's own valid choice or request."""
    reversals: dict[str, list[Recorded]] = {}
    for recorded, data in account.of(ev.ChargeReversed):
        if data.charge_id:
            reversals.setdefault(data.charge_id, []).append(recorded)
    for posted, charge in account.of(ev.ChargePosted):
        term = account.after_term(charge, posted.event.source)
        if term is None:
            if account.carries_on_without_end(charge, posted.event.source):
                said = f"{charge.charge_id}: until when the year ran that it carries on is not on record"
                yield Observation("undetermined", account.day(posted), said, _ids(account, posted))
            continue
        reason = account.unsupported.get(charge.charge_id)
        standing_fen = account.debt(posted).standing_fen
        if reason is None:
            yield Observation(
                "kept", account.day(posted), "the customer's own choice carries it", _ids(account, posted)
            )
        elif not standing_fen:
            taken_back = account.world.names(posted, *reversals.get(charge.charge_id, []))
            yield Observation(
                "kept", account.day(posted), f"{charge.charge_id} was taken back in full", taken_back
            )
        else:
            yield Observation(
                "breach",
                account.day(posted),
                f"charges for time after {term.end}, the end of {term.package_id}: {reason}",
                account.world.names(posted),
                (),
                standing_fen,
            )


def _ids(account: AccountFacts, recorded: Recorded) -> tuple[str, ...]:
    basis = account.world.event(getattr(recorded.event.data, "basis_event_id", None), recorded.event.source)
    return account.world.names(recorded, basis)


def renewal_notice(account: AccountFacts, measure: Measure) -> Iterator[Observation]:
    """See that a prominent notice reached the customer in time before each automatic renewal."""
    region = account.state.region
    for renewed, data in account.of(ev.PackageRenewed):
        if renewed.event.actor.startswith("customer/") or _asked_for(account, renewed, data):
            continue  # they renewed it themselves
        latest = data.start - timedelta(days=measure.at(data.start, "days"))
        reached = [
            d
            for d in account.deliveries
            if d.attempt.purpose == "renewal"
            and d.reach == "reached"
            and d.attempt.package_id in (None, data.package_id)
            and _last_term_start(account, data) <= account.day(d.delivered) <= latest
            and d.delivered.event.recordedtime <= max(renewed.event.time, start_of(data.start, region))
        ]
        if reached:
            yield Observation(
                "kept", data.start, f"renewed from {data.start}, told by {latest}",
                account.world.names(reached[-1].attempted, reached[-1].delivered, renewed),
            )  # fmt: skip
        elif account.today <= latest:
            yield Observation(
                "undetermined", data.start, f"to be renewed from {data.start}: the notice may go out by {latest}",
                account.world.names(renewed),
            )  # fmt: skip
        else:
            yield Observation(
                "breach", data.start, f"renewed from {data.start} without a renewal notice delivered by {latest}",
                account.world.names(renewed), ("NoticeDelivered",),
            )  # fmt: skip


def _asked_for(account: AccountFacts, renewed: Recorded, renewal: ev.PackageRenewed) -> bool:
    """Whether the customer asked for the renewal once the term had ended: nothing renewed itself."""
    ends = [t.end for t in account.terms if t.package_id == renewal.package_id and t.start < renewal.start]
    ended = max((e for e in ends if e is not None), default=None)
    return ended is not None and any(
        d.package_id == renewal.package_id
        and d.selected_by == "customer"
        and d.option == "renew_annual"
        and account.day(r) >= ended
        and r.event.recordedtime <= renewed.event.time
        for r, d in account.of(ev.ExpiryOptionSelected)
    )


def _last_term_start(account: AccountFacts, renewal: ev.PackageRenewed) -> date:
    """Return when the term began that a renewal carries on: a notice from before it spoke of another one."""
    starts = (
        t.start for t in account.terms if t.package_id == renewal.package_id and t.start < renewal.start
    )
    return max(starts, default=date.min)
