"""Reads the log for feeds: in bounded pages, never past what has been read, and waits for what comes.

Positions have no gaps and commit in their order: who has read up to a position has missed nothing before it.
"""

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import NamedTuple

import anyio
import anyio.to_thread
import psycopg
import structlog

from api.masking import cloud_event
from api.metrics import Metrics
from api.waiting import POLL_S, Shared
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.database import StorageError
from domain.ledger.deployment import Deployment

BATCH_MAX_BYTES = 4_194_304  # an answer, whatever its limit says; reached only with very large events
READ_EVENTS = 50  # read at once: with the largest events that can be imported some 50 MB, usually 30 kB
LOOKED_AT_MAX = 5_000  # events in one go, also where few of them are shown: some 100 ms
HEARTBEAT_S = 15.0  # proxies drop a connection that is silent for half a minute or more
RECONNECT_MS = 2_000  # how long a client whose stream ended waits before it comes back
STREAMS_MAX = 200  # each costs a connection and a task; a deployment has a few dozen consumers

log = structlog.get_logger(__name__)


class Item(NamedTuple):
    """An event of a feed."""

    position: int
    type: str
    json: bytes


class Page(NamedTuple):
    """Events of a feed, and the position up to which the log has been looked at."""

    items: list[Item]
    through: int


class Source(NamedTuple):
    """A ledger, as far as its reader may see it."""

    ledger: Ledger
    deployment: Deployment

    def shows(self, recorded: Recorded) -> bool:
        """Whether the reader may see an event: its stream was opened in one of their regions."""
        sight = self.deployment.sight
        if sight.everywhere:
            return True
        event = recorded.event
        home = self.deployment.home(self.ledger, event.subject) if recorded.version > 1 else event.region
        return home is not None and sight.shows(event.subject, home)


def read(source: Source, after: int, limit: int, types: Sequence[str] = ()) -> Page:
    """Return events after a position that may be seen, in order, at most `limit` of them and some 4 MB."""
    ledger = source.ledger
    last = ledger.journal.last_position()
    items: list[Item] = []
    at, size, looked_at = after, 0, 0
    while len(items) < limit and size < BATCH_MAX_BYTES and looked_at < LOOKED_AT_MAX:
        want = min(READ_EVENTS, limit - len(items))
        found = ledger.journal.log(at, limit=want, upto=last, types=types)
        looked_at += len(found)
        for stored in found:
            recorded = ledger.read(stored)
            if source.shows(recorded):
                json = cloud_event(recorded)
                items.append(Item(stored.position, str(stored.topic), json))
                size += len(json)
        if len(found) < want:
            return Page(items, max(at, last))
        at = found[-1].position
    return Page(items, at)


async def poll(
    source: Source,
    positions: Shared[int],
    stopping: threading.Event,
    *,
    after: int,
    limit: int,
    types: Sequence[str],
    wait_s: float,
) -> Page:
    """Return a page as soon as it has events, an empty one when the time to wait has passed."""
    deadline = anyio.current_time() + wait_s
    while True:
        page = await anyio.to_thread.run_sync(read, source, after, limit, types)
        if page.items:
            return page
        after = page.through
        while (await positions.of(source.ledger) or 0) <= after:
            if stopping.is_set() or anyio.current_time() >= deadline:
                return page
            await anyio.sleep(POLL_S)
        if anyio.current_time() >= deadline:
            return page


async def stream(
    source: Source,
    positions: Shared[int],
    stopping: threading.Event,
    metrics: Metrics,
    *,
    after: int,
    types: Sequence[str],
) -> AsyncGenerator[bytes, None]:
    """Yield server-sent events until the client leaves, the server stops or the storage fails.

    A page is read only once the one before it was sent: a slow client costs no memory. Whoever comes back
    with the last id it has seen goes on from there.
    """
    with metrics.stream():
        yield f"retry: {RECONNECT_MS}\n: after position {after}\n\n".encode()
        try:
            while not stopping.is_set():
                page = await anyio.to_thread.run_sync(read, source, after, READ_EVENTS, types)
                for item in page.items:
                    yield b"id: %d\nevent: %s\ndata: %s\n\n" % (item.position, item.type.encode(), item.json)
                after = page.through
                async for beat in _quiet(source.ledger, positions, stopping, after):
                    yield beat
        except (StorageError, psycopg.OperationalError) as error:
            log.warning("stream ended", ledger=source.ledger.region, error=type(error).__name__)
            yield b": the ledger can't be read now\n\n"


async def _quiet(
    ledger: Ledger, positions: Shared[int], stopping: threading.Event, after: int
) -> AsyncIterator[bytes]:
    """Yield heartbeats until the log has grown past a position, or the server stops."""
    beat_at = anyio.current_time() + HEARTBEAT_S
    while (await positions.of(ledger) or 0) <= after and not stopping.is_set():
        if anyio.current_time() >= beat_at:
            beat_at += HEARTBEAT_S
            yield b": nothing new\n\n"
        await anyio.sleep(POLL_S)
