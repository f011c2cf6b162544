"""The customer whose claims are weighed: their accounts, cases and self, as far as the ledger knows of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any, Literal, TypeVar

from domain.calendar import day_of
from domain.events import account as av
from domain.events import case as cv
from domain.events.envelope import Recorded
from domain.events.fields import Payload
from domain.rules.facts import AccountFacts, CaseFacts, PartyFacts, World, across_streams

P = TypeVar("P", bound=Payload)
Answer = Literal["yes", "no", "silent", "open"]
"""Whether something happened: the history shows it, shows the opposite, has nothing, or leaves it open."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the history shows of something a claim asserts or denies, said in one sentence.

    `events` show it; `nearest` are what comes nearest where nothing does.
    """

    answer: Answer
    said: str
    events: Sequence[Recorded] = field(default=())
    nearest: Sequence[Recorded] = field(default=())


class Customer:
    """A party with its accounts, or one account with the parties whose it was, and the cases about either."""

    def __init__(self, world: World, facts: AccountFacts | PartyFacts) -> None:
        self.world = world
        self.today = world.today
        self.region = facts.state.region or world.region
        if isinstance(facts, PartyFacts):
            self.parties = world.person(facts.party_id) or [facts]
            self.own_accounts = list(dict.fromkeys(a for p in self.parties for a in p.accounts))
            self.account_alone = False
        else:
            holder = facts.party_at(world.known_at)
            self.parties = world.person(holder.party_id) if holder is not None else []
            self.own_accounts = [facts]
            self.account_alone = True
        self._subject = facts.subject

    def accounts(self, account_id: str | None) -> list[AccountFacts]:
        """Return the customer's accounts, or the one that is named where it is theirs."""
        return [a for a in self.own_accounts if account_id is None or a.subject == f"account/{account_id}"]

    def holds(self, account: AccountFacts, moment: datetime) -> bool:
        """Whether an account was the customer's at a moment; asked for an account, all its time counts."""
        return self.account_alone or account.holder_at(moment) in self.party_ids

    @cached_property
    def party_ids(self) -> set[str]:
        """The ids under which the customer is on record."""
        return {p.party_id for p in self.parties}

    def of(self, kind: type[P], account_id: str | None = None) -> list[tuple[AccountFacts, Recorded, P]]:
        """Return the events of a type on the customer's accounts while they were theirs."""
        found = [
            (account, recorded, data)
            for account in self.accounts(account_id)
            for recorded, data in account.of(kind)
            if self.holds(account, recorded.event.time)
        ]
        return sorted(found, key=lambda item: across_streams(item[1]))

    def self_of(self, kind: type[P]) -> list[tuple[PartyFacts, Recorded, P]]:
        """Return the events of a type in the customer's own stream, or streams."""
        found = [(party, r, d) for party in self.parties for r, d in party.of(kind)]
        return sorted(found, key=lambda item: across_streams(item[1]))

    def cases(self, case_id: str | None) -> list[tuple[CaseFacts, Recorded]]:
        """Return the customer's cases, or the one that is named, each with its complaint."""
        found = [
            (case, received)
            for subject, case in self.world.cases.items()
            for received, complaint in case.of(cv.ComplaintReceived)
            if case_id in (None, subject.partition("/")[2]) and self._about(complaint)
        ]
        return sorted(found, key=lambda item: across_streams(item[1]))

    def _about(self, complaint: cv.ComplaintReceived) -> bool:
        if self.account_alone and complaint.account_ids:
            return self._subject.partition("/")[2] in complaint.account_ids
        return complaint.party_id in self.party_ids

    # -- what the history does not cover

    def uncovered(self, account_id: str | None, since: date | None, until: date | None) -> str | None:
        """Return why the accounts' history in a time may lack events, None where it is whole."""
        if until is not None and until > self.today:
            return f"{until} lies after the day the ledger is asked as known on"
        for account in self.accounts(account_id):
            begins, ends = silence(account)
            if ends is not None and (until is None or until >= begins) and (since is None or since < ends):
                return f"the history of {account.subject} before {ends} is not on record"
        return None


def silence(account: AccountFacts) -> tuple[date, date | None]:
    """Return the time for which an account's history is not there: from its opening to its first own event.

    An account that came from another system may have brought its history or not; one without its opening has
    begun before what is known of it. The second is None where nothing is missing.
    """
    migrated = next((d for _, d in account.of(av.AccountMigrated)), None)
    opened = account.of(av.AccountOpened)
    if migrated is None and opened:
        return account.day(opened[0][0]), None
    own = [r for r in account.history if not isinstance(r.event.data, av.AccountOpened | av.AccountMigrated)]
    known = min((account.day(r) for r in own), default=account.today)
    begins = migrated.opened_on if migrated else date.min
    return begins, known if begins < known else None


def day(recorded: Recorded) -> date:
    """Return the day of an event where it happened."""
    return day_of(recorded.event.time, recorded.event.region)


def within(recorded: Recorded, since: date | None, until: date | None) -> bool:
    """Whether an event happened in a time."""
    return (since is None or day(recorded) >= since) and (until is None or day(recorded) <= until)


def names(values: Iterable[Any]) -> str:
    """Return values as a sentence lists them, each once."""
    return ", ".join(dict.fromkeys(str(v) for v in values))


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: 1 attempt, 2 attempts."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def account_of(recorded: Recorded) -> str:
    """Return the id of the account an event happened on."""
    return recorded.event.stream_id
