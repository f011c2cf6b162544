"""Entries in the order of their days, with what each and all before it come to: kept up as entries come.

Who asks for an account's money day after day, as the rules and the counterfactual do, would else add up all of its
charges and payments for each day.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from datetime import date
from typing import Generic, TypeVar

E = TypeVar("E")


class Running(Generic[E]):
    """Entries by their day, those of one day as they came. `worth` says what one comes to, in fen, never below 0."""

    __slots__ = ("_day", "_sums", "_worth", "entries")

    def __init__(self, entries: Iterable[E], day: Callable[[E], date], worth: Callable[[E], int]) -> None:
        self._day, self._worth = day, worth
        self.entries = sorted(entries, key=day)
        self._sums: list[int] = []  # as many as are true: what follows is added up when it is asked for

    def add(self, entry: E) -> None:
        """Take in an entry, behind all others of its day."""
        at = bisect_right(self.entries, self._day(entry), key=self._day)
        self.entries.insert(at, entry)
        del self._sums[at:]

    def changed(self, entry: E) -> None:
        """Say that an entry comes to something else now."""
        del self._sums[bisect_left(self.entries, self._day(entry), key=self._day) :]

    def until(self, day: date) -> int:
        """Return how many entries are of a day or of one before it."""
        return bisect_right(self.entries, day, key=self._day)

    def first(self, count: int) -> int:
        """Return what the first so many entries come to, in fen."""
        return self.sums[count - 1] if count else 0

    def up_to(self, entry: E) -> int:
        """Return what an entry and all before it come to, in fen."""
        at = bisect_left(self.entries, self._day(entry), key=self._day)
        while self.entries[at] is not entry:
            at += 1
        return self.sums[at]

    @property
    def total_fen(self) -> int:
        """What all entries come to."""
        return self.first(len(self.entries))

    @property
    def sums(self) -> list[int]:
        """What each entry and all before it come to, in fen."""
        sums = self._sums
        if len(sums) < len(self.entries):
            total_fen = sums[-1] if sums else 0
            for entry in self.entries[len(sums) :]:
                total_fen += self._worth(entry)
                sums.append(total_fen)
        return sums
