"""What is said of arrears, held in dispute, and told to the customer."""

import pytest

from domain.commands import account as cmd
from domain.events import account as ev
from domain.refusals import Code
from tests.scenario import (
    Fact,
    abandoned,
    account,
    annual,
    charge,
    complaint,
    contact,
    delivered,
    given,
    hold,
    merged,
    notice,
    party,
    payment,
    released,
)

START = cmd.StartArrears(charge_id="CH1")
STARTED = ev.ArrearsStarted(charge_id="CH1", amount_fen=10_000, since="2014-02-01")
HOLD = cmd.PlaceDisputeHold(
    hold_id="H1", amount_fen=10_000, charge_ids=["CH1"], case_id="K1", scope=["late_fee", "suspension"]
)
SMS = cmd.AttemptNotice(notice_id="N1", purpose="arrears", channel="sms", contact_point_id="C1")
SENT = ev.NoticeAttempted(
    notice_id="N1", purpose="arrears", channel="sms", contact_point_id="C1", attempt_no=1
)

# -- arrears


def test_arrears_start_the_day_after_the_deadline():
    given(account(), charge()).when(START, at="2014-02-01").then(STARTED)
    given(account(), charge()).when(START, at="2014-01-31").then_refused(Code.CHARGE_NOT_OVERDUE)
    given(account(), charge(), payment()).when(START).then_refused(Code.CHARGE_SETTLED)
    given(account()).when(START).then_refused(Code.CHARGE_NOT_FOUND)


def test_arrears_start_once():
    given(account(), charge(), STARTED).when(START).then_refused(
        Code.ARREARS_ALREADY_STARTED, since="2014-02-01"
    )


def test_arrears_are_cleared_once_nothing_is_overdue():
    clear = cmd.ClearArrears()
    given(account(), charge(), STARTED).when(clear).then_refused(Code.ARREARS_STAND, since="2014-02-01")
    given(account(), charge(), STARTED, payment()).when(clear, at="2014-03-01").then(
        ev.ArrearsCleared(cleared_on="2014-03-01")
    )
    given(account(), charge()).when(clear).then_refused(Code.ARREARS_NOT_STARTED)


# -- dispute holds


def test_an_amount_is_held_in_a_case():
    given(account(), charge(), complaint()).when(HOLD).then(
        ev.DisputeHoldPlaced(
            hold_id="H1",
            amount_fen=10_000,
            charge_ids=["CH1"],
            case_id="K1",
            scope=["late_fee", "suspension"],
        )
    )
    given(account(), charge()).when(HOLD).then_refused(Code.CASE_NOT_FOUND, id="K1")
    given(account(), complaint()).when(HOLD).then_refused(Code.CHARGE_NOT_FOUND)


def test_a_hold_s_id_is_not_used_again_even_after_its_release():
    history = [account(), charge(), complaint(), hold("late_fee")]
    given(history).when(HOLD).then_refused(Code.ID_USED)
    given(history, released("2014-03-01")).when(HOLD).then_refused(Code.ID_USED)


def test_a_hold_is_released_once():
    release = cmd.ReleaseDisputeHold(hold_id="H1", outcome="rejected")
    given(account(), hold("late_fee")).when(release).then(
        ev.DisputeHoldReleased(hold_id="H1", outcome="rejected")
    )
    given(account(), hold("late_fee"), released("2014-03-01")).when(release).then_refused(Code.HOLD_RELEASED)
    given(account()).when(release).then_refused(Code.HOLD_NOT_FOUND)


# -- notices


def test_a_notice_goes_to_a_contact_point_of_the_party():
    given(party(), contact(), account()).when(SMS).then(SENT)
    given(party(), account()).when(SMS).then_refused(Code.CONTACT_POINT_NOT_FOUND, id="C1")


def test_a_visit_is_an_attempt_without_a_contact_point_too():
    visit = cmd.AttemptNotice(notice_id="N1", purpose="arrears", channel="visit")
    assert given(party(), account()).when(visit).event.contact_point_id is None


def test_a_message_without_a_contact_point_could_not_mean_anything():
    with pytest.raises(ValueError, match="contact_point_id"):
        cmd.AttemptNotice(notice_id="N1", purpose="arrears", channel="sms")


def test_a_notice_does_not_go_to_an_abandoned_number():
    history = [party(), contact(), account(), abandoned("2014-06-01")]
    given(history).when(SMS, at="2014-06-02").then_refused(Code.CONTACT_POINT_INVALID, reason="abandoned")
    given(history).when(SMS, at="2014-05-31").then(SENT)


def test_a_contact_point_of_the_party_merged_into_reaches_it():
    history = [party(), party("P2"), merged(), contact(subject="party/P2"), account()]
    given(history).when(SMS).then(SENT)


def test_attempts_are_counted():
    again = cmd.AttemptNotice(notice_id="N2", purpose="arrears", channel="call", contact_point_id="C1")
    assert given(party(), contact(), account(), notice()).when(again).event.attempt_no == 2


def test_a_notice_speaks_of_things_that_are_there():
    def about(**what):
        return cmd.AttemptNotice(
            notice_id="N1", purpose="pre_expiry", channel="sms", contact_point_id="C1", **what
        )

    history = [party(), contact(), account(), annual(), charge()]
    assert given(history).when(about(package_id="PK1", charge_ids=["CH1"])).event.package_id == "PK1"
    given(history).when(about(package_id="PK9")).then_refused(Code.PACKAGE_NOT_FOUND)
    given(history).when(about(charge_ids=["CH9"])).then_refused(Code.CHARGE_NOT_FOUND)


def test_nothing_has_an_outcome_before_it_began():
    early = {"at": "2014-02-04", "now": "2014-12-01"}
    for outcome in (
        cmd.ConfirmNoticeDelivery(notice_id="N1"),
        cmd.ReportNoticeFailure(notice_id="N1", reason="no_answer"),
    ):
        given(account(), notice()).when(outcome, **early).then_refused(Code.TIME_BEFORE_CAUSE, id="N1")
    given(account(), hold("late_fee")).when(
        cmd.ReleaseDisputeHold(hold_id="H1", outcome="withdrawn"), **early
    ).then_refused(Code.TIME_BEFORE_CAUSE, id="H1")


def test_a_dispute_is_not_rejected_for_days_gone_by():
    rejected = cmd.ReleaseDisputeHold(hold_id="H1", outcome="rejected")
    withdrawn = cmd.ReleaseDisputeHold(hold_id="H1", outcome="withdrawn")
    late = {"at": "2014-02-06", "now": "2014-12-01"}
    given(account(), hold("late_fee")).when(rejected, **late).then_refused(Code.TIME_BACKDATED)
    assert given(account(), hold("late_fee")).when(withdrawn, **late).event.hold_id == "H1"


def test_what_comes_from_outside_may_be_reported_late():
    arrived = cmd.ConfirmNoticeDelivery(notice_id="N1")
    given(account(), notice()).when(arrived, at="2014-02-11", now="2014-12-01").then(
        ev.NoticeDelivered(notice_id="N1")
    )


def test_a_notice_is_attempted_once_under_its_id():
    given(party(), contact(), account(), notice()).when(SMS).then_refused(Code.ID_USED, field="notice_id")


def test_a_notice_has_one_outcome():
    arrived = cmd.ConfirmNoticeDelivery(notice_id="N1", receipt="gw-77")
    lost = cmd.ReportNoticeFailure(notice_id="N1", reason="no_answer")
    given(account(), notice()).when(arrived).then(ev.NoticeDelivered(notice_id="N1", receipt="gw-77"))
    given(account(), notice()).when(lost).then(ev.NoticeFailed(notice_id="N1", reason="no_answer"))
    given(account(), notice(), delivered()).when(lost).then_refused(Code.NOTICE_SETTLED, outcome="delivered")
    failed = Fact(ev.NoticeFailed(notice_id="N1", reason="not_home"), at="2014-02-12")
    given(account(), notice(), failed).when(arrived).then_refused(Code.NOTICE_SETTLED, outcome="failed")
    given(account()).when(arrived).then_refused(Code.NOTICE_NOT_FOUND)
