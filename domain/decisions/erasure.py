"""Whether a party's personal data may be destroyed: not while a case, a service, money or the law still needs it.

What stands against it is gathered whole, so that a refusal can say the earliest day on which asking again makes
sense; which of several comes first is fixed: cases, services, money, the blacklist, the law's own periods.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from domain.account import Account, figures
from domain.calendar import day_of
from domain.case import Case
from domain.commands import party as cmd
from domain.commands.asking import to_event
from domain.decisions.debts import debtor, unpaid_fen
from domain.decisions.hearing import Decisions, Hearing
from domain.events import party as ev
from domain.party import Party
from domain.refusals import Code, refuse
from domain.rules.windows import Retention, blacklist_retention_end, retention_of

decisions: Decisions[Party] = Decisions()

TOMORROW = timedelta(days=1)


class Obstacle(NamedTuple):
    """What stands against an erasure, and the first day on which it can be gone."""

    code: Code
    message: str
    ask_again_on: date
    id: str


@decisions.on(cmd.ErasePersonalData, after=["merged"], wide=True)
def _erase(h: Hearing, p: Party, c: cmd.ErasePersonalData) -> ev.PersonalDataErased:
    against = list(_obstacles(h, p))
    if against:
        first = against[0]
        again = max(o.ask_again_on for o in against)
        refuse(
            first.code,
            f"{first.message} Ask again on {again} at the earliest.",
            id=first.id,
            ask_again_on=again,
            obstacles=len(against),
        )
    return to_event(ev.PersonalDataErased, c)


def _obstacles(h: Hearing, p: Party) -> Iterator[Obstacle]:
    """Yield what stands against the erasure, in a fixed order."""
    concerned = [h.states[subject] for subject in sorted(h.states)]
    accounts = [s for s in concerned if isinstance(s, Account) and s.opened]
    for state in concerned:
        if isinstance(state, Case) and state.opened and state.closed_at is None:
            yield _open_case(h, state)
    ended: list[tuple[Account, date]] = []
    for account in accounts:
        ended_on = _ended_on(h, p, account)
        if ended_on is None:
            yield _running(h, account)
        else:
            ended.append((account, ended_on))
    for account in accounts:
        yield from _unsettled(h, p, account)
    for entry in p.blacklist.values():
        if entry.removed_at is None:
            lapses_on = blacklist_retention_end(day_of(entry.added_at, h.asked.region))
            message = f"The blacklist entry {entry.entry_id} stands: it goes first."
            again = max(lapses_on, h.day + TOMORROW)
            yield Obstacle(Code.ERASURE_BLACKLISTED, message, again, entry.entry_id)
    for account, ended_on in ended:
        kept = retention_of(ended_on)
        if h.day < kept.until:
            yield _retained(account, ended_on, kept)


def _open_case(h: Hearing, case: Case) -> Obstacle:
    due_on = case.answer_due_on or h.day
    message = f"The case {case.case_id} is open: its data is held until it is closed."
    return Obstacle(Code.ERASURE_CASE_OPEN, message, max(due_on, h.day) + TOMORROW, case.case_id)


def _ended_on(h: Hearing, p: Party, account: Account) -> date | None:
    """Return the day on which the account's service ended for the party; None while it goes on."""
    if account.party_id != p.party_id:
        left_at = account.left_at.get(p.party_id)
        return h.day if left_at is None else day_of(left_at, h.asked.region)
    if account.status != "terminated" or account.status_since is None:
        return None
    return day_of(account.status_since, h.asked.region)


def _running(h: Hearing, account: Account) -> Obstacle:
    kept = retention_of(h.day)
    message = f"The contract of account {account.account_id} is {account.status}: it ends first."
    return Obstacle(Code.ERASURE_SERVICE_RUNNING, message, kept.until, account.account_id)


def _unsettled(h: Hearing, p: Party, account: Account) -> Iterator[Obstacle]:
    """Yield what the party owes on an account, or is owed: nobody could be asked for it any more, or be paid."""
    if account.party_id == p.party_id:
        open_fen = figures(account.books, h.day).balance_fen or sum(account.deposits.values())
    else:
        own = [c.debt_id for c in account.books.charges.values() if debtor(account, c) == p.party_id]
        open_fen = sum(unpaid_fen(account, debt_id, h.day) for debt_id in own)
    if open_fen:
        message = f"The account {account.account_id} is not settled ({open_fen} fen): settle it first."
        yield Obstacle(Code.ERASURE_UNSETTLED, message, h.day + TOMORROW, account.account_id)


def _retained(account: Account, ended_on: date, kept: Retention) -> Obstacle:
    message = (
        f"The service of account {account.account_id} ended on {ended_on}: its records are kept until"
        f" {kept.until} ({kept.citation})."
    )
    return Obstacle(Code.ERASURE_RETENTION, message, kept.until, account.account_id)
