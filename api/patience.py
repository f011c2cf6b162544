"""How long an answer waits for a client that takes none of it: then the connection is broken off.

Streams and extracts are read as fast as their client takes them: without a bound, one that never reads would hold a
place among the open streams, or an extract its snapshot of the database, for as long as it likes.
"""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import structlog
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STALL_S = 60.0  # a phone in a tunnel comes back within that; whoever comes later resumes with what was seen

log = structlog.get_logger(__name__)


class Patience:
    """Breaks an answer off whose client takes nothing for STALL_S: nothing of it, not the whole of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request. An answer that is not whole ends the connection: the server sees to that."""
        stalled = False

        async def taken(message: Message) -> None:
            nonlocal stalled
            with anyio.move_on_after(STALL_S) as waiting:
                await send(message)
            if waiting.cancelled_caught:
                stalled = True
                raise ConnectionAbortedError(f"the client took nothing for {STALL_S:.0f} s")

        try:
            await self._app(scope, receive, taken)
        except Exception:
            if not stalled:
                raise
            log.warning("client took nothing", seconds=STALL_S)


class ClosingResponse(StreamingResponse):
    """Streams what a generator yields and closes it at once, however that ends: not when memory is next tidied up."""

    def __init__(self, body: AsyncGenerator[bytes, None], **given: Any) -> None:
        super().__init__(body, **given)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with contextlib.aclosing(self._body):
            await super().__call__(scope, receive, send)
