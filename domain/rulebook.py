"""The operator's rulebook of a region: the rule versions it published."""

from dataclasses import dataclass, field
from typing import Any

from domain.events import rulebook as ev
from domain.events.envelope import Recorded
from domain.fold import Fold


@dataclass(slots=True)
class Rulebook:
    """Published versions by rule, in the order they were published."""

    region_id: str
    opened: bool = False
    region: str = ""
    versions: dict[str, list[ev.RuleVersionPublished]] = field(default_factory=dict)


fold: Fold[Rulebook] = Fold("rulebook")


@fold.on(ev.RuleVersionPublished)
def _published(s: Rulebook, r: Recorded, d: ev.RuleVersionPublished) -> None:
    s.opened, s.region = True, r.event.region
    s.versions.setdefault(d.rule_id, []).append(d)


def rulebook_view(rulebook: Rulebook) -> dict[str, Any]:
    """Return the published versions of each rule."""
    return {
        "region": rulebook.region_id,
        "rules": {
            rule_id: [
                {
                    "version": v.version,
                    "in_force_from": v.in_force_from,
                    "in_force_to": v.in_force_to,
                    "parameters": v.parameters,
                    "citation": v.citation,
                }
                for v in versions
            ]
            for rule_id, versions in rulebook.versions.items()
        },
    }
