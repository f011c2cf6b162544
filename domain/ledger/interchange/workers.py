"""Worker processes of an import: each reads a chunk while another one lands, and they land in the file's order.

The chunks of a file go to workers in turn, and to the import's own process (the boss) when all of them are at work: it
would only wait, and another worker's start costs what 30,000 events do. A worker reads, checks and fingerprints its
chunk at once; it lands it, in transactions of its own, when it is told that everything before it has landed. So streams
are numbered and digested in order, and what stands in the ledger is always a beginning of the file, whoever is killed
and when.

A worker is told what it needs through its pipe, the master key too, and nothing of it elsewhere. It ends with the
process that started it: at once, when the pipe breaks.
"""

import contextlib
import logging
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import NamedTuple, Protocol

import psycopg
import structlog

from domain.ledger.database import Database, StorageError
from domain.ledger.deployment import Deployment
from domain.ledger.interchange.bringing import Bringer, Brought, Read, erases, read_chunk
from domain.ledger.interchange.lines import Chunk
from domain.ledger.interchange.reading import Reader
from domain.ledger.vault import MasterKey, Secrets, VaultError

log = structlog.get_logger(__name__)

END_S = 10.0  # a worker that was told to end has one batch to finish at the most
STDERR = 2  # standard output is for answers
ROOT = Path(__file__).parents[3]  # where `domain` is found by the workers' interpreter


class LostWorkerError(StorageError):
    """A worker process is gone: one line that says with what under way."""


class Boss(Protocol):
    """Whom a team works for."""

    def turn(self) -> tuple[datetime, bool]:
        """Return the present moment, and whether seals are this deployment's."""

    def brought(self, brought: Brought) -> None:
        """Take in what became of a chunk."""

    def read(self, chunk: Chunk) -> Read | None:
        """Return what a chunk's lines are; None where some line in it decides how those after it are read."""

    def bring(self, read: Read) -> None:
        """Land what was read, everything before it having landed."""

    def take_here(self, chunk: Chunk) -> None:
        """Read and land a chunk that only the boss can."""


# -- what is said through the pipes: to a worker, and back ---------------------------------------------------


class Work(NamedTuple):
    """Where the database is, for the service's user and for the owner, and the master key."""

    conninfo: str
    owner_conninfo: str
    master: str


class Turn(NamedTuple):
    """Everything before your chunk has landed: land it. None instead: it is not yours any more."""

    now: datetime
    own_seal: bool


class Ready(NamedTuple):
    """The worker has opened the deployment, whose secret is shown by a proof."""

    proof: str


class WasRead(NamedTuple):
    """The chunk was read; or not, as some line in it is for the boss."""

    whole: bool


# -- on the side of the import -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: "Connection[object, object]"
    ready: bool = False


@dataclass(slots=True)
class _Pending:
    """A chunk that was given to a worker, or is the boss's own, and has not landed."""

    chunk: Chunk
    worker: _Worker | None
    whole: bool | None = None
    """Of a worker's: whether it was read; False where some line in it is for the boss. None: not known yet."""
    landing: bool = False
    read: Read | None = None
    """Of the boss's own: what its lines are, unless one of them decides how those after it are read."""


@dataclass(slots=True)
class _Told:
    """What a worker said, and which."""

    worker: _Worker
    message: object = field(repr=False)


class Team:
    """The workers of one import. Whatever happens to it, it has to be closed."""

    def __init__(self, deployment: Deployment, workers: int, boss: Boss) -> None:
        self._deployment = deployment
        self._secrets = deployment.secrets
        self._boss = boss
        self._pending: deque[_Pending] = deque()
        self._retired = False
        conninfo, owner_conninfo = deployment.database.conninfos()
        work = Work(conninfo, owner_conninfo, deployment.master.text)
        self._workers = [_started(work) for _ in range(workers)]
        self._idle = list(self._workers)

    def ready(self) -> bool:
        """Whether chunks may be given to it: all its workers have started, on the deployment as it still is."""
        starting = [w for w in self._workers if not w.ready]
        if starting and not self._retired:
            try:
                for told in self._heard(starting, timeout_s=0.0):
                    assert isinstance(told.message, Ready)
                    told.worker.ready = True
                    self._retired |= told.message.proof != _proof(self._secrets)
            except (StorageError, VaultError, psycopg.Error) as error:
                log.warning("the import goes on without workers", error=str(error))
                self._retired = True
        self._retired |= self._deployment.secrets is not self._secrets
        return not self._retired and all(w.ready for w in self._workers)

    def take(self, chunk: Chunk) -> None:
        """Give a chunk to a worker that has nothing to do, or else let the boss read it: one at a time."""
        self._hear(timeout_s=0.0)
        while not self._idle and not self._retired and any(p.worker is None for p in self._pending):
            self._go_on()
        if self._retired:
            self.finish()
            self._boss.take_here(chunk)
        elif self._idle:
            worker = self._idle.pop()
            self._say(worker, chunk)
            self._pending.append(_Pending(chunk, worker))
        else:
            self._pending.append(_Pending(chunk, None, read=self._boss.read(chunk)))

    def finish(self) -> None:
        """Wait until every chunk has landed."""
        while self._pending:
            self._go_on()

    def close(self) -> None:
        """End the workers: each finishes at once, or the batch it lands is given up whole."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            try:
                worker.process.wait(END_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    def _go_on(self) -> None:
        """Land the first chunk where it is the boss's own; else wait for what workers say."""
        if self._pending[0].worker is None:
            self._take_here(self._pending.popleft())
            self._hear(timeout_s=0.0)
        else:
            self._hear()

    def _hear(self, timeout_s: float | None = None) -> None:
        """Hear what workers say, and let the first chunk land once it was read."""
        for told in self._heard([p.worker for p in self._pending if p.worker is not None], timeout_s):
            pending = next(p for p in self._pending if p.worker is told.worker)
            if isinstance(told.message, WasRead):
                pending.whole = told.message.whole
            else:
                assert isinstance(told.message, Brought)
                assert pending is self._pending[0], "chunks land in order"
                self._pending.popleft()
                self._idle.append(told.worker)
                self._boss.brought(told.message)
        while self._pending and not self._pending[0].landing:
            first = self._pending[0]
            if first.worker is None or first.whole is None:
                return
            if first.whole and not self._retired:
                first.landing = True
                self._say(first.worker, Turn(*self._boss.turn()))
                return
            self._pending.popleft()
            self._say(first.worker, None)
            self._idle.append(first.worker)
            self._take_here(first)

    def _take_here(self, first: _Pending) -> None:
        """Let the boss land the chunk that is first in line, which is its own or was given back."""
        if first.read is not None and not self._retired:
            self._boss.bring(first.read)
            return
        self._boss.take_here(first.chunk)
        # It may have taken over a sealed export's secret: what was read with the old one is read again here.
        self._retired |= self._deployment.secrets is not self._secrets

    def _say(self, worker: _Worker, message: object) -> None:
        try:
            worker.connection.send(message)
        except OSError:
            raise self._lost(worker) from None

    def _heard(self, workers: list[_Worker], timeout_s: float | None = None) -> list[_Told]:
        """Return what some of the workers said, waiting for it; raises what stopped one of them."""
        of = {w.connection: w for w in workers}
        found = []
        for connection in wait(list(of), timeout_s):
            worker = of[connection]  # type: ignore[index]
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                raise self._lost(worker) from None
            if isinstance(message, BaseException):
                raise message
            found.append(_Told(worker, message))
        return found

    def _lost(self, worker: _Worker) -> LostWorkerError:
        code = worker.process.wait()
        how = f"was killed (signal {-code})" if code < 0 else f"ended by itself (exit code {code})"
        chunk = next((p.chunk for p in self._pending if p.worker is worker), None)
        at = f" with the lines {chunk.first:,} to {chunk.last:,}" if chunk else ""
        return LostWorkerError(
            f"a worker process of the import {how}{at}: run it again, what has landed is told as repeated"
        )


def _started(work: Work) -> _Worker:
    ours, theirs = Pipe(duplex=True)
    program = f"from {__name__} import main; main()"  # not -m: that would make a second module of this one
    command = [sys.executable, "-P", "-c", program, str(theirs.fileno())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=STDERR,
    )
    theirs.close()
    worker = _Worker(process, ours)
    with contextlib.suppress(OSError):  # it has ended already: whoever listens to it is told
        ours.send(work)
    return worker


def _proof(secrets: Secrets) -> str:
    return secrets.key_line("worker of an import")


# -- in a worker process -------------------------------------------------------------------------------------


def work_for(connection: "Connection[object, object]") -> None:
    """Do a worker's work until the pipe is closed."""
    work = connection.recv()
    assert isinstance(work, Work)
    _end_with(connection)
    database = Database(lambda: work.conninfo, lambda: work.owner_conninfo)
    deployment = Deployment(database, lambda _first_use: MasterKey.parse(work.master, "the import"))
    reader, bringer = Reader(deployment.secrets), Bringer(deployment)
    connection.send(Ready(_proof(deployment.secrets)))
    while True:
        chunk = connection.recv()
        assert isinstance(chunk, Chunk)
        read = read_chunk(reader, chunk)
        whole = read is not None and not any(map(erases, read))
        connection.send(WasRead(whole))
        turn = connection.recv()
        if isinstance(turn, Turn) and read is not None and whole:
            connection.send(bringer.bring(read, turn.now, own_seal=turn.own_seal))


def _end_with(connection: "Connection[object, object]") -> None:
    """End this process as soon as the other side is gone, whatever it is doing: what is uncommitted is given up."""

    def watch() -> None:
        poll = select.poll()
        poll.register(connection.fileno(), 0)  # only that it was hung up
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="boss", daemon=True).start()


def _portable(error: Exception) -> Exception:
    """Return an error as it can be told through a pipe."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - whatever its making needs
        return StorageError(f"{type(error).__name__}: {error}")
    return error


def main() -> None:
    """Work for the process at the other end of the pipe whose number is given."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # who presses Ctrl-C stops the import, which ends its workers
    render = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.processors.TimeStamper(utc=True), render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    connection: Connection[object, object] = Connection(int(sys.argv[1]))
    try:
        work_for(connection)
    except EOFError:
        pass
    except Exception as error:  # noqa: BLE001 - told to the import, which raises it
        with contextlib.suppress(OSError):
            connection.send(_portable(error))
        sys.exit(1)
