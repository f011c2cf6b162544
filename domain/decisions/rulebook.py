"""Decisions on a region's rulebook."""

from domain.commands import rulebook as cmd
from domain.commands.asking import to_event
from domain.decisions.hearing import Decisions, Hearing
from domain.events import rulebook as ev
from domain.refusals import Code, refuse
from domain.rulebook import Rulebook

decisions: Decisions[Rulebook] = Decisions()


@decisions.on(cmd.PublishRuleVersion, joins=True)
def _publish(_h: Hearing, s: Rulebook, c: cmd.PublishRuleVersion) -> ev.RuleVersionPublished:
    if any(v.version == c.version for v in s.versions.get(c.rule_id, ())):
        refuse(
            Code.ID_USED,
            f"The version {c.version} of the rule {c.rule_id} was published before: choose another id.",
            field="version",
            id=c.version,
        )
    if c.in_force_to is not None and c.in_force_to <= c.in_force_from:
        refuse(
            Code.RULE_PERIOD_EMPTY,
            f"The version {c.version} begins on {c.in_force_from}: it should end after that day.",
            in_force_from=c.in_force_from,
            in_force_to=c.in_force_to,
        )
    return to_event(ev.RuleVersionPublished, c)
