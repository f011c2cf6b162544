"""Makes a read model anew beside the one that is read, and puts it in its place at once.

A rebuild takes the log's position, folds every whole stream up to it (by ranges of names, in several processes),
follows the log from there, and swaps. Every step commits with its rows: a rebuild that was killed is resumed where
it stood by the next one, and several may help each other. Nothing is sent: a read model has only rows.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import psycopg
import structlog
from psycopg import sql

from domain.ledger.application import Ledger
from domain.ledger.application import Q as LOG
from domain.ledger.database import PROJECTOR, Connection
from domain.ledger.deployment import Deployment
from domain.ledger.workers import connect, conninfo_of
from domain.ledger.workers import workers as workers_of
from projections.engine import views
from projections.engine.folding import (
    BATCH_EVENTS,
    SUBJECT,
    States,
    StoppedError,
    advance,
    fold,
    move_on,
    named,
    report,
    streams_of,
)
from projections.engine.generations import look_at, make
from projections.engine.model import ReadModel
from projections.engine.program import program
from projections.engine.storing import Q, add, part_of, total

CHUNK_EVENTS = (
    5_000  # folded in one transaction: some 10 MB of objects, a second of work to do again after a kill
)
RANGES_PER_WORKER = 8  # so that no worker ends long before the others
INLINE_EVENTS = 20_000  # a model of so few events is folded before a process has started
GRACE_S = 60.0  # how long readers of a generation that was swapped out may take to leave it
LAST_ROUNDS_MAX = 1_000  # batches folded while the live generation stands still: far more than a swap finds
WAIT_S = 0.1  # how often one looks whether others are done
VIEWS_AGAIN_S = (
    1.0  # how soon a swap that waits for readers of the views tries again: they are held up for a tenth
)
VIEWS_SAID_S = 60.0  # how often it says so

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is. `left_s` is an estimate from the rate so far, None where there is none yet."""

    model: str
    stage: str
    """begun, folding, folded, following, swapped: in this order."""
    streams_done: int
    streams: int
    events_done: int
    events: int
    rate: float
    left_s: float | None


class Site(NamedTuple):
    """A generation that is being made."""

    generation: int
    version: int
    schema: str
    position: int
    partitions: int
    built: bool


class Task(NamedTuple):
    """What a worker process is told."""

    conninfo: str
    ledger_schema: str
    site: Site
    model: ReadModel
    now: datetime


Show = Callable[[Progress], None]


def rebuild(
    deployment: Deployment,
    ledger: Ledger,
    model: ReadModel,
    clock: Callable[[], datetime],
    *,
    workers: int = 1,
    partitions: int = 1,
    show: Show = lambda _progress: None,
    stop: threading.Event | None = None,
) -> bool:
    """Make a model anew and swap it in; whether that was done before `stop` was set.

    Takes up what an earlier rebuild of the same program left, and begins anew where another one left it: a fix changes
    what was folded before it too. Raises StoppedError where an event can't be folded.
    """
    stop = stop or threading.Event()
    drop_retired(deployment, ledger)
    ranges = max(1, workers) * RANGES_PER_WORKER
    site = _patiently(ledger, model, stop, lambda: _site(deployment, ledger, model, partitions, ranges))
    if site is None:
        return False
    meter = _Meter(ledger, model, site, show)
    meter.show("begun")
    if not site.built:
        try:
            task = Task(conninfo_of(ledger), ledger.schema, site, model, clock())
            _fold_all(ledger, task, workers, meter, stop)
        except StoppedError as error:
            report(ledger, model, error, site.generation)
            raise
        if stop.is_set():
            return False
        _seal(ledger, site)
        meter.show("folded")
    states = States()
    while True:
        _follow(ledger, model, site, clock, states=states, meter=meter, stop=stop)
        if stop.is_set():
            return False
        if not _patiently(ledger, model, stop, lambda: _show(deployment, ledger, model)):
            return False
        if _swap(ledger, model, site, clock, states):
            meter.show("swapped")
            return True


class _Meter:
    """Tells how far a rebuild is, and how fast it is now."""

    def __init__(self, ledger: Ledger, model: ReadModel, site: Site, show: Show) -> None:
        self._ledger, self._model, self._site, self._show = ledger, model, site, show
        self._began = time.monotonic()
        self._first: int | None = None

    def show(self, stage: str) -> None:
        with self._ledger.journal.database.connection(self._ledger.schema) as connection:
            row = connection.execute(Q["built_so_far"], {"generation": self._site.generation}).fetchone() or (
                0,
                0,
                0,
                0,
            )
        streams_done, streams, events_done, events = map(int, row)
        self._first = events_done if self._first is None else self._first
        rate = (events_done - self._first) / max(time.monotonic() - self._began, 0.001)
        left_s = (events - events_done) / rate if rate else None
        name = self._model.name
        self._show(Progress(name, stage, streams_done, streams, events_done, events, rate, left_s))


# -- the place ----------------------------------------------------------------------------------------------


def _site(deployment: Deployment, ledger: Ledger, model: ReadModel, partitions: int, ranges: int) -> Site:
    """Return where the model is being made: what an earlier rebuild left, or a new place."""
    with deployment.database.migrating(ledger.schema) as connection:
        row = connection.execute(Q["building"], {"model": model.name}).fetchone()
        if row is not None and (row[1], _made_by(connection, row[2])) == (model.version, program()):
            return Site(*row)
        if row is not None:  # another program began it: rows of two programs have no place in one generation
            _drop(connection, ledger, model.name, row[0], row[2])
        last = connection.execute(LOG["last_position"]).fetchone()
        assert last is not None
        made = make(connection, ledger, model, "building", position=last[0], partitions=partitions)
        given = {"generation": made.generation, "kinds": sorted(model.kinds), "ranges": ranges}
        connection.execute(Q["make_ranges"], given)
        connection.execute(
            sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(made.schema), sql.Literal(program()))
        )
        return Site(made.generation, model.version, made.schema, last[0], partitions, built=False)


def _made_by(connection: Connection, schema: str) -> str | None:
    """Return the program that began to make a generation."""
    row = connection.execute(Q["made_by"], {"schema": schema}).fetchone()
    return row[0] if row else None


def drop_retired(deployment: Deployment, ledger: Ledger) -> None:
    """Drop generations that were swapped out and whose readers have had their time to leave."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        found = connection.execute(Q["retired"], {"grace_s": GRACE_S}).fetchall()
    for generation, schema, model in found:
        try:
            with deployment.database.migrating(ledger.schema) as connection:
                connection.execute("SET LOCAL lock_timeout = '1s'")
                _drop(connection, ledger, model, generation, schema)
        except psycopg.errors.LockNotAvailable:  # a very slow reader: next time
            log.info("an old read model is still read", ledger=ledger.region, generation=generation)
        except psycopg.errors.DependentObjectsStillExist as error:
            log.warning(
                "an old read model is kept", ledger=ledger.region, generation=generation, error=str(error)
            )


def _drop(connection: Connection, ledger: Ledger, model: str, generation: int, schema: str) -> None:
    """Drop a generation, its views first: what hangs on its tables after that is nobody's but its own."""
    for query in ("forget_parts", "forget_ranges", "dropped"):
        connection.execute(Q[query], {"generation": generation})
    if views.is_shown(connection, ledger.schema, model):
        views.show(connection, ledger.schema, model)
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


# -- folding whole streams ----------------------------------------------------------------------------------


def _fold_all(ledger: Ledger, task: Task, workers: int, meter: _Meter, stop: threading.Event) -> None:
    """Fold every stream up to the site's position: here where there are few events, else in processes."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        row = connection.execute(Q["built_so_far"], {"generation": task.site.generation}).fetchone()
    few = row is not None and row[3] - row[2] <= INLINE_EVENTS
    if few:
        for _ in _ranges(task):
            meter.show("folding")
            if stop.is_set():
                return
        return
    with workers_of(workers) as pool:
        running = {pool.submit(fold_ranges, task) for _ in range(workers)}
        while running:
            done, running = wait(running, WAIT_S * 5, FIRST_COMPLETED)
            for one in done:
                one.result()
            meter.show("folding")
            if stop.is_set():
                return


def fold_ranges(task: Task) -> None:
    """Fold ranges of streams, in a process of its own, until none is left."""
    for _ in _ranges(task):
        pass


def _ranges(task: Task) -> Iterator[int]:
    """Fold chunk after chunk of the ranges that are left, and yield after each how many events it had."""
    with closing(connect(task.conninfo, PROJECTOR, task.site.schema, task.ledger_schema)) as connection:
        connection.execute(Q["to_fold_ranges"])
        while True:
            done = _fold_chunk(connection, task)
            if done is not None:
                yield done
                continue
            left = connection.execute(Q["ranges_left"], {"generation": task.site.generation}).fetchone()
            if left is None or not left[0]:
                return
            time.sleep(WAIT_S)  # others hold what is left: they finish it, or leave it when they are killed
            yield 0


def _fold_chunk(connection: Connection, task: Task) -> int | None:
    """Fold the next streams of a range; None where no range is free. Rows and the range's place commit together."""
    site = task.site
    with connection.transaction():
        taken = connection.execute(Q["take_range"], {"generation": site.generation}).fetchone()
        if taken is None:
            return None
        number, after, upto, digest = taken
        given: dict[str, Any] = {
            "after": after,
            "upto": upto,
            "position": site.position,
            "limit": CHUNK_EVENTS,
        }
        rows = connection.execute(Q["log_of_range"], given, binary=True).fetchall()
        whole = len(rows) < CHUNK_EVENTS
        if not whole:
            rows = _uncut(connection, rows, site.position)
        folded = []
        for subject, history in streams_of(rows):
            try:
                folded.append(fold(task.model, subject, history, task.now)[0])
            except Exception as error:
                raise StoppedError(0, history[-1].position, named(error)) from error
        for part in range(site.partitions):
            mine = [f for f in folded if part_of(f.seen.subject, site.partitions) == part]
            digest = add(connection, task.model, part, mine, digest)
        moved = {
            "generation": site.generation,
            "number": number,
            "after": upto if whole else rows[-1][SUBJECT],
            "done": whole,
            "digest": digest,
            "streams": len(folded),
            "events": len(rows),
        }
        connection.execute(Q["move_range"], moved)
    return len(rows)


def _uncut(connection: Connection, rows: list[tuple[Any, ...]], position: int) -> list[tuple[Any, ...]]:
    """Return a chunk without the stream it may have cut off; one that is larger than a chunk is read alone."""
    cut = rows[-1][SUBJECT]
    if rows[0][SUBJECT] != cut:
        return [row for row in rows if row[SUBJECT] != cut]
    given = {"subjects": [cut], "position": position}
    return connection.execute(Q["log_of_streams"], given, binary=True).fetchall()


# -- the swap -----------------------------------------------------------------------------------------------


def _follow(
    ledger: Ledger,
    model: ReadModel,
    site: Site,
    clock: Callable[[], datetime],
    *,
    states: States,
    meter: _Meter,
    stop: threading.Event,
) -> None:
    """Follow the log until little is left of it, or what is left gets no less: then the swap folds the rest.

    Writers that never pause are not chased: each round goes to where the log was when it began, and a rebuild that
    is no faster than they are would never come to its end.
    """
    left = None
    _, last = _reached(ledger, site)
    while move_on(ledger, model, clock, states=states, generation=site.generation):
        meter.show("following")
        position, now_last = _reached(ledger, site)
        if stop.is_set() or now_last - position <= BATCH_EVENTS:
            return
        if position >= last:
            if left is not None and now_last - position >= left:
                return
            left, last = now_last - position, now_last


def _reached(ledger: Ledger, site: Site) -> tuple[int, int]:
    """Return up to which position the generation has followed the log, and where the log ends."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        row = connection.execute(Q["position_of"], {"generation": site.generation}).fetchone()
    return (row[0], row[1]) if row is not None else (0, 0)


def _seal(ledger: Ledger, site: Site) -> None:
    """Let the generation's parts start from where its streams were folded to."""
    with ledger.journal.database.transaction(ledger.schema, PROJECTOR) as connection:
        given: dict[str, Any] = {"generation": site.generation}
        if connection.execute(Q["lock_building"], given).fetchone() is None:
            return  # another process was faster
        again = connection.execute(Q["building_is_built"], given).fetchone()
        if again is not None and again[0]:
            return
        digests = [bytes(d) for (d,) in connection.execute(Q["range_digests"], given)]
        look_at(connection, site.schema, ledger.schema)
        connection.execute(Q["seal"], {**given, "digest": total(digests)})
        connection.execute(Q["built"], given)


def _show(deployment: Deployment, ledger: Ledger, model: ReadModel) -> bool:
    """Let the views know the generation that is about to be swapped in: until then they still read the live one."""
    with deployment.database.migrating(ledger.schema) as connection:
        views.show(connection, ledger.schema, model.name, wanted=model.for_billing)
    return True


def _patiently(ledger: Ledger, model: ReadModel, stop: threading.Event, do: Callable[[], T]) -> T | None:
    """Do what replaces views, again and again while somebody reads them; None where `stop` is set meanwhile."""
    said_at = -VIEWS_SAID_S
    while True:
        try:
            return do()
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() - said_at >= VIEWS_SAID_S:
                said_at = time.monotonic()
                with ledger.journal.database.connection(ledger.schema) as connection:
                    pids = views.readers(connection, ledger.schema)
                log.warning(
                    "the swap waits for readers of its views",
                    ledger=ledger.region,
                    model=model.name,
                    pids=pids,
                )
            if stop.wait(VIEWS_AGAIN_S):
                return None


def _swap(
    ledger: Ledger, model: ReadModel, site: Site, clock: Callable[[], datetime], states: States
) -> bool:
    """Put the generation in the live one's place, once it is no less far: readers never go back. Whether it was.

    The live one stands still meanwhile, but is read; nobody waits for more than the last events to be folded.
    """
    given: dict[str, Any] = {"generation": site.generation}
    with ledger.journal.database.transaction(ledger.schema, PROJECTOR) as connection:
        if connection.execute(Q["lock_building"], given).fetchone() is None:
            return True  # another process was faster
        live = [p for (p,) in connection.execute(Q["lock_live"], {"model": model.name})]
        for _ in range(LAST_ROUNDS_MAX):
            row = connection.execute(Q["position_of"], given).fetchone()
            if row is None or row[0] >= min(live, default=0):
                break
            advance(ledger, model, clock, states=states, generation=site.generation)
        else:
            return False
        connection.execute(Q["retire"], {"model": model.name})
        connection.execute(Q["swap"], given)
    log.info("read model swapped", ledger=ledger.region, model=model.name, generation=site.generation)
    return True
