"""Decisions on arrears as the operator's system reports them, dispute holds, and notices to the customer."""

from domain.account import Account, figures
from domain.account.state import Notice
from domain.commands import account as cmd
from domain.commands.asking import to_event
from domain.decisions.account import of_holder
from domain.decisions.debts import unpaid_fen
from domain.decisions.hearing import Decisions, Hearing, check_after, check_not_backdated, the
from domain.events import account as ev
from domain.party import ContactPoint
from domain.refusals import Code, refuse
from domain.rules.windows import ONE_DAY

decisions: Decisions[Account] = Decisions()

ENDED = ("terminated",)

# -- arrears ------------------------------------------------------------------------------------------------


@decisions.on(cmd.StartArrears, after=ENDED)
def _start(h: Hearing, a: Account, c: cmd.StartArrears) -> ev.ArrearsStarted:
    charge = the(a.books.charges, c.charge_id, Code.CHARGE_NOT_FOUND, "charge")
    if a.reported_arrears_since is not None:
        refuse(
            Code.ARREARS_ALREADY_STARTED,
            f"Arrears since {a.reported_arrears_since} are recorded already.",
            since=a.reported_arrears_since,
        )
    amount_fen = unpaid_fen(a, charge.debt_id, h.day)
    if amount_fen == 0:
        refuse(
            Code.CHARGE_SETTLED,
            f"Nothing is left unpaid of the charge {c.charge_id}.",
            charge_id=c.charge_id,
        )
    if charge.due_on >= h.day:
        refuse(
            Code.CHARGE_NOT_OVERDUE,
            f"The charge {c.charge_id} can be paid until {charge.due_on}.",
            charge_id=c.charge_id,
            due_on=charge.due_on,
        )
    return to_event(ev.ArrearsStarted, c, amount_fen=amount_fen, since=charge.due_on + ONE_DAY)


@decisions.on(cmd.ClearArrears, after=ENDED)
def _clear(h: Hearing, a: Account, c: cmd.ClearArrears) -> ev.ArrearsCleared:
    if a.reported_arrears_since is None:
        refuse(Code.ARREARS_NOT_STARTED, f"No arrears are recorded on account {a.account_id}.")
    since = figures(a.books, h.day).past_due.arrears_since
    if since is not None:
        refuse(
            Code.ARREARS_STAND,
            f"Something on account {a.account_id} is overdue since {since}: it has to be paid or taken back.",
            since=since,
        )
    return to_event(ev.ArrearsCleared, c, cleared_on=h.day)


# -- dispute holds ------------------------------------------------------------------------------------------


@decisions.on(
    cmd.PlaceDisputeHold,
    new_id=("hold_id", lambda a: a.holds.keys() | a.released_holds),
    after=ENDED,
)
def _hold(_h: Hearing, a: Account, c: cmd.PlaceDisputeHold) -> ev.DisputeHoldPlaced:
    for charge_id in c.charge_ids or ():
        the(a.books.charges, charge_id, Code.CHARGE_NOT_FOUND, "charge")
    return to_event(ev.DisputeHoldPlaced, c)


@decisions.on(cmd.ReleaseDisputeHold, after=ENDED)
def _release(h: Hearing, a: Account, c: cmd.ReleaseDisputeHold) -> ev.DisputeHoldReleased:
    if c.hold_id in a.released_holds and c.hold_id not in a.holds:
        refuse(
            Code.HOLD_RELEASED,
            f"The dispute hold {c.hold_id} was released before.",
            hold_id=c.hold_id,
        )
    hold = the(a.holds, c.hold_id, Code.HOLD_NOT_FOUND, "dispute hold")
    check_after(h, hold.placed_at, "dispute hold", hold.hold_id)
    if c.outcome == "rejected":
        # Dated back, it would open days to late fees that the hold had closed.
        check_not_backdated(h)
    return to_event(ev.DisputeHoldReleased, c)


# -- notices ------------------------------------------------------------------------------------------------


@decisions.on(
    cmd.AttemptNotice,
    new_id=("notice_id", lambda a: a.notices),
    after=ENDED,
    needs=of_holder,
)
def _attempt(h: Hearing, a: Account, c: cmd.AttemptNotice) -> ev.NoticeAttempted:
    if c.package_id is not None and c.package_id not in a.choices:
        the(a.packages, c.package_id, Code.PACKAGE_NOT_FOUND, "package")
    for charge_id in c.charge_ids or ():
        the(a.books.charges, charge_id, Code.CHARGE_NOT_FOUND, "charge")
    point = None if c.contact_point_id is None else _contact_point(h, a, c.contact_point_id)
    if point is not None and not point.valid_at(h.asked.time):
        refuse(
            Code.CONTACT_POINT_INVALID,
            f"The contact point {c.contact_point_id} does not reach the party: choose another.",
            contact_point_id=c.contact_point_id,
            reason=point.reason,
        )
    alike = [n for n in a.notices.values() if (n.purpose, n.package_id) == (c.purpose, c.package_id)]
    attempt_no = c.attempt_no if c.attempt_no is not None else len(alike) + 1
    return to_event(ev.NoticeAttempted, c, attempt_no=attempt_no)


def _contact_point(h: Hearing, a: Account, contact_point_id: str) -> ContactPoint:
    points = {k: p for party in reversed(h.person(a.party_id)) for k, p in party.contact_points.items()}
    return the(points, contact_point_id, Code.CONTACT_POINT_NOT_FOUND, "contact point")


def _pending(h: Hearing, a: Account, notice_id: str) -> Notice:
    notice = the(a.notices, notice_id, Code.NOTICE_NOT_FOUND, "notice")
    if notice.outcome != "pending":
        refuse(
            Code.NOTICE_SETTLED,
            f"The notice {notice_id} is recorded as {notice.outcome}: attempt another.",
            notice_id=notice_id,
            outcome=notice.outcome,
        )
    check_after(h, notice.attempted_at, "notice", notice_id)
    return notice


@decisions.on(cmd.ConfirmNoticeDelivery, after=ENDED)
def _delivered(h: Hearing, a: Account, c: cmd.ConfirmNoticeDelivery) -> ev.NoticeDelivered:
    _pending(h, a, c.notice_id)
    return to_event(ev.NoticeDelivered, c)


@decisions.on(cmd.ReportNoticeFailure, after=ENDED)
def _failed(h: Hearing, a: Account, c: cmd.ReportNoticeFailure) -> ev.NoticeFailed:
    _pending(h, a, c.notice_id)
    return to_event(ev.NoticeFailed, c)
