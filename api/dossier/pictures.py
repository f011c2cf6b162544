"""The balance over time as a picture: what stood on the account against what should have, in steps.

matplotlib draws it, through its object interface and without any state of a user: it is imported on first use,
with a cache of its own that goes away again, and drawn under a lock, as its settings are global. Words are put
into the finished SVG, as text: what is drawn carries only short marks in their places, so that no font has to
know Chinese, no id is read as a formula, and the same picture has the same bytes everywhere.
"""

import io
import os
import re
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from markupsafe import escape

POINTS_MAX = 400  # steps of one curve; of more, those in between are left out
MARKS_MAX = 8  # blacklist entries marked in one picture
SIZE_IN = (7.4, 2.9)
FONTS = '"Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "Source Han Sans SC", sans-serif'
ACTUAL, LAWFUL = "#b3261e", "#1b5e9b"
STATUS_COLOURS = {
    "pending": "#d9d9d9",
    "active": "#8fc49a",
    "suspended": "#e8b455",
    "terminated": "#8a8a8a",
}
SETTINGS: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "recount",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.usetex": False,
    "axes.unicode_minus": False,
    "axes.formatter.use_locale": False,
    "path.simplify": False,
}
_drawing = threading.Lock()
_GROUP_ID = re.compile(r'<g id="[^"]*">')
_FAMILY = re.compile(r"font: ([\d.]+)px '[^;\"]*?(?=[;\"])")


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
    words: dict[str, str] = {}

    def written(text: str) -> str:
        place = f"zq{len(words)}qz"
        words[place] = text
        return place

    with _drawing:
        raw = _drawn(thinned(points), until, list(marks)[:MARKS_MAX], captions, written)
    for place, text in words.items():
        raw = raw.replace(place, str(escape(text)))
    return _inlined(raw, captions.title)


def _drawn(
    points: Sequence[Point], until: date, marks: Sequence[Mark], captions: Captions, written: Any
) -> str:
    kit = _kit()
    with kit.settings(SETTINGS):
        figure = kit.figure(figsize=SIZE_IN)
        kit.canvas(figure)
        money, status = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 1], "hspace": 0.08}
        )
        figure.subplots_adjust(left=0.13, right=0.96, top=0.9, bottom=0.11)
        ends = until + timedelta(days=1)
        _curves(money, points, ends, captions, written)
        _bands(status, points, ends, captions, written)
        for mark in marks:
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
        locator = kit.dates.AutoDateLocator(minticks=3, maxticks=8)
        status.xaxis.set_major_locator(locator)
        status.xaxis.set_major_formatter(kit.dates.DateFormatter(_date_form(points[0].on, until)))
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing)
    return out.getvalue()


def _date_form(first: date, last: date) -> str:
    return "%Y" if (last - first).days > 5 * 365 else "%Y-%m" if (last - first).days > 100 else "%m-%d"


def _curves(axes: Any, points: Sequence[Point], ends: date, captions: Captions, written: Any) -> None:
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
    axes.yaxis.set_major_formatter(lambda value, _at: f"¥{value:,.0f}")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.tick_params(bottom=False, labelbottom=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
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


def _bands(axes: Any, points: Sequence[Point], ends: date, captions: Captions, written: Any) -> None:
    edges = [*(p.on for p in points), ends]
    for row, name in ((1, "actual_status"), (0, "lawful_status")):
        spans: dict[str, list[tuple[date, timedelta]]] = {}
        for point, start, end in zip(points, edges, edges[1:], strict=False):
            spans.setdefault(getattr(point, name), []).append((start, end - start))
        for status, some in spans.items():
            colour = STATUS_COLOURS.get(status, "#ffffff")
            axes.broken_barh(some, (row - 0.36, 0.72), facecolors=colour, linewidth=0)
    axes.set_ylim(-0.5, 1.5)
    axes.set_yticks([1, 0], labels=[written(captions.status_actual), written(captions.status_lawful)])
    axes.tick_params(left=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _inlined(raw: str, title: str) -> str:
    """Return the SVG without what only a file of its own needs, its text in the pages' fonts."""
    body = raw[raw.index("<svg") :]
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = _GROUP_ID.sub("<g>", body)
    body = _FAMILY.sub(lambda match: f"font: {match[1]}px {FONTS.replace(chr(34), chr(39))}", body)
    opening, rest = body.split(">", 1)
    opening = re.sub(r' (width|height|version|xmlns:xlink)="[^"]*"', "", opening)
    opening += ' xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
    return f"{opening}><title>{escape(title)}</title>{rest.strip()}"


@dataclass(frozen=True, slots=True)
class _Kit:
    figure: Any
    canvas: Any
    dates: Any
    settings: Any


@cache
def _kit() -> _Kit:
    """Import what draws. Its cache stands in a folder of its own that is gone afterwards: no home is needed."""
    before = os.environ.get("MPLCONFIGDIR")
    with tempfile.TemporaryDirectory(prefix="recount-drawing-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            from matplotlib import dates, rc_context  # noqa: PLC0415 - half a second that only pictures need
            from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
            from matplotlib.figure import Figure  # noqa: PLC0415
        finally:
            if before is None:
                del os.environ["MPLCONFIGDIR"]
            else:
                os.environ["MPLCONFIGDIR"] = before
    return _Kit(Figure, FigureCanvasSVG, dates, rc_context)
