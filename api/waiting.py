"""How readers wait for something to move: off the event loop, and together, so that many cost one query."""

from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from domain.ledger.application import Ledger

POLL_S = 0.05  # what a waiter may lag behind: not felt by people, and 20 small queries a second

T = TypeVar("T")


class Shared(Generic[T]):
    """What a question about a ledger was answered a moment ago, asked at most once every POLL_S.

    Belongs to one event loop: nothing here is locked.
    """

    def __init__(self, ask: Callable[[Ledger], T]) -> None:
        self._ask = ask
        self._seen: dict[str, tuple[float, T]] = {}
        self._asking: set[str] = set()

    async def of(self, ledger: Ledger) -> T | None:
        """Return the answer of a moment ago; None while somebody else asks for the first time."""
        seen = self._seen.get(ledger.region)
        fresh = seen is not None and anyio.current_time() - seen[0] < POLL_S
        if fresh or ledger.region in self._asking:
            return seen[1] if seen else None
        self._asking.add(ledger.region)
        try:
            found = await anyio.to_thread.run_sync(self._ask, ledger)
            self._seen[ledger.region] = anyio.current_time(), found
        finally:
            self._asking.discard(ledger.region)
        return found


def last_position(ledger: Ledger) -> int:
    """Return a ledger's last position."""
    return ledger.journal.last_position()
