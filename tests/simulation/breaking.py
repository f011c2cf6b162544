"""How a run breaks: at any step to the database the process dies, or its connection is lost, before the step or after.

After means that the database did what it was asked and nobody heard of it. A dead process takes no further step,
not even to tidy up: what it leaves is what the server makes of it.
"""

import contextlib
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from weakref import WeakSet

import psycopg
import pytest

import domain.ledger.writer
from domain.ledger.statement import Statement

WAYS = ("dies before", "dies after", "lost before", "lost after")

ANSWER_S = 30.0

T = TypeVar("T")


class Crashed(BaseException):
    """The process is gone."""


class Steps:
    """Counts the steps a run's own thread takes to the database, and breaks at one of them."""

    def __init__(self) -> None:
        self.taken = 0
        self.broken: list[str] = []
        """What broke, in order."""
        self.dead = False
        self._seen: WeakSet[Any] = WeakSet()
        self._thread = threading.get_ident()
        self._left = 0
        self._how = ""

    def break_at(self, step: int, how: str) -> None:
        """Break at the step-th step from now on, from 1."""
        self._left, self._how = step, how

    def mend(self) -> None:
        """Break no more; a new process is alive."""
        self._left, self._how, self.dead = 0, "", False

    def pass_by(self, connection: Any) -> None:
        """Know a connection, so that it can be closed with its process."""
        self._seen.add(connection)

    def bury(self) -> None:
        """Close the connections of a dead process, as the system does."""
        for connection in list(self._seen):
            connection.close()

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Let the run itself look at the database: such steps are nobody's."""
        thread, self._thread = self._thread, 0
        try:
            yield
        finally:
            self._thread = thread

    @property
    def armed(self) -> bool:
        """Whether a break is still to come."""
        return self._left > 0

    def take(self, do: Callable[[], T], cut: Callable[[], Any]) -> T:
        """Take a step, or break; `cut` closes the connection."""
        if threading.get_ident() != self._thread:
            return do()
        if self.dead:
            raise Crashed
        self.taken += 1
        self._left -= self._left > 0
        if self._left or not self._how:
            return do()
        how, self._how = self._how, ""
        self.broken.append(how)
        if how.endswith("after"):
            do()
        if how.startswith("dies"):
            self.dead = True
            raise Crashed
        cut()
        raise psycopg.OperationalError("simulated: the connection is lost")


class Inline:
    """The writer's thread, made one with the run's own: work is done at once, or when the run says so."""

    held: deque[Callable[[], None]] | None = None

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, work: Callable[[], None]) -> None:
        """Do it, or hold it until `released`."""
        if Inline.held is None:
            work()
        else:
            Inline.held.append(work)


@contextlib.contextmanager
def held() -> Iterator[deque[Callable[[], None]]]:
    """Let what is submitted wait, so that much may be asked before any of it is done."""
    Inline.held = deque()
    try:
        yield Inline.held
    finally:
        Inline.held = None


@contextlib.contextmanager
def breakable(steps: Steps) -> Iterator[None]:
    """Let everything that goes to the database pass by `steps`."""
    wait, send, rows = psycopg.Connection.wait, Statement.send, Statement.rows

    def waiting(connection: Any, *given: Any, **more: Any) -> Any:
        steps.pass_by(connection)
        return steps.take(lambda: wait(connection, *given, **more), connection.close)

    def sending(statement: Any, given: Any) -> None:
        def done() -> None:
            send(statement, given)
            # what is decided meanwhile finds it done: else a seed would be another life on a slower machine
            select.select([statement._pgconn.socket], [], [], ANSWER_S)

        steps.take(done, statement._pgconn.finish)

    def receiving(statement: Any) -> int:
        return steps.take(lambda: rows(statement), statement._pgconn.finish)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "wait", waiting)
        patch.setattr(Statement, "send", sending)
        patch.setattr(Statement, "rows", receiving)
        patch.setattr(domain.ledger.writer, "ThreadPoolExecutor", Inline)
        yield
