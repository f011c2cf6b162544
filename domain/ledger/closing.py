"""Closes days on one ledger: stream by stream, each in a transaction of its own, so that it may stop anywhere.

What is due follows from the states (`domain.closing`), so a day that is closed twice, late, or again after a
kill comes to the same. A cursor only spares looking again at streams that were done. Nothing is sent: notices
go into the queue.
"""

import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import structlog

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
from domain.ledger.database import WRITER
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
BATCH_COMMANDS = 100  # committed at once: some 30 ms in which nobody else appends
RECEIPTS = "close-day"
TASKS_MAX = 1_000  # tasks an answer lists; their number is always whole


log = structlog.get_logger(__name__)


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
    failed: dict[str, str] = field(default_factory=dict)
    """Streams that could not be closed, and the kind of error."""
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
                states = {k: s for k, s in self._readable(page, closed).items() if _of_region(s, region)}
                self._close(states, closed, book)
                closed.streams += len(states)
                cursor = page[-1]
                self._done_until(closed, cursor)
                if progress is not None:
                    progress(closed)
            self._finish(closed)
        return closed

    # -- a page of streams

    def _close(self, states: dict[str, State], closed: Closed, book: Rulebook) -> None:
        """Do what is due on some streams, and what follows from it, round by round."""
        refused: set[Order] = set()
        for _ in range(ROUNDS_MAX):
            orders: list[tuple[Order, Closing, str]] = []
            due = self._due(states, closed, book)
            for subject, (closing, dues) in due.items():
                found = [d for d in dues if isinstance(d, Order) and d not in refused]
                orders += [(order, closing, subject) for order in found]
                if not found:
                    self._leave(dues, closed)
            for n in range(0, len(orders), BATCH_COMMANDS):
                refused |= self._ask(orders[n : n + BATCH_COMMANDS], states, closed)
            if not orders:
                return
            states = self._loaded(list(dict.fromkeys(subject for _, _, subject in orders)))
        raise RuntimeError(f"ever more is due by {closed.day}: {[o for o, _, _ in orders][:5]}")

    def _due(
        self, states: Mapping[str, State], closed: Closed, book: Rulebook
    ) -> dict[str, tuple[Closing, list[Due]]]:
        """Return what is due on each of some streams, and what it is closed with."""
        people = self._people(s.party_id for s in states.values() if isinstance(s, Account | Party))
        listed = [
            f"account/{e.basis_account_id}"
            for s in states.values()
            if isinstance(s, Party)
            for e in s.blacklist.values()
            if e.removed_at is None
        ]
        accounts = {a.account_id: a for a in self._loaded(listed).values() if isinstance(a, Account)}
        found = {}
        for subject, state in states.items():
            moment = moment_of_closing(closed.day, self._clock(), _region_of(state) or closed.region)
            closing = Closing(closed.day, moment, book, self._tariff)
            match state:
                case Account():
                    dues = due_on_account(state, people_of(state.party_id, people), closing)
                case Party():
                    dues = due_on_party(state, people_of(state.party_id, people), accounts, closing)
                case Case():
                    dues = due_on_case(state, closing)
                case _:
                    continue
            try:
                found[subject] = closing, list(dict.fromkeys(dues))
            except Exception as error:  # one stream that can't be closed must not stop a region
                log.exception("a stream can't be closed", subject=subject)
                closed.failed[subject] = type(error).__name__
        return found

    def _ask(
        self, orders: Sequence[tuple[Order, Closing, str]], states: Mapping[str, State], closed: Closed
    ) -> set[Order]:
        """Ask for what is due, all at once; return what the domain refused, which a person has to look at."""
        refused: set[Order] = set()
        while wanted := [o for o in orders if o[0] not in refused]:
            commands = [asked_of(o, c, _region_of(states[s]) or closed.region) for o, c, s in wanted]
            # The receipt settles a lost connection; what was done by another run is no longer due.
            key = uuid.uuid4().hex
            answer = self._writer.execute_all(
                commands, ReceiptKey(RECEIPTS, key, request_digest(key.encode()))
            )
            refusal = answer.body.get("refusal")
            if refusal is None:
                closed.events.update(e["type"] for e in answer.body["events"])
                break
            refused.add(wanted[refusal["details"]["index"]][0])
            closed.refused[refusal["code"]] += 1
        return refused

    def _leave(self, dues: Sequence[Due], closed: Closed) -> None:
        """Queue the notices that are due, and keep the tasks for the answer."""
        notices = [d for d in dues if isinstance(d, NoticeRequest)]
        if notices:
            with self._ledger.journal.database.transaction(self._ledger.schema, WRITER) as connection:
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

    def _readable(self, subjects: Sequence[str], closed: Closed) -> dict[str, State]:
        """Return the states of streams, without those that can't be read: they must not stop a region."""
        try:
            return self._loaded(subjects)
        except Exception as error:
            if len(subjects) > 1:
                return {k: s for one in subjects for k, s in self._readable([one], closed).items()}
            log.exception("a stream can't be read", subject=subjects[0])
            closed.failed[subjects[0]] = type(error).__name__
            return {}

    def _people(self, party_ids: Iterable[str]) -> dict[str, Party]:
        """Return parties, and those they were merged into, by id."""
        found: dict[str, Party] = {}
        wanted = set(party_ids)
        while wanted:
            parties = self._loaded([f"party/{i}" for i in sorted(wanted) if i]).values()
            found |= {p.party_id: p for p in parties if isinstance(p, Party)}
            wanted = {p.merged_into for p in found.values() if p.merged_into} - found.keys()
        return found

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
        with self._ledger.journal.database.transaction(self._ledger.schema, WRITER) as connection:
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
        with self._ledger.journal.database.transaction(self._ledger.schema, WRITER) as connection:
            connection.execute(Q[query], {"day": closed.day, "region": closed.region, **given})


def people_of(party_id: str, people: Mapping[str, Party]) -> list[Party]:
    """Return a party and those it was merged into, the one that goes on last."""
    found: list[Party] = []
    while party_id in people and people[party_id] not in found:
        found.append(people[party_id])
        party_id = people[party_id].merged_into or ""
    return [p for p in found if p.opened]


def _region_of(state: State) -> str:
    region: str = getattr(state, "region", "")
    return region


def _of_region(state: State, region: str) -> bool:
    """Whether a stream is of a region, or of a city in it."""
    own = _region_of(state)
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
        "failed": dict(sorted(closed.failed.items())[:TASKS_MAX]),
    }
