"""The balance over time as a picture: what stood on the account against what should have, in steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from api.drawing import STATUS_COLOURS, Kit, Written, band, by_days, by_yuan, drawn

POINTS_MAX = 400  # steps of one curve; of more, those in between are left out
MARKS_MAX = 8  # blacklist entries marked in one picture
SIZE_IN = (7.4, 2.9)
ACTUAL, LAWFUL = "#b3261e", "#1b5e9b"


@dataclass(frozen=True, slots=True)
class Point:
    """The balance, in fen, and the status at the end of a day: as it was, and as it should have been."""

    on: date
    actual_fen: int
    lawful_fen: int
    actual_status: str
    lawful_status: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened on a day and is marked by a line, under a short text."""

    on: date
    text: str


@dataclass(frozen=True, slots=True)
class Captions:
    """What is written in the picture, in its language."""

    title: str
    actual: str
    lawful: str
    status_actual: str
    status_lawful: str


def thinned(points: Sequence[Point], most: int = POINTS_MAX) -> list[Point]:
    """Return at most so many points, evenly taken, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    step = (len(points) - 1) / (most - 1)
    return [points[round(index * step)] for index in range(most)]


def picture(points: Sequence[Point], until: date, marks: Sequence[Mark], captions: Captions) -> str:
    """Return the picture as an SVG element to stand in a page. `points` in the order of days, at least one."""
    shown, marked = thinned(points), list(marks)[:MARKS_MAX]

    def draw(figure: Any, kit: Kit, written: Written) -> None:
        money, status = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 1], "hspace": 0.08}
        )
        figure.subplots_adjust(left=0.13, right=0.96, top=0.9, bottom=0.11)
        ends = until + timedelta(days=1)
        _curves(money, shown, ends, captions, written)
        _bands(status, shown, ends, captions, written)
        for mark in marked:
            for axes in (money, status):
                axes.axvline(mark.on, color="#222222", linewidth=1.1, linestyle=(0, (1, 1.5)))
            money.annotate(
                written(mark.text),
                (mark.on, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        by_days(status, kit, shown[0].on, until)

    return drawn(captions.title, SIZE_IN, draw)


def _curves(axes: Any, points: Sequence[Point], ends: date, captions: Captions, written: Written) -> None:
    days = [*(p.on for p in points), ends]
    actual = [p.actual_fen / 100 for p in points]
    lawful = [p.lawful_fen / 100 for p in points]
    actual.append(actual[-1])
    lawful.append(lawful[-1])
    axes.fill_between(days, lawful, actual, step="post", color=ACTUAL, alpha=0.12, linewidth=0)
    axes.step(days, actual, where="post", color=ACTUAL, linewidth=1.8)
    axes.step(days, lawful, where="post", color=LAWFUL, linewidth=1.8, linestyle=(0, (4, 2)))
    low, high = min(0.0, *actual, *lawful), max(1.0, *actual, *lawful)
    room = (high - low) * 0.16
    axes.set_ylim(low - (room if low < 0 else room / 3), high + room)
    axes.set_xlim(days[0], days[-1])
    by_yuan(axes)
    for index, (caption, colour) in enumerate(((captions.actual, ACTUAL), (captions.lawful, LAWFUL))):
        axes.text(
            0.012,
            0.94 - 0.115 * index,
            written(caption),
            transform=axes.transAxes,
            color=colour,
            fontsize=9,
            fontweight="bold",
            va="top",
        )


def _bands(axes: Any, points: Sequence[Point], ends: date, captions: Captions, written: Written) -> None:
    edges = [*(p.on for p in points), ends]
    for row, name in ((1, "actual_status"), (0, "lawful_status")):
        spans: dict[str, list[tuple[date, timedelta]]] = {}
        for point, start, end in zip(points, edges, edges[1:], strict=False):
            spans.setdefault(getattr(point, name), []).append((start, end - start))
        band(axes, row, {STATUS_COLOURS.get(s, "#ffffff"): some for s, some in spans.items()})
    axes.set_ylim(-0.5, 1.5)
    axes.set_yticks([1, 0], labels=[written(captions.status_actual), written(captions.status_lawful)])
    axes.tick_params(left=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
