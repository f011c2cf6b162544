"""A load on a server: many connections, each asking again on its answer or after a pause; in a process of its own.

Raw sockets and requests whose bytes are made beforehand: what is measured is the server, not its client.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
GRACE_S = 30.0
Requests = Callable[[int], Iterator[bytes]]
"""What a connection of this number asks, one request after the other."""
STATUS_AT = slice(9, 12)
"""Where the status stands in `HTTP/1.1 201 Created`."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load: answers a second, each wait in seconds, and how often another status came."""

    rate: float
    waits: Sequence[float]
    others: int


class _Connection(asyncio.Protocol):
    """One connection: the next request goes out when the answer to the one before it is whole."""

    def __init__(
        self,
        requests: Iterator[bytes],
        expected: bytes,
        until: float,
        *,
        pause_s: float,
        begin_after_s: float,
    ) -> None:
        self._requests = requests
        self._expected = expected
        self._until = until
        self._pause_s = pause_s
        self._begin_after_s = begin_after_s
        self._buffer = b""
        self._began = 0.0
        self.waits: list[float] = []
        self.others = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        asyncio.get_running_loop().call_later(self._begin_after_s, self._ask)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(_END)
        if end < 0:
            return
        at = self._buffer.lower().find(_LENGTH, 0, end)
        length = int(self._buffer[at + len(_LENGTH) : self._buffer.find(b"\r", at)])
        if len(self._buffer) < end + len(_END) + length:
            return
        now = time.perf_counter()
        self.waits.append(now - self._began)
        self.others += self._buffer[STATUS_AT] != self._expected
        self._buffer = b""
        if now + self._pause_s >= self._until:
            self._transport.close()
        elif self._pause_s:
            asyncio.get_running_loop().call_later(self._pause_s, self._ask)
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own form
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))


async def _run(
    port: int, connections: int, seconds: float, expected: bytes, requests: Requests, *, pause_s: float
) -> Load:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [  # one after the other, where they pause: they would all pause at once otherwise
        _Connection(
            requests(n), expected, began + seconds, pause_s=pause_s, begin_after_s=pause_s * n / connections
        )
        for n in range(connections)
    ]
    for one in made:
        await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.wait([one.done for one in made], timeout=seconds + GRACE_S)
    took = time.perf_counter() - began
    waits = list(itertools.chain.from_iterable(one.waits for one in made))
    return Load(len(waits) / took, waits, sum(one.others for one in made))


def run(
    port: int, connections: int, seconds: float, expected: bytes, requests: Requests, *, pause_s: float = 0.0
) -> Load:
    """Ask from many connections for some seconds; each takes its requests from an iterator of its own.

    Each asks again so long after its answer.
    """
    return asyncio.run(_run(port, connections, seconds, expected, requests, pause_s=pause_s))
