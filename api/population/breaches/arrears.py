"""Wrongs about money that is owed: fees, suspensions and ends before their day, service that does not come back."""

from api.population.breaches.planting import FIRST_BILL_DAYS, Breaks, Planted, Planting, owing, paying
from api.population.chronicle import BILLING, CARE, NOTICES, Event
from api.population.complaints import Complaint
from api.population.living import Wish
from api.population.years import Chance, Years
from domain.account import late_fee_fen
from domain.rules.windows import FIXED_LINE_GRACE_DAYS, LATE_FEE_PPM

breaks = Breaks()

# -- late-fee


@breaks("late-fee", "levied after the payment", paying(room_days=200))
def levied_after_the_payment(p: Planting) -> Planted:
    """Levy a fee although the bill was paid by its day."""
    charge = p.one("ChargePosted")
    due = p.number(charge["data"]["due_on"])
    return _levied(p, charge, due + 1, due + p.chance.between(5, 60))


@breaks("late-fee", "levied before its day", paying(room_days=200))
def levied_before_its_day(p: Planting) -> Planted:
    """Levy a fee for days on which the bill was not due yet."""
    charge = p.one("ChargePosted")
    due = p.number(charge["data"]["due_on"])
    return _levied(p, charge, due - p.chance.between(4, 10), due + 1)


def _levied(p: Planting, charge: Event, start: int, to: int) -> Planted:
    base_fen, names = charge["data"]["amount_fen"], p.years.names
    fee = {
        "fee_id": f"{p.contract.account_id}-FX",
        "charge_id": charge["data"]["charge_id"],
        "base_fen": base_fen,
        "rate_ppm": LATE_FEE_PPM,
        "from": names[start],
        "to": names[to],
        "amount_fen": late_fee_fen(base_fen, LATE_FEE_PPM, to - start),
    }
    return Planted(p.subject, (p.add(p.subject, "LateFeeAssessed", (to, 90), fee, by=BILLING), charge["id"]))


@breaks("late-fee", "beyond the rate", owing("pays"))
def beyond_the_rate(p: Planting) -> Planted:
    """Levy more than 3 per mille a day."""
    levied = p.one("LateFeeAssessed")
    levied["data"]["amount_fen"] += p.chance.between(1, 5_000)
    return Planted(p.subject, (levied["id"],))


# -- suspension-window


@breaks("suspension-window", "nothing was overdue", paying())
def suspended_for_nothing(p: Planting) -> Planted:
    """Stop the service for an hour of a night, with nothing owed past its day."""
    day = p.chance.between(p.contract.plan.opened + FIRST_BILL_DAYS, p.years.last)
    stopped = p.add(p.subject, "ServiceSuspended", (day, 180), {"reason": "arrears"}, by=BILLING)
    p.add(p.subject, "ServiceResumed", (day, 240), {"reason": "complaint"}, by=BILLING)
    return Planted(p.subject, (stopped,))


@breaks("suspension-window", "before its day", owing("pays"))
def suspended_early(p: Planting) -> Planted:
    """Stop the service before 30 days have passed."""
    due = p.number(p.one("ChargePosted")["data"]["due_on"])
    early = due + p.chance.between(2, FIXED_LINE_GRACE_DAYS)
    return Planted(p.subject, (p.move(p.one("ServiceSuspended"), early),))


# -- termination-window


@breaks("termination-window", "before its day", owing("lost"))
def ended_early(p: Planting) -> Planted:
    """End the service after too few days of suspension."""
    suspended, ended = p.one("ServiceSuspended"), p.one("ServiceTerminated")
    p.move(ended, p.day(suspended) + p.chance.between(3, 59))
    return Planted(p.subject, (suspended["id"], ended["id"]))


@breaks("termination-window", "never suspended", paying("voice"))
def ended_for_nothing(p: Planting) -> Planted:
    """End the service for arrears that are none."""
    ended = p.add(p.subject, "ServiceTerminated", (p.years.last, 1_380), {"reason": "arrears"}, by=BILLING)
    return Planted(p.subject, (ended,))


# -- restore-within


@breaks("restore-within", "days too late", owing("pays"))
def restored_late(p: Planting) -> Planted:
    """Bring the service back days after everything was paid."""
    back, paid = p.one("ServiceResumed"), _paid(p)
    late = p.move(back, p.day(back) + p.chance.between(3, 12))
    return Planted(p.subject, (paid, late))


@breaks("restore-within", "never", owing("instalments"))
def never_restored(p: Planting) -> Planted:
    """Leave the service suspended although everything was paid as agreed."""
    paid = _paid(p)
    p.drop([p.one("ServiceResumed")])
    return Planted(p.subject, (paid,))


def _paid(p: Planting) -> str:
    """Return the payment before the service came back."""
    back = p.one("ServiceResumed")
    return str([e for e in p.of("PaymentReceived", p.subject) if e["time"] < back["time"]][-1]["id"])


# -- cancellation


def _leaving(years: Years, chance: Chance) -> Wish | None:
    """Want a contract that is cancelled, with some months to come."""
    opened = chance.between(0, 20)
    leaves = chance.between(opened + 60, years.last - 60)
    return Wish({"product": chance.one(("broadband", "voice")), "opened": opened, "leaves": leaves})


@breaks("cancellation", "the service went on", _leaving)
def service_went_on(p: Planting) -> Planted:
    """Let the service go on after its day."""
    p.drop(p.of("ServiceTerminated", p.subject))
    return Planted(p.subject, (p.one("CancellationRequested")["id"],))


@breaks("cancellation", "charged on", _leaving)
def charged_on(p: Planting) -> Planted:
    """Charge months after the service's end."""
    asked = p.one("CancellationRequested")
    day = p.number(asked["data"]["effective_from"])
    return Planted(p.subject, (asked["id"], *p.months_from(day, p.chance.between(1, 3), {})))


# -- dispute-hold


@breaks("dispute-hold", "suspended under it", owing("lost"))
def suspended_under_a_hold(p: Planting) -> Planted:
    """Stop the service while that is in dispute."""
    stopped = p.one("ServiceSuspended")
    held = _held(p, p.day(stopped) - p.chance.between(1, 5), "suspension")
    return Planted(p.subject, (held, stopped["id"]))


@breaks("dispute-hold", "listed under it", owing("lost"))
def listed_under_a_hold(p: Planting) -> Planted:
    """Put the customer on the blacklist while that is in dispute."""
    (listed,) = p.of("BlacklistEntryAdded", p.person.subject, basis_account_id=p.contract.account_id)
    held = _held(p, p.day(listed) - p.chance.between(1, 5), "blacklist")
    return Planted(p.subject, (held, listed["id"]))


@breaks("dispute-hold", "levied under it", owing("lost"))
def levied_under_a_hold(p: Planting) -> Planted:
    """Levy late fees for days on which they are in dispute."""
    ended = p.one("ServiceTerminated")
    held = _held(p, p.day(ended) - 6, "late_fee")
    levied = [e["id"] for e in p.of("LateFeeAssessed", p.subject) if p.day(e) == p.day(ended)]
    return Planted(p.subject, (held, *levied), (("late-fee", p.subject),))


def _held(p: Planting, day: int, scope: str) -> str:
    """Let the customer complain on a day, and hold what they dispute until the answer; return the hold's event."""
    case = Complaint(f"C{p.chronicle.name}-H", p.person, p.contract, day)
    case.receive("billing")
    hold = {"hold_id": f"{case.case_id}-H", "amount_fen": 100, "case_id": case.case_id, "scope": [scope]}
    held = p.add(p.subject, "DisputeHoldPlaced", (day, 615), hold, by=CARE)
    answered = case.handle("met", "rejected")
    released = {"hold_id": f"{case.case_id}-H", "outcome": "rejected"}
    p.add(p.subject, "DisputeHoldReleased", (answered, 1_001), released, by=CARE)
    return held


# -- notice-reach


@breaks("notice-reach", "somebody else's number", paying())
def told_somebody_else(p: Planting) -> Planted:
    """Count a notice as delivered that went to a number that was never the customer's."""
    day = p.chance.between(p.contract.plan.opened + 1, p.years.last)
    notice_id = f"{p.contract.account_id}-NX"
    notice = {
        "notice_id": notice_id,
        "purpose": "suspension",
        "channel": "sms",
        "contact_point_id": f"{p.contract.account_id}-not-theirs",
        "attempt_no": 1,
    }
    return Planted(
        p.subject,
        (
            p.add(p.subject, "NoticeAttempted", (day, 720), notice, by=NOTICES),
            p.add(p.subject, "NoticeDelivered", (day, 722), {"notice_id": notice_id}, by=NOTICES),
        ),
    )
