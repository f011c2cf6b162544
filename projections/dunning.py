"""dunning: what comes next for each account that leaves something unpaid, from which day on, and what blocks it.

A row is a step the operator may still have to take: to remind, to announce, to suspend, to terminate, to list. The days
are those of the policies that close a day, with the built-in rulebook. What stands with the party stands there: whether
a contact point is the holder's own, and whether an entry exists. But nobody is pressed for what was made with misused
documents: a misuse confirmed with the holder blocks every step, when it is read.
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
from domain.party import Party
from domain.policies.reminders import WAIT_DAYS, arrears_reminders, attempts_at
from domain.policies.standing import BLACKLIST_AFTER_DAYS, speaks_of
from domain.rules.book import Rulebook
from domain.rules.facts import Measure
from domain.rules.windows import ONE_DAY, earliest_suspension, earliest_termination
from projections.engine import ReadModel, Rows, Seen, Table, Tables, reading
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
    "misused_number",
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

    `amount_fen` is what is overdue on that day, or already, of the charges the step is about: what stayed with an
    earlier holder is not asked of this one. `attempts` counts the notices tried for it.
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


class Number(NamedTuple):
    """A number of an account that has steps ahead, and the registration it was activated on."""

    subject: str
    number_id: str
    registration_id: str | None


class Misuse(NamedTuple):
    """What a party's identity was misused for, as confirmed."""

    subject: str
    party_id: str
    number_ids: list[str]
    registration_ids: list[str]


class Dunning(ReadModel):
    """The model, as the engine moves it."""

    name = "dunning"
    version = 2
    kinds = frozenset({"account", "party"})
    tables = (Table("dunning_step", Step), Table("dunning_number", Number), Table("dunning_misuse", Misuse))

    def rows(self, state: Account | Party, seen: Seen) -> Rows:
        """Return the steps ahead, and the next day on which a charge falls overdue, a payment counts or one lapses.

        Of a party, what its identity was misused for.
        """
        if isinstance(state, Party):
            return Rows({"dunning_misuse": _misuse(state, seen.subject)})
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
        numbers = [Number(seen.subject, n.number_id, n.registration_id) for n in state.numbers.values()]
        found: Tables = {"dunning_step": steps, "dunning_number": numbers if steps else []}
        return Rows(found, start_of(min(changes), state.region) if changes else None)


def _misuse(party: Party, subject: str) -> list[Misuse]:
    numbers, registrations = sorted(party.misused_numbers), sorted(party.misused_registrations)
    return [Misuse(subject, party.party_id, numbers, registrations)] if numbers or registrations else []


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
        *,
        until_on: date | None = None,
        attempts: int = 0,
        about: Sequence[Owed] = (),
    ) -> Step:
        """Return a step about some of what is owed; about all of it, where none is named."""
        account, about = self.account, about or self.owed
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
            amount_fen=sum(d.unpaid_fen for d in about),
            oldest_due_on=about[0].charge.due_on,
            charge_ids=[d.charge.debt_id for d in about],
            attempts=attempts,
        )

    # -- notices

    def _notices(self) -> Iterator[Step]:
        """Return the notices that no attempt has brought to the customer yet, each from when the next may go out."""
        reminders = list(arrears_reminders(self.account, self.day, BOOK))
        if not reminders:
            yield self._step("remind", self.owed[0].charge.due_on + ONE_DAY, self._undunnable())
        for reminder in reminders:
            tried = list(attempts_at(self.account, reminder))
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
                about = [d for d in self.owed if d.charge.debt_id in (reminder.charge_ids or ())]
                action = NOTICES[reminder.purpose]
                yield self._step(action, from_on, until_on=until_on, attempts=len(tried), about=about)

    def _undunnable(self) -> Iterator[tuple[Block, str | None]]:
        """Return why none of what is overdue may be reminded of."""
        for one in self.owed:
            yield from self._holds("suspension", "blacklist", charge_id=one.charge.debt_id)
            if not supported(self.account, one.charge):
                yield "charge_without_basis", one.charge.debt_id
            if not holders_own(self.account, [one]):
                yield "earlier_holders_debt", one.charge.debt_id

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
        return self._step("suspend", from_on, self._unservable(own), about=own)

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
        return self._step("terminate", from_on, blocks, about=own)

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
        elif not any(
            speaks_of(account, n, d.charge) and n.outcome == "delivered" and n.contact_point_id is not None
            for n in account.notices.values()
            for d in listable
        ):
            blocks.append(("no_delivered_notice", None))
        return self._step("blacklist", from_on, blocks, about=listable)


def _on(account: Account, notice: Notice) -> date:
    return day_of(notice.attempted_at, account.region)


# -- reading ------------------------------------------------------------------------------------------------


STEP_KEY = (Column("account_id"), Column("action"))


def steps_of(ledger: Ledger, today: date, wanted: Mapping[str, Any], paged: Paged) -> list[dict[str, Any]]:
    """Return the steps that may still be taken, today or later; raises NotBuiltError.

    `wanted` has due_by, account_id, party_id, city, action, blocked and amount_fen, each None where it does not matter.
    """
    given = {**wanted, "today": today}
    return reading(ledger, Dunning.name, lambda c: page(c, Q["steps"], given, *paged))
