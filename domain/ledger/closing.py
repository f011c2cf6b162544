"""Closes days on one ledger: stream by stream, each in a transaction of its own, so that it may stop anywhere.

What is due follows from the states (`domain.closing`), so a day that is closed twice, late, or again after a
kill comes to the same. A cursor only spares looking again at streams that were done. Nothing is sent: notices
go into the queue.

Finding what is due (reading, folding, the policies) is nearly all of the work: where there are many streams, worker
processes do it, page by page of the streams' names. What is due is asked by this process alone, through one writer;
so a worker that is killed took nothing with it. It comes to the same however many there are: what follows from one
stream makes nothing due on another of its kind, and only pages of one kind are under way at once: what the accounts
came to is known before a party is looked at.
"""

import contextlib
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import structlog

from domain.closing import Tariff, asked_of, moment_of_closing
from domain.ledger import dues, outbox
from domain.ledger.application import Q
from domain.ledger.database import WRITER
from domain.ledger.workers import conninfo_of, workers
from domain.ledger.writer import ReceiptKey, Writer, request_digest
from domain.policies.due import Due, NoticeRequest, Order, Task
from domain.replay import in_order
from domain.rules.book import Rulebook, rulebook_of

PAGE_STREAMS = 200  # streams looked at at once: their states are some tens of MB at the worst
INLINE_STREAMS = 1_000  # so many are closed before a process would have started
AHEAD_PAGES = 3  # pages under way for each process: it never waits for the writer, nor does much lie about
WRITER_PAGES = 20  # after so many the writer lets go of what it keeps in memory: those streams are done
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
    of_streams: int | None = None
    """How many streams there are to look at in all; None where they are few."""
    looked_at: int = 0
    """How many of them were looked at, also those of other regions."""
    began: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """How many streams are looked at a second."""
        return self.looked_at / max(time.monotonic() - self.began, 0.001)

    @property
    def left_s(self) -> float | None:
        """How long it still takes at this rate, where that can be said."""
        return (self.of_streams - self.looked_at) / self.rate if self.of_streams and self.looked_at else None


@dataclass(slots=True)
class _Page:
    """Some streams on their way: what is being found on them, and what they came to so far."""

    last: str
    streams: int
    now: datetime
    coming: Future[dues.Page]
    rounds: int = 1
    refused: set[Order] = field(default_factory=set)
    tasks: list[Task] = field(default_factory=list)
    done: bool = False


Find = Callable[[Sequence[str], datetime], Future[dues.Page]]
"""Begins to find what is due on some streams at a moment, here or elsewhere."""


class Closer:
    """Closes days on a writer's ledger, by its clock. `tariff` has prices no event has yet."""

    def __init__(self, writer: Writer, tariff: Tariff | None = None) -> None:
        self._writer = writer
        self._ledger, self._clock = writer.ledger, writer.clock
        self._tariff = tariff or {}

    def close(
        self,
        day: date,
        region: str | None = None,
        progress: Callable[[Closed], None] | None = None,
        processes: int = 1,
    ) -> Closed:
        """Do whatever is due by a day and was not done, in a region or in the whole ledger.

        Raises MalformedError for a day that has not come, ClosingBusyError, LostWorkerError, and what the writer
        raises; what was done until then stays done, and closing the day again goes on from there.
        """
        region = region or self._ledger.region
        closed = Closed(day, region)
        show = progress or (lambda _closed: None)
        with self._alone():
            moment_of_closing(day, self._clock(), region)
            of = dues.Day(day, region, self._rulebook(region), self._tariff)
            cursor: str | None = self._begin(closed)
            most = INLINE_STREAMS if processes > 1 else None
            cursor = self._through(closed, cursor or "", self._finding_here(of), show, most=most)
            if cursor is not None:
                self._in_processes(closed, cursor, of, processes, show)
            self._finish(closed)
        return closed

    def _in_processes(
        self, closed: Closed, cursor: str, of: dues.Day, processes: int, show: Callable[[Closed], None]
    ) -> None:
        """Close what comes after a stream with the help of so many processes."""
        closed.of_streams = closed.looked_at + self._count("streams_left", after=cursor, kinds=list(KINDS))
        given = conninfo_of(self._ledger), self._ledger.schema, of
        with workers(processes, dues.begin, *given) as pool:

            def find(subjects: Sequence[str], now: datetime) -> Future[dues.Page]:
                return pool.submit(dues.find_here, subjects, now)

            self._through(closed, cursor, find, show, ahead=processes * AHEAD_PAGES)

    def _finding_here(self, of: dues.Day) -> Find:
        def find(subjects: Sequence[str], now: datetime) -> Future[dues.Page]:
            found: Future[dues.Page] = Future()
            with self._ledger.journal.database.connection(self._ledger.schema) as connection:
                found.set_result(dues.find(connection, of, subjects, now))
            return found

        return find

    # -- pages of streams

    def _through(
        self,
        closed: Closed,
        cursor: str,
        find: Find,
        show: Callable[[Closed], None],
        *,
        ahead: int = 1,
        most: int | None = None,
    ) -> str | None:
        """Close page after page behind a stream, `ahead` of them under way at once.

        Returns the last stream that was done where `most` of them were, None where none is left.
        """
        under_way: deque[_Page] = deque()  # in the order of their names
        begun, kind, left = cursor, "", self._page(cursor)
        count = 0
        while left or under_way:
            if left and len(under_way) < ahead and (not under_way or left[0].partition("/")[0] == kind):
                kind = left[0].partition("/")[0]
                subjects = [s for s in left if s.partition("/")[0] == kind]
                now = self._clock()
                under_way.append(_Page(subjects[-1], len(subjects), now, find(subjects, now)))
                begun = subjects[-1]
                left = self._page(begun)
                continue
            waiting = [p for p in under_way if not p.done]
            self._step(next((p for p in waiting if p.coming.done()), waiting[0]), closed, find)
            while under_way and under_way[0].done:
                page = under_way.popleft()
                self._ended(page, closed)
                count += 1
                if count % WRITER_PAGES == 0:
                    self._writer.let_go()
                show(closed)
            if most is not None and closed.looked_at >= most and left and not under_way:
                return begun
        return None

    def _step(self, page: _Page, closed: Closed, find: Find) -> None:
        """Take what was found on a page, ask for it, and let be found what follows from that."""
        found = page.coming.result()
        if page.rounds == 1:
            closed.streams += found.streams
        closed.failed |= found.failed
        orders: list[tuple[Order, dues.Found]] = []
        again: list[str] = []
        for subject, one in found.found.items():
            mine = [d for d in one.dues if isinstance(d, Order) and d not in page.refused]
            orders += [(order, one) for order in mine]
            if mine:
                again.append(subject)
            else:
                self._leave(one.dues, page, closed)
        for n in range(0, len(orders), BATCH_COMMANDS):
            page.refused |= self._ask(orders[n : n + BATCH_COMMANDS], closed)
        if not orders:
            page.done = True
            return
        page.rounds += 1
        if page.rounds > ROUNDS_MAX:
            raise RuntimeError(f"ever more is due by {closed.day}: {[o for o, _ in orders][:5]}")
        page.now = self._clock()
        page.coming = find(again, page.now)

    def _ended(self, page: _Page, closed: Closed) -> None:
        """Take in the tasks of a page that is done, as all before it are, and note how far the day is closed."""
        closed.looked_at += page.streams
        for task in page.tasks:
            closed.tasks[task.kind] += 1
            if len(closed.open_tasks) < TASKS_MAX:
                closed.open_tasks.append(task)
        self._note("move_closing", closed, cursor=page.last)

    def _ask(self, orders: Sequence[tuple[Order, dues.Found]], closed: Closed) -> set[Order]:
        """Ask for what is due, all at once; return what the domain refused, which a person has to look at."""
        refused: set[Order] = set()
        while wanted := [o for o in orders if o[0] not in refused]:
            commands = [asked_of(order, one.closing, one.region) for order, one in wanted]
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

    def _leave(self, found: Sequence[Due], page: _Page, closed: Closed) -> None:
        """Queue the notices that are due, and keep the tasks for the answer."""
        notices = [d for d in found if isinstance(d, NoticeRequest)]
        if notices:
            with self._ledger.journal.database.transaction(self._ledger.schema, WRITER) as connection:
                closed.notices += outbox.enqueue(connection, notices, self._clock())
        page.tasks += [d for d in found if isinstance(d, Task)]

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

    def _count(self, query: str, **given: Any) -> int:
        with self._ledger.journal.database.connection(self._ledger.schema) as connection:
            row = connection.execute(Q[query], given).fetchone()
            return row[0] if row else 0

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

    def _finish(self, closed: Closed) -> None:
        self._note("finish_closing", closed, now=self._clock())

    def _note(self, query: str, closed: Closed, **given: Any) -> None:
        with self._ledger.journal.database.transaction(self._ledger.schema, WRITER) as connection:
            connection.execute(Q[query], {"day": closed.day, "region": closed.region, **given})


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
