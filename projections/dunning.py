"""dunning: what comes next for each account that leaves something unpaid, from which day on, and what blocks it.

A row is a step the operator may still have to take: to remind, to announce, to suspend, to terminate, to list. The days
are those of the policies that close a day, with the built-in rulebook. What stands with the party stands there: whether
a contact point is the holder's own, and whether an entry exists.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

from domain.account import Account, figures
from domain.account.state import Notice
from domain.calendar import day_of, start_of
from domain.decisions.debts import Owed, free, holders_own, overdue, supported
from domain.ledger.application import Ledger
from domain.ledger.queries import queries
from domain.policies.reminders import WAIT_DAYS, Reminder, arrears_reminders
from domain.policies.standing import BLACKLIST_AFTER_DAYS
from domain.rules.book import Rulebook
from domain.rules.facts import Measure
from domain.rules.windows import ONE_DAY, earliest_suspension, earliest_termination
from projections.engine import ReadModel, Rows, Seen, Table, reading
from projections.paging import Column, page
from projections.statement import Paged

Q = queries("projections.sql", "dunning.sql")
BOOK = Rulebook()

Action = Literal[
    "remind",
    "announce_suspension",
    "suspend",
    "announce_termination",
    "terminate",
    "announce_blacklisting",
    "blacklist",
]
Block = Literal[
    "dispute_hold",
    "charge_without_basis",
    "earlier_holders_debt",
    "settled_since_suspension",
    "no_delivered_notice",
]
NOTICES: dict[str, Action] = {
    "arrears": "remind",
    "suspension": "announce_suspension",
    "termination": "announce_termination",
    "blacklist": "announce_blacklisting",
}
"""The step that a notice is, by its purpose."""


class Step(NamedTuple):
    """A row of the model: a step that may be taken from one day on, until another (included), if nothing blocks it.

    `amount_fen` is what is overdue on that day, or already. `attempts` counts the notices tried for it.
    """

    subject: str
    action: Action
    account_id: str
    party_id: str
    region: str
    line_of_business: str
    status: str
    from_on: date
    until_on: date | None
    blocked: bool
    blocked_by: list[dict[str, str | None]]
    amount_fen: int
    oldest_due_on: date
    charge_ids: list[str]
    attempts: int


class Dunning(ReadModel):
    """The model, as the engine moves it."""

    name = "dunning"
    version = 1
    kinds = frozenset({"account"})
    tables = (Table("dunning_step", Step),)

    def rows(self, state: Account, seen: Seen) -> Rows:
        """Return the steps ahead, and the next day on which a charge falls overdue, a payment counts or one lapses."""
        if not state.opened:
            return Rows({})
        today = day_of(seen.now, state.region)
        money = figures(state.books, today)
        if not money.open_items:
            return Rows({})
        changes = [i.due_on + ONE_DAY for i in money.open_items if i.due_on >= today]
        if money.next_change_on:
            changes.append(money.next_change_on)
        ahead = _Ahead(state, seen.subject, max(today, money.open_items[0].due_on + ONE_DAY))
        steps = list(ahead.steps())
        changes += [day for day in ahead.lapses if day > today]
        return Rows({"dunning_step": steps}, start_of(min(changes), state.region) if changes else None)


@dataclass(slots=True)
class _Ahead:
    """An account on the day on which it is in arrears, or first will be."""

    account: Account
    subject: str
    day: date
    owed: list[Owed] = field(init=False)
    lapses: list[date] = field(default_factory=list)
    """Days on which a step is gone."""

    def __post_init__(self) -> None:
        self.owed = overdue(self.account, self.day)

    def steps(self) -> Iterator[Step]:
        """Return the steps; none where what is open will be paid by then."""
        if not self.owed:
            return
        yield from self._notices()
        match self.account.status, self.account.suspension_reason:
            case "active", _:
                yield self._suspend()
            case "suspended", "arrears":
                yield self._terminate()
            case "terminated", "arrears":
                yield self._blacklist()

    def _step(
        self,
        action: Action,
        from_on: date,
        blocked_by: Iterable[tuple[Block, str | None]] = (),
        until_on: date | None = None,
        attempts: int = 0,
    ) -> Step:
        account = self.account
        blocks = [{"reason": reason, "id": about} for reason, about in dict.fromkeys(blocked_by)]
        return Step(
            subject=self.subject,
            action=action,
            account_id=account.account_id,
            party_id=account.party_id,
            region=account.region,
            line_of_business=account.line_of_business,
            status=account.status,
            from_on=from_on,
            until_on=until_on,
            blocked=bool(blocks),
            blocked_by=blocks,
            amount_fen=sum(d.unpaid_fen for d in self.owed),
            oldest_due_on=self.owed[0].charge.due_on,
            charge_ids=[d.charge.debt_id for d in self.owed],
            attempts=attempts,
        )

    # -- notices

    def _notices(self) -> Iterator[Step]:
        """Return the notices that no attempt has brought to the customer yet, each from when the next may go out."""
        reminders = list(arrears_reminders(self.account, self.day, BOOK))
        if not reminders:
            yield self._step("remind", self.owed[0].charge.due_on + ONE_DAY, self._undunnable())
        for reminder in reminders:
            tried = list(_attempts(self.account, reminder))
            until_on = reminder.closes if reminder.closes < date.max else None
            if until_on is not None:
                self.lapses.append(until_on + ONE_DAY)
            if any(n.outcome == "delivered" and n.contact_point_id is not None for n in tried):
                continue
            waits = [
                _on(self.account, n) + timedelta(days=WAIT_DAYS + 1) for n in tried if n.outcome == "pending"
            ]
            from_on = max([reminder.opens, *waits])
            if until_on is None or from_on <= until_on:
                yield self._step(NOTICES[reminder.purpose], from_on, until_on=until_on, attempts=len(tried))

    def _undunnable(self) -> Iterator[tuple[Block, str | None]]:
        """Return why none of what is overdue may be reminded of."""
        for one in self.owed:
            yield from self._holds("suspension", "blacklist", charge_id=one.charge.debt_id)
            if not supported(self.account, one.charge):
                yield "charge_without_basis", one.charge.debt_id

    # -- the service

    def _suspend(self) -> Step:
        account, oldest = self.account, self.owed[0].charge
        assert account.terms is not None  # an opened account has a contract
        own = holders_own(account, self.owed)
        mine = (free(account, own, "suspension") or own or self.owed)[0].charge
        grace_days = Measure(BOOK, "suspension-window").at(self.day, "fixed_line_days")
        from_on = max(
            earliest_suspension(account.line_of_business, account.terms, due_on, grace_days)
            for due_on in (oldest.due_on, mine.due_on)
        )
        return self._step("suspend", from_on, self._unservable(own))

    def _terminate(self) -> Step:
        account = self.account
        assert account.terms is not None  # an opened account has a contract
        assert account.status_since is not None  # and a day since when it is suspended
        suspended_on = day_of(account.status_since, account.region)
        least_days = Measure(BOOK, "termination-window").at(self.day, "days")
        from_on = max(
            earliest_termination(account.terms, suspended_on),
            suspended_on + timedelta(days=least_days) + ONE_DAY,
            self.owed[0].charge.due_on + ONE_DAY,
        )
        own = holders_own(account, self.owed)
        blocks = list(self._unservable(own))
        undisputed = free(account, own, "suspension")
        if undisputed and undisputed[0].charge.due_on >= suspended_on:
            blocks.append(("settled_since_suspension", None))
        return self._step("terminate", from_on, blocks)

    def _unservable(self, own: Sequence[Owed]) -> Iterator[tuple[Block, str | None]]:
        """Return what forbids to stop the service for what is overdue."""
        yield from self._holds("suspension")
        if not own:
            yield "earlier_holders_debt", None

    def _holds(self, *scopes: str, charge_id: str | None = None) -> Iterator[tuple[Block, str | None]]:
        for hold in self.account.holds.values():
            if any(hold.covers(scope, charge_id) for scope in scopes):
                yield "dispute_hold", hold.hold_id

    # -- the blacklist

    def _blacklist(self) -> Step:
        account = self.account
        from_on = self.owed[0].charge.due_on + timedelta(days=BLACKLIST_AFTER_DAYS)
        undisputed = free(account, self.owed, "blacklist")
        listable = [d for d in holders_own(account, undisputed) if supported(account, d.charge)]
        blocks: list[tuple[Block, str | None]] = []
        if not listable:
            for one in self.owed:
                blocks += self._holds("blacklist", charge_id=one.charge.debt_id)
                if not supported(account, one.charge):
                    blocks.append(("charge_without_basis", one.charge.debt_id))
                if not holders_own(account, [one]):
                    blocks.append(("earlier_holders_debt", None))
        elif not any(_spoke_of(account, n, d) for n in account.notices.values() for d in listable):
            blocks.append(("no_delivered_notice", None))
        return self._step("blacklist", from_on, blocks)


def _on(account: Account, notice: Notice) -> date:
    return day_of(notice.attempted_at, account.region)


def _attempts(account: Account, reminder: Reminder) -> Iterator[Notice]:
    """Return the notices that were tried for a reminder."""
    for notice in account.notices.values():
        if (
            notice.purpose != reminder.purpose
            or not reminder.opens <= _on(account, notice) <= reminder.closes
        ):
            continue
        if notice.charge_ids is None or set(notice.charge_ids) & set(reminder.charge_ids or ()):
            yield notice


def _spoke_of(account: Account, notice: Notice, owed: Owed) -> bool:
    """Whether a notice that arrived spoke of a charge once it was overdue."""
    return (
        notice.purpose in ("arrears", "blacklist")
        and notice.outcome == "delivered"
        and notice.contact_point_id is not None
        and (notice.charge_ids is None or owed.charge.debt_id in notice.charge_ids)
        and _on(account, notice) > owed.charge.due_on
        and (owed.charge.posted_at is None or owed.charge.posted_at <= notice.attempted_at)
    )


# -- reading ------------------------------------------------------------------------------------------------


STEP_KEY = (Column("account_id"), Column("action"))


def steps_of(ledger: Ledger, today: date, wanted: Mapping[str, Any], paged: Paged) -> list[dict[str, Any]]:
    """Return the steps that may still be taken, today or later; raises NotBuiltError.

    `wanted` has due_by, account_id, party_id, city, action, blocked and amount_fen, each None where it does not matter.
    """
    given = {**wanted, "today": today}
    return reading(ledger, Dunning.name, lambda c: page(c, Q["steps"], given, *paged))
