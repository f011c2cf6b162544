"""Wrongs about years that were sold: nobody chose, nobody was told, and it was charged on."""

from datetime import date

from api.population.breaches.planting import CLERK, YEAR_DAYS, Breaks, Planted, Planting, yearly
from api.population.chronicle import BILLING, CRM
from api.population.living import Wish
from api.population.packages import AFTER_DAYS
from api.population.years import Chance, Years

breaks = Breaks()

RENEWAL_NOTICE_FROM = date(2024, 7, 1)
NOTICE_EVENTS = ("NoticeAttempted", "NoticeDelivered", "NoticeFailed")


def _sold(p: Planting) -> tuple[str, str, int]:
    """Return the event of the first sale, its package and the number of the day on which its year ended."""
    sold = p.one("PackageSubscribed", package_id="PK1")
    return str(sold["id"]), "PK1", p.number(sold["data"]["end"])


# -- expiry-choice


@breaks("expiry-choice", "staff chose", yearly("convert_to_monthly"))
def staff_chose(p: Planting) -> Planted:
    """Let staff set what follows: every month after the year rests on nothing."""
    return _chosen_by(p, "staff_default")


@breaks("expiry-choice", "the system chose", yearly("renew_annual", years_sold=2))
def the_system_chose(p: Planting) -> Planted:
    """Let the system set a renewal: the year after the year rests on nothing."""
    return _chosen_by(p, "system_default")


def _chosen_by(p: Planting, who: str) -> Planted:
    sold, package_id, _ = _sold(p)
    chosen = p.one("ExpiryOptionSelected", package_id=package_id)
    chosen["data"] = {"package_id": package_id, "option": chosen["data"]["option"], "selected_by": who}
    chosen["actor"], chosen["channel"] = CLERK if who == "staff_default" else CRM
    return Planted(p.subject, (sold, chosen["id"]), (("charge-basis", p.subject),))


@breaks("expiry-choice", "the options were not shown", yearly("suspend", "returns"))
def not_shown(p: Planting) -> Planted:
    """Let the customer choose without being shown among what."""
    sold, package_id, _ = _sold(p)
    p.drop([p.one("ExpiryOptionPresented", package_id=package_id)])
    return Planted(p.subject, (sold,))


@breaks("expiry-choice", "nobody chose", yearly("suspend"))
def nobody_chose(p: Planting) -> Planted:
    """Show the options, and take no choice."""
    sold, package_id, _ = _sold(p)
    p.drop([p.one("ExpiryOptionSelected", package_id=package_id)])
    return Planted(p.subject, (sold,))


# -- expiry-notice


@breaks("expiry-notice", "not told before", yearly("suspend", "returns"))
def not_told_before(p: Planting) -> Planted:
    """Let nobody tell the customer that the year will end."""
    sold, package_id, _ = _sold(p)
    told = p.of("NoticeAttempted", p.subject, package_id=package_id, purpose="pre_expiry")
    notice_ids = {e["data"]["notice_id"] for e in told}
    p.drop(e for e in p.of(NOTICE_EVENTS, p.subject) if e["data"]["notice_id"] in notice_ids)
    return Planted(p.subject, (sold,))


@breaks("expiry-notice", "not told after", yearly("convert_to_monthly"))
def not_told_after(p: Planting) -> Planted:
    """Let every notice after the end fail."""
    sold, package_id, _ = _sold(p)
    told = p.of("NoticeAttempted", p.subject, package_id=package_id, purpose="post_expiry")
    p.fail(e["data"]["notice_id"] for e in told)
    return Planted(p.subject, (sold, *(e["id"] for e in told)))


# -- charge-basis


@breaks("charge-basis", "charged while it rested", yearly("suspend"))
def charged_while_it_rested(p: Planting) -> Planted:
    """Charge months of a service that rests as the customer chose."""
    _, _, end = _sold(p)
    return Planted(p.subject, p.months_from(end + p.chance.below(20), p.chance.between(1, 4), {}))


@breaks("charge-basis", "converted against the choice", yearly("suspend"))
def converted_against_the_choice(p: Planting) -> Planted:
    """Let a year go on by the month whose customer chose that it ends."""
    _, package_id, end = _sold(p)
    converted = {
        "package_id": package_id,
        "to_offer_id": "BB-M",
        "monthly_price_fen": p.contract.price_fen,
        "from": p.years.names[end],
    }
    basis = p.add(p.subject, "PackageConverted", (end, 15), converted, by=BILLING)
    return Planted(p.subject, p.months_from(end, p.chance.between(1, 4), {"basis_event_id": basis}))


# -- renewal-notice


def _renewed_since_2024(years: Years, chance: Chance) -> Wish | None:
    """Want a year that renews itself once a notice of it is required."""
    least = max(0, years.number(RENEWAL_NOTICE_FROM) - YEAR_DAYS + 2)
    most = years.last - 2 * YEAR_DAYS - AFTER_DAYS
    if least > most:
        return None
    return Wish({"product": "annual", "option": "renew_annual", "opened": chance.between(least, most)})


@breaks("renewal-notice", "renewed without a notice", _renewed_since_2024)
def renewed_without_a_notice(p: Planting) -> Planted:
    """Renew a year without having said so."""
    renewed, told = _renewal(p)
    p.drop(e for e in p.of(NOTICE_EVENTS, p.subject) if e["data"]["notice_id"] in told)
    return Planted(p.subject, (renewed,))


@breaks("renewal-notice", "told too late", _renewed_since_2024)
def told_too_late(p: Planting) -> Planted:
    """Let the notice arrive when there is no time left."""
    renewed, told = _renewal(p)
    end = p.number(p.one("PackageRenewed")["data"]["start"])
    for event in p.of("NoticeDelivered", p.subject):
        if event["data"]["notice_id"] in told:
            p.move(event, end - p.chance.between(1, 4))
    return Planted(p.subject, (renewed,))


def _renewal(p: Planting) -> tuple[str, set[str]]:
    """Return the first renewal's event and the notices of it."""
    renewed = p.one("PackageRenewed")
    start = p.number(renewed["data"]["start"])
    told = p.of("NoticeAttempted", p.subject, purpose="renewal")
    return str(renewed["id"]), {e["data"]["notice_id"] for e in told if p.day(e) < start}


# -- notice-reach


@breaks("notice-reach", "a number given up", yearly("suspend", "returns"))
def told_a_number_given_up(p: Planting) -> Planted:
    """Send the notice after the end to a number that was struck off: it tells nobody that the year is over."""
    _, package_id, end = _sold(p)
    point = {"contact_point_id": f"{p.person.party_id}-mobile-0"}
    added = {**point, "kind": "mobile", "value": "13000000000"}
    p.add(p.person.subject, "ContactPointAdded", (p.contract.plan.opened, 700), added)
    p.add(p.person.subject, "ContactPointInvalidated", (end - 40, 700), {**point, "reason": "abandoned"})
    delivered = {e["data"]["notice_id"]: e for e in p.of("NoticeDelivered", p.subject)}
    (told,) = [
        e
        for e in p.of("NoticeAttempted", p.subject, package_id=package_id, purpose="post_expiry")
        if e["data"]["notice_id"] in delivered
    ]
    told["data"].update(point)
    ids = (told["id"], delivered[told["data"]["notice_id"]]["id"])
    return Planted(p.subject, ids, (("expiry-notice", p.subject),))
