"""A dealer: an agent or sales channel, and whether it may act."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.events import dealer as ev
from domain.events.envelope import Recorded
from domain.fold import Fold


@dataclass(slots=True)
class Dealer:
    """A dealer, who answers for it inside the operator, and its block if there is one."""

    dealer_id: str
    region: str = ""
    opened: bool = False
    name: str = ""
    manager_id: str = ""
    blocked_since: datetime | None = None
    block_reason: str | None = None

    @property
    def may_act(self) -> bool:
        """Whether the dealer is authorised and not blocked."""
        return self.opened and self.blocked_since is None


fold: Fold[Dealer] = Fold("dealer")


@fold.on(ev.DealerAuthorised)
def _authorised(s: Dealer, r: Recorded, d: ev.DealerAuthorised) -> None:
    s.opened, s.region, s.name, s.manager_id = True, r.event.region, d.name, d.manager_id


@fold.on(ev.DealerBlocked)
def _blocked(s: Dealer, r: Recorded, d: ev.DealerBlocked) -> None:
    s.blocked_since, s.block_reason = s.blocked_since or r.event.time, d.reason


@fold.on(ev.DealerReinstated)
def _reinstated(s: Dealer, _r: Recorded, _d: ev.DealerReinstated) -> None:
    s.blocked_since = s.block_reason = None


def dealer_view(dealer: Dealer) -> dict[str, Any]:
    """Return the dealer's state."""
    return {
        "dealer_id": dealer.dealer_id,
        "status": "blocked" if dealer.blocked_since else "authorised" if dealer.opened else "unknown",
        "name": dealer.name or None,
        "manager_id": dealer.manager_id or None,
        "blocked_since": dealer.blocked_since,
        "block_reason": dealer.block_reason,
    }
