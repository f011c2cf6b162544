"""The days a population lives, by number: day 0 is its first, and every date is written once for all of it."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TypeVar

from domain.calendar import months_after

T = TypeVar("T")

MONTHS = 12
YEAR_DAYS = 365
YEARS_AWAITED = 50
SPARE_DAYS = 400
"""How far behind the last day a date may lie that is only named: a due date, the end of a year."""


class Chance(random.Random):
    """What is left to chance in one life: seeded by a text, so that no other life and no hash order moves it."""

    def below(self, limit: int) -> int:
        """Return a whole number from 0, less than a limit."""
        return int(self.random() * limit)

    def between(self, least: int, most: int) -> int:
        """Return a whole number, both ends included."""
        return least + int(self.random() * (most - least + 1))

    def one(self, some: Sequence[T]) -> T:
        """Return one of some."""
        return some[int(self.random() * len(some))]

    def happens(self, share: float) -> bool:
        """Return whether something happens that happens to this share."""
        return self.random() < share

    def days_until(self, share_a_year: float) -> int:
        """Return after how many days something happens that happens to this share in a year.

        Without a logarithm, whose last digit is each machine's own: a seed gives the same lives everywhere.
        """
        years = 0
        while years < YEARS_AWAITED and not self.happens(share_a_year):
            years += 1
        return YEAR_DAYS * years + self.below(YEAR_DAYS)


class Years:
    """The calendar of a population: `last` is the number of its last day."""

    def __init__(self, first: date, years: int) -> None:
        self.first = first
        self.last = (months_after(first, MONTHS * years) - first).days - 1
        self.names = [(first + timedelta(days=n)).isoformat() for n in range(self.last + SPARE_DAYS)]
        self.months = [n for n, name in enumerate(self.names[: self.last + 1]) if name.endswith("-01")]
        """The first days of months."""

    def number(self, day: date) -> int:
        """Return the number of a date, below zero before the first day."""
        return (day - self.first).days

    def year_after(self, day: int) -> int:
        """Return the number of the same day a year later."""
        return (months_after(self.first + timedelta(days=day), MONTHS) - self.first).days
