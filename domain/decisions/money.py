"""Decisions on an account's money: charges, bills, late fees, credits, deposits, payments and refunds.

All amounts are integer fen. Money can still be settled after the service was terminated.
"""

from datetime import date, timedelta

from domain.account import Account, figures, late_fee_fen
from domain.account.money import Debt, Payment
from domain.calendar import day_of
from domain.commands import account as cmd
from domain.commands.asking import to_event
from domain.decisions.debts import (
    RECURRING,
    carried_by,
    customers_choice,
    held_days,
    lacks_basis,
    late_fee_from,
    reference,
    refuse_held,
    uncarried,
    unpaid_fen,
)
from domain.decisions.hearing import Decisions, Hearing, check_after, check_consent, the
from domain.decisions.packages import OPTIONS
from domain.events import account as ev
from domain.refusals import Code, refuse
from domain.rules.windows import LATE_FEE_PPM, ONE_DAY

decisions: Decisions[Account] = Decisions()

ENDED = ("terminated",)

AT_ONCE = frozenset({"installation", "equipment"})
"""What is bought once: it may be due when it is charged."""


def _charge(a: Account, charge_id: str) -> Debt:
    return the(a.books.charges, charge_id, Code.CHARGE_NOT_FOUND, "charge")


def _debt(a: Account, charge_id: str | None, fee_id: str | None) -> Debt:
    if charge_id is not None:
        return _charge(a, charge_id)
    return the(a.books.fees, fee_id or "", Code.FEE_NOT_FOUND, "late fee")


# -- charges ------------------------------------------------------------------------------------------------


@decisions.on(cmd.PostCharge, new_id=("charge_id", lambda a: a.books.charges), after=ENDED)
def _post(h: Hearing, a: Account, c: cmd.PostCharge) -> ev.ChargePosted:
    assert a.terms is not None  # an opened account has a contract
    _check_service_lasted(h, a, c)
    _check_basis(a, c.kind, c.period_start, c.period_end)
    _check_asked_for(h, a, c)
    deadline = h.day + timedelta(days=a.terms.payment_deadline_days)
    due_on = c.due_on or deadline
    _check_due(due_on, h.day if _due_at_once(a, c) else deadline)
    return to_event(ev.ChargePosted, c, due_on=due_on, basis_event_id=_basis(a, c))


def _check_service_lasted(h: Hearing, a: Account, c: cmd.PostCharge) -> None:
    """Refuse a charge for time in which there is no contract; equipment may be charged for afterwards."""
    if c.kind not in RECURRING and c.kind != "usage":
        return
    if a.cancellation_from is not None and c.period_end > a.cancellation_from:
        refuse(
            Code.CHARGE_AFTER_CANCELLATION,
            f"The contract was cancelled from {a.cancellation_from} on: charge no later period.",
            period_end=c.period_end,
            effective_from=a.cancellation_from,
        )
    if a.status == "terminated" and a.status_since is not None:
        terminated_on = day_of(a.status_since, h.asked.region)
        if c.period_end > terminated_on + ONE_DAY:
            refuse(
                Code.CHARGE_AFTER_TERMINATION,
                f"The service was terminated on {terminated_on}: charge no later period.",
                period_end=c.period_end,
                terminated_on=terminated_on,
            )


def _check_basis(a: Account, kind: str, start: date, end: date) -> None:
    ended = lacks_basis(a, kind, start, end)
    if ended is not None:
        refuse(
            Code.CHARGE_NO_BASIS,
            f"The annual term ended on {ended}: convert or renew the package by the customer's own choice"
            " before later time is charged for.",
            term_end=ended,
            period_end=end,
        )


def _check_asked_for(h: Hearing, a: Account, c: cmd.PostCharge) -> None:
    """Refuse installation and equipment charged for time, once an annual term ended, that nobody asked for."""
    if c.kind not in AT_ONCE or c.period_end == c.period_start:
        return
    if uncarried(a, c.kind, c.period_start, c.period_end) is not None:
        check_consent(h, h.asked.evidenceref, f"A charge of {c.kind} for time after an annual term")


def _due_at_once(a: Account, c: cmd.PostCharge) -> bool:
    """Whether a charge may be due on the day it is posted: what is bought once, or an annual term, in advance."""
    if c.kind in AT_ONCE:
        return True
    return c.kind == "package" and any(
        p.cycle == "annual" and p.end is not None and p.start <= c.period_start and c.period_end <= p.end
        for p in a.packages.values()
    )


def _check_due(due_on: date, earliest: date) -> None:
    """Refuse a deadline that leaves less time than the contract: every later step is counted from it."""
    if due_on < earliest:
        refuse(
            Code.CHARGE_DUE_TOO_EARLY,
            f"The charge can be due on {earliest} at the earliest.",
            due_on=due_on,
            earliest=earliest,
        )


def _basis(a: Account, c: cmd.PostCharge) -> str | None:
    """Return the reference to the choice that a charge for time after an annual term rests on."""
    package = carried_by(a, c.kind, c.period_start, c.period_end) if c.kind in RECURRING else None
    if package is None or package.term_end is None:
        return None
    choice = customers_choice(a, package.package_id, *OPTIONS)
    return reference(choice.source, choice.event_id) if choice and choice.event_id else None


@decisions.on(cmd.IssueBill, new_id=("bill_id", lambda a: a.bills), after=ENDED)
def _bill(_h: Hearing, a: Account, c: cmd.IssueBill) -> ev.BillIssued:
    total_fen = sum(_charge(a, charge_id).standing_fen for charge_id in c.charge_ids)
    return to_event(ev.BillIssued, c, total_fen=total_fen)


@decisions.on(cmd.ReverseCharge, after=ENDED)
def _reverse(h: Hearing, a: Account, c: cmd.ReverseCharge) -> ev.ChargeReversed:
    debt = _debt(a, c.charge_id, c.fee_id)
    check_after(h, debt.posted_at, "charge", debt.debt_id)
    if c.amount_fen > debt.standing_fen:
        refuse(
            Code.REVERSAL_TOO_HIGH,
            f"Only {debt.standing_fen} fen of {debt.debt_id} stand: reverse no more.",
            standing_fen=debt.standing_fen,
        )
    return to_event(ev.ChargeReversed, c)


@decisions.on(cmd.WriteOffDebt, after=ENDED)
def _write_off(h: Hearing, a: Account, c: cmd.WriteOffDebt) -> ev.DebtWrittenOff:
    owed_fen = max(0, figures(a.books, h.day).balance_fen)
    if c.amount_fen > owed_fen:
        refuse(
            Code.WRITE_OFF_TOO_HIGH,
            f"The account owes {owed_fen} fen: write off no more.",
            owed_fen=owed_fen,
        )
    return to_event(ev.DebtWrittenOff, c)


@decisions.on(cmd.AgreeInstalmentPlan, new_id=("plan_id", lambda a: a.instalment_plans), after=ENDED)
def _instalments(h: Hearing, a: Account, c: cmd.AgreeInstalmentPlan) -> ev.InstalmentPlanAgreed:
    owed_fen = sum(unpaid_fen(a, _charge(a, charge_id).debt_id, h.day) for charge_id in c.charge_ids)
    planned_fen = sum(i.amount_fen for i in c.instalments)
    if planned_fen != owed_fen:
        refuse(
            Code.INSTALMENTS_DIFFER,
            f"The charges are unpaid by {owed_fen} fen: the instalments should add up to that.",
            owed_fen=owed_fen,
            planned_fen=planned_fen,
        )
    return to_event(ev.InstalmentPlanAgreed, c)


# -- late fees ----------------------------------------------------------------------------------------------


@decisions.on(cmd.AssessLateFee, new_id=("fee_id", lambda a: a.books.fees), after=ENDED)
def _late_fee(h: Hearing, a: Account, c: cmd.AssessLateFee) -> ev.LateFeeAssessed:
    charge = _charge(a, c.charge_id)
    base_fen = _late_fee_base(h, a, charge)
    _check_basis(a, charge.kind, charge.period_start, charge.period_end)
    start = _late_fee_from(h, a, charge)
    _check_late_fee_days(h, a, c, start)
    amount_fen = late_fee_fen(base_fen, LATE_FEE_PPM, (c.to - start).days)
    if amount_fen == 0:
        refuse(
            Code.LATE_FEE_ZERO,
            f"The fee on {base_fen} fen from {start} to {c.to} is less than one fen: wait for more days.",
            base_fen=base_fen,
        )
    return to_event(
        ev.LateFeeAssessed,
        c,
        base_fen=base_fen,
        rate_ppm=LATE_FEE_PPM,
        from_=start,
        amount_fen=amount_fen,
    )


def _late_fee_base(h: Hearing, a: Account, charge: Debt) -> int:
    """Return what is unpaid of a charge in fen; refuses where nothing is, or it is disputed or not yet due.

    What was paid since is left out for all the days: never more is levied than may be.
    """
    if charge.standing_fen == 0:
        refuse(
            Code.CHARGE_REVERSED,
            f"The charge {charge.debt_id} was taken back: it bears no late fee.",
            charge_id=charge.debt_id,
        )
    base_fen = unpaid_fen(a, charge.debt_id, h.day)
    if base_fen == 0:
        refuse(
            Code.CHARGE_SETTLED,
            f"Nothing is left unpaid of the charge {charge.debt_id}.",
            charge_id=charge.debt_id,
        )
    _check_overdue(h, charge)
    if a.held("late_fee", charge.debt_id):
        refuse_held(a, "late_fee", charge.debt_id)
    return base_fen


def _check_overdue(h: Hearing, charge: Debt) -> None:
    if charge.due_on >= h.day:
        refuse(
            Code.CHARGE_NOT_OVERDUE,
            f"The charge {charge.debt_id} can be paid until {charge.due_on}.",
            charge_id=charge.debt_id,
            due_on=charge.due_on,
        )


def _late_fee_from(h: Hearing, a: Account, charge: Debt) -> date:
    """Return the first day for which no fee was assessed yet on a charge, after the holds that once stood."""
    start = late_fee_from(a, charge, h.asked.region)
    if start is None:
        refuse(
            Code.LATE_FEE_NOT_STARTED,
            f"The contract of account {a.account_id} lets late fees begin with the suspension.",
            charge_id=charge.debt_id,
        )
    return start


def _check_late_fee_days(h: Hearing, a: Account, c: cmd.AssessLateFee, start: date) -> None:
    if c.to > h.day + ONE_DAY:
        refuse(
            Code.LATE_FEE_IN_FUTURE,
            f"Today is {h.day}: assess no fee for later days.",
            to=c.to,
        )
    if c.to <= start:
        refuse(
            Code.LATE_FEE_NO_DAYS,
            f"The next fee on the charge {c.charge_id} begins with {start}: `to` should be later.",
            charge_id=c.charge_id,
            start=start,
        )
    for held_from, held_to in held_days(a, _charge(a, c.charge_id), h.asked.region):
        if start < held_from < c.to:
            refuse(
                Code.HOLD_COVERS,
                f"A dispute hold stood from {held_from} to {held_to}: assess the days before it first.",
                charge_id=c.charge_id,
                held_from=held_from,
                held_to=held_to,
            )


# -- credits and deposits -----------------------------------------------------------------------------------


@decisions.on(cmd.GrantCredit, new_id=("credit_id", lambda a: a.credit_ids), after=ENDED)
def _credit(_h: Hearing, _a: Account, c: cmd.GrantCredit) -> ev.CreditGranted:
    return to_event(ev.CreditGranted, c)


@decisions.on(cmd.TakeDeposit, new_id=("deposit_id", lambda a: a.deposits))
def _deposit(_h: Hearing, _a: Account, c: cmd.TakeDeposit) -> ev.DepositTaken:
    return to_event(ev.DepositTaken, c)


@decisions.on(cmd.ReturnDeposit, after=ENDED)
def _return_deposit(_h: Hearing, a: Account, c: cmd.ReturnDeposit) -> ev.DepositReturned:
    held_fen = the(a.deposits, c.deposit_id, Code.DEPOSIT_NOT_FOUND, "deposit")
    if c.amount_fen > held_fen:
        refuse(
            Code.DEPOSIT_TOO_LOW,
            f"Of the deposit {c.deposit_id} {held_fen} fen are held: return no more.",
            held_fen=held_fen,
        )
    return to_event(ev.DepositReturned, c)


# -- payments -----------------------------------------------------------------------------------------------


def _standing_payment(a: Account, payment_id: str) -> Payment:
    payment = the(a.books.payments, payment_id, Code.PAYMENT_NOT_FOUND, "payment")
    if payment.reversed_by is not None:
        refuse(
            Code.PAYMENT_REVERSED,
            f"The payment {payment_id} was reversed: it does not stand.",
            payment_id=payment_id,
        )
    return payment


@decisions.on(cmd.ReceivePayment, new_id=("payment_id", lambda a: a.books.payments), after=ENDED)
def _receive(_h: Hearing, _a: Account, c: cmd.ReceivePayment) -> ev.PaymentReceived:
    return to_event(ev.PaymentReceived, c)


@decisions.on(cmd.AllocatePayment, after=ENDED)
def _allocate(_h: Hearing, a: Account, c: cmd.AllocatePayment) -> ev.PaymentAllocated:
    payment = _standing_payment(a, c.payment_id)
    debt = _debt(a, c.charge_id, c.fee_id)
    standing = {k for k, p in a.books.payments.items() if p.reversed_by is None}
    parts = [part for part in a.books.allocations if part.payment_id in standing]
    left_fen = payment.amount_fen - sum(p.amount_fen for p in parts if p.payment_id == payment.payment_id)
    if c.amount_fen > left_fen:
        refuse(
            Code.ALLOCATION_EXCEEDS_PAYMENT,
            f"Of the payment {payment.payment_id} {left_fen} fen are left: allocate no more.",
            left_fen=left_fen,
        )
    # What no allocation has placed pays the oldest debt for now, but may still be put elsewhere.
    is_fee = c.fee_id is not None
    placed_fen = sum(p.amount_fen for p in parts if (p.debt_id, p.is_fee) == (debt.debt_id, is_fee))
    owed_fen = max(0, debt.standing_fen - placed_fen)
    if c.amount_fen > owed_fen:
        refuse(
            Code.ALLOCATION_EXCEEDS_DEBT,
            f"Of {debt.debt_id} {owed_fen} fen are owed: allocate no more.",
            owed_fen=owed_fen,
        )
    return to_event(ev.PaymentAllocated, c)


@decisions.on(cmd.ReversePayment, after=ENDED)
def _bounce(h: Hearing, a: Account, c: cmd.ReversePayment) -> ev.PaymentReversed:
    payment = _standing_payment(a, c.payment_id)
    check_after(h, payment.received_at, "payment", payment.payment_id)
    return to_event(ev.PaymentReversed, c)


@decisions.on(cmd.PayRefund, after=ENDED)
def _refund(h: Hearing, a: Account, c: cmd.PayRefund) -> ev.RefundPaid:
    credit_fen = figures(a.books, h.day).credit_fen
    if c.amount_fen > credit_fen:
        refuse(
            Code.REFUND_TOO_HIGH,
            f"The account's credit is {credit_fen} fen: refund no more.",
            credit_fen=credit_fen,
        )
    return to_event(ev.RefundPaid, c)
