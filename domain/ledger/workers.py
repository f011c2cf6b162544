"""Processes that share a piece of work: started where there is enough to do, and never outliving who started them."""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from domain.ledger.application import Ledger
from domain.ledger.database import Connection

WATCH_S = 0.5  # how soon a worker notices that the process it works for is gone


class LostWorkerError(Exception):
    """A worker process was ended from outside. What it had not committed is as if it had never begun."""


@contextlib.contextmanager
def workers(
    count: int, begin: Callable[..., None] | None = None, *given: Any
) -> Iterator[ProcessPoolExecutor]:
    """Lend so many worker processes, each of which calls `begin(*given)` first; raises LostWorkerError.

    They are new processes, not copies of this one, whose threads and connections would come along. With the block
    they end, in the middle of whatever they do: who wants a result waits for it.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, _begin, (os.getpid(), begin, given))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise LostWorkerError("a worker process was killed: what it had begun is done again") from error
    finally:
        for process in list((pool._processes or {}).values()):  # noqa: SLF001 - there is no other way to them
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent: int, begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    """Let a worker end once the process that started it is gone, however it went, and say nothing between its words."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(
            sys.stderr
        ),  # standard output is the parent's, for its answer
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who sits at the terminal stops the parent, and that one us
    threading.Thread(target=watch, name="parent", daemon=True).start()
    if begin is not None:
        begin(*given)


def conninfo_of(ledger: Ledger) -> str:
    """Return how a worker reaches the ledger's database."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        info = connection.info
        return make_conninfo("", **{**info.get_parameters(), "password": info.password or None})


def connect(conninfo: str, role: str, *schemas: str) -> Connection:
    """Return a worker's own connection, acting as a role of the service; it looks into some schemas."""
    connection: Connection = psycopg.connect(conninfo, autocommit=True, row_factory=tuple_row)
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    path = sql.SQL(", ").join(map(sql.Identifier, schemas))
    connection.execute(sql.SQL("SET search_path TO {}").format(path))
    return connection
