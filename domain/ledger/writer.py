"""The service's write path: whatever commands wait are committed in one transaction, each answered by itself.

One commit to disk costs as much for a hundred commands as for one, so what comes while one commit is under way
waits for the next. Decisions rest on standings, kept in memory as they were at one position of the log, and are
written only where the counter still stands there: in one statement, without a lock while deciding. Where others
write too, or keys are needed, the counter is locked first and nothing can come between. It goes round the library's
`Application.save`, whose guard covers only the streams written to.

No command harms another: a refusal, a conflict or a repeat is one command's answer. Whether a commit went through
before a connection broke, the receipts know: written with the events, they are asked before anything is decided
again.
"""

import asyncio
import contextlib
import hashlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import orjson
import psycopg
import structlog

from domain.commands.asking import Asked
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger, PostgresKeys, Q
from domain.ledger.batch import (
    Answer,
    Batch,
    Condition,
    KeyReusedError,
    ReceiptKey,
    VersionConflictError,
    Work,
    refusal_body,
)
from domain.ledger.database import WRITER, Connection, StorageError
from domain.ledger.naming import new_id
from domain.ledger.standings import Standings
from domain.ledger.statement import Statement

__all__ = [
    "Answer",
    "BusyError",
    "Condition",
    "KeyReusedError",
    "ReceiptKey",
    "VersionConflictError",
    "Writer",
    "refusal_body",
    "request_digest",
]

HALVED_MIN = 16  # fewer commands are written at once
HEARD_S = (
    0.002  # how long those who were told are given to ask again: a loop that is held up by something else
)
BATCH_MAX = 256  # commands committed at once: some 20 ms of work, for which the counter is held at most
QUEUE_MAX = 4_096  # commands that wait: beyond, a caller is better told to come back than to wait for seconds
CONNECTIONS_MAX = 3  # how often a batch whose connection broke is tried

log = structlog.get_logger(__name__)


def request_digest(*parts: bytes) -> bytes:
    """Return the digest (32 bytes) by which the same request is known again."""
    return hashlib.sha256(b"".join([len(part).to_bytes(8, "big") + part for part in parts])).digest()


class BusyError(Exception):
    """Too many commands wait, or the database was lost again and again: come back with the same receipt.

    It alone says whether a commit went through of which nothing was heard any more.
    """


class _Waiting:
    """Work that waits for its answer, and who waits for it: a thread, or a future of an event loop."""

    __slots__ = ("_future", "_told", "answer", "error", "loop", "work")

    def __init__(self, work: Work, future: asyncio.Future[Answer] | None = None) -> None:
        self.work = work
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self._future = future
        self._told = threading.Event() if future is None else None
        self.loop = future.get_loop() if future is not None else None

    @property
    def settled(self) -> bool:
        return self.answer is not None or self.error is not None

    @property
    def given_up(self) -> bool:
        """Whether nobody waits any more, before it was begun."""
        return self._future is not None and self._future.cancelled()

    def wait(self) -> Answer:
        """Return the answer once it is there, or raise the error that stands for it; of a thread."""
        if self._told is not None:
            self._told.wait()
        if self.answer is None:
            assert self.error is not None
            raise self.error
        return self.answer

    def tell(self) -> None:
        """Let whoever waits have what was settled; a future only in its own event loop."""
        if self._told is not None:
            self._told.set()
        elif self._future is not None and not self._future.done():
            if self.answer is not None:
                self._future.set_result(self.answer)
            elif self.error is not None:
                self._future.set_exception(self.error)


@dataclass(frozen=True, slots=True)
class _Flight:
    """A batch that was decided ahead of its commit, what it comes to, and who waits for that."""

    batch: Batch
    given: Mapping[str, bytes]
    found: Mapping[_Waiting, Answer | Exception]
    waiting: Sequence[_Waiting]


class Writer:
    """Executes commands on one ledger; a process has one of it. `clock` returns the present moment, aware.

    Any number of threads and coroutines may ask; a thread of its own writes for all of them. While the server
    commits one batch the next is decided, on what the first leads to; if that does not come about, neither does
    the next: the ledger's counter fences them, as it fences the writers of other processes.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self.ledger = ledger
        self.clock = clock
        self._standings = Standings(ledger)
        self._disturbed = False  # whether another writer was at work when we last wrote
        self._gate = threading.Lock()  # guards the two below
        self._queue: deque[_Waiting] = deque()
        self._draining = False
        self._connection: Connection | None = None
        self._statement: Statement | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"writer-{ledger.region}")

    def execute(self, asked: Asked, receipt: ReceiptKey) -> Answer:
        """Decide a command and commit what it leads to, or give its first answer again.

        Raises KeyReusedError, VersionConflictError, MalformedError (a time in the future), BusyError and
        StorageError; then nothing was written, or the receipt knows. A refusal by the domain is an answer, with a
        receipt like any other.
        """
        return self._wait(Work((asked,), receipt, new_id(), alone=True))

    async def ask(self, asked: Asked, receipt: ReceiptKey) -> Answer:
        """Do what `execute` does, for a coroutine.

        One that is cancelled before its command was begun leaves nothing; after that, the receipt has the answer.
        """
        return await self.begin(asked, receipt)

    def begin(self, asked: Asked, receipt: ReceiptKey) -> "asyncio.Future[Answer]":
        """Return what will be the answer, of the running event loop: commands are decided in the order of the calls.

        Raises BusyError at once.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._enqueue(_Waiting(Work((asked,), receipt, new_id(), alone=True), future))
        return future

    def execute_all(
        self,
        commands: Sequence[Asked],
        receipt: ReceiptKey,
        condition: Condition | None = None,
        command_id: str | None = None,
    ) -> Answer:
        """Decide commands one after the other and commit what all of them lead to, or nothing.

        Each is decided on what those before it lead to. The answer lists all events; its `version` is of the
        stream that the first command addresses. Where a command is refused, or the condition does not hold,
        the answer is that refusal (of a command, with its `index` from 0 and its name as `command`); it leaves
        no receipt, so that the same may be asked again once what stood against it is gone.
        `command_id` is given where commands name events of those before them; it is new for each call.
        Raises what `execute` raises, and ValueError where there are no commands.
        """
        if not commands:
            raise ValueError("there should be at least one command")
        name = command_id or new_id()
        return self._wait(Work(tuple(commands), receipt, name, alone=False, condition=condition))

    def let_go(self) -> None:
        """Keep no stream in memory any more: whoever went through many of them is done with those."""
        self._thread.submit(self._standings.forget)  # between two batches: nothing is in flight then

    def first_answer(self, receipt: ReceiptKey) -> Answer | None:
        """Return the answer that was given under a receipt before, if any; raises KeyReusedError."""
        with self.ledger.journal.database.connection(self.ledger.schema) as connection:
            found = _receipts(connection, [receipt]).get((receipt.scope, receipt.key))
        return None if found is None else _first(found, receipt)

    # -- who writes, and for whom

    def _wait(self, work: Work) -> Answer:
        waiting = _Waiting(work)
        self._enqueue(waiting)
        return waiting.wait()

    def _enqueue(self, waiting: _Waiting) -> None:
        with self._gate:
            if len(self._queue) >= QUEUE_MAX:
                raise BusyError(f"{QUEUE_MAX} commands wait already")
            self._queue.append(waiting)
            start = not self._draining
            self._draining = True
        if start:
            self._thread.submit(self._drain)

    def _drain(self) -> None:
        """Write until nothing waits."""
        flight: _Flight | None = None
        while True:
            taken = self._take(together=flight is not None)
            if flight is None and not taken:
                with self._gate:
                    if not self._queue:
                        self._draining = False
                        return
                continue
            try:
                flight = self._step(flight, taken)
            except Exception as error:  # a fault of ours: whoever waits has to know
                log.exception("commands could not be written")
                self._disconnect()
                concerned = [*(flight.waiting if flight else ()), *taken]
                _fail([w for w in concerned if not w.settled], error)
                _tell(concerned)
                flight = None

    def _step(self, flight: _Flight | None, taken: Sequence[_Waiting]) -> _Flight | None:
        """Decide on what waits while what is in flight is committed; return what is in flight then."""
        ahead = None
        if taken and not self._disturbed and all(w.work.plain for w in taken):
            ahead = self._decided_ahead(taken, flight)
        landed = flight is None or self._lands(flight, ahead)
        launched = ahead is not None and landed and self._launched(ahead)
        if flight is not None:
            _tell(flight.waiting)  # once the server has the next, which it works on meanwhile
        if launched:
            return ahead
        if taken:
            self._settle(taken)
            _tell(taken)
        return None

    def _take(self, *, together: bool) -> list[_Waiting]:
        """Return what is written next: plain commands that wait, or one work that needs its own transaction.

        Where nothing is in flight, half of them: the other half is decided while the first is committed.
        """
        taken: list[_Waiting] = []
        keys: set[tuple[str, str]] = set()
        with self._gate:
            waiting = len(self._queue)
            most = BATCH_MAX if together or waiting < HALVED_MIN else min(BATCH_MAX, waiting // 2)
            while self._queue and len(taken) < most:
                work = self._queue[0].work
                key = (work.receipt.scope, work.receipt.key)
                if taken and (not work.alone or key in keys):
                    break  # it is rolled back by itself; and a repeat comes after the first
                first = self._queue.popleft()
                if first.given_up:
                    continue
                taken.append(first)
                keys.add(key)
                if not work.alone:
                    break
        return taken

    # -- at once: one statement, fenced by the counter

    def _decided_ahead(self, waiting: Sequence[_Waiting], before: _Flight | None) -> _Flight | None:
        """Decide on what is in flight, if anything; None where that can't be done, and nothing is kept of it then.

        It reads on other connections than the one on which a batch may be in flight.
        """
        try:
            if self._standings.position is None:
                with self.ledger.journal.database.connection(self.ledger.schema) as connection:
                    self._standings.catch_up(connection, *_counter(connection, "counter"))
            pending = before.batch.pending if before is not None else ()
            batch = Batch(self.ledger, self._standings, self._now(), before=pending)
            found = _decided(batch, waiting)
            given = batch.given()
        except Exception:  # whatever it is comes again where each is decided in its turn
            log.warning("commands are decided again, one by one", commands=len(waiting), exc_info=True)
            self._standings.forget()
            return None
        self._standings.advanced(batch.base + batch.count, batch.now)
        return _Flight(batch, given, found, waiting)

    def _launched(self, flight: _Flight) -> bool:
        """Send a batch to be written, if the log still stands where it was decided."""
        try:
            _, statement = self._connected()
            statement.send(flight.given)
        except Exception:  # whatever it is comes again where each is written in its turn
            log.warning("a batch could not be sent", commands=len(flight.waiting), exc_info=True)
            self._disconnect()
            return False
        return True

    def _lands(self, flight: _Flight, ahead: _Flight | None) -> bool:
        """Settle what was in flight; whether it was written as it was decided, and what is ahead may follow.

        What can't be answered so is decided again in its turn: a repeat, and a conflict that may be one.
        """
        assert self._statement is not None
        lost = 0
        try:
            written = self._statement.rows() > 0
        except psycopg.OperationalError:
            written, lost = False, 1
        except (
            psycopg.Error
        ):  # a repeat, whose receipt stands already; or what only one of them is to blame for
            written = False
        self._disturbed = not written
        if written:
            for waiting, outcome in flight.found.items():
                if isinstance(outcome, Answer):
                    waiting.answer = outcome
            self._standings.shrink(ahead.batch.touched if ahead is not None else ())
        elif lost:
            self._disconnect()
        else:
            self._undo(flight)
        left = [w for w in flight.waiting if not w.settled]
        if left and ahead is not None:
            self._undo(ahead)
            if not written:
                self._standings.back_to(flight.batch.base)
        self._settle(left, lost)
        return not left

    def _undo(self, flight: _Flight) -> None:
        """Let the streams of a batch that was not written be read again."""
        self._standings.back_to(flight.batch.base, flight.batch.touched)

    # -- in turn: under the counter's lock

    def _settle(self, waiting: Sequence[_Waiting], lost: int = 0) -> None:
        """Give each of some works its answer, or the error that stands for it.

        `lost` is how often their connection broke before: whether they were committed, the receipts know.
        """
        while left := [w for w in waiting if not w.settled]:
            try:
                self._in_turn(left)
            except psycopg.OperationalError:
                self._disconnect()
                lost += 1
                log.warning("connection lost, asking the receipts", commands=len(left), lost=lost)
                if lost >= CONNECTIONS_MAX:
                    _fail(left, BusyError("the database can't be reached"))
            except StorageError as error:
                self._disconnect()
                _fail(left, error)
            except Exception as error:
                self._disconnect()  # psycopg forgets all prepared statements after a rollback, ours as well
                if len(left) > 1:  # one that nobody has thought of must not harm the others
                    for one in left:
                        self._settle([one])
                else:
                    log.exception("a command could not be written", command_id=left[0].work.command_id)
                    _fail(left, error)

    def _in_turn(self, waiting: Sequence[_Waiting]) -> None:
        """Lock the counter first: receipts, versions and keys read then stay true until the commit."""
        connection, statement = self._connected()
        with connection.transaction():
            position, recorded_at = _counter(connection, "lock_counter")
            self._disturbed = position != self._standings.position
            self._standings.catch_up(connection, position, recorded_at)
            found = _repeated(connection, waiting)
            batch = Batch(self.ledger, self._standings, self._now(), connection, PostgresKeys(connection))
            found |= _decided(batch, [w for w in waiting if w not in found])
            if any(_stands_back(w.work, outcome) for w, outcome in found.items()):
                self._standings.back_to(position, batch.touched)
                return _answer(found)
            statement.send(batch.given())
            statement.rows()
            if batch.erased:
                connection.execute(Q["destroy_keys"], {"owners": batch.erased})
        self._standings.advanced(batch.base + batch.count, batch.now)
        self._standings.shrink()
        return _answer(found)

    def _connected(self) -> tuple[Connection, Statement]:
        """Return the writer's own connection, and the statement prepared on it."""
        if self._connection is None or self._statement is None:
            self._connection = self.ledger.journal.database.keep(self.ledger.schema, WRITER)
            weakref.finalize(self, self._connection.close)
            self._statement = Statement(self._connection, "write", Q["write"])
        return self._connection, self._statement

    def _disconnect(self) -> None:
        """Let go of a connection that may be broken, and of all that may not have been committed."""
        self._standings.forget()
        if self._connection is not None:
            self._connection.close()
            self._connection = self._statement = None

    def _now(self) -> datetime:
        """Return the present moment; another host's clock may be ahead of ours: recorded time never runs backwards."""
        now, high = self.clock(), self._standings.recorded_at
        return now if high is None else max(now, high.astimezone(now.tzinfo))


def _decided(batch: Batch, waiting: Iterable[_Waiting]) -> dict[_Waiting, Answer | Exception]:
    """Return what each of some works comes to."""
    found: dict[_Waiting, Answer | Exception] = {}
    works = list(waiting)
    batch.prepare(one.work for one in works)
    for one in works:
        try:
            found[one] = batch.add(one.work)
        except (MalformedError, VersionConflictError) as error:
            found[one] = error
    return found


def _stands_back(work: Work, outcome: Answer | Exception) -> bool:
    """Whether nothing of several commands may be written, because one of them may not be."""
    return not work.alone and (isinstance(outcome, Exception) or (outcome.refused and not outcome.repeated))


def _repeated(connection: Connection, waiting: Sequence[_Waiting]) -> dict[_Waiting, Answer | Exception]:
    """Return the first answers of the works that have one."""
    known = _receipts(connection, [w.work.receipt for w in waiting])
    found: dict[_Waiting, Answer | Exception] = {}
    for one in waiting:
        receipt = one.work.receipt
        kept = known.get((receipt.scope, receipt.key))
        if kept is not None:
            try:
                found[one] = _first(kept, receipt, one.work.command_id)
            except KeyReusedError as error:
                found[one] = error
    return found


def _receipts(
    connection: Connection, receipts: Iterable[ReceiptKey]
) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """Return what stands under some receipts: the digest of what was asked, and the first answer."""
    scopes, keys = zip(*((r.scope, r.key) for r in receipts), strict=True)
    rows = connection.execute(Q["find_receipts"], {"scopes": list(scopes), "keys": list(keys)})
    return {(scope, key): (bytes(request), bytes(response)) for scope, key, request, response in rows}


def _first(kept: tuple[bytes, bytes], receipt: ReceiptKey, command_id: str = "") -> Answer:
    """Return a first answer: a repeated one, but where it is of this very command; raises KeyReusedError."""
    request, response = kept
    if request != receipt.request:
        raise KeyReusedError(receipt.key)
    body = orjson.loads(response)
    return Answer(body, repeated=body["command_id"] != command_id)


def _counter(connection: Connection, query: str) -> tuple[int, datetime]:
    """Return the log's position and its latest recorded time."""
    row = connection.execute(Q[query]).fetchone()
    if row is None:
        raise StorageError("the ledger's counter is not there: restore the ledger from its backup")
    return row[0], row[1]


def _answer(found: Mapping[_Waiting, Answer | Exception]) -> None:
    for waiting, outcome in found.items():
        if isinstance(outcome, Answer):
            waiting.answer = outcome
        else:
            waiting.error = outcome


def _fail(left: Iterable[_Waiting], error: Exception) -> None:
    for waiting in left:
        waiting.error = error


def _tell(settled: Iterable[_Waiting]) -> None:
    """Wake those who wait for what was settled, the coroutines of one event loop at once, and hear them out.

    What they ask next is then decided with what waits already. To go on at once would keep the interpreter from them
    until the next commit: commands would come in three smaller groups in the place of two, and each commit costs alike.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
    for waiting in settled:
        if waiting.loop is None:
            waiting.tell()
        else:
            by_loop.setdefault(waiting.loop, []).append(waiting)
    told = []
    for loop, its_own in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            heard = threading.Event()
            loop.call_soon_threadsafe(_tell_all, loop, its_own, heard)
            told.append(heard)
    until = time.monotonic() + HEARD_S
    for heard in told:
        heard.wait(until - time.monotonic())


def _tell_all(loop: asyncio.AbstractEventLoop, waiting: Iterable[_Waiting], heard: threading.Event) -> None:
    for one in waiting:
        one.tell()
    loop.call_soon(heard.set)  # after the coroutines that were woken, which the loop runs in their order
