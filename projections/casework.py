"""What a case's stream has brought that is reported on: findings, penalties and corrective actions, each with its time.

The domain's state of a case says what stands; reports by period also need when. What came twice under one id stands as
it came last, and what ends or steps on an action that was never opened counts for nothing: as in the domain's fold.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.case import Case, fold
from domain.events import case as ev
from domain.events.envelope import Recorded


@dataclass(slots=True)
class Action:
    """A corrective action, the event that opened it, its steps with their times, and when it was closed."""

    opened: Recorded
    data: ev.CorrectiveActionOpened
    steps: list[tuple[str, datetime]] = field(default_factory=list)
    closed_at: datetime | None = None

    def done(self) -> list[dict[str, Any]]:
        """Return the steps as JSON: kind and done_at, in the order of the world."""
        return [{"kind": kind, "done_at": at} for kind, at in self.steps]


@dataclass(slots=True)
class Casework:
    """A case's state, and the events of it that reports are made of."""

    case: Case
    received: Recorded | None = None
    """The complaint, the first time it was made."""
    findings: dict[str, tuple[Recorded, ev.FindingRecorded]] = field(default_factory=dict)
    penalties: dict[str, tuple[Recorded, ev.PenaltyImposed]] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)

    def step(self, recorded: Recorded) -> None:
        """Take in an event, in the order of the world."""
        fold.step(self.case, recorded)
        match recorded.event.data:
            case ev.ComplaintReceived():
                self.received = self.received or recorded
            case ev.FindingRecorded() as data:
                self.findings[data.finding_id] = recorded, data
            case ev.PenaltyImposed() as data:
                self.penalties[data.penalty_id] = recorded, data
            case ev.CorrectiveActionOpened() as data:
                self.actions[data.action_id] = Action(recorded, data)
            case ev.CorrectiveActionStepCompleted() as data if data.action_id in self.actions:
                self.actions[data.action_id].steps.append((data.kind, recorded.event.time))
            case ev.CorrectiveActionClosed() as data if data.action_id in self.actions:
                action = self.actions[data.action_id]
                action.closed_at = action.closed_at or recorded.event.time
            case _:
                pass
