"""Wrongs about who somebody is: numbers nobody verified, papers nobody looked at again, dealers let go."""

from datetime import date

from api.population.breaches.planting import Breaks, Planted, Planting, paying
from api.population.living import Wish
from api.population.years import Chance, Years

breaks = Breaks()

NUMBER_LIMIT_FROM = date(2016, 6, 1)
NUMBERS_MORE = 5
"""With the number that is there they are one too many."""
BLOCKED_WITHIN_DAYS = 10

# -- real-name


@breaks("real-name", "never verified", paying("mobile"))
def never_verified(p: Planting) -> Planted:
    """Let a number go live that rests on no verification."""
    live = p.one("NumberActivated")
    p.drop(p.of("IdentityVerified", p.person.subject, registration_id=live["data"]["registration_id"]))
    return Planted(p.subject, (live["id"],))


@breaks("real-name", "verified afterwards", paying("mobile"))
def verified_afterwards(p: Planting) -> Planted:
    """Let a number go live, and compare the person with their documents only later."""
    live = p.one("NumberActivated")
    (verified,) = p.of("IdentityVerified", p.person.subject, registration_id=live["data"]["registration_id"])
    p.move(verified, p.day(live) + p.chance.between(1, 60))
    return Planted(p.subject, (live["id"],))


@breaks("real-name", "the verification failed", paying("mobile"))
def verification_failed(p: Planting) -> Planted:
    """Let a number go live although the person was not the one of the documents."""
    live = p.one("NumberActivated")
    (verified,) = p.of("IdentityVerified", p.person.subject, registration_id=live["data"]["registration_id"])
    verified["data"]["result"] = "failed"
    return Planted(p.subject, (live["id"], verified["id"]))


# -- registration-audit


@breaks("registration-audit", "never", paying("mobile", 380, by_dealer=True))
def never_audited(p: Planting) -> Planted:
    """Let nobody look at a dealer's registration again."""
    registration_id = p.one("NumberActivated")["data"]["registration_id"]
    (registered,) = p.of("IdentityVerified", p.person.subject, registration_id=registration_id)
    p.drop(p.of("RegistrationAudited", p.person.subject, registration_id=registration_id))
    return Planted(p.person.subject, (registered["id"],))


@breaks("registration-audit", "too late", paying("mobile", 450, by_dealer=True))
def audited_late(p: Planting) -> Planted:
    """Look at a dealer's registration again after more than a year."""
    registration_id = p.one("NumberActivated")["data"]["registration_id"]
    (registered,) = p.of("IdentityVerified", p.person.subject, registration_id=registration_id)
    (audited,) = p.of("RegistrationAudited", p.person.subject, registration_id=registration_id)
    late = p.move(audited, p.years.year_after(p.day(registered)) + p.chance.between(1, 60))
    return Planted(p.person.subject, (registered["id"], late))


# -- number-limit


def _mobile_since_2016(years: Years, chance: Chance) -> Wish | None:
    """Want a mobile account that is there while the limit is in force."""
    first = max(0, years.number(NUMBER_LIMIT_FROM))
    if first + 20 > years.last:
        return None
    return Wish({"product": "mobile", "opened": chance.between(0, first + 5)})


@breaks("number-limit", "six numbers", _mobile_since_2016)
def six_numbers(p: Planting) -> Planted:
    """Let five more numbers go live on a document that has one, each on a verification."""
    first = max(p.years.number(NUMBER_LIMIT_FROM), p.contract.plan.opened + 1)
    day, last = p.chance.between(first, p.years.last), ""
    for number in range(1, NUMBERS_MORE + 1):
        registration_id = f"{p.contract.account_id}-RX{number}"
        verified = {"registration_id": registration_id, "method": "in_person", "result": "passed"}
        p.add(p.person.subject, "IdentityVerified", (day, 540 + 10 * number), verified)
        live = {
            "number": f"13{p.chance.between(10**8, 10**9 - 1)}",
            "number_id": f"{p.contract.account_id}-NRX{number}",
            "registration_id": registration_id,
        }
        last = p.add(p.subject, "NumberActivated", (day, 545 + 10 * number), live)
    return Planted(p.person.subject, (last,))


# -- dealer-block


def _misused(years: Years, chance: Chance) -> Wish | None:
    """Want a customer whose documents a dealer misused."""
    if years.last < 200:
        return None
    return Wish({"product": "broadband", "opened": chance.between(0, years.last - 150)}, misuse=True)


@breaks("dealer-block", "not blocked", _misused)
def not_blocked(p: Planting) -> Planted:
    """Let the dealer go on after the misuse was confirmed."""
    p.drop(p.of("DealerBlocked"))
    return _unanswered(p)


@breaks("dealer-block", "blocked too late", _misused)
def blocked_late(p: Planting) -> Planted:
    """Block the dealer when the days for it have passed."""
    (confirmed,) = p.of("IdentityMisuseConfirmed")
    (blocked,) = p.of("DealerBlocked")
    p.move(blocked, p.day(confirmed) + BLOCKED_WITHIN_DAYS + p.chance.between(1, 10))
    return _unanswered(p)


@breaks("dealer-block", "the dealer was not fined", _misused)
def dealer_not_fined(p: Planting) -> Planted:
    """Block the dealer, and do not fine it."""
    p.drop(p.of("PenaltyImposed", subject_kind="dealer"))
    return _unanswered(p)


@breaks("dealer-block", "the manager was spared", _misused)
def manager_spared(p: Planting) -> Planted:
    """Let the dealer answer for it, and not the manager who answers for the dealer."""
    p.drop(p.of("PenaltyImposed", subject_kind="manager"))
    return _unanswered(p)


def _unanswered(p: Planting) -> Planted:
    (confirmed,) = p.of("IdentityMisuseConfirmed")
    return Planted(f"dealer/{confirmed['data']['dealer_id']}", (confirmed["id"],))
