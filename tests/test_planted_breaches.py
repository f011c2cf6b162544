"""One breach of each rule, planted into years that were lawful: found as that breach, and as nothing else."""

import itertools
import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from api.inquiry import found
from domain.calendar import months_after
from domain.events import Event
from domain.events import account as av
from domain.events import case as cv
from domain.events import dealer as dv
from domain.events import party as pv
from domain.ledger.codec import canonical
from domain.ledger.interchange import bringing
from domain.rules.table import RULE_IDS, Inquiry, findings
from tests.histories import History, mixed
from tests.lawful import REGION
from tests.planting import (
    LIVES,
    ONE_DAY,
    PLANTS,
    Breach,
    Planting,
    UnsuitedError,
    breaks,
    found_in,
    lived,
    on,
    suited,
)
from tests.support import bring

# -- packages -----------------------------------------------------------------------------------------------


@breaks("expiry-choice", follows=("charge-basis", "late-fee", "blacklist-basis", "refusal-basis"))
def _staff_choose(p):
    """The options were not shown, the choice was not made, or somebody else made it."""
    sold = p.one(p.of(av.PackageSubscribed, cycle="annual"))
    subject, package_id = sold.event.subject, sold.event.data.package_id
    (shown,) = p.of(av.ExpiryOptionPresented, subject, package_id=package_id)
    chosen = p.of(av.ExpiryOptionSelected, subject, package_id=package_id)[0]
    how = p.one(["not shown", "not chosen", "staff_default", "system_default"])
    absent = ["ExpiryOptionSelected"]
    if how == "not shown":
        p.drop(shown)
        absent.append("ExpiryOptionPresented")
        return Breach(subject, (sold.event.id, chosen.event.id), tuple(absent))
    p.drop(chosen)
    if how == "not chosen":
        return Breach(subject, (sold.event.id, shown.event.id), tuple(absent))
    wrong = p.add(subject, replace(chosen.event.data, selected_by=how, consent_ref=None), chosen.event.time)
    return Breach(subject, (sold.event.id, wrong), tuple(absent))


@breaks("expiry-notice", follows=("renewal-notice",), touches=("notice-reach",))
def _say_nothing(p):
    """Nobody was told before the year's end, or nobody after it."""
    sold = p.one(p.terms())
    subject, data = sold.event.subject, sold.event.data
    before = p.one([False, True])
    purposes = ("pre_expiry", "renewal") if before else ("post_expiry",)
    sent = [
        r for r in p.of(av.NoticeAttempted, subject, package_id=data.package_id)
        if r.event.data.purpose in purposes and (on(r) < data.end) == before
    ]  # fmt: skip
    _unsend(p, subject, {r.event.data.notice_id for r in sent})
    return Breach(subject, (sold.event.id,), ("NoticeDelivered",))


def _unsend(p, subject, notice_ids):
    """Leave notices out, with what became of them."""
    kinds = (av.NoticeAttempted, av.NoticeDelivered, av.NoticeFailed)
    p.drop(*(r for r in p.of(kinds, subject) if r.event.data.notice_id in notice_ids))


@breaks("charge-basis", touches=("restore-within",))
def _charge_on(p):
    """A month was charged after a year whose customer had chosen that nothing, or another year, should follow."""
    sold = p.one([r for r in p.terms() if _option(p, r) != "convert_to_monthly"])
    subject, amount_fen = sold.event.subject, p.fen()
    start = p.day(sold.event.data.end, p.today - ONE_DAY)
    charged = p.add(subject, av.ChargePosted(
        charge_id="X", kind="monthly", amount_fen=amount_fen, period_start=start, period_end=start + 30 * ONE_DAY,
        due_on=p.today,
    ), start)  # fmt: skip
    if p.one([False, True]):
        _pay_for(p, subject, "X", amount_fen, p.day(start, p.today))
    return Breach(subject, (charged,), (), amount_fen)


def _option(p, sold):
    return p.of(av.ExpiryOptionSelected, sold.event.subject)[0].event.data.option


def _pay_for(p, subject, charge_id, amount_fen, day):
    """Let the customer pay exactly what a charge comes to."""
    p.add(
        subject,
        av.PaymentReceived(payment_id="XP", amount_fen=amount_fen, value_date=day, method="cash"),
        day,
        13,
    )
    p.add(subject, av.PaymentAllocated(payment_id="XP", charge_id=charge_id, amount_fen=amount_fen), day, 14)


@breaks("renewal-notice", follows=("expiry-notice",), touches=("notice-reach",))
def _renew_unasked(p):
    """A year renewed itself, and nobody had been told in time."""
    renewed = p.one([r for r in p.of(av.PackageRenewed) if r.event.data.start >= date(2024, 7, 1)])
    subject, data = renewed.event.subject, renewed.event.data
    told = [
        r.event.data.notice_id
        for r in p.of(av.NoticeAttempted, subject, purpose="renewal")
        if on(r) < data.start
    ]
    late = data.start - p.days(0, 4)
    delivered = [r for r in p.of(av.NoticeDelivered, subject) if r.event.data.notice_id in told]
    if p.one([False, True]):
        _unsend(p, subject, set(told))
    else:
        for r in delivered:
            p.put_off(r, late - on(r))
    return Breach(subject, (renewed.event.id,), ("NoticeDelivered",))


# -- arrears ------------------------------------------------------------------------------------------------


@breaks("late-fee", follows=("dispute-hold",), touches=("restore-within", "blacklist-removal"))
def _levy_too_much(p):
    """A fee was levied before its day, after the payment, twice, or beyond the rate."""
    how = p.one(["early", "paid", "twice", "too much"])
    if how == "early":
        charged = p.one(p.of(av.ChargePosted))
        return _levy(p, charged, charged.event.data.due_on + ONE_DAY - p.days(1, 10))
    if how == "paid":
        charged = p.one(
            [r for r in p.of(av.ChargePosted, kind="package") if r.event.data.charge_id.endswith("year")]
        )
        return _levy(p, charged, charged.event.data.due_on + p.days(1, 100))
    levied = p.one(p.of(av.LateFeeAssessed))
    subject, fee = levied.event.subject, levied.event.data
    if how == "twice":
        again = p.add(subject, replace(fee, fee_id="X"), levied.event.time + p.days(1, 30))
        return Breach(subject, (again,), (), fee.amount_fen)
    more_fen = p.fen()
    p.drop(levied)
    wrong = p.add(subject, replace(fee, amount_fen=fee.amount_fen + more_fen), levied.event.time)
    return Breach(subject, (wrong,), (), more_fen)


def _levy(p, charged, start):
    """Levy on a charge for days for which nothing may be levied."""
    subject, charge = charged.event.subject, charged.event.data
    last = charge.due_on + ONE_DAY if start <= charge.due_on else start + 30 * ONE_DAY
    to = p.day(start + ONE_DAY, last)
    amount_fen = charge.amount_fen * 3 * (to - start).days // 1_000
    suited(amount_fen)
    levied = p.add(subject, av.LateFeeAssessed(
        fee_id="X", charge_id=charge.charge_id, base_fen=charge.amount_fen, rate_ppm=3_000, from_=start, to=to,
        amount_fen=amount_fen,
    ), to)  # fmt: skip
    return Breach(subject, (levied, charged.event.id), (), amount_fen)


def _before_arrears(p, subject, grace_days=0):
    """Draw a day on which nothing had been overdue for more than so many days."""
    opened = p.of(av.AccountOpened, subject)[0]
    since = [r.event.data.since for r in p.of(av.ArrearsStarted, subject)[:1]]
    ended = [on(r) for r in p.of(av.ServiceTerminated, subject)]
    last = min([d + (grace_days - 1) * ONE_DAY for d in since] + [d - ONE_DAY for d in ended] + [p.today])
    return p.day(on(opened) + ONE_DAY, last)


@breaks("suspension-window", follows=("dispute-hold",))
def _suspend_early(p):
    """The service was stopped before its day, for an hour."""
    subject = p.one(["account/A", "account/B", "account/M"])
    day = _before_arrears(p, subject, 10 if subject == "account/M" else 30)
    stopped = p.add(subject, av.ServiceSuspended(reason="arrears"), day, 12)
    p.add(subject, av.ServiceResumed(reason="complaint"), day, 13)
    return Breach(subject, (stopped,))


@breaks("termination-window", touches=("expiry-notice", "restore-within", "cancellation"))
def _end_early(p):
    """The service was ended without a suspension, or after too few days of it."""
    stopped = p.of(av.ServiceSuspended, reason="arrears")
    if stopped and p.one([False, True]):
        suspended = p.one(stopped)
        subject = suspended.event.subject
        ended = p.add(subject, av.ServiceTerminated(reason="arrears"), on(suspended) + p.days(1, 59), 1)
        lifted = any(
            suspended.event.time < r.event.time < p.last.time for r in p.of(av.ServiceResumed, subject)
        )
        return Breach(subject, (ended,) if lifted else (ended, suspended.event.id))
    subject = p.one(["account/A", "account/B", "account/M"])
    ended = p.add(subject, av.ServiceTerminated(reason="arrears"), _before_arrears(p, subject))
    return Breach(subject, (ended,), ("ServiceSuspended",))


@breaks("restore-within", touches=("termination-window",))
def _restore_late(p):
    """What was owed had been paid, and the service did not come back, or only days later."""
    back = p.one(p.of(av.ServiceResumed))
    subject = back.event.subject
    paid = [r for r in p.of(av.PaymentReceived, subject) if r.event.time < back.event.time][-1]
    later = [
        r.event.time
        for r in p.of((av.ServiceSuspended, av.ServiceTerminated), subject)
        if r.event.time > back.event.time
    ]
    if p.one([False, True]):
        p.drop(back)
        return Breach(subject, (paid.event.id,), ("ServiceResumed",))
    late = p.put_off(back, p.days(3, 12))
    suited(not later or p.last.time < min(later))
    return Breach(subject, (paid.event.id, late))


@breaks("cancellation")
def _go_on(p):
    """A month was charged for time after the cancellation, or the service did not end on its day."""
    asked = p.one(p.of(av.CancellationRequested))
    subject, effective = asked.event.subject, asked.event.data.effective_from
    if p.one([False, True]):
        p.drop(*p.of(av.ServiceTerminated, subject))
        return Breach(subject, (asked.event.id,), ("ServiceTerminated",))
    start, amount_fen = effective + p.days(0, 60), p.fen()
    charged = p.add(subject, av.ChargePosted(
        charge_id="X", kind=p.one(["monthly", "usage"]), amount_fen=amount_fen, period_start=start,
        period_end=start + 30 * ONE_DAY, due_on=p.today,
    ), start)  # fmt: skip
    return Breach(subject, (asked.event.id, charged), (), amount_fen)


ACTS = {
    av.LateFeeAssessed: "late_fee",
    av.ServiceSuspended: "suspension",
    pv.BlacklistEntryAdded: "blacklist",
}


@breaks("dispute-hold", follows=("late-fee",))
def _act_under_a_hold(p):
    """What was done lawfully was in dispute."""
    kind = p.one(list(ACTS))
    act = p.one([r for r in p.of(kind) if getattr(r.event.data, "reason", "arrears") == "arrears"])
    account_id = getattr(act.event.data, "basis_account_id", act.event.subject.partition("/")[2])
    subject = f"account/{account_id}"
    last = min(on(act), getattr(act.event.data, "to", on(act)))  # a fee for the days before it may stand
    placed = last - p.days(1, 20)
    suited(placed > on(p.of(av.AccountOpened, subject)[0]))
    hold = av.DisputeHoldPlaced(hold_id="X", amount_fen=p.fen(), case_id="K", scope=(ACTS[kind],))
    held = p.add(subject, hold, placed)
    if p.one([False, True]):
        p.add(
            subject, av.DisputeHoldReleased(hold_id="X", outcome="upheld"), p.day(on(act) + ONE_DAY, p.today)
        )
    return Breach(subject, (held, act.event.id))


@breaks("notice-reach", follows=("expiry-notice", "renewal-notice", "blacklist-basis", "refusal-basis"))
def _tell_nobody(p):
    """A notice counted as delivered that went to a number of somebody else's, or to one that was given up."""
    if p.one([False, True]):
        subject = p.one(["account/A", "account/B", "account/M"])
        day = p.day(on(p.of(av.AccountOpened, subject)[0]), p.today)
        notice = av.NoticeAttempted(
            notice_id="X", purpose=p.one(["arrears", "suspension", "pre_expiry"]), channel="sms",
            contact_point_id="somebody-elses", attempt_no=1,
        )  # fmt: skip
        return Breach(subject, (
            p.add(subject, notice, day), p.add(subject, av.NoticeDelivered(notice_id="X"), day, 13),
        ))  # fmt: skip
    attempts = {(r.event.subject, r.event.data.notice_id): r for r in p.of(av.NoticeAttempted)}
    told = p.one([
        r for r in p.of(av.NoticeDelivered)
        if attempts[r.event.subject, r.event.data.notice_id].event.data.contact_point_id
    ])  # fmt: skip
    subject, moment = told.event.subject, told.event.time
    attempted = attempts[subject, told.event.data.notice_id]
    point = attempted.event.data.contact_point_id
    kind = p.of(pv.ContactPointAdded, contact_point_id=point)[0].event.data
    lost = pv.ContactPointInvalidated(contact_point_id=point, reason="abandoned")
    alone = timedelta(milliseconds=1)
    p.add("party/P", lost, moment - alone)
    p.add("party/P", kind, moment + alone)
    return Breach(subject, (told.event.id, attempted.event.id))


# -- identity -----------------------------------------------------------------------------------------------


@breaks(
    "real-name", follows=("blacklist-basis", "refusal-basis"), touches=("number-limit", "registration-audit")
)
def _verify_nobody(p):
    """A number went live that rests on no verification, on one that failed, or on one that came later."""
    if p.one([False, True]):
        subject = p.one(["account/A", "account/B", "account/M"])
        number = av.NumberActivated(number="1", number_id="X", registration_id="RX")
        live = p.add(subject, number, p.day(on(p.of(av.AccountOpened, subject)[0]), p.today))
        return Breach(subject, (live,), ("IdentityVerified",), _standing_fen(p, subject))
    (live,) = p.of(av.NumberActivated)
    subject = live.event.subject
    (verified,) = p.of(pv.IdentityVerified, registration_id=live.event.data.registration_id)
    how = p.one(["never", "later", "online", "failed"])
    if how in ("never", "later"):
        evidence: tuple[str, ...] = (live.event.id,)
        if how == "never":
            p.drop(verified)
        else:
            p.put_off(verified, p.days(1, 60))
        return Breach(subject, evidence, ("IdentityVerified",), _standing_fen(p, subject))
    p.drop(verified)
    changed = {"method": "online"} if how == "online" else {"result": "failed"}
    wrong = p.add("party/P", replace(verified.event.data, **changed), verified.event.time)
    return Breach(subject, (live.event.id, wrong), (), _standing_fen(p, subject))


def _standing_fen(p, subject):
    """Return an account's charges and fees without what was taken back, by adding them up."""
    levied = sum(r.event.data.amount_fen for r in p.of((av.ChargePosted, av.LateFeeAssessed), subject))
    return levied - sum(r.event.data.amount_fen for r in p.of(av.ChargeReversed, subject))


@breaks("registration-audit")
def _audit_nothing(p):
    """A dealer's registration was never looked at again, or only after a year."""
    audited = p.one(p.of(pv.RegistrationAudited))
    (registered,) = p.of(pv.IdentityVerified, registration_id=audited.event.data.registration_id)
    if p.one([False, True]):
        p.drop(audited)
        return Breach("party/P", (registered.event.id,), ("RegistrationAudited",))
    late = p.put_off(audited, months_after(on(registered), 12) - on(audited) + p.days(1, 90))
    return Breach("party/P", (registered.event.id, late))


@breaks("number-limit", touches=("real-name",))
def _open_six(p):
    """Six numbers went live on one identity document, each on a verification."""
    suited(p.life.first >= "2016-06-01")
    subject = p.one(["account/A", "account/B"])
    day = p.day(on(p.of(av.AccountOpened, subject)[0]), p.today)
    for n in range(6):
        verified = pv.IdentityVerified(registration_id=f"RX{n}", method="in_person", result="passed")
        p.add("party/P", verified, day, 9)
        number = av.NumberActivated(number="1", number_id=f"X{n}", registration_id=f"RX{n}")
        last = p.add(subject, number, day, 10 + n)
    return Breach("party/P", (last,))


@breaks("dealer-block")
def _let_the_dealer_go(p):
    """After the misuse was confirmed the dealer was not blocked, not fined, or its manager was not; or too late."""
    (confirmed,) = p.of(pv.IdentityMisuseConfirmed)
    answers = [*p.of(dv.DealerBlocked), *p.of(cv.PenaltyImposed)]
    answer = p.one(answers)
    absent = answer.event.type
    if p.one([False, True]):
        p.drop(answer)
    else:
        p.put_off(answer, p.days(11, 60))
    kept = tuple(r.event.id for r in answers if r is not answer)
    return Breach("dealer/D", (confirmed.event.id, *kept), (absent,))


# -- the blacklist ------------------------------------------------------------------------------------------


@breaks(
    "blacklist-basis",
    follows=("blacklist-removal", "refusal-basis", "dispute-hold"),
    touches=("notice-reach",),
)
def _list_without_ground(p):
    """Somebody was listed who owed nothing, or who had not been told."""
    lawful = p.of(pv.BlacklistEntryAdded)
    if lawful and p.one([False, True]):
        added = p.one(lawful)
        subject = f"account/{added.event.data.basis_account_id}"
        told = [
            r for r in p.of(av.NoticeAttempted, subject) if r.event.data.purpose in ("arrears", "blacklist")
        ]
        _unsend(p, subject, {r.event.data.notice_id for r in told})
        return Breach("party/P", (added.event.id,), ("NoticeDelivered",))
    account_id = p.one(["A", "B", "M"])
    day = _before_arrears(p, f"account/{account_id}")
    entry = pv.BlacklistEntryAdded(
        entry_id="X", basis_account_id=account_id, amount_fen=p.fen(), basis_event_ids=()
    )
    added = p.add("party/P", entry, day)
    if p.one([False, True]):
        p.add(
            "party/P",
            pv.BlacklistEntryRemoved(entry_id="X", reason="entered_in_error"),
            day + p.days(0, 5),
            13,
        )
    return Breach("party/P", (added,), ("NoticeDelivered",))


@breaks("blacklist-removal")
def _leave_on_the_list(p):
    """The debt was paid, and the entry stood on, for ever or for too long."""
    removed = p.one(p.of(pv.BlacklistEntryRemoved))
    (added,) = p.of(pv.BlacklistEntryAdded, entry_id=removed.event.data.entry_id)
    if p.one([False, True]):
        suited(on(removed) + 8 * ONE_DAY < p.today)
        p.drop(removed)
        return Breach("party/P", (added.event.id,), ("BlacklistEntryRemoved",))
    late = p.put_off(removed, p.days(8, 60))
    return Breach("party/P", (added.event.id, late))


@breaks("refusal-basis")
def _refuse_without_ground(p):
    """Service was refused on an entry that was not there: not at all, not yet, or no more."""
    how = p.one(["never", "before", "after"])
    if how == "never":
        refusal = pv.SignUpRefused(reason="blacklisted", entry_id="X")
        first = on(p.histories["party/P"][0])
        return Breach(
            "party/P", (p.add("party/P", refusal, p.day(first, p.today)),), ("BlacklistEntryAdded",)
        )
    edge = p.one(p.of(pv.BlacklistEntryAdded if how == "before" else pv.BlacklistEntryRemoved))
    refusal = pv.SignUpRefused(reason="blacklisted", entry_id=edge.event.data.entry_id)
    day = on(edge) - p.days(1, 60) if how == "before" else p.day(on(edge) + ONE_DAY, p.today)
    (added,) = p.of(pv.BlacklistEntryAdded, entry_id=edge.event.data.entry_id)
    return Breach("party/P", (p.add("party/P", refusal, day), added.event.id))


# -- complaints ---------------------------------------------------------------------------------------------


@breaks("complaint-answer")
def _answer_nothing(p):
    """A complaint was not answered, or too late."""
    answered = p.one(p.of(cv.ComplaintAnswered))
    subject = answered.event.subject
    (received,) = p.of(cv.ComplaintReceived, subject)
    if p.one([False, True]):
        p.drop(answered)
        return Breach(subject, (received.event.id,), ("ComplaintAnswered",))
    late = p.put_off(answered, on(received) - on(answered) + p.days(16, 90))
    return Breach(subject, (received.event.id, late))


@breaks("commitment-first")
def _handle_first(p):
    """A complaint was handled before anything was promised, or a missed promise was not made good."""
    remedied = p.one(p.of(cv.RemedyGranted))
    if p.one([False, True]):
        p.drop(remedied)
        promised = p.of(cv.CommitmentMade, remedied.event.subject)[0]
        return Breach(remedied.event.subject, (promised.event.id,), ("RemedyGranted",))
    started = p.one(p.of(cv.HandlingStarted))
    subject = started.event.subject
    p.drop(*p.of((cv.CommitmentMade, cv.CommitmentMet, cv.CommitmentMissed), subject))
    return Breach(subject, (started.event.id,), ("CommitmentMade",))


@breaks("clear-explanation")
def _send_from_one_to_another(p):
    """One contact was unclear, or three staff spoke to the customer before the answer."""
    (received,) = p.of(cv.ComplaintReceived, p.one(["case/K", "case/K2"]))
    subject = received.event.subject
    clearly = p.one([False, True])
    moment = received.event.time
    staff = ["S1", "S2", "S3"] if clearly else ["S1"]
    contacts = tuple(
        p.add(subject, cv.InteractionRecorded(
            staff_id=s, direction="outbound", summary="s", explained_clearly=clearly,
        ), moment + timedelta(minutes=n))
        for n, s in enumerate(staff)
    )  # fmt: skip
    return Breach(subject, contacts)


# -- the laws -----------------------------------------------------------------------------------------------


def law(max_examples):
    """Return the settings of a law: drawn alike each time, and told as it is where it fails."""
    return settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


def sown(rule_id, life, data):
    """Return years with one breach of a rule, and what should be found of it."""
    p = Planting(life, lambda least, most: data.draw(st.integers(least, most)))
    try:
        return p, PLANTS[rule_id].sow(p)
    except UnsuitedError:
        reject()


WITHOUT_MONEY = {
    "number-limit", "registration-audit", "dealer-block", "complaint-answer", "commitment-first", "clear-explanation"
}  # fmt: skip
"""Rules on which no money and no standing hangs: what should have happened is not otherwise for them."""


def broken(found_there):
    """Return the breaches by rule."""
    by_rule: dict[str, list[dict[str, Any]]] = {}
    for f in found_there:
        if f["verdict"] == "breach":
            by_rule.setdefault(f["rule_id"], []).append(f)
    return by_rule


def test_every_rule_has_its_planting():
    """Twenty-one rules."""
    assert set(PLANTS) == set(RULE_IDS)


@pytest.mark.parametrize("life", LIVES, ids=str)
def test_the_years_were_lawful(life):
    """Given nothing planted, then nothing is broken and nothing would have been otherwise."""
    assert not broken(found_in(life))
    lawful = lived(life).lawful()
    assert (lawful["to_reverse_fen"], lawful["to_refund_fen"], lawful["differences"]) == (0, 0, [])


@pytest.mark.parametrize("rule_id", RULE_IDS)
@law(max_examples=6)
@given(life=st.sampled_from(LIVES), data=st.data())
def test_one_planted_breach_is_found_and_nothing_else(rule_id, life, data):
    """On its subject, shown by its events, with its amount; every other finding is the same to the word."""
    p, breach = sown(rule_id, life, data)
    plant = PLANTS[rule_id]
    now_found = p.found()
    breaches = broken(now_found)
    assert breaches.keys() - plant.follows == {rule_id}
    (finding,) = breaches[rule_id]
    assert finding["subject"] == breach.subject
    assert set(breach.evidence) <= set(finding["evidence_event_ids"])
    assert set(breach.absent) <= set(finding["absent_event_types"])
    assert finding["amount_fen"] == breach.amount_fen
    others = set(RULE_IDS) - {rule_id} - plant.follows - plant.touches
    assert [f for f in now_found if f["rule_id"] in others] == [
        f for f in found_in(life) if f["rule_id"] in others
    ]


@pytest.mark.parametrize("rule_id", RULE_IDS)
@law(max_examples=3)
@given(life=st.sampled_from(LIVES), data=st.data())
def test_what_should_have_happened_never_costs_the_customer_more(rule_id, life, data):
    """What was planted and charged is taken back, and what was paid beyond what was owed is given back."""
    p, breach = sown(rule_id, life, data)
    got = p.lawful()
    assert got["to_reverse_fen"] >= breach.amount_fen
    assert got["actual"]["balance_fen"] - got["lawful"]["balance_fen"] == got["to_reverse_fen"]
    assert got["to_refund_fen"] >= 0
    if rule_id in WITHOUT_MONEY:
        assert got["differences"] == []


# -- however it is imported ---------------------------------------------------------------------------------

SOWN_TOGETHER = (
    "expiry-choice",
    "late-fee",
    "real-name",
    "complaint-answer",
    "dealer-block",
    "blacklist-removal",
)


@pytest.fixture(scope="module")
def wrongs():
    """Return years with several breaches in one history."""
    p = Planting(LIVES[2], random.Random(1).randint)
    for rule_id in SOWN_TOGETHER:
        PLANTS[rule_id].sow(p)
    assert broken(p.found()).keys() >= set(SOWN_TOGETHER)
    return p


def as_it_was(events, _chance):
    """One file, in the order in which it happened to be written."""
    return [events]


def in_cuts(events, chance):
    """Seven files, cut anywhere."""
    edges = [0, *sorted(chance.sample(range(1, len(events)), 6)), len(events)]
    return [events[a:b] for a, b in itertools.pairwise(edges)]


def stream_by_stream(events, chance):
    """A file for each stream, in any order."""
    streams = [[e for e in events if e.subject == s] for s in {e.subject: None for e in events}]
    chance.shuffle(streams)
    return streams


def streams_mixed(events, chance):
    """Seven files, the streams mixed anew, each in its own order."""
    return in_cuts(mixed(events, chance.random()), chance)


def out_of_order(events, chance):
    """Seven files with everything shuffled, but for what a stream begins with and what was one moment's."""
    opening = list({e.subject: e for e in reversed(events)}.values())
    moments: dict[object, list[Event]] = {}
    for e in events:
        if e not in opening:
            moments.setdefault((e.subject, e.time, e.recordedtime), []).append(e)
    groups = list(moments.values())
    chance.shuffle(groups)
    return in_cuts([*opening, *itertools.chain(*groups)], chance)


def logged(events):
    """Return events by stream as they stand in the log."""
    history = History()
    history.events = events
    return history.recorded()


@pytest.mark.storage
@pytest.mark.parametrize("arranged", [as_it_was, in_cuts, stream_by_stream, streams_mixed, out_of_order])
@pytest.mark.parametrize("batch_lines", [500, pytest.param(7, marks=pytest.mark.slow)])
def test_however_a_history_is_cut_into_files_and_batches_the_findings_are_the_same(
    runtime, monkeypatch, wrongs, arranged, batch_lines
):
    """The whole answer: its words, its order, its digest."""
    monkeypatch.setattr(bringing, "BATCH_LINES", batch_lines)
    events = [r.event for r in sorted(itertools.chain(*wrongs.histories.values()), key=lambda r: r.position)]
    files = arranged(events, random.Random(batch_lines))
    assert sum(bring(runtime.deployment, *map(canonical, file)).appended for file in files) == len(events)
    answer = found(runtime, "party/P", known_at=wrongs.known_at.isoformat())
    inquiry = Inquiry("party/P", wrongs.known_at, len(events), REGION)
    assert answer == findings(inquiry, logged(events))
