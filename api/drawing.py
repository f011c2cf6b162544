"""Pictures as SVG, drawn here: what every picture shares, whatever it shows and wherever it is printed.

matplotlib draws, through its object interface and without any state of a user: it is imported on first use, with a
cache of its own that goes away again, and under a lock, as its settings are global. Words are put into the finished
SVG, as text: what is drawn carries only short marks in their places, so that no font has to know Chinese, no id is
read as a formula, and the same picture has the same bytes everywhere. Nothing in it needs a style of its own: a page
that allows no inline styles shows it as it is.
"""

import io
import os
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from markupsafe import escape

FONTS = "Noto Sans CJK SC, Microsoft YaHei, PingFang SC, Source Han Sans SC, sans-serif"
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
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_SHEET = re.compile(r'<style type="text/css">\*\{([^}]*)\}</style>')
_STYLE = re.compile(r' style="([^"]*)"')
_SIZES = re.compile(r' (width|height|version|xmlns:xlink)="[^"]*"')
_FONT = re.compile(r"(?:(bold|\d{3}) )?([\d.]+px) .*")

Written = Callable[[str], str]
"""Takes a text that is to stand in the picture and returns the mark that is drawn in its place."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What draws."""

    figure: Any
    canvas: Any
    dates: Any
    settings: Any


def drawn(title: str, size_in: tuple[float, float], draw: Callable[[Any, Kit, Written], None]) -> str:
    """Return a picture as an SVG element to stand in a page; `draw` gets the figure it fills."""
    words: dict[str, str] = {}

    def written(text: str) -> str:
        place = f"zq{len(words)}qz"
        words[place] = text
        return place

    with _drawing:
        kit = _kit()
        with kit.settings(SETTINGS):
            figure = kit.figure(figsize=size_in)
            kit.canvas(figure)
            draw(figure, kit, written)
            out = io.StringIO()
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(out, format="svg", metadata=nothing)
    raw = out.getvalue()
    for place, text in words.items():
        raw = raw.replace(place, str(escape(text)))
    return _inlined(raw, title)


def date_form(first: date, last: date) -> str:
    """Return how days are written on an axis from one day to another."""
    return "%Y" if (last - first).days > 5 * 365 else "%Y-%m" if (last - first).days > 100 else "%m-%d"


def by_days(axes: Any, kit: Kit, first: date, last: date) -> None:
    """Let an axis show days."""
    axes.xaxis.set_major_locator(kit.dates.AutoDateLocator(minticks=3, maxticks=8))
    axes.xaxis.set_major_formatter(kit.dates.DateFormatter(date_form(first, last)))


def by_yuan(axes: Any) -> None:
    """Let an axis show money, and keep its frame out of the way."""
    axes.yaxis.set_major_formatter(lambda value, _at: f"¥{value:,.0f}")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.tick_params(bottom=False, labelbottom=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def band(axes: Any, row: int, spans: Mapping[str, list[tuple[date, timedelta]]]) -> None:
    """Draw a band of colours: which spans of time (a day and how long) have which colour."""
    for colour, some in spans.items():
        axes.broken_barh(some, (row - 0.36, 0.72), facecolors=colour, linewidth=0)


def _inlined(raw: str, title: str) -> str:
    """Return the SVG without what only a file of its own needs, and without styles: they become attributes."""
    body = _COMMENT.sub("", raw[raw.index("<svg") :])
    body = _GROUP_ID.sub("<g>", body)
    sheet = _SHEET.search(body)
    body = _STYLE.sub(lambda found: _attributes(found[1]), _SHEET.sub("", body))
    opening, rest = body.split(">", 1)
    opening = _SIZES.sub("", opening) + (_attributes(sheet[1]) if sheet else "")
    opening += ' xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
    return f"{opening}><title>{escape(title)}</title>{rest.strip()}"


def _attributes(style: str) -> str:
    """Return the declarations of a style as attributes of the element, texts in the pages' fonts."""
    found: dict[str, str] = {}
    for declaration in style.replace("&quot;", "'").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font" and (font := _FONT.match(value)):
            found |= {"font-weight": font[1] or "normal", "font-size": font[2], "font-family": FONTS}
        elif name == "font-family":
            found[name] = FONTS
        elif name:
            found[name] = value
    return "".join(f' {name}="{value}"' for name, value in found.items())


@cache
def _kit() -> Kit:
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
    return Kit(Figure, FigureCanvasSVG, dates, rc_context)
