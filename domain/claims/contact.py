"""Claims about contact: notices that reached the customer or not, complaints, answers, and who called."""

from domain.claims import forms
from domain.claims.customer import Customer, Shown, counted, day, names, within
from domain.events import account as av
from domain.events import case as cv
from domain.events import party as pv
from domain.events.envelope import Recorded


def notices(claim: forms.WasNotified | forms.NeverNotified, customer: Customer) -> Shown:
    """See whether a notice reached the customer: delivered to a contact point that was theirs and still reached."""
    tried = [
        (account, r, d)
        for account, r, d in customer.of(av.NoticeAttempted, claim.account_id)
        if claim.purpose in (None, d.purpose)
        and claim.channel in (None, d.channel)
        and within(r, claim.since, claim.until)
    ]
    mine = {(account.subject, d.notice_id) for account, _, d in tried}
    deliveries = [
        d
        for account in customer.accounts(claim.account_id)
        for d in account.deliveries
        if (account.subject, d.attempt.notice_id) in mine
    ]
    reached = [d for d in deliveries if d.reach == "reached"]
    if reached:
        said = f"{counted(len(reached), 'notice')} reached the customer, the first on {day(reached[0].delivered)}"
        return Shown("yes", said, [r for d in reached for r in (d.attempted, d.delivered)])
    if not tried:
        return Shown("silent", "no notice of that kind was attempted in that time")
    failed = [
        (r, d)
        for account in customer.accounts(claim.account_id)
        for r, d in account.of(av.NoticeFailed)
        if (account.subject, d.notice_id) in mine
    ]
    settled = {d.notice_id for _, d in failed} | {
        d.attempt.notice_id for d in deliveries if d.reach == "astray"
    }
    open_ = [r for _, r, d in tried if d.notice_id not in settled]
    if open_:
        said = "whom the notices reached is not on record: no outcome, or no contact point is named"
        return Shown("open", said, nearest=open_)
    why = names(
        [*(d.reason for _, d in failed), *("delivered astray" for d in deliveries if d.reach == "astray")]
    )
    events = [*(r for _, r, _ in tried), *(r for r, _ in failed), *(d.delivered for d in deliveries)]
    said = f"{counted(len(tried), 'attempt')} on record, and none reached the customer: {why}"
    return Shown("no", said, [*events, *_dead(customer, [d for _, _, d in tried])])


def _dead(customer: Customer, attempts: list[av.NoticeAttempted]) -> list[Recorded]:
    """Return what made the contact points that were tried unusable."""
    used = {d.contact_point_id for d in attempts}
    return [r for _, r, d in customer.self_of(pv.ContactPointInvalidated) if d.contact_point_id in used]


def complaint(claim: forms.Complained, customer: Customer) -> Shown:
    """See whether the customer complained on a day."""
    received = [r for _, r in customer.cases(claim.case_id)]
    found = [r for r in received if day(r) == claim.on]
    if found:
        return Shown("yes", f"{names(r.event.subject for r in found)} was received on {claim.on}", found)
    return Shown("silent", f"no complaint of {claim.on} is on record", nearest=received)


def answer(claim: forms.WasAnswered | forms.WasNotAnswered, customer: Customer) -> Shown:
    """See whether a complaint was answered by the end of a day."""
    cases = [(case, r) for case, r in customer.cases(claim.case_id) if day(r) <= claim.by]
    if not cases:
        return Shown("open", f"no complaint of the customer's by {claim.by} is on record")
    answers = [(received, r) for case, received in cases for r, _ in case.of(cv.ComplaintAnswered)]
    in_time = [r for _, r in answers if day(r) <= claim.by]
    if in_time:
        return Shown("yes", f"answered on {day(in_time[0])}", [*(r for _, r in cases), *in_time])
    if claim.by > customer.today:
        return Shown("open", f"{claim.by} lies after the day the ledger is asked as known on")
    if answers:
        late = answers[0][1]
        return Shown("no", f"answered only on {day(late)}", [answers[0][0], late])
    return Shown("silent", f"no answer by {claim.by} is on record", nearest=[r for _, r in cases])


def contacts(claim: forms.ContactedBy, customer: Customer) -> Shown:
    """See how many members of staff contacted the customer; that one is not on record disproves nothing."""
    called = [
        (r, d)
        for case, _ in customer.cases(claim.case_id)
        for r, d in case.of(cv.InteractionRecorded)
        if d.direction == "outbound" and within(r, claim.since, claim.until)
    ]
    staff = names(d.staff_id for _, d in called)
    count = len({d.staff_id for _, d in called})
    said = (
        f"{counted(count, 'member')} of staff contacted the customer on record: {staff}"
        if count
        else "no contact is on record"
    )
    if count >= claim.staff:
        return Shown("yes", said, [r for r, _ in called])
    return Shown("silent", said, nearest=[r for r, _ in called])
