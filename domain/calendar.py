"""Days and moments: which day it is in a region, and when that day begins and ends.

Time is always an argument here; no clock is read.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.events.fields import MalformedError, parse_day, parse_instant

DEFAULT_ZONE = "Asia/Shanghai"
ZONE_OF_PROVINCE: dict[str, str] = {}
"""Provinces whose contracts count days in another zone; none does: China keeps one."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far an event's time may lie after the time it was recorded: clocks of shops and switches differ."""


@lru_cache(maxsize=256)
def zone_of(region: str) -> ZoneInfo:
    """Return the time zone in which a region counts its days."""
    return ZoneInfo(ZONE_OF_PROVINCE.get(region.partition(".")[0], DEFAULT_ZONE))


def day_of(moment: datetime, region: str) -> date:
    """Return the calendar day of a moment in a region."""
    return moment.astimezone(zone_of(region)).date()


def start_of(day: date, region: str) -> datetime:
    """Return the first moment of a day in a region."""
    return datetime.combine(day, time.min, tzinfo=zone_of(region))


def end_of(day: date, region: str) -> datetime:
    """Return the last moment of a day in a region."""
    return datetime.combine(day, time.max, tzinfo=zone_of(region))


def moment_of(text: str, region: str, field: str) -> datetime:
    """Return the moment a person asked for: a time with offset, or a date, which means the end of that day.

    Raises MalformedError that names the field.
    """
    try:
        return end_of(parse_day(text), region)
    except ValueError:
        pass
    try:
        return parse_instant(text).astimezone(zone_of(region))
    except ValueError:
        raise MalformedError(
            field, "should be a date (2014-12-09) or a time with offset (2014-12-09T23:59:00+08:00)"
        ) from None


def days_between(earlier: date, later: date) -> int:
    """Return how many days `later` lies after `earlier`, 0 where it does not."""
    return max(0, (later - earlier).days)


def months_after(day: date, months: int) -> date:
    """Return the same day so many months later, or the last day of a shorter month."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    return min(following - timedelta(days=1), date(year, month, 1) + timedelta(days=day.day - 1))
