"""How readers wait for the log to grow: off the event loop, and together, so that many waiters cost one query."""

import anyio
import anyio.to_thread

from domain.ledger.application import Ledger

POLL_S = 0.05  # what a waiter may lag behind the log: not felt by people, and 20 small queries a second


class Positions:
    """The ledgers' last positions, asked at most once every POLL_S whoever waits. Of one event loop."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}
        self._asking: set[str] = set()

    async def last(self, ledger: Ledger) -> int:
        """Return a ledger's last position as of a moment ago; 0 while somebody asks for the first time."""
        asked_at, position = self._seen.get(ledger.region, (-POLL_S, 0))
        if anyio.current_time() - asked_at < POLL_S or ledger.region in self._asking:
            return position
        self._asking.add(ledger.region)
        try:
            position = await anyio.to_thread.run_sync(ledger.journal.last_position)
            self._seen[ledger.region] = anyio.current_time(), position
        finally:
            self._asking.discard(ledger.region)
        return position
