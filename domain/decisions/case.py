"""Decisions on a case: taken in, promised, handled, answered, found, closed, and put right.

After a case is closed, what others decide of it (an appeal) and what follows from it (remedies, penalties,
corrective actions) still comes.
"""

from domain.case import Case, Commitment, CorrectiveAction
from domain.commands import case as cmd
from domain.commands.asking import to_event
from domain.decisions.hearing import Decisions, Hearing, the
from domain.events import case as ev
from domain.refusals import Code, refuse
from domain.rules.windows import COMMITMENT_FIRST_FROM

decisions: Decisions[Case] = Decisions()

CLOSED = ("closed",)

# -- how a case begins --------------------------------------------------------------------------------------


def _check_party(s: Case, party_id: str | None) -> None:
    """Refuse where a complaint and an investigation that share a case are about two parties."""
    if s.party_id is not None and party_id is not None and s.party_id != party_id:
        refuse(
            Code.CASE_OTHER_PARTY,
            f"The case {s.case_id} is about the party {s.party_id}: open another for {party_id}.",
            party_id=s.party_id,
        )


@decisions.on(cmd.ReceiveComplaint, joins=True)
def _complaint(_h: Hearing, s: Case, c: cmd.ReceiveComplaint) -> ev.ComplaintReceived:
    if s.complaint_event_id is not None:
        refuse(
            Code.COMPLAINT_EXISTS,
            f"The case {s.case_id} has its complaint: open another case.",
            id=s.case_id,
        )
    _check_party(s, c.party_id)
    return to_event(ev.ComplaintReceived, c)


@decisions.on(cmd.OpenInvestigation, joins=True)
def _investigation(_h: Hearing, s: Case, c: cmd.OpenInvestigation) -> ev.InvestigationOpened:
    if s.investigated:
        refuse(
            Code.INVESTIGATION_EXISTS,
            f"The case {s.case_id} is under investigation: open another case.",
            id=s.case_id,
        )
    _check_party(s, c.party_id)
    return to_event(ev.InvestigationOpened, c)


# -- work on it ---------------------------------------------------------------------------------------------


@decisions.on(cmd.AssignCase)
def _assign(_h: Hearing, _s: Case, c: cmd.AssignCase) -> ev.CaseAssigned:
    return to_event(ev.CaseAssigned, c)


@decisions.on(cmd.AttachEvidence, new_id=("evidence_id", lambda s: s.evidence), after=CLOSED)
def _attach(_h: Hearing, _s: Case, c: cmd.AttachEvidence) -> ev.EvidenceAttached:
    return to_event(ev.EvidenceAttached, c)


@decisions.on(cmd.RecordInteraction)
def _interaction(_h: Hearing, _s: Case, c: cmd.RecordInteraction) -> ev.InteractionRecorded:
    return to_event(ev.InteractionRecorded, c)


@decisions.on(cmd.MakeCommitment, new_id=("commitment_id", lambda s: s.commitments))
def _commit(h: Hearing, _s: Case, c: cmd.MakeCommitment) -> ev.CommitmentMade:
    if c.due_at <= h.asked.time:
        refuse(
            Code.COMMITMENT_DUE_IN_PAST,
            f"A commitment made at {h.asked.time.isoformat()} should be due after that.",
            due_at=c.due_at.isoformat(),
        )
    return to_event(ev.CommitmentMade, c)


def _open_commitment(s: Case, commitment_id: str) -> Commitment:
    commitment = the(s.commitments, commitment_id, Code.COMMITMENT_NOT_FOUND, "commitment")
    if commitment.status != "open":
        refuse(
            Code.COMMITMENT_NOT_OPEN,
            f"The commitment {commitment_id} is recorded as {commitment.status}.",
            commitment_id=commitment_id,
            status=commitment.status,
        )
    return commitment


@decisions.on(cmd.MeetCommitment, after=CLOSED)
def _meet(_h: Hearing, s: Case, c: cmd.MeetCommitment) -> ev.CommitmentMet:
    _open_commitment(s, c.commitment_id)
    return to_event(ev.CommitmentMet, c)


@decisions.on(cmd.MissCommitment, after=CLOSED)
def _miss(h: Hearing, s: Case, c: cmd.MissCommitment) -> ev.CommitmentMissed:
    commitment = _open_commitment(s, c.commitment_id)
    if h.asked.time < commitment.due_at:
        refuse(
            Code.COMMITMENT_NOT_DUE,
            f"The commitment {c.commitment_id} can be kept until {commitment.due_at.isoformat()}.",
            commitment_id=c.commitment_id,
            due_at=commitment.due_at.isoformat(),
        )
    return to_event(ev.CommitmentMissed, c)


@decisions.on(cmd.StartHandling)
def _handle(h: Hearing, s: Case, c: cmd.StartHandling) -> ev.HandlingStarted:
    # An investigation without a complaint has nobody to whom something could be promised.
    complained = s.complaint_event_id is not None
    if complained and not s.commitments and h.day >= COMMITMENT_FIRST_FROM:
        refuse(
            Code.COMMITMENT_FIRST,
            "Make a commitment first: a solution, by when, and what is granted if it is missed.",
            id=s.case_id,
        )
    return to_event(ev.HandlingStarted, c)


# -- answer, appeal, end ------------------------------------------------------------------------------------


@decisions.on(cmd.AnswerComplaint)
def _answer(_h: Hearing, s: Case, c: cmd.AnswerComplaint) -> ev.ComplaintAnswered:
    if s.complaint_event_id is None:
        refuse(
            Code.CASE_NO_COMPLAINT,
            f"The case {s.case_id} is an investigation: there is no complaint to answer.",
            id=s.case_id,
        )
    if s.answered is not None and "upheld" not in s.appeal_decisions:
        refuse(
            Code.CASE_ALREADY_ANSWERED,
            f"The complaint was answered ({s.answered}): only an appeal that is upheld opens it again.",
            id=s.case_id,
            outcome=s.answered,
        )
    return to_event(ev.ComplaintAnswered, c)


@decisions.on(cmd.IssueApology, after=CLOSED)
def _apologise(_h: Hearing, _s: Case, c: cmd.IssueApology) -> ev.ApologyIssued:
    return to_event(ev.ApologyIssued, c)


@decisions.on(cmd.FileAppeal, after=CLOSED)
def _appeal(_h: Hearing, _s: Case, c: cmd.FileAppeal) -> ev.AppealFiled:
    return to_event(ev.AppealFiled, c)


@decisions.on(cmd.DecideAppeal, after=CLOSED)
def _decide_appeal(_h: Hearing, s: Case, c: cmd.DecideAppeal) -> ev.AppealDecided:
    if len(s.appeal_decisions) >= len(s.appeals):
        refuse(
            Code.NO_APPEAL_PENDING,
            f"No appeal in the case {s.case_id} awaits a decision: it has to be filed first.",
            id=s.case_id,
        )
    return to_event(ev.AppealDecided, c)


@decisions.on(cmd.CloseCase)
def _close(_h: Hearing, s: Case, c: cmd.CloseCase) -> ev.CaseClosed:
    if s.complaint_event_id is not None and s.answered is None:
        refuse(
            Code.CASE_UNANSWERED,
            f"Answer the complaint of the case {s.case_id} first.",
            id=s.case_id,
        )
    return to_event(ev.CaseClosed, c)


# -- findings and what follows from them --------------------------------------------------------------------


@decisions.on(cmd.RecordFinding, new_id=("finding_id", lambda s: s.findings))
def _finding(_h: Hearing, _s: Case, c: cmd.RecordFinding) -> ev.FindingRecorded:
    return to_event(ev.FindingRecorded, c)


@decisions.on(cmd.ImposePenalty, new_id=("penalty_id", lambda s: s.penalties), after=CLOSED)
def _penalty(_h: Hearing, s: Case, c: cmd.ImposePenalty) -> ev.PenaltyImposed:
    for finding_id in c.finding_ids:
        the(s.findings, finding_id, Code.FINDING_NOT_FOUND, "finding")
    return to_event(ev.PenaltyImposed, c)


@decisions.on(cmd.GrantRemedy, after=CLOSED)
def _remedy(_h: Hearing, s: Case, c: cmd.GrantRemedy) -> ev.RemedyGranted:
    if c.commitment_id is not None:
        commitment = the(s.commitments, c.commitment_id, Code.COMMITMENT_NOT_FOUND, "commitment")
        if commitment.status != "missed":
            refuse(
                Code.COMMITMENT_NOT_MISSED,
                f"The commitment {c.commitment_id} is {commitment.status}: leave it out of the remedy.",
                commitment_id=c.commitment_id,
                status=commitment.status,
            )
    return to_event(ev.RemedyGranted, c)


@decisions.on(cmd.OpenCorrectiveAction, new_id=("action_id", lambda s: s.actions), after=CLOSED)
def _action(_h: Hearing, _s: Case, c: cmd.OpenCorrectiveAction) -> ev.CorrectiveActionOpened:
    return to_event(ev.CorrectiveActionOpened, c)


def _open_action(s: Case, action_id: str) -> CorrectiveAction:
    action = the(s.actions, action_id, Code.CORRECTIVE_ACTION_NOT_FOUND, "corrective action")
    if action.closed:
        refuse(
            Code.CORRECTIVE_ACTION_CLOSED,
            f"The corrective action {action_id} was closed before: open another.",
            action_id=action_id,
        )
    return action


@decisions.on(cmd.CompleteCorrectiveActionStep, after=CLOSED)
def _step(_h: Hearing, s: Case, c: cmd.CompleteCorrectiveActionStep) -> ev.CorrectiveActionStepCompleted:
    _open_action(s, c.action_id)
    return to_event(ev.CorrectiveActionStepCompleted, c)


@decisions.on(cmd.CloseCorrectiveAction, after=CLOSED)
def _close_action(_h: Hearing, s: Case, c: cmd.CloseCorrectiveAction) -> ev.CorrectiveActionClosed:
    _open_action(s, c.action_id)
    return to_event(ev.CorrectiveActionClosed, c)
