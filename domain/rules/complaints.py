"""Rules on complaints: answered in time, promised before handled, explained clearly."""

from collections.abc import Iterator
from datetime import timedelta

from domain.calendar import day_of
from domain.events import case as ev
from domain.events.envelope import Recorded
from domain.rules.facts import CaseFacts, Measure
from domain.rules.finding import Observation


def complaint_answer(case: CaseFacts, measure: Measure) -> Iterator[Observation]:
    """See that the complaint was answered in time."""
    for received, _ in case.of(ev.ComplaintReceived):
        day = case.day(received)
        deadline = day + timedelta(days=measure.at(day, "days"))
        answers = (r for r, _ in case.of(ev.ComplaintAnswered) if r.event.time >= received.event.time)
        answered = next(answers, None)
        said = f"received on {day}, to be answered by {deadline}"
        evidence = case.world.names(received, answered)
        if answered is not None and case.day(answered) <= deadline:
            yield Observation("kept", day, f"{said}, answered on {case.day(answered)}", evidence)
        elif answered is None and case.today <= deadline:
            yield Observation("undetermined", day, f"{said}; that day has not passed", evidence)
        else:
            absent = ("ComplaintAnswered",) if answered is None else ()
            when = f"answered only on {case.day(answered)}" if answered else "not answered"
            yield Observation("breach", day, f"{said}, {when}", evidence, absent)


def commitment_first(case: CaseFacts, _measure: Measure) -> Iterator[Observation]:
    """See that a promise came before the handling, and that a missed promise's remedy was granted."""
    made = list(case.of(ev.CommitmentMade))
    started = next((r for r, _ in case.of(ev.HandlingStarted)), None)
    if started is not None:
        day = case.day(started)
        first = next((r for r, _ in made if r.event.recordedtime <= started.event.time), None)
        if first is not None:
            yield Observation(
                "kept", day, "a commitment was made before handling started", case.world.names(first, started)
            )
        else:
            yield Observation(
                "breach", day, f"handling started on {day} without a commitment",
                case.world.names(started, *(r for r, _ in made[:1])), ("CommitmentMade",),
            )  # fmt: skip
    for promised, commitment in made:
        yield _promise(case, promised, commitment)


def _promise(case: CaseFacts, promised: Recorded, commitment: ev.CommitmentMade) -> Observation:
    """Return what became of a promise: met in time, or missed and its remedy granted or not."""
    mine = commitment.commitment_id
    met = next((r for r, d in case.of(ev.CommitmentMet) if d.commitment_id == mine), None)
    lapsed = next((r for r, d in case.of(ev.CommitmentMissed) if d.commitment_id == mine), None)
    said = f"{mine}, due {commitment.due_at.isoformat()},"
    if lapsed is None and met is not None and met.event.time <= commitment.due_at:
        return Observation("kept", case.day(met), f"{said} was met", case.world.names(promised, met))
    due_on = day_of(commitment.due_at, promised.event.region)
    if lapsed is None and commitment.due_at > case.world.known_at:
        return Observation(
            "undetermined", due_on, f"{said} has time left", case.world.names(promised)
        )  # fmt: skip
    remedy = remedy_of(case, commitment, lapsed)
    evidence = case.world.names(promised, lapsed, met, remedy)
    day = case.day(lapsed) if lapsed else due_on
    if remedy is not None:
        return Observation("kept", day, f"{said} was missed, and its remedy was granted", evidence)
    missing = f"{said} was missed; its remedy ({commitment.remedy_if_missed}) was not granted"
    return Observation("breach", day, missing, evidence, ("RemedyGranted",))


def remedy_of(case: CaseFacts, commitment: ev.CommitmentMade, lapsed: Recorded | None) -> Recorded | None:
    """Return the remedy that was granted for a promise, should it be missed: for it by name, or for none after it."""
    since = min(commitment.due_at, lapsed.event.time) if lapsed else commitment.due_at
    return next(
        (
            r
            for r, d in case.of(ev.RemedyGranted)
            if d.commitment_id == commitment.commitment_id
            or (d.commitment_id is None and r.event.time >= since)
        ),
        None,
    )


def clear_explanation(case: CaseFacts, measure: Measure) -> Iterator[Observation]:
    """See that the customer was not sent from one to another, nor told things that were unclear."""
    contacts = list(case.of(ev.InteractionRecorded))
    if not contacts:
        return
    day = case.day(contacts[0][0])
    ends = [r.event.time for r, _ in [*case.of(ev.ComplaintAnswered), *case.of(ev.CaseClosed)]]
    resolved_at = min(ends, default=None)
    before = [(r, d) for r, d in contacts if resolved_at is None or r.event.time <= resolved_at]
    staff = dict.fromkeys(d.staff_id for _, d in before)
    unclear = [r for r, d in contacts if d.explained_clearly is False]
    limit = measure.at(day, "staff")
    wrong = []
    if len(staff) >= limit:
        wrong.append(f"{len(staff)} different staff spoke to the customer without a resolution")
    if unclear:
        wrong.append(f"{len(unclear)} contacts were marked as not clearly explained")
    shown = case.world.names(*(r for r, _ in contacts))
    if wrong:
        yield Observation(
            "breach", day, "; ".join(wrong), shown, () if case.state.owner_id else ("CaseAssigned",)
        )
        return
    said = f"{len(contacts)} contacts by {len(staff)} staff"
    told = any(d.explained_clearly is not None for _, d in contacts)
    if len(staff) > 1 and resolved_at is None and not case.state.owner_id and not told:
        silent = f"{said}, unresolved; neither who owns it nor whether anything was explained is on record"
        yield Observation("undetermined", day, silent, shown, ("CaseAssigned",))
    else:
        yield Observation("kept", day, said, shown)
