"""Gateways: what takes notices over and brings them to customers, behind one small protocol.

A gateway is offered messages and says of each whether it has taken it over. It may be offered one again under
the same key (the sender was killed, an answer was lost), and then has to know it: at least once to the
gateway, once to the customer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from api.gateways.results import Outcome


@dataclass(frozen=True, slots=True)
class Message:
    """A notice as a gateway needs it.

    `key` is the same whenever the notice is offered again. `address` is the contact point in clear, personal
    data, None where the channel needs none on record. `facts` are what its text speaks of.
    """

    key: str
    account_id: str
    notice_id: str
    region: str
    purpose: str
    channel: str
    contact_point_id: str | None
    address: str | None = field(repr=False)
    facts: dict[str, Any]

    def json(self) -> bytes:
        """Return the message as one JSON object, in one line."""
        body = {
            "key": self.key,
            "account_id": self.account_id,
            "notice_id": self.notice_id,
            "region": self.region,
            "purpose": self.purpose,
            "channel": self.channel,
            "contact_point_id": self.contact_point_id,
            "address": self.address,
            "facts": self.facts,
        }
        return orjson.dumps(body)


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The gateway has it; some know at once what became of it."""

    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The gateway does not have it. `final`: it never will; otherwise it is offered again later.

    `reason` is a code of ours (`HTTP 503`, `ConnectionRefusedError`), never the gateway's own words.
    """

    reason: str
    final: bool = False


Handed = TakenOver | NotTaken


class Gateway(Protocol):
    """Takes notices over."""

    @property
    def batch_max(self) -> int:
        """How many messages it is offered at once: so many are offered again after a kill."""

    def hand_over(self, messages: Sequence[Message]) -> list[Handed]:
        """Offer messages and say of each, in their order, what came of it.

        Raises OSError where none was taken over and the fault is on this machine (a full disk).
        """
