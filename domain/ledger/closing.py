"""Closes days on one ledger: stream by stream, each in a transaction of its own, so that it may stop anywhere.

What is due follows from the states (`domain.closing`), so a day that is closed twice, late, or again after a
kill comes to the same. A cursor only spares looking again at streams that were done. Nothing is sent: notices
go into the queue.
"""

import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from domain.account import Account
from domain.case import Case
from domain.closing import (
    Closing,
    Tariff,
    asked_of,
    due_on_account,
    due_on_case,
    due_on_party,
    moment_of_closing,
)
from domain.ledger import outbox
from domain.ledger.application import Ledger, Q
from domain.ledger.writer import ReceiptKey, Writer, request_digest
from domain.party import Party
from domain.policies.due import Due, NoticeRequest, Order, Task
from domain.replay import in_order
from domain.rules.book import Rulebook, rulebook_of
from domain.streams import State, state_of

PAGE_STREAMS = 500  # streams read at once: some thousand events each at the worst, and the memory for them
ROUNDS_MAX = 12  # what is due may make something else due; no chain is longer
KINDS = ("account", "case", "party")
"""The kinds of streams in which the calendar makes something due."""
RECEIPTS = "close-day"
TASKS_MAX = 1_000  # tasks an answer lists; their number is always whole


class ClosingBusyError(Exception):
    """Another process closes a day on this ledger."""


@dataclass(slots=True)
class Closed:
    """What closing a day came to. `events` counts by type, `tasks` by kind."""

    day: date
    region: str
    streams: int = 0
    events: Counter[str] = field(default_factory=Counter)
    notices: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    open_tasks: list[Task] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    resumed: bool = False
    last_closed: date | None = None


class Closer:
    """Closes days on one ledger. `clock` returns the present moment; `tariff` has prices no event has yet."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], tariff: Tariff | None = None) -> None:
        self._ledger = ledger
        self._clock = clock
        self._tariff = tariff or {}
        self._writer = Writer(ledger, clock)

    def close(
        self, day: date, region: str | None = None, progress: Callable[[Closed], None] | None = None
    ) -> Closed:
        """Do whatever is due by a day and was not done, in a region or in the whole ledger.

        Raises MalformedError for a day that has not come, ClosingBusyError, and what the writer raises; what
        was done until then stays done, and closing the day again goes on from there.
        """
        region = region or self._ledger.region
        closed = Closed(day, region)
        with self._alone():
            moment_of_closing(day, self._clock(), region)
            book = self._rulebook(region)
            cursor = self._begin(closed)
            while page := self._page(cursor):
                for subject, state in self._loaded(page).items():
                    if _of_region(state, region):
                        self._close(subject, state, closed, book)
                        closed.streams += 1
                cursor = page[-1]
                self._done_until(closed, cursor)
                if progress is not None:
                    progress(closed)
            self._finish(closed)
        return closed

    # -- one stream

    def _close(self, subject: str, state: State, closed: Closed, book: Rulebook) -> None:
        """Do what is due on one stream, and what follows from it."""
        refused: set[Order] = set()
        region = state.region or closed.region
        for _ in range(ROUNDS_MAX):
            moment = moment_of_closing(closed.day, self._clock(), region)
            closing = Closing(closed.day, moment, book, self._tariff)
            dues = list(dict.fromkeys(self._due(state, closing)))
            orders = [d for d in dues if isinstance(d, Order) and d not in refused]
            if not orders:
                self._leave(dues, closed)
                return
            refused |= self._ask(orders, closing, region, closed)
            state = self._loaded([subject])[subject]
        raise RuntimeError(f"{subject}: ever more is due by {closed.day}: {orders}")

    def _due(self, state: State, closing: Closing) -> Iterator[Due]:
        match state:
            case Account():
                return due_on_account(state, self._people(state.party_id), closing)
            case Party():
                standing = [e.basis_account_id for e in state.blacklist.values() if e.removed_at is None]
                accounts = self._loaded([f"account/{i}" for i in standing])
                return due_on_party(
                    state, {a.account_id: a for a in accounts.values() if isinstance(a, Account)}, closing
                )
            case Case():
                return due_on_case(state, closing)
            case _:
                return iter(())

    def _ask(self, orders: list[Order], closing: Closing, region: str, closed: Closed) -> set[Order]:
        """Ask for what is due, all at once; return what the domain refused, which a person has to look at."""
        refused: set[Order] = set()
        while wanted := [o for o in orders if o not in refused]:
            commands = [asked_of(o, closing, region) for o in wanted]
            # The receipt settles a lost connection; what was done by another run is no longer due.
            key = uuid.uuid4().hex
            answer = self._writer.execute_all(
                commands, ReceiptKey(RECEIPTS, key, request_digest(key.encode()))
            )
            refusal = answer.body.get("refusal")
            if refusal is None:
                closed.events.update(e["type"] for e in answer.body["events"])
                break
            refused.add(wanted[refusal["details"]["index"]])
            closed.refused[refusal["code"]] += 1
        return refused

    def _leave(self, dues: Sequence[Due], closed: Closed) -> None:
        """Queue the notices that are due, and keep the tasks for the answer."""
        notices = [d for d in dues if isinstance(d, NoticeRequest)]
        if notices:
            with self._ledger.journal.database.transaction(self._ledger.schema) as connection:
                closed.notices += outbox.enqueue(connection, notices, self._clock())
        for task in dues:
            if isinstance(task, Task):
                closed.tasks[task.kind] += 1
                if len(closed.open_tasks) < TASKS_MAX:
                    closed.open_tasks.append(task)

    # -- reading

    def _loaded(self, subjects: Sequence[str]) -> dict[str, State]:
        histories = self._ledger.histories(subjects)
        return {s: state_of(s, in_order(history)) for s, history in histories.items()}

    def _people(self, party_id: str) -> list[Party]:
        """Return a party and those it was merged into."""
        found: list[Party] = []
        while party_id and party_id not in {p.party_id for p in found}:
            party = self._loaded([f"party/{party_id}"])[f"party/{party_id}"]
            assert isinstance(party, Party)
            found.append(party)
            party_id = party.merged_into or ""
        return [p for p in found if p.opened]

    def _rulebook(self, region: str) -> Rulebook:
        books = {f"rulebook/{self._ledger.region}", f"rulebook/{region}"}
        histories = self._ledger.histories(sorted(books))
        return rulebook_of(in_order(r for history in histories.values() for r in history))

    def _page(self, after: str) -> list[str]:
        """Return the next streams in which something may be due."""
        with self._ledger.journal.database.connection(self._ledger.schema) as connection:
            rows = connection.execute(
                Q["streams_after"], {"after": after, "kinds": list(KINDS), "limit": PAGE_STREAMS}
            )
            return [s for (s,) in rows]

    # -- what is kept of it

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the ledger's lock for closings: two at once would only do everything twice."""
        with self._ledger.journal.database.connection(self._ledger.schema) as connection:
            row = connection.execute(Q["lock_closing"], {"schema": self._ledger.schema}).fetchone()
            if row is None or not row[0]:
                raise ClosingBusyError(f"another process closes a day of {self._ledger.region}: wait for it")
            try:
                yield
            finally:
                connection.execute(Q["unlock_closing"], {"schema": self._ledger.schema})

    def _begin(self, closed: Closed) -> str:
        """Open the day, or open it again; return after which stream to go on."""
        with self._ledger.journal.database.transaction(self._ledger.schema) as connection:
            given = {"day": closed.day, "region": closed.region, "now": self._clock()}
            row = connection.execute(Q["begin_closing"], given).fetchone()
            last = connection.execute(Q["last_closed"], given).fetchone()
        closed.last_closed = last[0] if last else None
        cursor: str = row[0] if row else ""
        closed.resumed = bool(cursor)
        return cursor

    def _done_until(self, closed: Closed, cursor: str) -> None:
        self._note("move_closing", closed, cursor=cursor)

    def _finish(self, closed: Closed) -> None:
        self._note("finish_closing", closed, now=self._clock())

    def _note(self, query: str, closed: Closed, **given: Any) -> None:
        with self._ledger.journal.database.transaction(self._ledger.schema) as connection:
            connection.execute(Q[query], {"day": closed.day, "region": closed.region, **given})


def _of_region(state: State, region: str) -> bool:
    """Whether a stream is of a region, or of a city in it."""
    own: str = getattr(state, "region", "") or ""
    return own == region or own.startswith(f"{region}.")


def summary(closed: Closed) -> Mapping[str, Any]:
    """Return what closing a day came to as plain values."""
    return {
        "day": closed.day.isoformat(),
        "region": closed.region,
        "streams": closed.streams,
        "resumed": closed.resumed,
        "last_closed": closed.last_closed.isoformat() if closed.last_closed else None,
        "events": dict(sorted(closed.events.items())),
        "notices_queued": closed.notices,
        "tasks": dict(sorted(closed.tasks.items())),
        "open_tasks": [
            {
                "kind": t.kind,
                "subject": t.subject,
                "what": t.what,
                "due_on": t.due_on and t.due_on.isoformat(),
            }
            for t in closed.open_tasks
        ],
        "refused": dict(sorted(closed.refused.items())),
    }
