"""How fast read models are made anew: against the library's own runner, and against the least there is to do.

Each figure takes a deployment in whose one ledger a generated population stands, measures ours and its neighbour in
turns, and returns both rates in events a second. "Per process" is CPU time (`time.process_time`) of the one process
that reads, folds and writes: what PostgreSQL does meanwhile, and waiting for it, is neither ours nor the bare loop's.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import psutil
from psycopg.sql import SQL

from api.bench.runner import library_rate
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.deployment import Deployment
from projections.billing_status import BillingStatus
from projections.engine import ReadModel, Rows, Seen, Table, install, rebuild

BARE_EVENTS = 100_000  # what the bare loop goes over: 50 MB of bytes, a tenth of a second
RUNS = 3
MB = 1024 * 1024

Clock = Callable[[], datetime]
Rate = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two rates in events a second, taken in turns, and the median of their ratios."""

    ours: float
    beside: float
    ratio: float
    more: dict[str, Any] = field(default_factory=dict)


def compared(runs: int, ours: Rate, beside: Rate, **more: Any) -> Compared:
    """Take both rates in turns, so that the hour strikes both alike."""
    pairs = [(ours(), beside()) for _ in range(runs)]
    return Compared(
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
        more,
    )


# -- the figures --------------------------------------------------------------------------------------------


def rebuild_vs_library(
    deployment: Deployment, clock: Clock, *, workers: int, library_events: int = 1_500, runs: int = RUNS
) -> Compared:
    """Measure a rebuild of account status, by the clock on the wall, against the library's ProjectionRunner.

    The runner writes the same table from the same events, state by state in memory, in one transaction for each.
    It gets the log's first events, so many of them; ours makes the whole.
    """
    (ledger,) = deployment.ledgers
    model = BillingStatus()
    return compared(
        runs,
        lambda: rebuilt(deployment, ledger, model, clock, workers=workers).wall_rate,
        lambda: library_rate(ledger, clock(), library_events),
        workers=workers,
    )


def rebuild_vs_bound(deployment: Deployment, clock: Clock, *, runs: int = RUNS) -> Compared:
    """Measure a rebuild of account status per process against a bare loop over the same events' bytes."""
    return _vs_bound(deployment, BillingStatus(), clock, runs)


def engine_vs_bound(deployment: Deployment, clock: Clock, *, runs: int = RUNS) -> Compared:
    """Measure the engine with a fold that counts the events of each stream, per process, against a bare loop.

    Such a fold looks into no event, and the engine then reads none; `reading_ratio` is of one that looks into each.
    """
    counted = _vs_bound(deployment, Count(), clock, runs)
    read = _vs_bound(deployment, CountByActor(), clock, runs)
    return Compared(counted.ours, counted.beside, counted.ratio, {"reading_ratio": read.ratio})


def cost_growth(small: Deployment, large: Deployment, clock: Clock, *, workers: int) -> Compared:
    """Measure a rebuild's rate in a small and in a large ledger; the ratio is of the time each event takes.

    `peak_mb` is the memory of all processes of the rebuild together in the large one.
    """
    made = [rebuilt(d, d.ledgers[0], BillingStatus(), clock, workers=workers) for d in (small, large)]
    rates = [m.wall_rate for m in made]
    sizes = {"small_events": made[0].events, "large_events": made[1].events}
    return Compared(rates[1], rates[0], rates[0] / rates[1], {**sizes, "peak_mb": round(made[1].peak_mb)})


# -- ours ---------------------------------------------------------------------------------------------------


class Rebuilt(NamedTuple):
    """What a rebuild took: seconds on the wall and of this process' CPU, and its processes' memory at the peak."""

    events: int
    wall_s: float
    cpu_s: float
    peak_mb: float

    @property
    def wall_rate(self) -> float:
        """Events a second."""
        return self.events / self.wall_s

    @property
    def cpu_rate(self) -> float:
        """Events a second of CPU time, where it was done in this process."""
        return self.events / self.cpu_s


def rebuilt(
    deployment: Deployment, ledger: Ledger, model: ReadModel, clock: Clock, *, workers: int
) -> Rebuilt:
    """Make a model anew, in so many processes or, with 0, in this one."""
    install(deployment, ledger, [model])
    peak, events = [0.0], [0]

    def show(progress: Any) -> None:
        events[0] = progress.events_done
        peak[0] = max(peak[0], _memory_mb())

    wall, cpu = time.perf_counter(), time.process_time()
    if not rebuild(deployment, ledger, model, clock, workers=workers, show=show):
        raise RuntimeError(f"the rebuild of {model.name} was not finished")
    return Rebuilt(events[0], time.perf_counter() - wall, time.process_time() - cpu, peak[0])


def _memory_mb() -> float:
    """Return what this process and its workers have in memory."""
    pids = [None, *(p.pid for p in multiprocessing.active_children())]
    found = 0.0
    for pid in pids:
        try:
            found += psutil.Process(pid).memory_info().rss / MB
        except psutil.NoSuchProcess:  # it has just ended
            continue
    return found


class Counted(NamedTuple):
    """How many events a stream has."""

    subject: str
    events: int


class Count(ReadModel):
    """The least a model can be."""

    name = "bench_count"
    version = 1
    kinds = frozenset({"account"})
    tables = (Table("bench_count", Counted),)
    for_billing = False

    def script(self) -> SQL:
        """Return its table."""
        return SQL("CREATE TABLE bench_count (subject text PRIMARY KEY, events integer NOT NULL)")

    def begin(self, _subject: str) -> list[int]:
        """Return nothing counted."""
        return [0]

    def step(self, state: list[int], _recorded: Recorded) -> None:
        """Count an event."""
        state[0] += 1

    def rows(self, state: list[int], seen: Seen) -> Rows:
        """Return the stream's row."""
        return Rows({"bench_count": [Counted(seen.subject, state[0])]})


class CountByActor(Count):
    """The same, but that it looks into every event."""

    name = "bench_count_read"

    def step(self, state: list[int], recorded: Recorded) -> None:
        """Count an event that somebody did."""
        state[0] += bool(recorded.event.actor)


# -- the least there is to do -------------------------------------------------------------------------------


def _vs_bound(deployment: Deployment, model: ReadModel, clock: Clock, runs: int) -> Compared:
    (ledger,) = deployment.ledgers
    states = _states_of(ledger, sorted(model.kinds))
    return compared(
        runs,
        lambda: rebuilt(deployment, ledger, model, clock, workers=0).cpu_rate,
        lambda: bare_rate(states),
    )


def bare_rate(states: list[bytes]) -> float:
    """Return how many events a second of CPU time orjson reads while a dict counts them by stream."""
    counts: dict[str, int] = {}
    loads = orjson.loads
    began = time.process_time()
    for state in states:
        subject = loads(state)["subject"]
        counts[subject] = counts.get(subject, 0) + 1
    return len(states) / (time.process_time() - began)


def _states_of(ledger: Ledger, kinds: list[str]) -> list[bytes]:
    """Return the bytes of events of some kinds of streams, in the order in which a rebuild folds them."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        rows = connection.execute(
            "SELECT state FROM event WHERE split_part(subject, '/', 1) = ANY(%s) ORDER BY subject, version LIMIT %s",
            [kinds, BARE_EVENTS],
            binary=True,
        )
        return [state for (state,) in rows]
