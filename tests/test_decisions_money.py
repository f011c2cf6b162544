"""What may be charged, levied, taken back, paid, placed and refunded."""

from domain.commands import account as cmd
from domain.events import account as ev
from domain.refusals import Code
from tests.scenario import (
    account,
    annual,
    charge,
    choice,
    complaint,
    converted,
    fee,
    given,
    hold,
    monthly,
    payment,
    released,
    reversal,
    suspended,
    terminated,
)


def post(start, end, kind="monthly", due="2014-12-16"):
    return cmd.PostCharge(
        charge_id="CH9", kind=kind, amount_fen=10_000, period_start=start, period_end=end, due_on=due
    )


def posted(start, end, kind="monthly", due="2014-12-16", basis=None):
    return ev.ChargePosted(
        charge_id="CH9",
        kind=kind,
        amount_fen=10_000,
        period_start=start,
        period_end=end,
        due_on=due,
        basis_event_id=basis,
    )


AUGUST = post("2014-08-01", "2014-09-01")
FEE = cmd.AssessLateFee(fee_id="LF9", charge_id="CH1", to="2014-02-11")

# -- charges


def test_a_running_package_is_charged_for():
    given(account(), monthly()).when(AUGUST).then(posted("2014-08-01", "2014-09-01"))


def test_an_annual_term_is_charged_for():
    given(account(), annual()).when(post("2013-07-16", "2014-07-16", kind="package")).then(
        posted("2013-07-16", "2014-07-16", kind="package")
    )


def test_a_charge_is_due_as_the_contract_says_where_no_day_is_given():
    bare = cmd.PostCharge(
        charge_id="CH9",
        kind="usage",
        amount_fen=300,
        period_start="2014-01-01",
        period_end="2014-02-01",
    )
    event = given(account("mobile", payment_deadline_days=15)).when(bare, at="2014-02-01").event
    assert event.due_on.isoformat() == "2014-02-16"


def test_a_charge_leaves_the_contract_s_days_to_pay():
    for due in ("2014-10-02", "2014-12-01", "2014-12-15"):
        given(account(), monthly()).when(post("2014-11-01", "2014-12-01", due=due)).then_refused(
            Code.CHARGE_DUE_TOO_EARLY, due_on=due, earliest="2014-12-16"
        )


def test_what_is_bought_once_or_a_year_ahead_may_be_due_at_once():
    year = post("2013-07-16", "2014-07-16", "package", due="2013-07-16")
    assert given(account(), annual()).when(year, at="2013-07-16").event.due_on == year.due_on
    given(account(), annual()).when(year, at="2013-07-17").then_refused(
        Code.CHARGE_DUE_TOO_EARLY, earliest="2013-07-17"
    )
    for kind in ("installation", "equipment"):
        modem = post("2014-12-01", "2014-12-01", kind, due="2014-12-01")
        assert given(account(), monthly()).when(modem).event.due_on == modem.due_on
        given(account(), monthly()).when(modem, at="2014-12-02").then_refused(Code.CHARGE_DUE_TOO_EARLY)
    a_month = post("2014-11-01", "2014-12-01", "package", due="2014-12-01")
    given(account(), monthly()).when(a_month).then_refused(Code.CHARGE_DUE_TOO_EARLY)


def test_time_after_an_annual_term_is_not_charged_for_without_a_basis():
    given(account(), annual("suspend")).when(AUGUST).then_refused(Code.CHARGE_NO_BASIS, term_end="2014-07-16")
    given(account(), annual()).when(post("2014-07-01", "2014-08-01")).then_refused(Code.CHARGE_NO_BASIS)
    given(account(), annual()).when(post("2014-08-01", "2014-09-01", "usage")).then_refused(
        Code.CHARGE_NO_BASIS
    )


def test_a_conversion_the_customer_chose_is_charged_for_and_named():
    given(account(), annual("convert_to_monthly"), converted()).when(AUGUST).then(
        posted("2014-08-01", "2014-09-01", basis="urn:recount:test#choice-PK1")
    )


def test_a_conversion_nobody_chose_is_not_charged_for():
    for sold in (annual("convert_to_monthly", by="staff_default"), annual(None)):
        given(account(), sold, converted()).when(AUGUST).then_refused(Code.CHARGE_NO_BASIS)


def test_a_renewed_term_is_charged_for_though_a_new_choice_was_made():
    renewed = ev.PackageRenewed(package_id="PK1", price_fen=108_000, start="2014-07-16", end="2015-07-16")
    history = [account(), annual("renew_annual"), renewed, choice("suspend", at="2014-07-20")]
    given(history).when(post("2014-07-16", "2015-07-16", kind="package")).then(
        posted("2014-07-16", "2015-07-16", kind="package", basis="urn:recount:test#choice-PK1")
    )
    given(history).when(post("2015-07-16", "2015-08-16")).then_refused(
        Code.CHARGE_NO_BASIS, term_end="2015-07-16"
    )


def test_another_package_carries_on():
    given(account(), annual("suspend"), monthly("PM1", "2014-07-20")).when(AUGUST).then(
        posted("2014-08-01", "2014-09-01")
    )


def test_equipment_is_charged_for_at_any_time():
    modem = post("2014-08-01", "2014-08-01", kind="equipment")
    given(account(), annual("suspend")).when(modem).then(posted("2014-08-01", "2014-08-01", kind="equipment"))


def test_equipment_for_time_after_an_annual_term_is_asked_for():
    for kind in ("installation", "equipment"):
        rent = post("2014-08-01", "2014-09-01", kind=kind)
        given(account(), annual("suspend")).when(rent).then_refused(Code.CONSENT_MISSING)
        assert given(account(), annual("suspend")).when(rent, by="customer/P1").event.kind == kind
        assert given(account(), annual("suspend")).when(rent, evidenceref="form 9").event.kind == kind
        assert given(account(), annual("convert_to_monthly"), converted()).when(rent).event.kind == kind


def test_nothing_is_charged_for_time_after_a_cancellation():
    cancelled = ev.CancellationRequested(effective_from="2014-08-15", blockers=["modem"])
    given(account(), monthly(), cancelled).when(AUGUST).then_refused(
        Code.CHARGE_AFTER_CANCELLATION, effective_from="2014-08-15"
    )
    given(account(), monthly(), cancelled).when(post("2014-08-01", "2014-08-15")).then(
        posted("2014-08-01", "2014-08-15")
    )


def test_nothing_is_charged_for_time_after_a_termination():
    history = [account(), monthly(), terminated("2014-08-15")]
    given(history).when(AUGUST).then_refused(Code.CHARGE_AFTER_TERMINATION, terminated_on="2014-08-15")
    given(history).when(post("2014-08-01", "2014-08-16")).then(posted("2014-08-01", "2014-08-16"))


def test_a_charge_is_posted_once():
    again = cmd.PostCharge(
        charge_id="CH1", kind="usage", amount_fen=1, period_start="2014-01-01", period_end="2014-01-02"
    )
    given(account(), charge()).when(again).then_refused(Code.ID_USED, field="charge_id", id="CH1")


def test_a_bill_s_total_is_what_stands_of_its_charges():
    bill = cmd.IssueBill(bill_id="BI1", charge_ids=["CH1", "CH2"], due_on="2014-02-28")
    second = charge("CH2", 500, start="2014-02-01", end="2014-03-01")
    given(account(), charge(), second, reversal("CH1", 4_000)).when(bill).then(
        ev.BillIssued(bill_id="BI1", charge_ids=["CH1", "CH2"], total_fen=6_500, due_on="2014-02-28")
    )
    given(account(), charge()).when(bill).then_refused(Code.CHARGE_NOT_FOUND, id="CH2")


def test_a_charge_is_reversed_as_far_as_it_stands():
    def back(fen):
        return cmd.ReverseCharge(charge_id="CH1", amount_fen=fen, reason="no basis", case_id="K1")

    history = [complaint(), account(), charge(), reversal("CH1", 4_000)]
    given(history).when(back(6_000)).then(
        ev.ChargeReversed(charge_id="CH1", amount_fen=6_000, reason="no basis", case_id="K1")
    )
    given(history).when(back(6_001)).then_refused(Code.REVERSAL_TOO_HIGH, standing_fen=6_000)
    given(account(), charge()).when(back(6_000)).then_refused(Code.CASE_NOT_FOUND)


def test_nothing_is_taken_back_before_it_was_there():
    back = cmd.ReverseCharge(charge_id="CH1", amount_fen=1, reason="no basis")
    given(account(), charge()).when(back, at="2013-12-31", now="2014-12-01").then_refused(
        Code.TIME_BEFORE_CAUSE, id="CH1"
    )
    bounce = cmd.ReversePayment(payment_id="PAY1", reason="bounced")
    given(account(), payment()).when(bounce, at="2014-02-28", now="2014-12-01").then_refused(
        Code.TIME_BEFORE_CAUSE, id="PAY1"
    )


def test_a_late_fee_is_reversed_too():
    def back(fen):
        return cmd.ReverseCharge(fee_id="LF1", amount_fen=fen, reason="no basis")

    given(account(), charge(), fee()).when(back(300)).then(
        ev.ChargeReversed(fee_id="LF1", amount_fen=300, reason="no basis")
    )
    given(account(), charge()).when(back(300)).then_refused(Code.FEE_NOT_FOUND)


def test_no_more_is_written_off_than_is_owed():
    def give_up(fen):
        return cmd.WriteOffDebt(amount_fen=fen, approver="staff/M1")

    given(account(), charge(), fee()).when(give_up(10_300)).then(
        ev.DebtWrittenOff(amount_fen=10_300, approver="staff/M1")
    )
    given(account(), charge(), fee()).when(give_up(10_301)).then_refused(
        Code.WRITE_OFF_TOO_HIGH, owed_fen=10_300
    )


def test_instalments_add_up_to_what_is_unpaid():
    def plan(*parts):
        instalments = [
            ev.Instalment(due_on=f"2015-0{n}-01", amount_fen=fen) for n, fen in enumerate(parts, 1)
        ]
        return cmd.AgreeInstalmentPlan(plan_id="PL1", charge_ids=["CH1"], instalments=instalments)

    history = [account(), charge(), payment(amount_fen=4_000)]
    agreed = given(history).when(plan(3_000, 3_000)).event
    assert sum(i.amount_fen for i in agreed.instalments) == 6_000
    given(history).when(plan(3_000, 3_001)).then_refused(
        Code.INSTALMENTS_DIFFER, owed_fen=6_000, planned_fen=6_001
    )
    agreed_event = ev.InstalmentPlanAgreed(
        plan_id="PL1", charge_ids=["CH1"], instalments=plan(3_000, 3_000).instalments
    )
    given(history).when(plan(3_000, 3_000)).then(agreed_event)
    given(history, agreed_event).when(plan(3_000, 3_000)).then_refused(Code.ID_USED, field="plan_id")


# -- late fees


def levied(base, start, to, fen, fee_id="LF9"):
    return ev.LateFeeAssessed(
        fee_id=fee_id,
        charge_id="CH1",
        base_fen=base,
        rate_ppm=3_000,
        from_=start,
        to=to,
        amount_fen=fen,
    )


def test_a_late_fee_begins_the_day_after_the_due_date():
    given(account(), charge()).when(FEE).then(levied(10_000, "2014-02-01", "2014-02-11", 300))


def test_a_late_fee_goes_on_where_the_last_one_ended():
    more = cmd.AssessLateFee(fee_id="LF9", charge_id="CH1", to="2014-02-21")
    given(account(), charge(), fee()).when(more).then(levied(10_000, "2014-02-11", "2014-02-21", 300))
    given(account(), charge(), fee()).when(FEE).then_refused(Code.LATE_FEE_NO_DAYS, start="2014-02-11")


def test_a_late_fee_is_on_what_is_left_unpaid():
    given(account(), charge(), payment(amount_fen=9_000)).when(FEE).then(
        levied(1_000, "2014-02-01", "2014-02-11", 30)
    )


def test_a_late_fee_after_suspension_begins_with_it():
    history = [account(late_fee_start="after_suspension"), charge()]
    to_april = cmd.AssessLateFee(fee_id="LF9", charge_id="CH1", to="2014-03-13")
    given(history).when(to_april).then_refused(Code.LATE_FEE_NOT_STARTED)
    given(history, suspended("2014-03-03")).when(to_april).then(
        levied(10_000, "2014-03-03", "2014-03-13", 300)
    )
    given(history, suspended("2014-03-03", "customer_request")).when(to_april).then_refused(
        Code.LATE_FEE_NOT_STARTED
    )


def test_no_late_fee_on_what_was_paid_reversed_or_is_not_due():
    given(account(), charge(), payment()).when(FEE).then_refused(Code.CHARGE_SETTLED)
    given(account(), charge(), reversal()).when(FEE).then_refused(Code.CHARGE_REVERSED)
    given(account(), charge()).when(FEE, at="2014-01-31").then_refused(Code.CHARGE_NOT_OVERDUE)
    given(account()).when(FEE).then_refused(Code.CHARGE_NOT_FOUND)


def test_no_late_fee_on_a_charge_without_a_basis():
    unsupported = charge(start="2014-07-16", end="2014-08-16", due="2014-07-31")
    given(account(), annual(None), unsupported).when(FEE).then_refused(Code.CHARGE_NO_BASIS)


def test_no_late_fee_under_a_dispute_hold():
    given(account(), charge(), hold("late_fee", charges=("CH1",))).when(FEE).then_refused(
        Code.HOLD_COVERS, hold_id="H1", charge_id="CH1"
    )
    assert given(account(), charge(), hold("suspension")).when(FEE).event.amount_fen == 300


def test_the_days_of_a_hold_bear_no_late_fee_after_its_release_either():
    history = [account(), charge(), hold("late_fee", at="2014-02-05"), released("2014-02-20")]
    until_march = cmd.AssessLateFee(fee_id="LF9", charge_id="CH1", to="2014-03-03")
    given(history).when(until_march).then_refused(
        Code.HOLD_COVERS, held_from="2014-02-05", held_to="2014-02-21"
    )
    until_hold = cmd.AssessLateFee(fee_id="LF9", charge_id="CH1", to="2014-02-05")
    given(history).when(until_hold).then(levied(10_000, "2014-02-01", "2014-02-05", 120))
    given(history, fee(to="2014-02-05")).when(until_march).then(
        levied(10_000, "2014-02-21", "2014-03-03", 300)
    )


def test_no_late_fee_for_days_to_come_or_for_less_than_a_fen():
    tomorrow = cmd.AssessLateFee(fee_id="LF9", charge_id="CH1", to="2014-02-12")
    given(account(), charge()).when(tomorrow, at="2014-02-10").then_refused(Code.LATE_FEE_IN_FUTURE)
    given(account(), charge(amount_fen=33)).when(FEE, at="2014-02-10").then_refused(
        Code.LATE_FEE_ZERO, base_fen=33
    )


def test_a_fee_is_assessed_once():
    given(account(), charge(), fee("LF9")).when(FEE).then_refused(Code.ID_USED, field="fee_id")


def test_money_is_still_settled_after_the_end():
    assert given(account(), charge(), terminated()).when(FEE).event.amount_fen == 300


# -- credits and deposits


def test_a_credit_is_granted_once():
    credit = cmd.GrantCredit(credit_id="CR1", amount_fen=5_000, reason="goodwill")
    granted = ev.CreditGranted(credit_id="CR1", amount_fen=5_000, reason="goodwill")
    given(account()).when(credit).then(granted)
    given(account(), granted).when(credit).then_refused(Code.ID_USED, field="credit_id")


def test_no_more_of_a_deposit_is_returned_than_is_held():
    taken = ev.DepositTaken(deposit_id="DP1", amount_fen=20_000)
    given(account()).when(cmd.TakeDeposit(deposit_id="DP1", amount_fen=20_000)).then(taken)

    def back(fen, deposit_id="DP1"):
        return cmd.ReturnDeposit(deposit_id=deposit_id, amount_fen=fen)

    given(account(), taken).when(back(20_000)).then(ev.DepositReturned(deposit_id="DP1", amount_fen=20_000))
    given(account(), taken).when(back(20_001)).then_refused(Code.DEPOSIT_TOO_LOW, held_fen=20_000)
    given(account(), taken).when(back(1, "DP2")).then_refused(Code.DEPOSIT_NOT_FOUND)


# -- payments


def test_a_payment_is_received_once():
    pay = cmd.ReceivePayment(payment_id="PAY1", amount_fen=10_000, value_date="2014-03-01", method="cash")
    received = ev.PaymentReceived(
        payment_id="PAY1", amount_fen=10_000, value_date="2014-03-01", method="cash"
    )
    given(account()).when(pay).then(received)
    given(account(), received).when(pay).then_refused(Code.ID_USED, field="payment_id")


def allocate(fen, **debt):
    return cmd.AllocatePayment(payment_id="PAY1", amount_fen=fen, **(debt or {"charge_id": "CH1"}))


def test_a_payment_is_placed_though_it_paid_the_oldest_charge_so_far():
    given(account(), charge(), payment()).when(allocate(10_000)).then(
        ev.PaymentAllocated(payment_id="PAY1", charge_id="CH1", amount_fen=10_000)
    )


def test_a_payment_is_placed_on_a_late_fee():
    given(account(), charge(), fee(), payment()).when(allocate(300, fee_id="LF1")).then(
        ev.PaymentAllocated(payment_id="PAY1", fee_id="LF1", amount_fen=300)
    )


def test_no_more_is_placed_than_is_left_of_the_payment():
    placed = ev.PaymentAllocated(payment_id="PAY1", charge_id="CH2", amount_fen=7_000)
    history = [account(), charge(), charge("CH2"), payment(), placed]
    given(history).when(allocate(3_001)).then_refused(Code.ALLOCATION_EXCEEDS_PAYMENT, left_fen=3_000)


def test_no_more_is_placed_than_is_owed():
    placed = ev.PaymentAllocated(payment_id="PAY2", charge_id="CH1", amount_fen=7_000)
    history = [account(), charge(), payment(), payment("PAY2"), placed]
    given(history).when(allocate(3_001)).then_refused(Code.ALLOCATION_EXCEEDS_DEBT, owed_fen=3_000)
    bounced = ev.PaymentReversed(payment_id="PAY2", reason="bounced")
    assert given(history, bounced).when(allocate(10_000)).event.amount_fen == 10_000


def test_a_payment_is_reversed_once():
    bounce = cmd.ReversePayment(payment_id="PAY1", reason="bounced")
    bounced = ev.PaymentReversed(payment_id="PAY1", reason="bounced")
    given(account(), payment()).when(bounce).then(bounced)
    given(account(), payment(), bounced).when(bounce).then_refused(Code.PAYMENT_REVERSED)
    given(account(), payment(), bounced).when(allocate(1)).then_refused(Code.PAYMENT_REVERSED)
    given(account()).when(bounce).then_refused(Code.PAYMENT_NOT_FOUND)


def test_no_more_is_refunded_than_the_credit():
    def refund(fen):
        return cmd.PayRefund(amount_fen=fen, method="bank transfer")

    history = [account(), charge(), payment(amount_fen=12_000)]
    given(history).when(refund(2_000)).then(ev.RefundPaid(amount_fen=2_000, method="bank transfer"))
    given(history).when(refund(2_001)).then_refused(Code.REFUND_TOO_HIGH, credit_fen=2_000)
