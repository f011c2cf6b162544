"""rulebook/: what the operator and the law required, and when."""

from domain.events.fields import Day, Identifier, Parameters, Payload, Text, event


@event("rulebook", opens=True)
class RuleVersionPublished(Payload):
    """A version of a rule and the days it governs; earlier conduct keeps the version of its own day."""

    rule_id: Identifier
    version: Text
    in_force_from: Day
    in_force_to: Day | None = None
    parameters: Parameters
    citation: Text
