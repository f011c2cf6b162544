"""Figures of a generated population: import and rebuild at one size, and what an event costs as a ledger grows."""

import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from api.bench.imports import imported, population
from api.bench.protocol import Bench, Figure, opened
from api.bench.rebuilds import (
    Compared,
    engine_vs_bound,
    rebuild_vs_bound,
    rebuild_vs_library,
    rebuilt,
)
from api.bench.seals import seal_costs
from api.logging import configure
from api.runtime import present
from projections.billing_status import BillingStatus

MEMORY_MAX_MB = 600
LIBRARY_EVENTS = 1_500  # what the library's runner is given: it takes one transaction for each
GROWTH_MAX = 1.3
SEALED_PER_EVENTS = 5  # a stream of the ledgers that are sealed for so many events of a scale
SEAL_GROWTH_MAX = 2.0  # one level of pages more, not ten times the work


def workers() -> int:
    """Return how many processes an import and a rebuild are measured with."""
    return os.cpu_count() or 1


def rebuild_figures(bench: Bench) -> tuple[Figure, ...]:
    """Measure rebuilds of one population: against the library's runner, and against a bare loop per process."""
    path = population(bench.folder / "rebuild", bench.scale.events)
    with bench.deployment() as (deployment, _url):
        imported(deployment, path)
        runs, events = bench.scale.runs, min(LIBRARY_EVENTS, bench.scale.events // 4)
        by_library = rebuild_vs_library(
            deployment, present, workers=workers(), library_events=events, runs=runs
        )
        engine = engine_vs_bound(deployment, present, runs=runs)
        status = rebuild_vs_bound(deployment, present, runs=runs)
    return (
        _figure(
            "rebuild_vs_library",
            "events/s",
            by_library,
            "rebuild of account status, against the library's ProjectionRunner writing the same table",
            at_least=60,
        ),
        _figure(
            "engine_vs_bound",
            "events/s of CPU",
            engine,
            "the engine with a fold that counts each stream's events, per process, against orjson.loads and a dict",
            at_least=0.25,
        ),
        _figure(
            "rebuild_vs_bound",
            "events/s of CPU",
            status,
            "account status, per process, against orjson.loads and a dict",
            at_least=0.10,
        ),
    )


def _figure(name: str, unit: str, found: Compared, what: str, *, at_least: float) -> Figure:
    return Figure(name, unit, found.ours, found.beside, found.ratio, what, at_least=at_least, more=found.more)


def seal_growth(bench: Bench) -> Figure:
    """Measure a seal of so many changed streams in a ledger of ten times the streams, against a small one."""
    most = bench.scale.events // SEALED_PER_EVENTS
    changed = max(1, most // 20)
    with bench.deployment() as (deployment, _url):
        small, large = seal_costs(deployment, present, (most // 10, most), changed, bench.scale.runs)
    return Figure(
        "seal_growth",
        "s",
        large.seal_s,
        small.seal_s,
        large.seal_s / small.seal_s,
        f"a seal of {large.changed:,} changed streams in a ledger of {large.streams:,}; in one of {small.streams:,}",
        at_most=SEAL_GROWTH_MAX,
    )


def cost_growth(bench: Bench) -> Figure:
    """Measure what an event costs to import and to rebuild in a large ledger, against a small one.

    The ratio is the worse of the two; `points` has both at each size, in microseconds an event, with the memory of
    all processes together at the peak.
    """
    least, most = bench.scale.small_events, bench.scale.large_events
    points = [_point(bench, size) for size in (least, math.isqrt(least * most), most)]
    small, large = points[0], points[-1]
    growth = {kind: large[f"{kind}_us"] / small[f"{kind}_us"] for kind in ("import", "rebuild")}
    worse = max(growth, key=growth.__getitem__)
    return Figure(
        "cost_growth",
        "us/event",
        large[f"{worse}_us"],
        small[f"{worse}_us"],
        growth[worse],
        f"{worse} of {large['events']:,} events, the worse of import and rebuild; of {small['events']:,}",
        at_most=GROWTH_MAX,
        more={
            **{f"{kind}_growth": round(ratio, 3) for kind, ratio in growth.items()},
            "points": points,
            "memory_max_mb": MEMORY_MAX_MB,
            "memory_kept": all(p["import_mb"] < MEMORY_MAX_MB > p["rebuild_mb"] for p in points),
        },
    )


def _point(bench: Bench, size: int) -> dict[str, Any]:
    path = population(Path(bench.folder) / f"growth-{size}", size)
    # In a process of its own, as a command is: this one still holds what earlier figures needed.
    fresh = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with bench.database() as url, fresh:
        found = fresh.submit(_grown, url, path).result()
    path.unlink()
    return found


def _grown(url: str, path: Path) -> dict[str, Any]:
    """Import a file into an empty database and make its model anew; return what an event cost, and the memory."""
    configure("WARNING")
    deployment = opened(url)
    try:
        came = imported(deployment, path)
        (ledger,) = deployment.ledgers
        made = rebuilt(deployment, ledger, BillingStatus(), present, workers=workers())
    finally:
        deployment.close()
    return {
        "events": came.events,
        "import_us": round(1e6 / came.rate, 2),
        "import_mb": round(came.memory_mb),
        "rebuild_us": round(1e6 / made.wall_rate, 2),
        "rebuild_mb": round(made.peak_mb),
    }
