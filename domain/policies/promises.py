"""What the calendar makes due in a case: promises that pass their time, remedies for them, answers."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from domain.calendar import day_of
from domain.case import Case
from domain.commands import case as cmd
from domain.policies.due import Due, Order, Task

ANSWER_AHEAD_DAYS = 3
"""How long before its last day an answer that is owed is named."""


def commitments_due(case: Case, moment: datetime) -> Iterator[Due]:
    """Name the promises whose time has passed at a moment, and the remedies that are owed for missed ones."""
    subject = f"case/{case.case_id}"
    for commitment in case.commitments.values():
        if commitment.status == "open" and commitment.due_at <= moment:
            yield Order(subject, cmd.MissCommitment(commitment_id=commitment.commitment_id))
        elif commitment.status == "missed" and not commitment.remedy_granted:
            what = f"{commitment.commitment_id} was missed: grant what was promised for that"
            yield Task("remedy_due", subject, what, day_of(commitment.due_at, case.region))


def answers_due(case: Case, day: date) -> Iterator[Due]:
    """Name a complaint whose answer is due soon, or late."""
    due_on = case.answer_due_on
    if case.complaint_event_id is None or case.answered is not None or case.closed_at is not None:
        return
    if due_on is not None and day >= due_on - timedelta(days=ANSWER_AHEAD_DAYS):
        yield Task(
            "complaint_answer_due", f"case/{case.case_id}", "the complaint is not answered yet", due_on
        )
