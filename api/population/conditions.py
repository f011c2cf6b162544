"""Under which conditions a population is made: by them alone every byte of it is decided."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from domain.calendar import end_of, months_after
from domain.events.envelope import check_region
from domain.events.fields import MalformedError
from domain.rules.windows import ONE_DAY

VERSION = 1
"""The form of the lives: the same conditions give the same bytes for as long as it is the same."""
FIRST_DAY = date(2012, 1, 1)
FIRST_DAYS = (date(2009, 1, 1), date(2100, 1, 1))
"""Before it no rule is in force; behind it times are no longer those of an event."""
HOME = "heilongjiang"
"""The province in whose cities they live, where no other region is named."""
YEARS_MAX = 20
ACCOUNTS_MAX = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Conditions:
    """So many accounts that live so many years from a day on; `breaches` is the share of parties with one planted.

    Raises MalformedError that names what is wrong.
    """

    accounts: int
    years: int
    seed: int = 1
    breaches: Fraction = Fraction(0)
    first: date = FIRST_DAY
    region: str = HOME

    def __post_init__(self) -> None:
        _within("--accounts", self.accounts, 1, ACCOUNTS_MAX)
        _within("--years", self.years, 1, YEARS_MAX)
        _within("--seed", self.seed, 0, 2**63 - 1)
        if not 0 <= self.breaches <= 1:
            raise MalformedError("--breaches", "should be a share of the parties, from 0 to 1")
        if not FIRST_DAYS[0] <= self.first < FIRST_DAYS[1]:
            raise MalformedError(
                "--from", f"should be a date from {FIRST_DAYS[0]} on, before {FIRST_DAYS[1]}"
            )
        check_region(self.region)

    @property
    def last(self) -> date:
        """The last day."""
        return months_after(self.first, 12 * self.years) - ONE_DAY

    def as_data(self) -> dict[str, Any]:
        """Return the conditions as plain values, with the moment as which the histories are known."""
        return {
            "accounts": self.accounts,
            "years": self.years,
            "seed": self.seed,
            "breaches": str(self.breaches),
            "from": self.first.isoformat(),
            "region": self.region,
            "version": VERSION,
            "known_at": end_of(self.last, self.region).isoformat(),
        }


def _within(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise MalformedError(field, f"should be a whole number from {least} to {most}")
