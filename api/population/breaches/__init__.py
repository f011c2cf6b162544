"""The breaches that are planted: every rule has its ways to be broken, each known to the event and to what follows."""

from collections.abc import Iterator
from typing import Any

from api.population.breaches import arrears, complaints, identity, packages, standing
from api.population.breaches.planting import Kind, Planting
from api.population.living import Life, Wish
from api.population.years import Chance, Years
from domain.rules.table import RULE_IDS

__all__ = ["KINDS", "Kind", "Round", "plant"]

KINDS: tuple[Kind, ...] = tuple(
    kind for module in (packages, arrears, standing, identity, complaints) for kind in module.breaks.kinds
)
"""Every way to break a rule."""


class Round:
    """Goes round over the rules that can be broken in these years, and for each over the ways to do it."""

    def __init__(self, years: Years) -> None:
        serving = [k for k in KINDS if k.wanted(years, Chance("serving")) is not None]
        by_rule = {rule_id: [k for k in serving if k.rule_id == rule_id] for rule_id in RULE_IDS}
        self.ways = [kinds for kinds in by_rule.values() if kinds]
        self._years = years
        self._order = self._go_round()

    def _go_round(self) -> Iterator[Kind]:
        lap = 0
        while True:
            for kinds in self.ways:
                yield kinds[lap % len(kinds)]
            lap += 1

    def next(self, chance: Chance) -> tuple[Kind, Wish]:
        """Return the next kind of breach, and what the life should be like for it."""
        kind = next(self._order)
        wish = kind.wanted(self._years, chance)
        assert wish is not None
        return kind, wish


def plant(kind: Kind, life: Life, chance: Chance) -> dict[str, Any]:
    """Put a breach into a life, and return what the truth says of it."""
    planted = kind.sow(Planting(life, chance))
    expected = [(kind.rule_id, planted.subject), *planted.follows]
    return {
        "kind": kind.name,
        "rule_id": kind.rule_id,
        "subject": planted.subject,
        "party": life.person.subject,
        "event_ids": list(planted.event_ids),
        "expected": [
            {"rule_id": rule_id, "subject": subject, "verdict": "breach"} for rule_id, subject in expected
        ],
    }
