"""Statutory windows: from which day on the operator may suspend, terminate, levy or keep, and the law behind.

Small pure functions that decisions, policies and findings all call, so that the three can never differ. Days
are calendar days in the region's time zone; a window of n days does not count the day it starts from, and
what it forbids is allowed from the day after its last one (General Principles of the Civil Law, art. 154).
"""

from datetime import date, timedelta
from typing import NamedTuple

from domain.events.account import ContractTerms

LATE_FEE_PPM = 3_000
"""3 per mille a day on the sum owed, simple: the most that may be levied."""

FIXED_LINES = frozenset({"fixed_broadband", "fixed_voice"})
FIXED_LINE_GRACE_DAYS = 30
TERMINATION_DAYS = 60
BLACKLIST_RETENTION_YEARS = 5
REAL_NAME_RETENTION_YEARS = 2
REAL_NAME_FROM = date(2013, 9, 1)
BILLING_RETENTION_MONTHS = 5  # whole months, after the one a record is of
COMMITMENT_FIRST_FROM = date(2014, 12, 17)
"""From this day on a commitment is made before a complaint is handled: the third measure of 2014-12-17."""

MONTHLY_TERM_DAYS = 31
"""The longest month: a package with a longer term is no monthly one, whatever it is called."""

BACKDATING = timedelta(hours=1)
"""How far back the operator's own acts may be dated: as long as a queued request or a nightly run may wait.

They are decided on the state of now; filed earlier, they would go round every day and proof there is.
"""

ONE_DAY = timedelta(days=1)
REVISED_ON = date(2014, 7, 29)


def arrears_article(on: date) -> str:
    """Return the citation for late fees, suspension and termination that was in force on a day."""
    if on < REVISED_ON:
        return "Telecommunications Regulations (2000-09-25), art. 35"
    return "Telecommunications Regulations (revision of 2014-07-29), art. 34"


def earliest_suspension(
    line_of_business: str, terms: ContractTerms, due_on: date, grace_days: int = FIXED_LINE_GRACE_DAYS
) -> date:
    """Return the first day on which a service may be suspended for a charge due on a day.

    Fixed lines: more than 30 days past it (`arrears_article`). Mobile: more than the contract's own days.
    """
    days = grace_days if line_of_business in FIXED_LINES else terms.suspend_after_days
    return due_on + timedelta(days=days) + ONE_DAY


def earliest_termination(terms: ContractTerms, suspended_on: date) -> date:
    """Return the first day on which a service suspended for arrears may be terminated for them.

    After 60 days of suspension (see `arrears_article`), or the contract's days where those are more.
    """
    return suspended_on + timedelta(days=max(TERMINATION_DAYS, terms.terminate_after_days)) + ONE_DAY


def late_fee_start(terms: ContractTerms, due_on: date, suspended_on: date | None) -> date | None:
    """Return the first day of late fee on a charge; None where the contract's day has not come.

    The day after the due date, or, where the contract says so, not before the day of the suspension.
    """
    if terms.late_fee_start == "after_due":
        return due_on + ONE_DAY
    return None if suspended_on is None else max(due_on + ONE_DAY, suspended_on)


def blacklist_retention_end(bad_conduct_ended_on: date) -> date:
    """Return the first day on which an entry may no longer be kept: 5 years after the conduct ended.

    Credit Reporting Regulation (2013-03-15), art. 16, as the model.
    """
    return _years_after(bad_conduct_ended_on, BLACKLIST_RETENTION_YEARS)


class Retention(NamedTuple):
    """Until when the records of a service are kept at least, and what has them kept; from `until` on they may go."""

    until: date
    citation: str


def retention_of(ended_on: date) -> Retention:
    """Return how long the law has a party's records kept after its service ended.

    Identity records two years (of services that ended since the Provisions are in force), original billing data five
    months after the month they are of; for other services than telephones the same is assumed. The two years as the
    press had them from the ministry (People's Daily, 2013-07-20), the five months as operators' subscriber contracts
    count them; the articles that say so were not at hand, so that none is cited.
    """
    months = ended_on.month + BILLING_RETENTION_MONTHS  # that of the end itself not counted
    billing = Retention(
        date(ended_on.year + months // 12, months % 12 + 1, 1),
        "Telecommunications Service Specification (MII Order 36 of 2005): original billing data, 5 months after the"
        " month (as subscriber contracts have it; source assumed)",
    )
    if ended_on < REAL_NAME_FROM:
        return billing
    identity = Retention(
        _years_after(ended_on, REAL_NAME_RETENTION_YEARS) + ONE_DAY,
        "Provisions on Registering Telephone Users' True Identity (MIIT Order 25 of 2013): 2 years after the"
        " service ended",
    )
    return max(billing, identity)


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)
