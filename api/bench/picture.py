"""A run as a picture: each ratio as a share of its target, and what an event costs as the ledger grows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

KEPT, MISSED = "#2a7f62", "#b5541c"


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw how far each ratio is beyond its target; the file's ending says in which form."""
    names, shares = [], []
    for name, ratio in document["ratios"].items():
        figure = document["figures"][name]
        names.append(name)
        shares.append(ratio / figure["at_least"] if "at_least" in figure else figure["at_most"] / ratio)
    under = document["conditions"]
    points = document["figures"].get("cost_growth", {}).get("points", ())
    drawn = Figure(figsize=(8, 1.2 + 0.5 * len(names) + (3 if points else 0)), layout="constrained")
    parts = drawn.subplots(2, 1) if points else [drawn.add_subplot()]
    _ratios(parts[0], names, shares)
    conditions = f"{under['scale']}, {under['cores']} cores, PostgreSQL {under['postgresql']}, {under['at']}"
    parts[0].set_title(conditions, fontsize=9)
    if points:
        _costs(parts[1], points)
    drawn.savefig(path)


def _ratios(axes: Any, names: Sequence[str], shares: Sequence[float]) -> None:
    axes.barh(names, shares, color=[KEPT if share >= 1 else MISSED for share in shares])
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("times the target (1 = reached)")


def _costs(axes: Any, points: Sequence[Mapping[str, Any]]) -> None:
    sizes = [point["events"] for point in points]
    for kind, colour, marker in (("import", "#2a5f9e", "o"), ("rebuild", KEPT, "s")):
        axes.plot(sizes, [p[f"{kind}_us"] for p in points], color=colour, marker=marker, label=kind)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("events in the ledger")
    axes.set_ylabel("microseconds an event")
    axes.legend()
