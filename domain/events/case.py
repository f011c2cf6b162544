"""case/: a complaint, and the investigation, commitments, findings and remedies that follow."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from domain.events.fields import (
    AmountFen,
    Day,
    Flag,
    Identifier,
    Identifiers,
    Instant,
    Outcome,
    Payload,
    PersonalData,
    References,
    Text,
    event,
)

Sha256Hex = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
Verdict = Literal["breach", "kept", "not_applicable", "undetermined"]
PenaltySubject = Literal["manager", "staff", "dealer", "department"]
PenaltyKind = Literal["accountability", "warning", "pay_deduction", "fine", "blocking"]
RemedyKind = Literal["refund", "reversal", "blacklist_removal", "number_cancellation", "other"]
ActionScope = Literal["store", "city", "province", "national"]
RootCause = Literal["rule", "execution", "system"]
StepKind = Literal["review", "contingency_plan", "rectification", "training", "inspection", "reward_penalty"]


@event("case", opens=True)
class ComplaintReceived(Payload):
    """A customer complained; an answer is due by the end of `answer_due_on`."""

    party_id: Identifier
    account_ids: Identifiers
    category: Text
    summary: PersonalData
    answer_due_on: Day


@event("case", opens=True)
class InvestigationOpened(Payload):
    """Somebody looks into accounts, with or without a complaint."""

    party_id: Identifier | None = None
    account_ids: Identifiers
    reason: Text


@event("case")
class CaseAssigned(Payload):
    """The case has an owner."""

    owner_id: Identifier
    unit: Text


@event("case")
class EvidenceAttached(Payload):
    """A document joined the case, known by its digest."""

    evidence_id: Identifier
    sha256: Sha256Hex
    media_type: Text
    title: PersonalData


@event("case")
class InteractionRecorded(Payload):
    """A member of staff and the customer spoke."""

    staff_id: Identifier
    direction: Literal["inbound", "outbound"]
    summary: PersonalData
    explained_clearly: Flag | None = None


@event("case")
class CommitmentMade(Payload):
    """A promise: a solution, by when, and what is granted if it is missed."""

    commitment_id: Identifier
    solution: Text
    due_at: Instant
    remedy_if_missed: Text


@event("case")
class CommitmentMet(Payload):
    """The promise was kept."""

    commitment_id: Identifier


@event("case")
class CommitmentMissed(Payload):
    """The promise's time passed without it."""

    commitment_id: Identifier


@event("case")
class HandlingStarted(Payload):
    """Work on the case began."""

    handler_id: Identifier


@event("case")
class ComplaintAnswered(Payload):
    """The complaint was answered."""

    outcome: Outcome


@event("case")
class ApologyIssued(Payload):
    """Somebody apologised to the customer."""

    by: Text


@event("case")
class AppealFiled(Payload):
    """The customer took it to another body."""

    body: Text


@event("case")
class AppealDecided(Payload):
    """That body decided."""

    decision: Literal["upheld", "rejected"]


@event("case")
class FindingRecorded(Payload):
    """A finding under a version of a rule was put on the case."""

    finding_id: Identifier
    rule_id: Identifier
    rule_version: Text
    verdict: Verdict
    evidence_event_ids: References
    amount_fen: AmountFen


@event("case")
class PenaltyImposed(Payload):
    """Somebody was held to account, tied to findings."""

    penalty_id: Identifier
    subject_kind: PenaltySubject
    subject_id: Identifier
    kind: PenaltyKind
    amount_fen: AmountFen | None = None
    finding_ids: Identifiers


@event("case")
class RemedyGranted(Payload):
    """What puts it right was granted."""

    account_id: Identifier | None = None
    kind: RemedyKind
    commitment_id: Identifier | None = None
    amount_fen: AmountFen | None = None


@event("case")
class CaseClosed(Payload):
    """The case ended."""

    outcome: Text


@event("case")
class CorrectiveActionOpened(Payload):
    """A problem behind the case is to be put right by a day."""

    action_id: Identifier
    scope: ActionScope
    title: Text
    root_cause: RootCause
    due_on: Day


@event("case")
class CorrectiveActionStepCompleted(Payload):
    """One step of a corrective action was done."""

    action_id: Identifier
    kind: StepKind


@event("case")
class CorrectiveActionClosed(Payload):
    """The corrective action ended."""

    action_id: Identifier
