"""What every request goes through before its handler: an id, a host that is ours, a body of bounded size.

Plain ASGI, so that streams pass through untouched. Also what handlers need of the application they run in.
Nothing here logs or keeps a body, a query string or anything personal.
"""

import re
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

import anyio
import orjson
import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Access, Principal, page_principal, requires
from api.access.guarding import requirements
from api.metrics import Metrics
from api.problems import ProblemError, internal
from api.runtime import Runtime
from domain.events.envelope import REGION_MAX_CHARS, check_region
from domain.ledger.naming import new_id

BODY_MAX_BYTES = 262_144  # the largest command names 1,000 ids of 128 characters
BODY_MAX_BYTES_OF = {"/crm/batch": 8_388_608}  # 10,000 commands as most of them are
BODY_WAIT_S = 30.0  # to send that much over a bad line; who is slower holds a connection for nothing
HEADERS_MAX_BYTES = 16_384  # what browsers and proxies send at most
QUERY_MAX_BYTES = 4_096
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "testserver"})
"""The names under which the service is reached: others are a browser tricked by another site's DNS."""
REQUEST_ID = "X-Request-Id"
CLIENT_GONE = 499  # the status of a request whose client left before the answer, as nginx counts it
TRACE = "recount.trace"
WRITES = frozenset({"POST", "PUT", "PATCH"})

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z", re.ASCII)
_PORT = re.compile(r":\d{1,5}\Z", re.ASCII)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trace:
    """What the access line of the running request says beside the usual."""

    request_id: str
    fields: dict[str, str] = field(default_factory=dict)


class RequestContext:
    """Gives each request its id, its access line and its count; the last place where an error is caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; anything else passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        trace = Trace(given if _SANE_ID.match(given) else new_id())
        scope[TRACE] = trace
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", trace.request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=trace.request_id):
            try:
                await self._app(scope, receive, answer)
            except Exception:
                log.exception("request failed", **trace.fields)
                if status:
                    raise  # the answer has begun: the connection is all that can be broken off
                await internal()(scope, receive, answer)
            finally:
                self._finish(scope, trace, status or CLIENT_GONE, time.perf_counter() - began)

    def _finish(self, scope: Scope, trace: Trace, status: int, duration_s: float) -> None:
        method, route = str(scope["method"]), route_of(scope)
        self._metrics.request(method, route, status, duration_s)
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            duration_ms=round(duration_s * 1000, 1),
            **trace.fields,
        )


def route_of(scope: Scope) -> str:
    """Return the template of the route that answered, so that ids are no part of it."""
    return str(getattr(scope.get("route"), "path", "(none)"))


class Bounds:
    """Turns away requests for other hosts, of nobody who is let in, and those that are too large or too slow.

    In this order: the body of a request that is turned away is never read.
    """

    def __init__(self, app: ASGIApp, access: Access, hosts: frozenset[str] = HOSTS) -> None:
        self._app = app
        self._access, self._hosts = access, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; anything else passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            check_head(scope, self._hosts)
            principal = await self._access.admit(scope)
            if principal is not None:
                scope[TRACE].fields["caller"] = principal.subject
            body = await read_body(scope, receive)
        except ProblemError as error:
            await error.response()(scope, receive, send)
            return
        if body is None:
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replayed, send)


def check_head(scope: Scope, allowed: frozenset[str] = HOSTS) -> None:
    """Check a request's host and the size of its head; raises ProblemError."""
    hosts = Headers(scope=scope).getlist("host")
    if len(hosts) != 1 or _PORT.sub("", hosts[0]).lower() not in allowed:
        raise ProblemError("host.not_allowed", "the service is not reached under this name")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX_BYTES:
        raise ProblemError("headers.too_large", f"the headers should be at most {HEADERS_MAX_BYTES} bytes")
    if len(scope.get("query_string", b"")) > QUERY_MAX_BYTES:
        raise ProblemError("query.too_long", f"the query string should be at most {QUERY_MAX_BYTES} bytes")


async def read_body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the whole body, or None where the client left. Raises ProblemError past a bound, at once."""
    most = BODY_MAX_BYTES_OF.get(scope["path"], BODY_MAX_BYTES)
    too_large = ProblemError(
        "body.too_large",
        f"the body should be at most {most} bytes",
        headers={"Connection": "close"},
    )
    announced = Headers(scope=scope).get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_large
    body = bytearray()
    with anyio.move_on_after(BODY_WAIT_S) as waiting:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > most:
                raise too_large
            if not message.get("more_body", False):
                return bytes(body)
    assert waiting.cancelled_caught
    raise ProblemError(
        "request.too_slow",
        f"the body should arrive within {BODY_WAIT_S:.0f} s",
        headers={"Connection": "close"},
    )


# -- JSON ---------------------------------------------------------------------------------------------------


class JsonRequest(Request):
    """A request whose JSON is read strictly: no NaN, no lone surrogates, nothing that can't be stored."""

    async def json(self) -> Any:
        """Return the body's value; raises json.JSONDecodeError."""
        return orjson.loads(await self.body())


class JsonRoute(APIRoute):
    """A route that reads JSON and nothing else; a form another site's page can send is not read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind the check of who asks, and then of the body's type."""
        handle = super().get_route_handler()
        needed = tuple(requirements(self.dependant))

        async def checked(request: Request) -> Response:
            for requirement in needed:
                requirement.check(request.scope)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if request.method in WRITES and kind != "application/json":
                raise ProblemError("body.unsupported_type", "the body should be application/json")
            return await handle(JsonRequest(request.scope, request.receive))

        return checked


def audience(name: str, scope: str) -> APIRouter:
    """Return a router for the addresses of one kind of reader, under their name and behind one scope."""
    return APIRouter(prefix=f"/{name}", tags=[name], route_class=JsonRoute, dependencies=[requires(scope)])


def answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer; dates and times as RFC 3339."""
    return Response(orjson.dumps(body), status, headers, "application/json")


# -- what handlers take -------------------------------------------------------------------------------------


async def _runtime(request: Request) -> Runtime:
    found: Runtime = request.app.state.runtime
    principal = page_principal(request)
    return found.within(principal.sight) if principal else found


async def _caller(request: Request) -> Principal:
    found = page_principal(request)
    if found is None:
        raise ProblemError("access.token_missing", "nobody was let in here")
    return found


async def _metrics(request: Request) -> Metrics:
    found: Metrics = request.app.state.metrics
    return found


async def _stopping(request: Request) -> threading.Event:
    found: threading.Event = request.app.state.stopping
    return found


async def _trace(request: Request) -> Trace:
    found: Trace = request.scope[TRACE]
    return found


async def _region(
    request: Request,
    region: Annotated[
        str | None,
        Query(
            max_length=REGION_MAX_CHARS,
            description="the ledger, where a subject stands in several",
            examples=["heilongjiang"],
        ),
    ] = None,
) -> str | None:
    """Return the region that is asked for, as far as the caller may see it; raises ProblemError.

    An address with an id asks for one stream, whose own region is looked at where it is found. All others are lists,
    which a token narrows to its region.
    """
    asked = check_region(region) if region is not None else None
    principal = page_principal(request)
    if principal is None or "id" in request.path_params:
        return asked
    return narrowed(principal, asked)


def narrowed(principal: Principal, asked: str | None) -> str | None:
    """Return the region a list is limited to, None where that is everything; raises ProblemError."""
    sight = principal.sight
    if sight.everywhere or (asked is not None and sight.covers(asked)):
        return asked
    theirs = [r for r in sight.regions if asked is None or r.startswith(f"{asked}.")]
    if len(theirs) == 1:
        return theirs[0]
    if not theirs:
        raise ProblemError("access.other_region", "the token covers no such region")
    raise ProblemError("region.ambiguous", "the token covers several regions: name one with ?region=")


Running = Annotated[Runtime, Depends(_runtime)]
"""The deployment as the caller may see it."""
Caller = Annotated[Principal, Depends(_caller)]
Counting = Annotated[Metrics, Depends(_metrics)]
Stopping = Annotated[threading.Event, Depends(_stopping)]
"""Set once the server is told to stop: who waits or streams comes to an end."""
Tracing = Annotated[Trace, Depends(_trace)]
Region = Annotated[str | None, Depends(_region)]
