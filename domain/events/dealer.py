"""dealer/: an agent or sales channel."""

from domain.events.fields import Identifier, Payload, Text, event


@event("dealer", opens=True)
class DealerAuthorised(Payload):
    """The dealer may act for the operator; `manager_id` answers for it inside."""

    name: Text
    manager_id: Identifier


@event("dealer")
class DealerBlocked(Payload):
    """The dealer may no longer act."""

    reason: Text
    case_id: Identifier | None = None


@event("dealer")
class DealerReinstated(Payload):
    """The block was lifted."""

    reason: Text
