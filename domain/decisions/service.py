"""Decisions on the service: suspended, resumed and terminated on their days and for their reasons."""

from domain.account import Account
from domain.calendar import day_of
from domain.commands import account as cmd
from domain.commands.asking import to_event
from domain.decisions.account import of_holder
from domain.decisions.debts import Owed, free, holders_own, misused_number, overdue, refuse_held
from domain.decisions.hearing import Decisions, Hearing, check_consent
from domain.events import account as ev
from domain.refusals import Code, refuse
from domain.rules.windows import arrears_article, earliest_suspension, earliest_termination

decisions: Decisions[Account] = Decisions()


def _undisputed(h: Hearing, a: Account) -> list[Owed]:
    """Return what the holder owes past its deadline, under no hold against suspension, oldest first.

    Refuses where nothing is.
    """
    debts = holders_own(a, overdue(a, h.day))
    if not debts:
        refuse(
            Code.NOTHING_OVERDUE,
            f"Nothing the holder owes on account {a.account_id} is unpaid past its deadline on {h.day}.",
            account_id=a.account_id,
        )
    undisputed = free(a, debts, "suspension")
    if not undisputed:
        refuse_held(a, "suspension", debts[0].charge.debt_id)
    return undisputed


# -- suspension ---------------------------------------------------------------------------------------------


@decisions.on(cmd.SuspendService)
def _suspend(h: Hearing, a: Account, c: cmd.SuspendService) -> ev.ServiceSuspended:
    if a.status != "active":
        refuse(
            Code.SERVICE_NOT_ACTIVE,
            f"The service of account {a.account_id} is {a.status}: it should be active.",
            status=a.status,
        )
    if c.reason == "arrears":
        debts = _undisputed(h, a)
        _check_suspension_day(h, a, debts[0])
        return to_event(ev.ServiceSuspended, c, arrears_fen=sum(d.unpaid_fen for d in debts))
    match c.reason:
        case "expiry":
            _check_expired(h, a)
        case "customer_request":
            check_consent(h, h.asked.evidenceref, "A suspension at the customer's request")
        case "fraud":
            _check_evidence(h, a)
    return to_event(ev.ServiceSuspended, c)


def _check_evidence(h: Hearing, a: Account) -> None:
    """Refuse to call it fraud without evidence: else arrears would need no more than the word."""
    if h.asked.evidenceref is None:
        refuse(
            Code.EVIDENCE_MISSING,
            f"A suspension of account {a.account_id} for fraud needs evidenceref, a reference to the evidence.",
            account_id=a.account_id,
        )


def _check_suspension_day(h: Hearing, a: Account, oldest: Owed) -> None:
    assert a.terms is not None  # an opened account has a contract
    earliest = earliest_suspension(a.line_of_business, a.terms, oldest.charge.due_on)
    if h.day < earliest:
        refuse(
            Code.SUSPENSION_TOO_EARLY,
            f"The oldest unpaid charge was due on {oldest.charge.due_on}:"
            f" no suspension for arrears before {earliest} ({arrears_article(h.day)}).",
            charge_id=oldest.charge.debt_id,
            due_on=oldest.charge.due_on,
            earliest=earliest,
        )


def _check_expired(h: Hearing, a: Account) -> None:
    running = [p for p in a.packages.values() if p.start <= h.day and (p.end is None or h.day < p.end)]
    if running:
        refuse(
            Code.PACKAGE_RUNNING,
            f"The package {running[0].package_id} runs until {running[0].end or 'it is cancelled'}.",
            package_id=running[0].package_id,
            end=running[0].end,
        )
    if not any(p.end is not None and p.end <= h.day for p in a.packages.values()):
        refuse(
            Code.PACKAGE_NOT_ENDED,
            f"No package of account {a.account_id} has ended by {h.day}.",
            account_id=a.account_id,
        )


@decisions.on(cmd.ResumeService)
def _resume(_h: Hearing, a: Account, c: cmd.ResumeService) -> ev.ServiceResumed:
    if a.status != "suspended":
        refuse(
            Code.SERVICE_NOT_SUSPENDED,
            f"The service of account {a.account_id} is {a.status}: it should be suspended.",
            status=a.status,
        )
    return to_event(ev.ServiceResumed, c)


# -- termination --------------------------------------------------------------------------------------------


@decisions.on(cmd.TerminateService, needs=of_holder)
def _terminate(h: Hearing, a: Account, c: cmd.TerminateService) -> ev.ServiceTerminated:
    match c.reason:
        case "arrears":
            _check_termination_day(h, a)
        case "identity_misuse":
            _check_misuse(h, a)
        case "customer_request":
            _check_cancelled(h, a)
    return to_event(ev.ServiceTerminated, c)


def _check_termination_day(h: Hearing, a: Account) -> None:
    if a.status != "suspended" or a.suspension_reason != "arrears" or a.status_since is None:
        refuse(
            Code.TERMINATION_NOT_SUSPENDED,
            f"Suspend the service of account {a.account_id} for arrears first.",
            status=a.status,
            suspension_reason=a.suspension_reason,
        )
    # A disputed debt that forbids the suspension forbids what follows from one all the more.
    debts = _undisputed(h, a)
    assert a.terms is not None  # an opened account has a contract
    suspended_on = day_of(a.status_since, h.asked.region)
    earliest = earliest_termination(a.terms, suspended_on)
    if h.day < earliest:
        refuse(
            Code.TERMINATION_TOO_EARLY,
            f"The service was suspended on {suspended_on}:"
            f" no termination for arrears before {earliest} ({arrears_article(h.day)}).",
            suspended_on=suspended_on,
            earliest=earliest,
        )
    if debts[0].charge.due_on >= suspended_on:
        refuse(
            Code.TERMINATION_OTHER_DEBT,
            f"What was overdue when the service was suspended on {suspended_on} is settled:"
            f" the charge {debts[0].charge.debt_id} fell due later.",
            charge_id=debts[0].charge.debt_id,
            due_on=debts[0].charge.due_on,
            suspended_on=suspended_on,
        )


def _check_misuse(h: Hearing, a: Account) -> None:
    if misused_number(a, h.person(a.party_id)) is not None:
        return
    refuse(
        Code.MISUSE_NOT_CONFIRMED,
        f"Confirm the misuse on the party {a.party_id} first, for a number of account {a.account_id}.",
        party_id=a.party_id,
    )


def _check_cancelled(h: Hearing, a: Account) -> None:
    if a.cancellation_from is None or h.day < a.cancellation_from:
        refuse(
            Code.TERMINATION_NOT_REQUESTED,
            "The customer's cancellation has to be recorded, and in effect.",
            effective_from=a.cancellation_from,
        )
