"""The console's own pictures: a replay's curve with the step that is looked at, and bars for management."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from api.console.replaying import Curve, Span
from api.drawing import STATUS_COLOURS, Kit, Written, band, by_days, by_yuan, drawn

ACCENT, QUIET, ALARM = "#1b5e9b", "#9fb4c7", "#b3261e"
COLOURS = {**STATUS_COLOURS, "blacklisted": "#3a3a3a", "clear": "#eeeeee"}
BANDS_MAX = 8  # bands one can tell from each other
BARS_MAX = 20
CHARS_MAX = 26  # of a bar's name
ONE_DAY = timedelta(days=1)
WIDE_IN, NARROW_IN = 7.8, 4.3
"""How wide a picture is drawn for a screen and for a phone, on which its words stay as large."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is written in a replay's picture, in its language."""

    title: str
    bands: Mapping[str, str]
    step: str


def replay_picture(curve: Curve, on: date, words: Words, width_in: float = WIDE_IN) -> str:
    """Return the balance and the bands of a replay; `on` is the day of the step that is looked at."""
    shown = {subject: curve.bands[subject] for subject in words.bands}
    starts = [p[0] for p in curve.points] + [spans[0].since for spans in shown.values() if spans]
    first = min([*starts, on, curve.until])
    ends = max(curve.until, on) + ONE_DAY

    def draw(figure: Any, kit: Kit, written: Written) -> None:
        money, status = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 0.55 * max(len(shown), 1)], "hspace": 0.06}
        )
        figure.subplots_adjust(left=1.0 / width_in, right=0.97, top=0.92, bottom=0.1)
        _balance(money, curve.points, first, ends, on)
        for row, (subject, spans) in enumerate(reversed(shown.items())):
            band(status, row, _coloured(spans, ends))
            status.text(
                -0.012, row, written(words.bands[subject]), ha="right", va="center", fontsize=8,
                transform=status.get_yaxis_transform(),
            )  # fmt: skip
        status.set_ylim(-0.6, max(len(shown), 1) - 0.4)
        status.set_yticks([])
        for axes in (money, status):
            axes.axvline(on, color=ALARM, linewidth=1.2)
        for side in ("top", "right", "left"):
            status.spines[side].set_visible(False)
        money.annotate(
            written(words.step), (on, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="right" if on > first + (ends - first) * 0.8 else "center", fontsize=8,
            color=ALARM,
        )  # fmt: skip
        by_days(status, kit, first, ends)

    return drawn(words.title, (width_in, 2.6 + 0.2 * len(shown)), draw)


def _balance(axes: Any, points: Sequence[tuple[date, int]], first: date, ends: date, on: date) -> None:
    days = [first, *(d for d, _ in points), ends]
    sums = [0.0, *(fen / 100 for _, fen in points)]
    sums.append(sums[-1])
    axes.fill_between(days, sums, step="post", color=ACCENT, alpha=0.10, linewidth=0)
    axes.step(days, sums, where="post", color=ACCENT, linewidth=1.8)
    low, high = min(0.0, *sums), max(1.0, *sums)
    room = (high - low) * 0.1
    axes.set_ylim(low - (room if low < 0 else room / 3), high + room)
    axes.set_xlim(first, ends)
    by_yuan(axes)
    before = [fen / 100 for day, fen in points if day <= on]
    axes.plot([on], [before[-1] if before else 0.0], "o", color=ALARM, markersize=5)


def _coloured(spans: Sequence[Span], ends: date) -> dict[str, list[tuple[date, timedelta]]]:
    found: dict[str, list[tuple[date, timedelta]]] = {}
    edges = [*(s.since for s in spans[1:]), ends]
    for span, end in zip(spans, edges, strict=True):
        found.setdefault(COLOURS.get(span.status, "#ffffff"), []).append((span.since, end - span.since))
    return found


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the bars: what it is called, and a value for each bar."""

    name: str
    values: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True)
class Bars:
    """What bars show: a title, the name of each, and their parts."""

    title: str
    names: Sequence[str]
    series: Sequence[Series]


def bars(shown: Bars, width_in: float = WIDE_IN) -> str:
    """Return values as horizontal bars, the parts of each side by side in one; the first at the top."""
    most_chars = CHARS_MAX if width_in == WIDE_IN else CHARS_MAX // 2
    names = [n if len(n) <= most_chars else n[: most_chars - 1] + "…" for n in shown.names[:BARS_MAX]]
    series = shown.series
    height = 0.55 + 0.32 * max(len(names), 1)

    def draw(figure: Any, _kit: Kit, written: Written) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(
            left=1.9 / width_in if width_in == WIDE_IN else 0.4,
            right=0.92,
            top=1 - 0.32 / height,
            bottom=0.08 / height,
        )
        rows = range(len(names))
        starts = [0.0] * len(names)
        for one in series:
            values = list(one.values)[: len(names)]
            axes.barh(rows, values, left=starts, height=0.62, color=one.colour, linewidth=0)
            starts = [a + b for a, b in zip(starts, values, strict=True)]
        most = max(starts, default=0.0)
        for row, total in zip(rows, starts, strict=True):
            axes.text(total + (most or 1) * 0.01, row, f"{total:,.0f}", va="center", fontsize=8)
        axes.set_yticks(list(rows), labels=[written(n) for n in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, (most or 1) * 1.12)
        axes.set_xticks([])
        for side in ("top", "right", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(left=False)
        _key(axes, series, written, height)

    return drawn(shown.title, (width_in, height), draw)


def _key(axes: Any, series: Sequence[Series], written: Written, height: float) -> None:
    """Say which colour is which, where there are several, above the bars."""
    if len(series) < 2:
        return
    for index, one in enumerate(series):
        axes.text(
            index / len(series), 1 + 0.12 / height, "■ " + written(one.name), color=one.colour, fontsize=9,
            transform=axes.transAxes,
        )  # fmt: skip
