"""How a case is taken in, promised, handled, answered, closed and put right."""

from domain.commands import case as cmd
from domain.events import case as ev
from domain.refusals import Code
from tests.scenario import Fact, account, closed, commitment, complaint, given, investigation, party

COMPLAIN = cmd.ReceiveComplaint(
    party_id="P1",
    account_ids=["A1"],
    category="billing",
    summary="He was never asked.",
    answer_due_on="2014-12-16",
)
LOOK = cmd.OpenInvestigation(account_ids=["A1"], reason="press report")
ANSWERED = Fact(ev.ComplaintAnswered(outcome="upheld"), at="2014-12-10")
MISSED = Fact(ev.CommitmentMissed(commitment_id="CM1"), at="2014-12-11")
FINDING = ev.FindingRecorded(
    finding_id="F1",
    rule_id="charge-basis",
    rule_version="1",
    verdict="breach",
    evidence_event_ids=["e7"],
    amount_fen=40_000,
)
CASE = [party(), account(), complaint()]

# -- how it begins


def test_a_complaint_is_about_a_party_and_accounts_that_are_there():
    given(party(), account()).when(COMPLAIN).then(complaint().data)
    given(account()).when(COMPLAIN).then_refused(Code.PARTY_NOT_FOUND)
    given(party()).when(COMPLAIN).then_refused(Code.ACCOUNT_NOT_FOUND)


def test_a_case_has_one_complaint_and_one_investigation():
    given(CASE).when(COMPLAIN).then_refused(Code.COMPLAINT_EXISTS)
    given(account()).when(LOOK).then(ev.InvestigationOpened(account_ids=["A1"], reason="press report"))
    given(account(), investigation()).when(LOOK).then_refused(Code.INVESTIGATION_EXISTS)


def test_a_complaint_and_an_investigation_share_a_case_about_one_party():
    given(CASE).when(LOOK).then(investigation().data)
    given(party(), account(), investigation()).when(COMPLAIN).then(complaint().data)
    of_another = cmd.OpenInvestigation(party_id="P2", account_ids=["A1"], reason="press report")
    given(CASE, party("P2")).when(of_another).then_refused(Code.CASE_OTHER_PARTY, party_id="P1")


def test_nothing_is_done_in_a_case_that_is_not_there():
    given().when(cmd.IssueApology(by="the general manager")).then_refused(Code.CASE_NOT_FOUND)


# -- work on it


def test_a_case_has_an_owner():
    given(CASE).when(cmd.AssignCase(owner_id="S7", unit="complaints")).then(
        ev.CaseAssigned(owner_id="S7", unit="complaints")
    )


def test_evidence_is_attached_once():
    paper = {"evidence_id": "E1", "sha256": "0f" * 32, "media_type": "image/png", "title": "The form"}
    attached = ev.EvidenceAttached(**paper)
    given(CASE).when(cmd.AttachEvidence(**paper)).then(attached)
    given(CASE, attached).when(cmd.AttachEvidence(**paper)).then_refused(Code.ID_USED)


def test_interactions_are_recorded_while_the_case_is_open():
    talk = cmd.RecordInteraction(
        staff_id="S1", direction="outbound", summary="Called.", explained_clearly=False
    )
    given(CASE).when(talk).then(
        ev.InteractionRecorded(
            staff_id="S1", direction="outbound", summary="Called.", explained_clearly=False
        )
    )
    given(CASE, closed()).when(talk).then_refused(Code.CASE_CLOSED)


def test_a_commitment_is_for_a_time_to_come():
    promise = cmd.MakeCommitment(
        commitment_id="CM1",
        solution="reverse",
        due_at="2014-12-10T18:00:00+08:00",
        remedy_if_missed="100 yuan",
    )
    given(CASE).when(promise, at="2014-12-02").then(commitment().data)
    given(CASE).when(promise, at="2014-12-11").then_refused(Code.COMMITMENT_DUE_IN_PAST)
    given(CASE, commitment()).when(promise, at="2014-12-02").then_refused(Code.ID_USED)


def test_a_commitment_comes_before_handling_from_the_third_measure_on():
    start = cmd.StartHandling(handler_id="S7")
    started = ev.HandlingStarted(handler_id="S7")
    given(CASE).when(start, at="2014-12-17").then_refused(Code.COMMITMENT_FIRST)
    given(CASE, commitment()).when(start, at="2014-12-17").then(started)
    given(CASE).when(start, at="2014-12-16").then(started)
    given(account(), investigation()).when(start, at="2014-12-17").then(started)


def test_a_commitment_is_met_or_missed_once():
    meet, miss = cmd.MeetCommitment(commitment_id="CM1"), cmd.MissCommitment(commitment_id="CM1")
    given(CASE, commitment()).when(meet, at="2014-12-09").then(ev.CommitmentMet(commitment_id="CM1"))
    given(CASE, commitment()).when(miss, at="2014-12-11").then(ev.CommitmentMissed(commitment_id="CM1"))
    given(CASE, commitment(), MISSED).when(meet).then_refused(Code.COMMITMENT_NOT_OPEN, status="missed")
    given(CASE).when(meet).then_refused(Code.COMMITMENT_NOT_FOUND)


def test_a_commitment_is_not_missed_before_its_time():
    miss = cmd.MissCommitment(commitment_id="CM1")
    given(CASE, commitment()).when(miss, at="2014-12-10T17:59:59+08:00").then_refused(Code.COMMITMENT_NOT_DUE)


# -- answer, appeal, end


def test_a_complaint_is_answered_once():
    answer = cmd.AnswerComplaint(outcome="upheld")
    given(CASE).when(answer).then(ev.ComplaintAnswered(outcome="upheld"))
    given(CASE, ANSWERED).when(answer).then_refused(Code.CASE_ALREADY_ANSWERED, outcome="upheld")
    given(account(), investigation()).when(answer).then_refused(Code.CASE_NO_COMPLAINT)


def test_an_appeal_that_is_upheld_asks_for_another_answer():
    appeal = [ev.AppealFiled(body="MIIT"), ev.AppealDecided(decision="upheld")]
    assert given(CASE, ANSWERED, appeal).when(cmd.AnswerComplaint(outcome="upheld")).event.outcome == "upheld"


def test_an_apology_is_issued():
    given(CASE).when(cmd.IssueApology(by="the provincial head")).then(
        ev.ApologyIssued(by="the provincial head")
    )


def test_an_appeal_is_filed_after_the_end_and_decided_once():
    decide = cmd.DecideAppeal(decision="rejected")
    filed, decided = ev.AppealFiled(body="MIIT"), ev.AppealDecided(decision="rejected")
    given(CASE, closed()).when(cmd.FileAppeal(body="MIIT")).then(filed)
    given(CASE, closed(), filed).when(decide).then(decided)
    given(CASE, filed, decided).when(decide).then_refused(Code.NO_APPEAL_PENDING)


def test_a_complaint_is_answered_before_its_case_is_closed():
    close = cmd.CloseCase(outcome="settled")
    given(CASE).when(close).then_refused(Code.CASE_UNANSWERED)
    given(CASE, ANSWERED).when(close).then(ev.CaseClosed(outcome="settled"))
    given(account(), investigation()).when(close).then(ev.CaseClosed(outcome="settled"))
    given(CASE, ANSWERED, closed()).when(close).then_refused(Code.CASE_CLOSED)


# -- findings and what follows


def test_a_finding_is_recorded_once():
    find = cmd.RecordFinding(
        finding_id="F1",
        rule_id="charge-basis",
        rule_version="1",
        verdict="breach",
        evidence_event_ids=["e7"],
        amount_fen=40_000,
    )
    given(CASE).when(find).then(FINDING)
    given(CASE, FINDING).when(find).then_refused(Code.ID_USED)


def test_a_penalty_rests_on_findings_of_the_case():
    penalty = {
        "penalty_id": "PE1",
        "subject_kind": "manager",
        "subject_id": "M1",
        "kind": "pay_deduction",
        "amount_fen": 200_000,
        "finding_ids": ["F1"],
    }
    impose, imposed = cmd.ImposePenalty(**penalty), ev.PenaltyImposed(**penalty)
    given(CASE, FINDING, closed()).when(impose).then(imposed)
    given(CASE).when(impose).then_refused(Code.FINDING_NOT_FOUND, id="F1")
    given(CASE, FINDING, imposed).when(impose).then_refused(Code.ID_USED)


def test_a_remedy_for_a_commitment_follows_its_miss():
    grant = cmd.GrantRemedy(kind="refund", account_id="A1", commitment_id="CM1", amount_fen=10_000)
    given(CASE, commitment(), MISSED).when(grant).then(
        ev.RemedyGranted(kind="refund", account_id="A1", commitment_id="CM1", amount_fen=10_000)
    )
    given(CASE, commitment()).when(grant).then_refused(Code.COMMITMENT_NOT_MISSED, status="open")
    given(CASE).when(grant).then_refused(Code.COMMITMENT_NOT_FOUND)


def test_a_corrective_action_is_opened_stepped_through_and_closed_once():
    what = {
        "action_id": "CA1",
        "scope": "city",
        "title": "Ask at the counter",
        "root_cause": "execution",
        "due_on": "2015-03-31",
    }
    step = cmd.CompleteCorrectiveActionStep(action_id="CA1", kind="training")
    close = cmd.CloseCorrectiveAction(action_id="CA1")
    opened, ended = ev.CorrectiveActionOpened(**what), ev.CorrectiveActionClosed(action_id="CA1")
    given(CASE, closed()).when(cmd.OpenCorrectiveAction(**what)).then(opened)
    given(CASE, opened).when(cmd.OpenCorrectiveAction(**what)).then_refused(Code.ID_USED)
    given(CASE, opened).when(step).then(ev.CorrectiveActionStepCompleted(action_id="CA1", kind="training"))
    given(CASE, opened).when(close).then(ended)
    given(CASE, opened, ended).when(step).then_refused(Code.CORRECTIVE_ACTION_CLOSED)
    given(CASE).when(close).then_refused(Code.CORRECTIVE_ACTION_NOT_FOUND)
