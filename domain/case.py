"""A case: a complaint or an investigation, what was promised, found, done and granted."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from domain.events import case as ev
from domain.events.envelope import Recorded
from domain.fold import Fold


@dataclass(slots=True)
class Commitment:
    """A promise made to the customer."""

    commitment_id: str
    solution: str
    due_at: datetime
    remedy_if_missed: str
    status: Literal["open", "met", "missed"] = "open"
    remedy_granted: bool = False


@dataclass(slots=True)
class CorrectiveAction:
    """A problem behind the case that is to be put right."""

    action_id: str
    title: str
    scope: str
    root_cause: str
    due_on: date
    steps: list[str] = field(default_factory=list)
    closed: bool = False


@dataclass(slots=True)
class Case:
    """One dispute, seen by everybody who works on it."""

    case_id: str
    region: str = ""
    opened: bool = False
    complaint_event_id: str | None = None
    investigated: bool = False
    party_id: str | None = None
    account_ids: tuple[str, ...] = ()
    category: str | None = None
    answer_due_on: date | None = None
    owner_id: str | None = None
    unit: str | None = None
    handling_since: datetime | None = None
    answered: str | None = None
    answered_at: datetime | None = None
    closed: str | None = None
    closed_at: datetime | None = None
    interactions: list[dict[str, Any]] = field(default_factory=list)
    commitments: dict[str, Commitment] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    penalties: dict[str, dict[str, Any]] = field(default_factory=dict)
    remedies: list[dict[str, Any]] = field(default_factory=list)
    actions: dict[str, CorrectiveAction] = field(default_factory=dict)
    apologies: list[str] = field(default_factory=list)
    appeals: list[str] = field(default_factory=list)
    appeal_decisions: list[str] = field(default_factory=list)
    unmatched_event_ids: list[str] = field(default_factory=list)


fold: Fold[Case] = Fold("case")


def _open(s: Case, r: Recorded, party_id: str | None, account_ids: tuple[str, ...]) -> None:
    s.opened, s.region = True, r.event.region
    s.party_id = party_id or s.party_id
    s.account_ids = tuple(dict.fromkeys((*s.account_ids, *account_ids)))


@fold.on(ev.ComplaintReceived)
def _complaint(s: Case, r: Recorded, d: ev.ComplaintReceived) -> None:
    _open(s, r, d.party_id, d.account_ids)
    s.complaint_event_id, s.category, s.answer_due_on = r.event.id, d.category, d.answer_due_on


@fold.on(ev.InvestigationOpened)
def _investigation(s: Case, r: Recorded, d: ev.InvestigationOpened) -> None:
    _open(s, r, d.party_id, d.account_ids)
    s.investigated = True


@fold.on(ev.CaseAssigned)
def _assigned(s: Case, _r: Recorded, d: ev.CaseAssigned) -> None:
    s.owner_id, s.unit = d.owner_id, d.unit


@fold.on(ev.EvidenceAttached)
def _evidence(s: Case, _r: Recorded, d: ev.EvidenceAttached) -> None:
    s.evidence[d.evidence_id] = d.sha256


@fold.on(ev.InteractionRecorded)
def _interaction(s: Case, r: Recorded, d: ev.InteractionRecorded) -> None:
    s.interactions.append(
        {
            "at": r.event.time,
            "staff_id": d.staff_id,
            "direction": d.direction,
            "explained_clearly": d.explained_clearly,
        }
    )


@fold.on(ev.CommitmentMade)
def _commitment(s: Case, _r: Recorded, d: ev.CommitmentMade) -> None:
    s.commitments[d.commitment_id] = Commitment(d.commitment_id, d.solution, d.due_at, d.remedy_if_missed)


def _kept(s: Case, r: Recorded, commitment_id: str, status: Literal["met", "missed"]) -> None:
    if commitment := s.commitments.get(commitment_id):
        commitment.status = status
    else:
        s.unmatched_event_ids.append(r.event.id)


@fold.on(ev.CommitmentMet)
def _met(s: Case, r: Recorded, d: ev.CommitmentMet) -> None:
    _kept(s, r, d.commitment_id, "met")


@fold.on(ev.CommitmentMissed)
def _missed(s: Case, r: Recorded, d: ev.CommitmentMissed) -> None:
    _kept(s, r, d.commitment_id, "missed")


@fold.on(ev.HandlingStarted)
def _handling(s: Case, r: Recorded, _d: ev.HandlingStarted) -> None:
    s.handling_since = s.handling_since or r.event.time


@fold.on(ev.ComplaintAnswered)
def _answered(s: Case, r: Recorded, d: ev.ComplaintAnswered) -> None:
    s.answered, s.answered_at = d.outcome, r.event.time


@fold.on(ev.ApologyIssued)
def _apology(s: Case, _r: Recorded, d: ev.ApologyIssued) -> None:
    s.apologies.append(d.by)


@fold.on(ev.AppealFiled)
def _appeal(s: Case, _r: Recorded, d: ev.AppealFiled) -> None:
    s.appeals.append(d.body)


@fold.on(ev.AppealDecided)
def _appeal_decided(s: Case, _r: Recorded, d: ev.AppealDecided) -> None:
    s.appeal_decisions.append(d.decision)


@fold.on(ev.FindingRecorded)
def _finding(s: Case, _r: Recorded, d: ev.FindingRecorded) -> None:
    s.findings[d.finding_id] = {
        "finding_id": d.finding_id,
        "rule_id": d.rule_id,
        "rule_version": d.rule_version,
        "verdict": d.verdict,
        "amount_fen": d.amount_fen,
    }


@fold.on(ev.PenaltyImposed)
def _penalty(s: Case, _r: Recorded, d: ev.PenaltyImposed) -> None:
    s.penalties[d.penalty_id] = {
        "penalty_id": d.penalty_id,
        "subject_kind": d.subject_kind,
        "subject_id": d.subject_id,
        "kind": d.kind,
        "amount_fen": d.amount_fen,
        "finding_ids": list(d.finding_ids),
    }


@fold.on(ev.RemedyGranted)
def _remedy(s: Case, r: Recorded, d: ev.RemedyGranted) -> None:
    s.remedies.append(
        {"kind": d.kind, "account_id": d.account_id, "amount_fen": d.amount_fen, "event_id": r.event.id}
    )
    if d.commitment_id in s.commitments:
        s.commitments[d.commitment_id].remedy_granted = True


@fold.on(ev.CaseClosed)
def _closed(s: Case, r: Recorded, d: ev.CaseClosed) -> None:
    s.closed, s.closed_at = d.outcome, r.event.time


@fold.on(ev.CorrectiveActionOpened)
def _action(s: Case, _r: Recorded, d: ev.CorrectiveActionOpened) -> None:
    s.actions[d.action_id] = CorrectiveAction(d.action_id, d.title, d.scope, d.root_cause, d.due_on)


@fold.on(ev.CorrectiveActionStepCompleted)
def _step(s: Case, r: Recorded, d: ev.CorrectiveActionStepCompleted) -> None:
    if action := s.actions.get(d.action_id):
        action.steps.append(d.kind)
    else:
        s.unmatched_event_ids.append(r.event.id)


@fold.on(ev.CorrectiveActionClosed)
def _action_closed(s: Case, r: Recorded, d: ev.CorrectiveActionClosed) -> None:
    if action := s.actions.get(d.action_id):
        action.closed = True
    else:
        s.unmatched_event_ids.append(r.event.id)


def case_view(case: Case) -> dict[str, Any]:
    """Return the case's state; summaries and titles are personal data and stay out."""
    return {
        "case_id": case.case_id,
        "status": "closed" if case.closed_at else "answered" if case.answered_at else "open",
        "party_id": case.party_id,
        "account_ids": list(case.account_ids),
        "category": case.category,
        "answer_due_on": case.answer_due_on,
        "owner_id": case.owner_id,
        "unit": case.unit,
        "handling_since": case.handling_since,
        "answered": case.answered,
        "answered_at": case.answered_at,
        "outcome": case.closed,
        "closed_at": case.closed_at,
        "interactions": case.interactions,
        "commitments": [
            {
                "commitment_id": c.commitment_id,
                "solution": c.solution,
                "due_at": c.due_at,
                "remedy_if_missed": c.remedy_if_missed,
                "status": c.status,
                "remedy_granted": c.remedy_granted,
            }
            for c in case.commitments.values()
        ],
        "findings": list(case.findings.values()),
        "penalties": list(case.penalties.values()),
        "remedies": case.remedies,
        "corrective_actions": [
            {
                "action_id": a.action_id,
                "title": a.title,
                "scope": a.scope,
                "root_cause": a.root_cause,
                "due_on": a.due_on,
                "steps": a.steps,
                "closed": a.closed,
            }
            for a in case.actions.values()
        ],
        "evidence": [{"evidence_id": k, "sha256": v} for k, v in case.evidence.items()],
        "apologies": case.apologies,
        "appeals": case.appeals,
        "appeal_decisions": case.appeal_decisions,
        "unmatched_event_ids": case.unmatched_event_ids,
    }
