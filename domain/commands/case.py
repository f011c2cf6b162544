"""What may be asked of a case: to take a complaint in, promise, handle, answer, find, and put right."""

from typing import Literal

from domain.commands.asking import Command, SomeIdentifiers, command
from domain.events import case as ev
from domain.events.fields import (
    AmountFen,
    Day,
    Flag,
    Identifier,
    Identifiers,
    Instant,
    Outcome,
    PersonalData,
    PositiveAmountFen,
    References,
    Text,
)


@command("case", route="complaint", opens=True, emits=(ev.ComplaintReceived,))
class ReceiveComplaint(Command):
    """Take a customer's complaint in."""

    party_id: Identifier
    account_ids: Identifiers
    category: Text
    summary: PersonalData
    answer_due_on: Day


@command("case", route="investigation", opens=True, emits=(ev.InvestigationOpened,))
class OpenInvestigation(Command):
    """Look into accounts, with or without a complaint."""

    party_id: Identifier | None = None
    account_ids: Identifiers
    reason: Text


@command("case", route="assignments", emits=(ev.CaseAssigned,))
class AssignCase(Command):
    """Give the case an owner."""

    owner_id: Identifier
    unit: Text


@command("case", route="evidence", emits=(ev.EvidenceAttached,))
class AttachEvidence(Command):
    """Add a document to the case, by its digest."""

    evidence_id: Identifier
    sha256: ev.Sha256Hex
    media_type: Text
    title: PersonalData


@command("case", route="interactions", emits=(ev.InteractionRecorded,))
class RecordInteraction(Command):
    """Record that a member of staff and the customer spoke."""

    staff_id: Identifier
    direction: Literal["inbound", "outbound"]
    summary: PersonalData
    explained_clearly: Flag | None = None


@command("case", route="commitments", emits=(ev.CommitmentMade,))
class MakeCommitment(Command):
    """Promise a solution, by when, and what is granted if it is missed."""

    commitment_id: Identifier
    solution: Text
    due_at: Instant
    remedy_if_missed: Text


@command("case", route="met-commitments", emits=(ev.CommitmentMet,))
class MeetCommitment(Command):
    """Record that a promise was kept."""

    commitment_id: Identifier


@command("case", route="missed-commitments", emits=(ev.CommitmentMissed,))
class MissCommitment(Command):
    """Record that a promise's time passed without it."""

    commitment_id: Identifier


@command("case", route="handlings", emits=(ev.HandlingStarted,))
class StartHandling(Command):
    """Begin to work on the case."""

    handler_id: Identifier


@command("case", route="answers", emits=(ev.ComplaintAnswered,))
class AnswerComplaint(Command):
    """Answer the complaint."""

    outcome: Outcome


@command("case", route="apologies", emits=(ev.ApologyIssued,))
class IssueApology(Command):
    """Apologise to the customer."""

    by: Text


@command("case", route="appeals", emits=(ev.AppealFiled,))
class FileAppeal(Command):
    """Record that the customer took it to another body."""

    body: Text


@command("case", route="appeal-decisions", emits=(ev.AppealDecided,))
class DecideAppeal(Command):
    """Record what that body decided."""

    decision: Literal["upheld", "rejected"]


@command("case", route="findings", emits=(ev.FindingRecorded,))
class RecordFinding(Command):
    """Put a finding under a version of a rule on the case."""

    finding_id: Identifier
    rule_id: Identifier
    rule_version: Text
    verdict: ev.Verdict
    evidence_event_ids: References
    amount_fen: AmountFen


@command("case", route="penalties", emits=(ev.PenaltyImposed,))
class ImposePenalty(Command):
    """Hold somebody to account for findings of this case."""

    penalty_id: Identifier
    subject_kind: ev.PenaltySubject
    subject_id: Identifier
    kind: ev.PenaltyKind
    amount_fen: AmountFen | None = None
    finding_ids: SomeIdentifiers


@command("case", route="remedies", emits=(ev.RemedyGranted,))
class GrantRemedy(Command):
    """Grant what puts it right."""

    account_id: Identifier | None = None
    kind: ev.RemedyKind
    commitment_id: Identifier | None = None
    amount_fen: PositiveAmountFen | None = None


@command("case", route="closures", emits=(ev.CaseClosed,))
class CloseCase(Command):
    """End the case."""

    outcome: Text


@command("case", route="corrective-actions", emits=(ev.CorrectiveActionOpened,))
class OpenCorrectiveAction(Command):
    """Set a problem behind the case to be put right by a day."""

    action_id: Identifier
    scope: ev.ActionScope
    title: Text
    root_cause: ev.RootCause
    due_on: Day


@command("case", route="corrective-action-steps", emits=(ev.CorrectiveActionStepCompleted,))
class CompleteCorrectiveActionStep(Command):
    """Record that one step of a corrective action was done."""

    action_id: Identifier
    kind: ev.StepKind


@command("case", route="corrective-action-closures", emits=(ev.CorrectiveActionClosed,))
class CloseCorrectiveAction(Command):
    """End a corrective action."""

    action_id: Identifier
