"""`scripts/simulate`: random lives by their seeds, or faults of the real service, as many as asked."""

import argparse
import contextlib
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from domain.ledger.embedded import EmbeddedPostgres
from tests.conftest import fresh_database
from tests.simulation.faults import table
from tests.simulation.memory import run_memory
from tests.simulation.running import run_stored

Run = Callable[[int], dict[str, Any]]
STORED_EVERY = 20
"""Of so many seeds one lives on PostgreSQL as well: that takes thirty times as long."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked; exit 1 where something does not hold."""
    asked = argparse.ArgumentParser(prog="simulate", description="random lives of a ledger, and real faults")
    asked.add_argument("--runs", type=int, default=200, metavar="N", help="so many seeds")
    asked.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of them")
    asked.add_argument(
        "--seed", type=int, metavar="SEED", help="this seed alone, in memory and on PostgreSQL"
    )
    asked.add_argument("--memory", action="store_true", help="only in memory")
    asked.add_argument(
        "--faults", action="store_true", help="the table of faults of the real service instead"
    )
    asked.add_argument("--times", type=int, default=1, metavar="N", help="with --faults: each so often")
    asked.add_argument("--only", metavar="NAME", help="with --faults: the faults whose name has this in it")
    given = asked.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    if given.faults:
        return table(given.times, given.only or "")
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.runs)
    return _simulate(seeds, 0 if given.memory else 1 if given.seed is not None else STORED_EVERY)


def _simulate(seeds: Sequence[int], stored_every: int) -> int:
    """Let lives be lived, each alone; stop at the first that fails, and say how to live it again."""
    began, counted = time.monotonic(), Counter[str]()
    with contextlib.ExitStack() as stack:
        stored: Run | None = None
        if stored_every:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="recount-simulation-"))
            conninfo = stack.enter_context(EmbeddedPostgres(Path(folder))).conninfo
            stored = partial(run_stored, database=lambda: fresh_database(conninfo))
        for seed in seeds:
            ways: list[tuple[str, Run]] = [("memory", run_memory)]
            if stored and seed % stored_every == 0:
                ways.append(("PostgreSQL", stored))
            for where, run in ways:
                try:
                    _count(counted, where, run(seed))
                except Exception:  # noqa: BLE001 - whatever it is, this is the seed
                    traceback.print_exc(limit=-8)
                    print(f"seed {seed} failed on {where}; again with: scripts/simulate --seed {seed}")
                    return 1
    print(f"{len(seeds):,} seeds in {time.monotonic() - began:.0f} s, everything held")
    for where in ("memory", "PostgreSQL"):
        found = {k.partition(" ")[2]: n for k, n in sorted(counted.items()) if k.startswith(where)}
        if found:
            print(f"  on {where}: " + ", ".join(f"{n:,} {name}" for name, n in found.items()))
    return 0


def _count(counted: Counter[str], where: str, outcome: dict[str, Any]) -> None:
    counted[f"{where} lives"] += 1
    for name, value in outcome.items():
        counted[f"{where} {name}"] += value if isinstance(value, int) else len(value)


if __name__ == "__main__":
    sys.exit(main())
