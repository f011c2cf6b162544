"""What the benchmarks share: where they measure, at which size, and the form of a figure.

A figure is a function of a `Bench` that returns a `Figure`: ours, its neighbour in the same unit, and their ratio,
measured in turns on one server in one run. Absolute numbers differ by machine and hour; the ratios of one run don't.
"""

import contextlib
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from domain.ledger.database import Database
from domain.ledger.deployment import Deployment
from domain.ledger.vault import MasterKey

REGION = "heilongjiang.harbin"
LEDGER = "heilongjiang"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured; every size of every figure hangs on it."""

    name: str
    runs: int
    """How often each figure is taken: the median counts."""
    seconds: float
    """How long a load lasts."""
    events: int
    """How many events a figure of import or rebuild takes."""
    small_events: int
    large_events: int
    """The two sizes of a ledger between which the growth of import and rebuild is measured."""
    small_ledger: int = 50_000
    large_ledger: int = 5_000_000
    """The two between which the growth of a replay is."""


FULL = Scale("full", runs=5, seconds=5.0, events=1_000_000, small_events=500_000, large_events=5_000_000)
QUICK = Scale(
    "quick",
    3,
    2.0,
    200_000,  # fewer, and the start of worker processes is what is measured
    small_events=50_000,
    large_events=200_000,
    small_ledger=20_000,
    large_ledger=100_000,
)
TINY = Scale(
    "tiny", 1, 0.3, 2_000, small_events=1_000, large_events=3_000, small_ledger=500, large_ledger=1_000
)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its neighbour, both in `unit`; `target` is the ratio's bound: at least, or at most."""

    name: str
    unit: str
    ours: float
    beside: float
    ratio: float
    what: str
    """What is ours and what stands beside it, in one sentence."""
    at_least: float | None = None
    at_most: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Whether the ratio keeps its bound."""
        low = self.at_least is None or self.ratio >= self.at_least
        return low and (self.at_most is None or self.ratio <= self.at_most)

    def as_data(self) -> dict[str, Any]:
        """Return the figure as plain values."""
        found: dict[str, Any] = {
            "unit": self.unit,
            "ours": _short(self.ours),
            "beside": _short(self.beside),
            "what": self.what,
            **self.more,
        }
        if self.at_least is not None:
            found["at_least"] = self.at_least
        if self.at_most is not None:
            found["at_most"] = self.at_most
        return found


@dataclass(slots=True)
class Bench:
    """Where all figures of a run are measured: one server, one folder, one scale."""

    conninfo: Callable[[], str]
    folder: Path
    scale: Scale
    say: Callable[[str], None] = lambda _line: None

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Lend the conninfo of an empty database of one's own on the server."""
        name = f"recount_bench_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                yield make_conninfo(self.conninfo(), dbname=name)
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def deployment(self) -> Iterator[tuple[Deployment, str]]:
        """Lend a deployment on an empty database, and the conninfo of that database."""
        with self.database() as url:
            made = opened(url)
            try:
                yield made, url
            finally:
                made.close()


def opened(url: str) -> Deployment:
    """Open a deployment of a benchmark, in whichever process; the caller closes it."""
    return Deployment(Database(lambda: url), lambda _first_use: MasterKey(bytes(32)))


def timed(work: Callable[[], Any]) -> float:
    """Return how many seconds the work took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(
    runs: int, ours: Callable[[int], float], beside: Callable[[int], float]
) -> tuple[float, float, float]:
    """Take both rates in turns, so that the hour strikes both alike; return the medians, and the median ratio."""
    pairs = [(ours(run), beside(run)) for run in range(runs)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of some values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _short(value: float) -> float:
    """Return a figure with as many digits as it is worth."""
    return round(value) if abs(value) >= 100 else round(value, 3)
