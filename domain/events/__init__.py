"""The vocabulary: every event type, by stream. What was stored once under these names stays readable."""

from domain.events import account, case, dealer, party, rulebook
from domain.events.envelope import Event, Recorded, parse_event
from domain.events.fields import REGISTRY, MalformedError, Payload, Personal

__all__ = [
    "REGISTRY",
    "Event",
    "MalformedError",
    "Payload",
    "Personal",
    "Recorded",
    "account",
    "case",
    "dealer",
    "parse_event",
    "party",
    "rulebook",
]
