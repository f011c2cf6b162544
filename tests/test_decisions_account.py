"""What an account's contract, numbers and service allow."""

from domain.commands import account as cmd
from domain.events import account as ev
from domain.refusals import Code
from tests.scenario import (
    Fact,
    abandoned,
    account,
    annual,
    blocked,
    charge,
    converted,
    dealer,
    erased,
    given,
    hold,
    merged,
    misused,
    monthly,
    number,
    party,
    payment,
    suspended,
    terminated,
    terms,
    verified,
)

OPEN = cmd.OpenAccount(party_id="P1", line_of_business="mobile", contract_terms=terms())
ACTIVATE = cmd.ActivateNumber(number="13900000001", number_id="NUM1", registration_id="R1")
PORT_IN = cmd.PortInNumber(number_id="NUM2", other_operator="Mobile")
TRANSFER = cmd.TransferAccount(to_party_id="P2", debt_stays_with="from")
ARREARS = cmd.SuspendService(reason="arrears", mode="one_way")

# -- the contract


def test_an_account_is_opened_for_a_party():
    given(party()).when(OPEN).then(
        ev.AccountOpened(party_id="P1", line_of_business="mobile", contract_terms=terms())
    )


def test_no_account_without_a_party():
    given().when(OPEN).then_refused(Code.PARTY_NOT_FOUND, id="P1")


def test_an_account_is_opened_once():
    given(party(), account()).when(OPEN).then_refused(Code.ACCOUNT_EXISTS)


def test_no_account_for_a_merged_party():
    given(party(), party("P2"), merged()).when(OPEN).then_refused(Code.PARTY_MERGED, into_party_id="P2")


def test_no_account_for_an_erased_party():
    given(party(), erased()).when(OPEN).then_refused(Code.PARTY_ERASED)


def test_nothing_is_asked_of_an_account_that_is_not_there():
    given().when(cmd.ResumeService(reason="paid")).then_refused(Code.ACCOUNT_NOT_FOUND, id="A1")


def test_an_account_tells_once_where_it_came_from():
    migrate = cmd.MigrateAccount(legacy_system="NETCOM", legacy_id="77", opened_on="2008-01-01")
    told = ev.AccountMigrated(legacy_system="NETCOM", legacy_id="77", opened_on="2008-01-01")
    given(account()).when(migrate).then(told)
    given(account(), told).when(migrate).then_refused(Code.ACCOUNT_ALREADY_MIGRATED)


def test_an_account_is_transferred_to_another_party():
    moved = ev.AccountTransferred(from_party_id="P1", to_party_id="P2", debt_stays_with="from")
    given(party(), party("P2"), account()).when(TRANSFER).then(moved)
    # With numbers the new holder has to be who they say they are.
    there = Fact(verified("R2").data, subject="party/P2")
    history = [party(), party("P2"), verified(), account("mobile"), number()]
    given(history, there).when(TRANSFER).then(moved)
    given(history).when(TRANSFER).then_refused(Code.HOLDER_NOT_VERIFIED, party_id="P2")


def test_an_account_is_not_transferred_to_its_own_party():
    given(party(), account()).when(
        cmd.TransferAccount(to_party_id="P1", debt_stays_with="from")
    ).then_refused(Code.TRANSFER_SAME_PARTY)


def test_a_service_moves():
    given(party(), account()).when(cmd.MoveService(address="Daoli 5")).then(
        ev.ServiceMoved(address="Daoli 5")
    )


def test_personal_data_is_not_added_once_the_party_s_key_is_gone():
    given(party(), account(), erased()).when(cmd.MoveService(address="Daoli 5")).then_refused(
        Code.PARTY_ERASED
    )


def test_a_terminated_account_takes_no_new_service():
    given(party(), account(), terminated()).when(cmd.MoveService(address="Daoli 5")).then_refused(
        Code.ACCOUNT_TERMINATED
    )


# -- numbers


def test_a_number_rests_on_a_verification_in_person():
    given(party(), verified(), account("mobile")).when(ACTIVATE).then(
        ev.NumberActivated(number="13900000001", number_id="NUM1", registration_id="R1")
    )


def test_a_number_rests_on_a_verification_by_a_proxy():
    assert (
        given(party(), verified(method="proxy"), account("mobile")).when(ACTIVATE).event.number_id == "NUM1"
    )


def test_a_verification_online_is_none():
    given(party(), verified(method="online"), account("mobile")).when(ACTIVATE).then_refused(
        Code.REGISTRATION_NOT_VERIFIED, method="online", result="passed"
    )


def test_a_verification_that_failed_is_none():
    given(party(), verified(result="failed"), account("mobile")).when(ACTIVATE).then_refused(
        Code.REGISTRATION_NOT_VERIFIED
    )


def test_a_number_without_a_verification_is_refused():
    given(party(), account("mobile")).when(ACTIVATE).then_refused(Code.REGISTRATION_NOT_VERIFIED)


def test_a_verification_comes_before_the_activation():
    given(party(), verified(at="2014-12-02"), account("mobile")).when(ACTIVATE, at="2014-12-01").then_refused(
        Code.REGISTRATION_NOT_VERIFIED
    )


def test_a_verification_of_a_party_merged_into_is_found():
    there = verified()
    given(party(), party("P2"), merged(), Fact(there.data, subject="party/P2"), account("mobile")).when(
        ACTIVATE
    ).then(ev.NumberActivated(number="13900000001", number_id="NUM1", registration_id="R1"))


def test_no_number_on_a_misused_registration():
    given(party(), verified(), misused(), account("mobile")).when(ACTIVATE).then_refused(
        Code.REGISTRATION_MISUSED
    )


def test_a_dealer_who_is_authorised_activates_a_number():
    by_dealer = cmd.ActivateNumber(
        number="13900000001", number_id="NUM1", registration_id="R1", dealer_id="D1"
    )
    given(party(), verified(), account("mobile"), dealer()).when(by_dealer, by="dealer/D1").then(
        ev.NumberActivated(number="13900000001", number_id="NUM1", registration_id="R1", dealer_id="D1")
    )
    given(party(), verified(), account("mobile"), dealer(), blocked()).when(by_dealer).then_refused(
        Code.DEALER_BLOCKED, id="D1"
    )
    given(party(), verified(), account("mobile")).when(by_dealer).then_refused(Code.DEALER_NOT_FOUND)


def test_a_dealer_who_was_never_authorised_does_nothing():
    given(party(), verified(), account("mobile")).when(ACTIVATE, by="dealer/D9").then_refused(
        Code.DEALER_NOT_AUTHORISED, id="D9"
    )


def test_a_number_is_active_once():
    given(party(), verified(), account("mobile"), number()).when(ACTIVATE).then_refused(
        Code.ID_USED, field="number_id", id="NUM1"
    )


def test_a_number_is_disowned_even_after_the_end():
    disown = cmd.DisownNumber(number_id="NUM1", effective_from="2014-12-01")
    given(account("mobile"), number(), terminated()).when(disown).then(
        ev.NumberDisowned(number_id="NUM1", effective_from="2014-12-01")
    )


def test_a_number_is_ported_in_and_out():
    given(party(), verified(), account("mobile")).when(PORT_IN).then(
        ev.NumberPortedIn(number_id="NUM2", other_operator="Mobile")
    )
    given(account("mobile"), number()).when(
        cmd.PortOutNumber(number_id="NUM1", other_operator="Mobile")
    ).then(ev.NumberPortedOut(number_id="NUM1", other_operator="Mobile"))


def test_a_number_that_left_gets_no_sim():
    gone = ev.NumberPortedOut(number_id="NUM1", other_operator="Mobile")
    replace = cmd.ReplaceSim(number_id="NUM1", reason="lost")
    given(account("mobile"), number()).when(replace).then(ev.SimReplaced(number_id="NUM1", reason="lost"))
    given(account("mobile"), number(), gone).when(replace).then_refused(
        Code.NUMBER_NOT_ACTIVE, status="ported_out"
    )
    given(account("mobile")).when(replace).then_refused(Code.NUMBER_NOT_FOUND, id="NUM1")


def test_a_number_is_released_after_it_was_disowned():
    disowned = ev.NumberDisowned(number_id="NUM1", effective_from="2014-01-01")
    release = cmd.ReleaseNumber(number_id="NUM1", reusable_from="2015-01-01")
    given(account("mobile"), number(), disowned).when(release).then(
        ev.NumberReleased(number_id="NUM1", reusable_from="2015-01-01")
    )


def test_a_number_is_ported_in_for_a_holder_who_was_verified():
    for history in ([], [verified(method="online")], [verified(result="failed")], [verified(), misused()]):
        given(party(), history, account("mobile")).when(PORT_IN).then_refused(Code.HOLDER_NOT_VERIFIED)
    by_dealer = [dealer(), verified(dealer_id="D1")]
    assert given(party(), by_dealer, account("mobile")).when(PORT_IN).event.number_id == "NUM2"
    given(party(), by_dealer, blocked(), account("mobile")).when(PORT_IN).then_refused(
        Code.HOLDER_NOT_VERIFIED
    )


def test_a_verification_recorded_after_the_activation_is_none():
    late = verified(at="2014-01-02", known="2014-12-05")
    given(party(), late, account("mobile")).when(ACTIVATE, at="2014-12-01", now="2014-12-06").then_refused(
        Code.REGISTRATION_NOT_VERIFIED
    )
    assert given(party(), late, account("mobile")).when(ACTIVATE, at="2014-12-05").event.number_id == "NUM1"


def test_a_registration_by_a_blocked_dealer_is_none_even_when_staff_acts():
    history = [party(), dealer(), verified(dealer_id="D1"), account("mobile")]
    assert given(history).when(ACTIVATE).event.number_id == "NUM1"
    given(history, blocked()).when(ACTIVATE).then_refused(Code.REGISTRATION_DEALER_BLOCKED, dealer_id="D1")


def test_what_comes_through_a_dealer_names_one():
    history = [party(), dealer(), verified(), account("mobile")]
    given(history).when(ACTIVATE, channel="dealer").then_refused(Code.DEALER_NOT_NAMED, actor="staff/S1")
    named = cmd.ActivateNumber(number="13900000001", number_id="NUM1", registration_id="R1", dealer_id="D1")
    assert given(history).when(named, channel="dealer").event.dealer_id == "D1"
    assert given(history).when(ACTIVATE, channel="dealer", by="dealer/D1").event.dealer_id is None


# -- suspension


def test_the_operator_s_own_acts_are_not_dated_back():
    history = [account(), charge(due="2014-01-31")]
    at, now = "2014-03-03T09:00:00+08:00", "2014-03-03T10:00:01+08:00"
    given(history).when(ARREARS, at=at, now=now).then_refused(
        Code.TIME_BACKDATED, earliest="2014-03-03T09:00:01+08:00"
    )
    assert given(history).when(ARREARS, at=at, now="2014-03-03T10:00:00+08:00").event.arrears_fen == 10_000


def test_nobody_is_suspended_for_what_stayed_with_the_holder_before():
    moved = ev.AccountTransferred(from_party_id="P1", to_party_id="P2", debt_stays_with="from")
    given(account(), charge(), moved).when(ARREARS).then_refused(Code.NOTHING_OVERDUE)
    taken_over = ev.AccountTransferred(from_party_id="P1", to_party_id="P2", debt_stays_with="to")
    assert given(account(), charge(), taken_over).when(ARREARS).event.arrears_fen == 10_000


def test_a_fixed_line_is_suspended_when_more_than_30_days_have_passed():
    given(account(), charge(due="2014-01-31")).when(ARREARS, at="2014-03-03").then(
        ev.ServiceSuspended(reason="arrears", mode="one_way", arrears_fen=10_000)
    )


def test_a_fixed_line_is_not_suspended_on_the_30th_day():
    given(account(), charge(due="2014-01-31")).when(ARREARS, at="2014-03-02").then_refused(
        Code.SUSPENSION_TOO_EARLY, earliest="2014-03-03", due_on="2014-01-31", charge_id="CH1"
    )


def test_a_mobile_is_suspended_after_the_contract_s_days():
    history = [account("mobile", suspend_after_days=10), charge(due="2014-01-31")]
    given(history).when(ARREARS, at="2014-02-10").then_refused(
        Code.SUSPENSION_TOO_EARLY, earliest="2014-02-11"
    )
    assert given(history).when(ARREARS, at="2014-02-11").event.arrears_fen == 10_000


def test_the_day_is_counted_in_the_region_s_time_zone():
    given(account(), charge(due="2014-01-31")).when(ARREARS, at="2014-03-02T16:00:00Z").then(
        ev.ServiceSuspended(reason="arrears", mode="one_way", arrears_fen=10_000)
    )


def test_nobody_is_suspended_for_arrears_that_are_paid():
    given(account(), charge(), payment(on="2014-03-01")).when(ARREARS, at="2014-04-01").then_refused(
        Code.NOTHING_OVERDUE
    )


def test_a_disputed_charge_is_no_ground_for_suspension():
    given(account(), charge(), hold("suspension")).when(ARREARS).then_refused(
        Code.HOLD_COVERS, hold_id="H1", scope="suspension"
    )


def test_a_hold_on_one_charge_leaves_the_others_to_their_day():
    later = charge("CH2", 2_500, due="2014-03-31", start="2014-03-01", end="2014-04-01")
    history = [account(), charge(), later, hold("suspension", charges=("CH1",))]
    given(history).when(ARREARS, at="2014-04-30").then_refused(Code.SUSPENSION_TOO_EARLY, charge_id="CH2")
    given(history).when(ARREARS, at="2014-05-01").then(
        ev.ServiceSuspended(reason="arrears", mode="one_way", arrears_fen=2_500)
    )


def test_a_hold_with_another_scope_does_not_stop_a_suspension():
    assert given(account(), charge(), hold("late_fee")).when(ARREARS).event.arrears_fen == 10_000


def test_a_service_is_suspended_at_its_package_s_end():
    expiry = cmd.SuspendService(reason="expiry")
    given(account(), annual()).when(expiry, at="2014-07-16").then(ev.ServiceSuspended(reason="expiry"))
    given(account(), annual()).when(expiry, at="2014-07-15").then_refused(
        Code.PACKAGE_RUNNING, package_id="PK1", end="2014-07-16"
    )
    given(account(), annual(), converted()).when(expiry, at="2014-08-01").then_refused(Code.PACKAGE_RUNNING)
    given(account(), charge()).when(expiry).then_refused(Code.PACKAGE_NOT_ENDED)


def test_a_service_is_suspended_for_fraud_or_at_the_customer_s_request():
    for reason, code in (("fraud", Code.EVIDENCE_MISSING), ("customer_request", Code.CONSENT_MISSING)):
        suspend = cmd.SuspendService(reason=reason)
        given(account(), monthly()).when(suspend, evidenceref="call 7").then(
            ev.ServiceSuspended(reason=reason)
        )
        given(account(), monthly()).when(suspend).then_refused(code)
        given(account(), charge(), hold("suspension")).when(suspend).then_refused(code)


def test_a_suspension_is_asked_for_by_the_holder_themselves():
    suspend = cmd.SuspendService(reason="customer_request")
    for holder in ("customer/P1", "customer/self"):
        given(account(), monthly()).when(suspend, by=holder).then(
            ev.ServiceSuspended(reason="customer_request")
        )
    given(account(), monthly()).when(suspend, by="customer/P2").then_refused(Code.CONSENT_MISSING)
    given(account(), monthly()).when(suspend, by="customer/P2", evidenceref="call 7").then_refused(
        Code.CONSENT_MISSING, actor="customer/P2"
    )
    given(party(), party("P2"), merged(), account(), monthly()).when(suspend, by="customer/P2").then(
        ev.ServiceSuspended(reason="customer_request")
    )


def test_only_an_active_service_is_suspended():
    given(account(), charge(), suspended("2014-03-03")).when(ARREARS).then_refused(
        Code.SERVICE_NOT_ACTIVE, status="suspended"
    )
    given(account()).when(ARREARS).then_refused(Code.SERVICE_NOT_ACTIVE, status="pending")


def test_a_suspended_service_is_resumed():
    resume = cmd.ResumeService(reason="paid")
    given(account(), charge(), suspended("2014-03-03")).when(resume).then(ev.ServiceResumed(reason="paid"))
    given(account(), charge()).when(resume).then_refused(Code.SERVICE_NOT_SUSPENDED)


# -- termination


def test_a_service_is_terminated_after_60_days_of_suspension_unpaid():
    terminate = cmd.TerminateService(reason="arrears")
    history = [party(), account(), charge(), suspended("2014-03-03")]
    given(history).when(terminate, at="2014-05-02").then_refused(
        Code.TERMINATION_TOO_EARLY, suspended_on="2014-03-03", earliest="2014-05-03"
    )
    given(history).when(terminate, at="2014-05-03").then(ev.ServiceTerminated(reason="arrears"))


def test_a_contract_may_leave_more_time_before_a_termination():
    history = [party(), account(terminate_after_days=90), charge(), suspended("2014-03-03")]
    given(history).when(cmd.TerminateService(reason="arrears"), at="2014-05-15").then_refused(
        Code.TERMINATION_TOO_EARLY, earliest="2014-06-02"
    )


def test_a_termination_for_arrears_follows_a_suspension_for_them():
    terminate = cmd.TerminateService(reason="arrears")
    given(party(), account(), charge()).when(terminate).then_refused(Code.TERMINATION_NOT_SUSPENDED)
    given(party(), account(), charge(), suspended("2014-03-03", "fraud")).when(terminate).then_refused(
        Code.TERMINATION_NOT_SUSPENDED, suspension_reason="fraud"
    )


def test_no_termination_for_arrears_that_are_paid_or_disputed():
    terminate = cmd.TerminateService(reason="arrears")
    history = [party(), account(), charge(), suspended("2014-03-03")]
    given(history, payment(on="2014-05-01")).when(terminate).then_refused(Code.NOTHING_OVERDUE)
    given(history, hold("suspension")).when(terminate).then_refused(Code.HOLD_COVERS)


def test_no_termination_for_arrears_that_came_after_the_suspension():
    later = charge("CH2", 500, due="2014-03-31", start="2014-03-01", end="2014-04-01")
    history = [party(), account(), charge(), suspended("2014-03-03"), later]
    terminate = cmd.TerminateService(reason="arrears")
    assert given(history).when(terminate, at="2014-06-01").event.reason == "arrears"
    given(history, payment(on="2014-03-20")).when(terminate, at="2014-06-01").then_refused(
        Code.TERMINATION_OTHER_DEBT, charge_id="CH2", suspended_on="2014-03-03"
    )


def test_a_service_on_a_misused_identity_is_terminated_once_that_is_confirmed():
    terminate = cmd.TerminateService(reason="identity_misuse")
    given(party(), account("mobile"), number()).when(terminate).then_refused(Code.MISUSE_NOT_CONFIRMED)
    given(party(), account("mobile"), number(), misused()).when(terminate).then(
        ev.ServiceTerminated(reason="identity_misuse")
    )


def test_a_customer_s_request_ends_the_service_on_its_day():
    terminate = cmd.TerminateService(reason="customer_request")
    asked = ev.CancellationRequested(effective_from="2014-12-01", blockers=["modem"])
    history = [party(), account(), monthly()]
    given(history).when(terminate).then_refused(Code.TERMINATION_NOT_REQUESTED, effective_from=None)
    given(history, asked).when(terminate, at="2014-11-30").then_refused(Code.TERMINATION_NOT_REQUESTED)
    given(history, asked).when(terminate, at="2014-12-01").then(
        ev.ServiceTerminated(reason="customer_request")
    )


def test_what_a_party_is_told_of_its_own_stream_does_not_disturb_an_account():
    history = [party(), abandoned("2014-01-01"), account(), charge()]
    assert given(history).when(ARREARS).event.arrears_fen == 10_000
