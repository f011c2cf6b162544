"""cases: complaints and investigations, when they were answered and closed, and what was promised in them.

What a promise came to is measured as the rule commitment-first measures it; whether an open one is missed by now, and
by when a complaint had to be answered, is counted when read.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from psycopg.sql import SQL

from domain.calendar import day_of
from domain.events import case as ev
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.queries import queries
from domain.replay import replay
from domain.rules.complaints import remedy_of
from domain.rules.facts import CaseFacts
from projections.engine import Rows, Seen, Table, Tables, question_of, reading
from projections.facts import FactsModel, Kept, facts_of, measures, region_of, rulebook
from projections.paging import Column, Part, page

Q = queries("projections.sql", "cases.sql")
TIMES = SQL("WITH listed AS ({}) {}").format(Q["cases"], Q["times"])


class CaseRow(NamedTuple):
    """A case. Days count from the complaint, where there is none from the first event."""

    subject: str
    case_id: str
    region: str
    kind: str
    category: str | None
    channel: str
    party_id: str | None
    account_ids: list[str]
    owner_id: str | None
    unit: str | None
    received_at: datetime
    received_on: date
    answer_due_on: date | None
    handling_since: datetime | None
    answered_on: date | None
    answer: str | None
    closed_on: date | None
    outcome: str | None
    days_to_answer: int | None
    days_to_close: int | None
    contacts: int
    staff: int
    unclear_contacts: int
    appeals: int
    appeals_decided: int
    appeals_upheld: int
    remedies: int
    apologies: int


class Promise(NamedTuple):
    """A commitment, and what is on record of it. `remedy_at` is when the remedy of missing it was granted."""

    subject: str
    version: int
    case_id: str
    commitment_id: str
    region: str
    unit: str | None
    owner_id: str | None
    channel: str
    party_id: str | None
    solution: str
    remedy_if_missed: str
    made_at: datetime
    made_before_handling: bool
    due_at: datetime
    met_at: datetime | None
    missed_at: datetime | None
    remedy_at: datetime | None


class Cases(FactsModel):
    """The model, as the engine moves it."""

    name = "cases"
    version = 1
    for_billing = False  # about people and conduct: nothing a bill is made of
    kinds = frozenset({"case"})
    tables = (Table("conduct_case", CaseRow), Table("promise", Promise))

    def rows(self, state: Kept, seen: Seen) -> Rows:
        """Return the case's row and those of its commitments."""
        facts = facts_of(state, seen)
        assert isinstance(facts, CaseFacts)
        if not facts.state.opened:
            return Rows({})
        return Rows(
            {"conduct_case": [_case(facts, seen.subject)], "promise": list(_promises(facts, seen.subject))}
        )

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the rows, whatever the case's replay says of it taken from there."""
        tables = super().expected(history, seen, region)
        if not tables:
            return tables
        state = replay(question_of(seen, region), {seen.subject: history})["state"]
        row: CaseRow = tables["conduct_case"][0]  # type: ignore[assignment]
        contacts = state["interactions"]
        closed = _day(state["closed_at"], region)
        counted = row._replace(
            category=state["category"],
            party_id=state["party_id"],
            account_ids=state["account_ids"],
            owner_id=state["owner_id"],
            unit=state["unit"],
            answer=state["answered"],
            closed_on=closed,
            outcome=state["outcome"],
            days_to_close=(closed - row.received_on).days if closed else None,
            contacts=len(contacts),
            staff=len({c["staff_id"] for c in contacts}),
            unclear_contacts=sum(c["explained_clearly"] is False for c in contacts),
            appeals=len(state["appeals"]),
            appeals_decided=len(state["appeal_decisions"]),
            remedies=len(state["remedies"]),
            apologies=len(state["apologies"]),
        )
        return {**tables, "conduct_case": [counted]}


def _day(text: str | None, region: str) -> date | None:
    return day_of(datetime.fromisoformat(text), region) if text else None


def _case(case: CaseFacts, subject: str) -> CaseRow:
    state = case.state
    complaints = case.of(ev.ComplaintReceived)
    received = complaints[0][0] if complaints else case.of(ev.InvestigationOpened)[0][0]
    since = case.day(received)
    answers = (r for r, _ in case.of(ev.ComplaintAnswered) if r.event.time >= received.event.time)
    answered_on = next((case.day(r) for r in answers), None)
    closings = case.of(ev.CaseClosed)
    closed_on = case.day(closings[-1][0]) if closings else None
    contacts = [d for _, d in case.of(ev.InteractionRecorded)]
    return CaseRow(
        subject=subject,
        case_id=state.case_id,
        region=region_of(case),
        kind="complaint" if complaints else "investigation",
        category=state.category,
        channel=received.event.channel,
        party_id=state.party_id,
        account_ids=list(state.account_ids),
        owner_id=state.owner_id,
        unit=state.unit,
        received_at=received.event.time,
        received_on=since,
        answer_due_on=complaints[0][1].answer_due_on if complaints else None,
        handling_since=state.handling_since,
        answered_on=answered_on,
        answer=state.answered,
        closed_on=closed_on,
        outcome=state.closed,
        days_to_answer=(answered_on - since).days if answered_on else None,
        days_to_close=(closed_on - since).days if closed_on else None,
        contacts=len(contacts),
        staff=len({d.staff_id for d in contacts}),
        unclear_contacts=sum(d.explained_clearly is False for d in contacts),
        appeals=len(state.appeals),
        appeals_decided=len(state.appeal_decisions),
        appeals_upheld=sum(d == "upheld" for d in state.appeal_decisions),
        remedies=len(state.remedies),
        apologies=len(state.apologies),
    )


def _promises(case: CaseFacts, subject: str) -> Iterator[Promise]:
    started = next((r for r, _ in case.of(ev.HandlingStarted)), None)
    channel = next((r.event.channel for r, _ in case.of(ev.ComplaintReceived)), None)
    for made, data in case.of(ev.CommitmentMade):
        mine = data.commitment_id
        met = next((r for r, d in case.of(ev.CommitmentMet) if d.commitment_id == mine), None)
        lapsed = next((r for r, d in case.of(ev.CommitmentMissed) if d.commitment_id == mine), None)
        remedy = remedy_of(case, data, lapsed)
        yield Promise(
            subject=subject,
            version=made.version,
            case_id=case.state.case_id,
            commitment_id=mine,
            region=region_of(case),
            unit=case.state.unit,
            owner_id=case.state.owner_id,
            channel=channel or made.event.channel,
            party_id=case.state.party_id,
            solution=data.solution,
            remedy_if_missed=data.remedy_if_missed,
            made_at=made.event.time,
            made_before_handling=started is None or made.event.recordedtime <= started.event.time,
            due_at=data.due_at,
            met_at=met.event.time if met else None,
            missed_at=lapsed.event.time if lapsed else None,
            remedy_at=remedy.event.time if remedy else None,
        )


# -- reading ------------------------------------------------------------------------------------------------

KEY = (Column("case_id"),)
SORTS = (
    Column("received_on", "date"),
    Column("must_answer_by", "date"),
    Column("days_open", "bigint"),
    Column("days_to_answer", "bigint"),
    Column("days_to_close", "bigint"),
    Column("contacts", "bigint"),
    Column("case_id"),
)
PROMISE_KEY = (Column("case_id"), Column("version", "bigint"))
PROMISE_SORTS = (Column("due_at", "timestamptz"), Column("made_at", "timestamptz"), Column("case_id"))


def _given(ledger: Ledger, today: date, wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {**measures(rulebook(ledger), "complaint-answer", ("days",)), "today": today, **wanted}


def cases(ledger: Ledger, today: date, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of cases as they read on a day.

    `wanted` has city, unit, channel, category, party_id, status, answer, received_since and received_before, each
    None where it does not matter.
    """
    given = _given(ledger, today, wanted)
    return reading(ledger, Cases.name, lambda c: page(c, Q["cases"], given, *part))


def times(ledger: Ledger, today: date, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return by unit and channel how many complaints came, and the median and 90th percentile of days they took.

    Takes what `cases` takes; bounded by the number of units and channels, 1,000 lines at most.
    """
    given = _given(ledger, today, wanted)

    def ask(connection: Any) -> list[dict[str, Any]]:
        found = connection.execute(TIMES, given)
        names = [column.name for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return reading(ledger, Cases.name, ask)


def commitments(ledger: Ledger, now: datetime, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of commitments as they read at a moment: `wanted` has city, unit, channel, case_id and status."""
    given = {"now": now, **wanted}
    return reading(ledger, Cases.name, lambda c: page(c, Q["commitments"], given, *part))
