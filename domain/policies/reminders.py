"""Whom the operator has to tell what, through which channel next: each falls back to the next that may reach them.

An attempt is no delivery, and a delivery to a contact point that was not the customer's own is none either: the
sequence goes on until somebody was reached, or every channel was tried.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from domain.account import Account, figures
from domain.account.state import Notice, Package
from domain.calendar import day_of, end_of
from domain.decisions.debts import customers_choice, free, holders_own, overdue, supported
from domain.events.fields import LIST_MAX_ITEMS
from domain.party import ContactPoint, Party
from domain.policies.due import Due, NoticeRequest, Task
from domain.policies.naming import identifier
from domain.policies.service import suspension_day, termination_day
from domain.rules.book import Rulebook
from domain.rules.facts import Measure
from domain.rules.windows import ONE_DAY

WAIT_DAYS = 2
"""How long an attempt may stay without an outcome before the next channel is tried."""

AHEAD_DAYS = 5
"""How long before a suspension or a termination the customer is told of it."""

REACHED_BY = {
    "web_push": ("web_account",),
    "app": ("web_account",),
    "sms": ("mobile",),
    "call": ("mobile", "landline"),
    "email": ("email",),
    "letter": ("postal",),
    "visit": ("postal",),
}
"""The kinds of contact points that a channel leads to, the better first."""

WITHOUT_POINT = frozenset({"web_push", "visit"})
"""Channels that may be tried without a contact point on record: the account itself and the address served."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """Something to tell the customer: about what, from when, and until when it is of use."""

    purpose: str
    opens: date
    closes: date
    package_id: str | None = None
    charge_ids: tuple[str, ...] | None = None

    @property
    def about(self) -> str:
        """What it is about, as part of its notices' ids."""
        return self.package_id or (self.charge_ids[0] if self.charge_ids else "account")


def reminders_due(account: Account, people: Sequence[Party], day: date, book: Rulebook) -> Iterator[Due]:
    """Name the next notice of each reminder whose time it is, or that nobody could be reached.

    `people` are the party who holds the account and those it was merged into.
    """
    channels = Measure(book, "expiry-notice").at(day, "channels")
    for reminder in (
        *expiry_reminders(account, day, book),
        *arrears_reminders(account, day, book),
    ):
        if reminder.opens <= day <= reminder.closes:
            yield from next_step(account, people, reminder, channels, day)


def next_step(
    account: Account, people: Sequence[Party], reminder: Reminder, channels: Sequence[str], day: date
) -> Iterator[Due]:
    """Name the notice that comes next in a reminder's sequence, if one does."""
    by_channel = {n.channel: n for n in attempts_at(account, reminder)}
    if any(reached(people, n) for n in by_channel.values()):
        return
    moment = end_of(day, account.region)
    for channel in channels:
        tried = by_channel.get(channel)
        if tried is not None:
            if tried.outcome == "pending" and day <= _on(account, tried) + timedelta(days=WAIT_DAYS):
                return
            continue
        point = contact_point(people, channel, moment)
        if point is None and channel not in WITHOUT_POINT:
            continue
        yield NoticeRequest(
            account_id=account.account_id,
            notice_id=identifier(reminder.purpose, reminder.about, f"{reminder.opens:%Y%m%d}", channel),
            purpose=reminder.purpose,
            channel=channel,
            contact_point_id=point.contact_point_id if point else None,
            package_id=reminder.package_id,
            charge_ids=reminder.charge_ids,
            useful_until=reminder.closes,
        )
        return
    what = f"nobody was reached with the {reminder.purpose} notice of {reminder.about}, by any channel"
    yield Task("not_reached", f"account/{account.account_id}", what, reminder.closes)


def attempts_at(account: Account, reminder: Reminder) -> Iterator[Notice]:
    """Return the attempts at a reminder so far, the last of a channel last."""
    for notice in account.notices.values():
        if notice.purpose != reminder.purpose or not (
            reminder.opens <= _on(account, notice) <= reminder.closes
        ):
            continue
        if notice.package_id not in (None, reminder.package_id):
            continue
        named = notice.charge_ids
        if named is None or reminder.charge_ids is None or set(named) & set(reminder.charge_ids):
            yield notice


def _on(account: Account, notice: Notice) -> date:
    return day_of(notice.attempted_at, account.region)


def reached(people: Sequence[Party], notice: Notice) -> bool:
    """Whether a notice was delivered to a contact point that was the customer's own and valid at that time."""
    if notice.outcome != "delivered" or notice.outcome_at is None or notice.contact_point_id is None:
        return False
    points = (p.contact_points.get(notice.contact_point_id) for p in people)
    return any(point is not None and point.valid_at(notice.outcome_at) for point in points)


def contact_point(people: Sequence[Party], channel: str, moment: datetime) -> ContactPoint | None:
    """Return the newest contact point a channel leads to that reaches the customer at a moment."""
    for kind in REACHED_BY.get(channel, ()):
        fitting = [
            c for p in people for c in p.contact_points.values() if c.kind == kind and c.valid_at(moment)
        ]
        if fitting:
            return max(fitting, key=lambda c: c.added_at)
    return None


# -- before and after a term's end --------------------------------------------------------------------------


def expiry_reminders(account: Account, day: date, book: Rulebook) -> Iterator[Reminder]:
    """Return the reminders around the end of each annual term."""
    rule = Measure(book, "expiry-notice")
    for package in account.packages.values():
        coming = package.end if package.cycle == "annual" and package.expired_on is None else None
        if coming is not None and day < coming and _will_end(account, coming):
            yield Reminder(
                before_purpose(account, package, coming, book),
                coming - timedelta(days=rule.at(coming, "before_days")),
                coming - ONE_DAY,
                package.package_id,
            )
        for ended in (package.term_end, package.end if package.cycle == "annual" else None):
            if ended is not None and ended <= day and _lasted_until(account, ended):
                yield Reminder(
                    "post_expiry",
                    ended,
                    ended + timedelta(days=rule.at(ended, "after_days")),
                    package.package_id,
                )


def before_purpose(account: Account, package: Package, end: date, book: Rulebook) -> str:
    """Return what a notice before a term's end is: of the renewal, where one is to come and the law names it."""
    renews = customers_choice(account, package.package_id, "renew_annual") is not None
    return "renewal" if renews and book.on("renewal-notice", end) is not None else "pre_expiry"


def _will_end(account: Account, end: date) -> bool:
    """Whether the service will still be there at a term's end."""
    cancelled = account.cancellation_from is not None and account.cancellation_from <= end
    return account.status != "terminated" and not cancelled


def _lasted_until(account: Account, end: date) -> bool:
    """Whether the service was still there at a term's end."""
    if account.status != "terminated" or account.status_since is None:
        return True
    return day_of(account.status_since, account.region) >= end


def told_of_renewal(
    account: Account, people: Sequence[Party], package: Package, end: date, book: Rulebook
) -> bool:
    """Whether a renewal may be made without asking again: told in time, or the law does not ask for it yet."""
    if book.on("renewal-notice", end) is None:
        return True
    latest = end - timedelta(days=Measure(book, "renewal-notice").at(end, "days"))
    return any(
        n.purpose == "renewal"
        and n.package_id in (None, package.package_id)
        and reached(people, n)
        and n.outcome_at is not None
        and package.start <= day_of(n.outcome_at, account.region) <= latest
        for n in account.notices.values()
    )


# -- what is owed -------------------------------------------------------------------------------------------


def arrears_reminders(account: Account, day: date, book: Rulebook) -> Iterator[Reminder]:
    """Return the reminders of what is overdue, supported and undisputed, and of what will follow from it."""
    owed = [
        d
        for d in free(
            account, free(account, holders_own(account, overdue(account, day)), "suspension"), "blacklist"
        )
        if supported(account, d.charge)
    ]
    if not owed:
        return
    charge_ids = tuple(d.charge.debt_id for d in owed[:LIST_MAX_ITEMS])
    opens = owed[0].charge.due_on + ONE_DAY
    yield Reminder("arrears", opens, date.max, charge_ids=charge_ids)
    grace_days = Measure(book, "suspension-window").at(day, "fixed_line_days")
    least_days = Measure(book, "termination-window").at(day, "days")
    coming = (
        ("suspension", suspension_day(account, day, grace_days)),
        ("termination", termination_day(account, day, least_days)),
    )
    for purpose, first in coming:
        if first is not None and day < first:
            ahead = timedelta(days=AHEAD_DAYS)
            yield Reminder(purpose, first - ahead, first - ONE_DAY, charge_ids=charge_ids)
    since = figures(account.books, day).past_due.arrears_since
    if account.status == "terminated" and account.suspension_reason == "arrears" and since is not None:
        yield Reminder("blacklist", since, date.max, charge_ids=charge_ids)
