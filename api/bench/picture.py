"""A run's ratios as a picture: each as a share of its target."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw how far each ratio is beyond its target; the file's ending says in which form."""
    names, shares = [], []
    for name, ratio in document["ratios"].items():
        figure = document["figures"][name]
        names.append(name)
        shares.append(ratio / figure["at_least"] if "at_least" in figure else figure["at_most"] / ratio)
    under = document["conditions"]
    drawn = Figure(figsize=(8, 1.2 + 0.5 * len(names)), layout="constrained")
    axes = drawn.add_subplot()
    axes.barh(names, shares, color=["#2a7f62" if share >= 1 else "#b5541c" for share in shares])
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("times the target (1 = reached)")
    conditions = f"{under['scale']}, {under['cores']} cores, PostgreSQL {under['postgresql']}, {under['at']}"
    axes.set_title(conditions, fontsize=9)
    drawn.savefig(path)
