"""Connections that ask for nothing: cut within a limit, and never so many that others find no place.

uvicorn waits for a request for as long as its client likes to take, a byte now and then (its issue 157), and holds
whatever comes before the head ends. Here every connection has HEAD_WAIT_S to send the head of its next request, from
when it was made or the last one was answered. Who is answered is no concern of this module: bodies are bounded in
`api.requests`, and answers nobody takes in `api.patience`.
"""

import asyncio
import resource
import time
from collections import OrderedDict
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_WAIT_S = 10.0  # a head is one or two packets: a bad line that takes longer asks again
KEEP_ALIVE_S = 9  # silence after an answer: clients' pools keep 5 s, and would ask as uvicorn's 5 s end
UNREAD_MAX_BYTES = (
    65_536  # of a request, besides its body: the head is refused from 16 kB on once it is there
)
FRAMING_PER_BYTE = 8  # a body in chunks of one byte each has five bytes around each
WAITING_MAX = 1_000  # connections that ask for nothing: pools and browsers hold some dozens, and come back
FILES_RESERVED = 200  # of those a process may open: databases, logs, files that are read and written
FILES_MAX = 65_536  # where the system names no bound
TOLD_EVERY_S = 10.0  # a flood is told in one line now and then

log = structlog.get_logger(__name__)


def files_allowed() -> int:
    """Let the process open as many files as it may, and return how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else FILES_MAX
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # a system with a limit of its own below that
        return soft
    return most


class Crowd:
    """The connections of one server that wait, the one that has waited longest first."""

    def __init__(self, open_max: int, waiting_max: int, head_wait_s: float) -> None:
        self.open_max, self.waiting_max, self.head_wait_s = open_max, waiting_max, head_wait_s
        self._waiting: OrderedDict[Patient, asyncio.TimerHandle] = OrderedDict()
        self._cut = 0
        self._told_at = 0.0

    def waits(self, one: "Patient") -> None:
        """Give a connection its time for a head; where too many wait, the one that has waited longest goes."""
        self.asks(one)
        self._waiting[one] = one.loop.call_later(self.head_wait_s, self._late, one)
        if len(self._waiting) > self.waiting_max:
            self.make_room()

    def asks(self, one: "Patient") -> None:
        """Take in that a connection waits no more: it asks for something, or it is gone."""
        timer = self._waiting.pop(one, None)
        if timer is not None:
            timer.cancel()

    def make_room(self) -> None:
        """Break off the connection that has waited longest."""
        one, timer = self._waiting.popitem(last=False)
        timer.cancel()
        self.cut(one, at_once=True)

    def cut(self, one: "Patient", *, at_once: bool) -> None:
        """Close a connection: an answer it still takes in goes on, unless its place is needed at once."""
        self._cut += 1
        if at_once:
            one.transport.abort()
        else:
            one.transport.close()
        now = time.monotonic()
        if now - self._told_at > TOLD_EVERY_S:
            log.warning(
                "connections cut that asked for nothing", connections=self._cut, waiting=len(self._waiting)
            )
            self._cut, self._told_at = 0, now

    def _late(self, one: "Patient") -> None:
        del self._waiting[one]
        self.cut(one, at_once=False)


class Patient(HttpToolsProtocol):
    """uvicorn's connection, with patience for a head and no more."""

    crowd: Crowd
    _raw_bytes = 0
    _body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; where no place is left, whoever has waited longest goes, and at worst the newcomer."""
        super().connection_made(transport)
        self.crowd.waits(self)
        if len(self.connections) > self.crowd.open_max:
            self.crowd.make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.crowd.asks(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; break off who sends without end what is no body."""
        self._raw_bytes += len(data)
        super().data_received(data)
        if self._raw_bytes > UNREAD_MAX_BYTES + FRAMING_PER_BYTE * self._body_bytes:
            self.crowd.cut(self, at_once=True)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._raw_bytes = self._body_bytes = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Count what is the application's to bound."""
        self._body_bytes += len(body)
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.crowd.asks(self)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self.crowd.waits(self)


def patient(
    files: int, *, waiting_max: int = WAITING_MAX, head_wait_s: float = HEAD_WAIT_S
) -> type[asyncio.Protocol]:
    """Return the protocol of one server, whose process may open so many files."""
    open_max = max(files - FILES_RESERVED, 16)
    crowd = Crowd(open_max, min(waiting_max, open_max // 2), head_wait_s)
    return type("PatientOfServer", (Patient,), {"crowd": crowd})
