"""What may be asked of a region's rulebook."""

from domain.commands.asking import Command, command
from domain.events import rulebook as ev
from domain.events.fields import Day, Identifier, Parameters, Text


@command("rulebook", route="versions", opens=True, emits=(ev.RuleVersionPublished,))
class PublishRuleVersion(Command):
    """Publish a version of a rule and the days it governs; the last one is exclusive."""

    rule_id: Identifier
    version: Text
    in_force_from: Day
    in_force_to: Day | None = None
    parameters: Parameters
    citation: Text
