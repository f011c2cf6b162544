"""What somebody who is bound to regions may see: whole provinces, single cities, or everything.

A stream belongs to the region it was opened in, whatever its later events say. Who may not see a stream is told the
same as where there is none. An answer that would rest on streams out of sight is refused as a whole: a history with
holes in it would be no history.
"""

from dataclasses import dataclass

from domain.events.envelope import kind_of, ledger_of

EVERYWHERE = "*"
SHARED = frozenset({"rulebook", "dealer"})
"""Streams of no customer: a city sees those of its province."""


class OtherRegionError(Exception):
    """An answer would rest on streams of regions that the asker may not see."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The regions that may be seen: `heilongjiang` with its cities, `heilongjiang.harbin`, or `*` for all."""

    regions: tuple[str, ...]

    @property
    def everywhere(self) -> bool:
        """Whether nothing is out of sight."""
        return EVERYWHERE in self.regions

    def covers(self, region: str) -> bool:
        """Whether all of a region may be seen."""
        return any(region == r or region.startswith(f"{r}.") or r == EVERYWHERE for r in self.regions)

    def ledger(self, name: str) -> bool:
        """Whether anything of a ledger may be seen."""
        return any(r == EVERYWHERE or ledger_of(r) == name for r in self.regions)

    def shows(self, subject: str, home: str) -> bool:
        """Whether a stream that was opened in a region may be seen."""
        if self.covers(home):
            return True
        return kind_of(subject) in SHARED and any(r.startswith(f"{home}.") for r in self.regions)


UNBOUNDED = Sight((EVERYWHERE,))
