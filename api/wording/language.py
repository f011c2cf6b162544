"""The two languages, and how each writes money, days, moments and lists."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Literal, NamedTuple

Lang = Literal["zh", "en"]
LANGUAGES: tuple[Lang, ...] = ("zh", "en")

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


class Words(NamedTuple):
    """The same thing said in both languages."""

    zh: str
    en: str

    def of(self, lang: Lang) -> str:
        """Return it in one language."""
        return self.zh if lang == "zh" else self.en


def yuan(amount_fen: int) -> str:
    """Return an amount in fen as yuan, as both languages write it: 108000 is ¥1,080.00."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}¥{abs(amount_fen) // 100:,}.{abs(amount_fen) % 100:02d}"


def day_text(day: date, lang: Lang) -> str:
    """Return a day in words: 2014年7月16日, 16 July 2014."""
    if lang == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def instant_text(moment: datetime, lang: Lang) -> str:
    """Return a moment to the minute, in the offset it has."""
    return f"{day_text(moment.date(), lang)} {moment:%H:%M}"


def listed(items: Iterable[str], lang: Lang) -> str:
    """Return several things one after the other."""
    found = list(items)
    if lang == "zh":
        return "、".join(found)
    return found[0] if len(found) == 1 else ", ".join(found[:-1]) + " and " + found[-1] if found else ""
