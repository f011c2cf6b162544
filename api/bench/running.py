"""A run of the benchmarks: figure after figure on one server, in one document."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from api.bench.appending import append_vs_library
from api.bench.conditions import conditions
from api.bench.growth import replay_growth
from api.bench.imports import import_vs_copy
from api.bench.populated import cost_growth, rebuild_figures, seal_growth
from api.bench.protocol import Bench, Figure
from api.bench.serving import http_vs_noop
from api.bench.waits import investigator_waits

Taken = Figure | tuple[Figure, ...]
FIGURES: tuple[Callable[[Bench], Taken], ...] = (
    append_vs_library,
    http_vs_noop,
    import_vs_copy,
    rebuild_figures,
    replay_growth,
    cost_growth,
    seal_growth,
)
"""Every figure that is a ratio; some are taken together."""


def run(bench: Bench, now: datetime, figures: Sequence[Callable[[Bench], Taken]] = FIGURES) -> dict[str, Any]:
    """Take all figures; return the conditions, the figures and their ratios."""
    under = conditions(bench, now)
    found: list[Figure] = []
    for figure in figures:
        bench.say(f"{figure.__name__} …")
        taken = figure(bench)
        found += taken if isinstance(taken, tuple) else (taken,)
    waits = investigator_waits(bench)
    return {
        "conditions": under,
        "figures": {**{f.name: f.as_data() for f in found}, "investigator_waits": waits},
        "ratios": {f.name: round(f.ratio, 3) for f in found},
        "reached": {f.name: f.reached for f in found},
    }


def lines_of(document: dict[str, Any]) -> list[str]:
    """Return a run's document as a table to read."""
    under = document["conditions"]
    machine = f"{under['cores']} x {under['cpu']}, Python {under['python']}, PostgreSQL {under['postgresql']}"
    found = [
        f"{under['at']}, {under['scale']}, {under['runs']} runs: {machine}",
        "  " + ", ".join(f"{name} {value}" for name, value in under["settings"].items()),
        f"  {'':<20} {'ours':>10} {'beside':>10} {'ratio':>8}  unit, target",
    ]
    for name, ratio in document["ratios"].items():
        figure = document["figures"][name]
        bound = f"at least {figure['at_least']}" if "at_least" in figure else f"at most {figure['at_most']}"
        kept = "reached" if document["reached"][name] else "not reached"
        found.append(
            f"  {name:<20} {figure['ours']:>10} {figure['beside']:>10} {ratio:>8}  {figure['unit']}, {bound}: {kept}"
        )
    points = document["figures"].get("cost_growth", {}).get("points", ())
    found += ["  " + ", ".join(f"{name} {value:,}" for name, value in point.items()) for point in points]
    waits = document["figures"]["investigator_waits"]
    found.append("  " + ", ".join(f"{name} {value}" for name, value in waits.items()))
    return found
