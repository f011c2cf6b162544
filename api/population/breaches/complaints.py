"""Wrongs about complaints: not answered, handled before anything was promised, not explained."""

from collections.abc import Callable

from api.population.breaches.planting import Breaks, Planted, Planting
from api.population.complaints import CLOSED_WITHIN_DAYS, Promise
from api.population.living import Wish
from api.population.years import Chance, Years
from domain.rules.windows import COMMITMENT_FIRST_FROM

breaks = Breaks()

ANSWERED_WITHIN_DAYS = 15
STAFF = ("S-31", "S-32", "S-33")


def _complaining(promise: Promise, *, promised_first: bool = False) -> Callable[[Years, Chance], Wish | None]:
    """Want a complaint; `promised_first`: once a promise has to come before its handling."""

    def wanted(years: Years, chance: Chance) -> Wish | None:
        since = max(0, years.number(COMMITMENT_FIRST_FROM)) if promised_first else 0
        if max(since, 70) > years.last - CLOSED_WITHIN_DAYS:
            return None
        opened = chance.between(0, years.last - CLOSED_WITHIN_DAYS - 70)
        return Wish({"product": "voice", "opened": opened}, complaint=promise, complaint_from=since)

    return wanted


def _case(p: Planting) -> str:
    """Return the stream of the complaint."""
    return p.life.cases[0].subject


# -- complaint-answer


@breaks("complaint-answer", "never", _complaining("met"))
def never_answered(p: Planting) -> Planted:
    """Leave a complaint without an answer."""
    subject = _case(p)
    p.drop(p.of(("ComplaintAnswered", "ApologyIssued", "CaseClosed"), subject))
    return Planted(subject, (p.of("ComplaintReceived", subject)[0]["id"],))


@breaks("complaint-answer", "too late", _complaining("met"))
def answered_late(p: Planting) -> Planted:
    """Answer a complaint when the days for it have passed."""
    subject = _case(p)
    p.drop(p.of(("ApologyIssued", "CaseClosed"), subject))
    (received,) = p.of("ComplaintReceived", subject)
    (answered,) = p.of("ComplaintAnswered", subject)
    late = p.move(answered, p.day(received) + ANSWERED_WITHIN_DAYS + p.chance.between(1, 10))
    return Planted(subject, (received["id"], late))


# -- commitment-first


@breaks("commitment-first", "handled first", _complaining("met", promised_first=True))
def handled_first(p: Planting) -> Planted:
    """Handle a complaint with nothing promised."""
    subject = _case(p)
    p.drop(p.of(("CommitmentMade", "CommitmentMet"), subject))
    return Planted(subject, (p.of("HandlingStarted", subject)[0]["id"],))


@breaks("commitment-first", "not made good", _complaining("missed", promised_first=True))
def not_made_good(p: Planting) -> Planted:
    """Miss a promise, and do not grant what was promised for that case."""
    subject = _case(p)
    p.drop(p.of("RemedyGranted", subject))
    return Planted(subject, tuple(e["id"] for e in p.of(("CommitmentMade", "CommitmentMissed"), subject)))


# -- clear-explanation


@breaks("clear-explanation", "sent from one to another", _complaining("met"))
def sent_around(p: Planting) -> Planted:
    """Let three more members of staff speak to the customer before the answer."""
    day = p.life.cases[0].day + 1
    contacts = [_contact(p, staff_id, day, 540 + 30 * n, clearly=True) for n, staff_id in enumerate(STAFF)]
    return Planted(_case(p), tuple(contacts))


@breaks("clear-explanation", "unclear", _complaining("met"))
def unclear(p: Planting) -> Planted:
    """Mark one contact as not clearly explained."""
    return Planted(_case(p), (_contact(p, "S-20", p.life.cases[0].day + 2, 540, clearly=False),))


def _contact(p: Planting, staff_id: str, day: int, minute: int, *, clearly: bool) -> str:
    data = {
        "staff_id": staff_id,
        "direction": "outbound",
        "summary": "转接处理",
        "explained_clearly": clearly,
    }
    return p.add(_case(p), "InteractionRecorded", (day, minute), data, by=(f"staff/{staff_id}", "hotline"))
