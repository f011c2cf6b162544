"""POST /crm/batch: many commands in one request, one a line, each answered by itself and in its order.

A line says what a request to the command's own address would say: the address, the key, the body. Lines are decided
in their order, and committed together as they come; one that is wrong is answered with its problem and harms no other.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import Response, StreamingResponse

from api.access import Principal, requires
from api.access.guarding import Requirement
from api.access.principal import ADMIN, CRM_WRITE, INVESTIGATE_DECIDE
from api.crm.bodies import Envelope, body_of
from api.crm.examples import MOMENT
from api.crm.writing import Write, finished, started, told
from api.metrics import Metrics
from api.problems import ProblemError, documented, fields_of, malformed, response_of
from api.requests import BODY_MAX_BYTES, Caller, Counting, Running, Tracing
from api.runtime import Runtime
from domain.commands import COMMANDS, Command
from domain.events.fields import Identifier

if TYPE_CHECKING:
    from domain.ledger.writer import Answer

NDJSON = "application/x-ndjson"
LINES_MAX = (
    10_000  # half a second of commits; who has more sends more batches, and loses less by a broken line
)
AHEAD_MAX = 512  # lines begun before the first of them is answered: two of the writer's batches
PREFIX = "/crm"
ID_AT = 2  # the place of the stream's id in an address below /crm

Addresses = Mapping[str, tuple[type[Command], str]]
"""Each command and the scope it needs, by its address below /crm."""


class Line(BaseModel):
    """A command as it stands in a batch."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    path: Annotated[str, Field(max_length=400, description="the command's own address")]
    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="what Idempotency-Key says there: 1 to 200 visible characters, new for each new command",
        ),
    ]
    if_match: Annotated[
        str | None,
        Field(pattern=r'^("[0-9]{1,9}"|\*)$', description="what If-Match says there, if anything"),
    ] = None
    body: Annotated[dict[str, Any], Field(description="what the body is there")]


_EXAMPLE = {
    "path": "/crm/accounts/A-1/payments",
    "key": "2f1d9a52-5a0c-4f0e-9b7c-0d6c1f1a2b3c",
    "body": {
        "actor": "staff/S-01",
        "channel": "store",
        "region": "heilongjiang.harbin",
        "time": MOMENT,
        "data": {
            "payment_id": "PAY-1",
            "amount_fen": 10_000,
            "value_date": "2014-12-09",
            "method": "cash",
        },
    },
}
_ANSWER = {
    "line": 1,
    "key": "2f1d9a52-5a0c-4f0e-9b7c-0d6c1f1a2b3c",
    "status": 201,
    "etag": '"4"',
    "replayed": False,
    "body": {"command_id": "8b9f3f0a4c5e4f7bb0a1c2d3e4f50617", "position": 103, "version": 4},
}
_LINE = TypeAdapter(Line)
_DESCRIPTION = f"""\
One JSON object a line: the command's own address as `path`, its idempotency key as `key`, its version as `if_match`
if need be, its request as `body`. Each line is answered by one line, in their order, as soon as it is known: `status`,
`etag` and `body` are what the command's own address would answer (a problem, where it is one), `replayed` says whether
it is a first answer that is given again. At most {LINES_MAX} lines. Lines are decided in their order, each by
itself; where the connection breaks, the same lines may be sent again with the same keys.
"""


def add_to(router: APIRouter, addresses: Addresses) -> None:
    """Add the route to the router of all commands."""

    async def batch(
        request: Request, runtime: Running, metrics: Counting, trace: Tracing, caller: Caller
    ) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != NDJSON:
            raise ProblemError("body.unsupported_type", f"the body should be {NDJSON}")
        lines = (await request.body()).split(b"\n")
        if len(lines) > LINES_MAX + 1:
            raise ProblemError("body.too_large", f"there should be at most {LINES_MAX} lines")
        trace.fields["lines"] = str(len(lines))
        work = _Batch(runtime, metrics, addresses, caller)
        return StreamingResponse(work.answers(lines), media_type=NDJSON)

    router.add_api_route(
        "/batch",
        batch,
        methods=["POST"],
        tags=["crm: batch"],
        dependencies=[requires(CRM_WRITE, ADMIN, INVESTIGATE_DECIDE)],
        operation_id="Batch",
        summary="Many commands, one a line",
        description=_DESCRIPTION,
        route_class_override=APIRoute,
        response_class=StreamingResponse,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {NDJSON: {"schema": Line.model_json_schema(), "example": _EXAMPLE}},
            }
        },
        responses={
            200: {
                "description": "One line for each.",
                "content": {NDJSON: {"schema": {"type": "object"}, "example": _ANSWER}},
            },
            **documented("body.too_large", "body.unsupported_type", "storage.unavailable"),
        },
    )


class _Batch:
    """The lines of one request."""

    def __init__(self, runtime: Runtime, metrics: Metrics, addresses: Addresses, caller: Principal) -> None:
        self._caller = caller
        self._runtime = runtime
        self._metrics = metrics
        self._addresses = addresses

    async def answers(self, lines: list[bytes]) -> AsyncIterator[bytes]:
        """Begin line after line, and yield each one's answer in its turn."""
        begun: deque[Awaitable[bytes]] = deque()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            begun.append(await self._begun(number, line))
            if len(begun) >= AHEAD_MAX:
                yield await begun.popleft()
        while begun:
            yield await begun.popleft()

    async def _begun(self, number: int, line: bytes) -> Awaitable[bytes]:
        """Begin a line; return what will be its answer."""
        key = None
        try:
            asked = _line(line)
            key = asked.key
            given = self._write(asked)
            found = await started(self._runtime, given)
        except Exception as error:  # noqa: BLE001 - each line answers for itself alone
            return _ready(_told(number, key, response_of(error)))
        return self._answer(number, given, found)

    async def _answer(self, number: int, given: Write, found: "Answer | asyncio.Future[Answer]") -> bytes:
        try:
            if isinstance(found, asyncio.Future):
                found = await finished(self._runtime, found)
            response = told(self._metrics, given, found)
        except Exception as error:  # noqa: BLE001 - as above
            response = response_of(error)
        return _told(number, given.key, response)

    def _write(self, asked: Line) -> Write:
        """Return a line as a request; raises ProblemError."""
        parts = asked.path.removeprefix(PREFIX).split("/")
        found = identifier = None
        if asked.path.startswith(f"{PREFIX}/") and len(parts) > ID_AT:
            identifier = parts[ID_AT]
            found = self._addresses.get("/".join([*parts[:ID_AT], "{id}", *parts[ID_AT + 1 :]]))
        if found is None or identifier is None:
            raise ProblemError("route.unknown", "path should be a command's address, as the API describes it")
        command, scope = found
        Requirement((scope,)).of(self._caller)
        try:
            identifier = _IDENTIFIER.validate_python(identifier)
        except ValidationError as error:
            raise _InvalidError(error, "path", ()) from None
        try:
            body: Envelope = _reader(command.__name__)(asked.body)
        except ValidationError as error:
            raise _InvalidError(error, "body", ("body",)) from None
        raw = orjson.dumps(asked.body)
        return Write(command, identifier, body, asked.path, raw, asked.key, asked.if_match, self._caller)


class _InvalidError(ProblemError):
    """A line, or the command in it, that does not have the form it must have."""

    def __init__(self, error: ValidationError, where: str, inside: tuple[str, ...]) -> None:
        found = error.errors(include_url=False, include_input=False)
        self._fields = fields_of({**item, "loc": (where, *inside, *item["loc"])} for item in found)
        super().__init__("request.invalid", "")

    def response(self) -> Response:
        """Return the answer, as the command's own address gives it."""
        return malformed(self._fields)


_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


@cache
def _reader(name: str) -> Callable[[Any], Envelope]:
    """Return what reads the request of a command, made when it is first asked for."""
    return TypeAdapter(body_of(COMMANDS[name])).validate_python


def _line(line: bytes) -> Line:
    """Return a line as it was meant; raises ProblemError."""
    if len(line) > BODY_MAX_BYTES:
        raise ProblemError("body.too_large", f"a line should be at most {BODY_MAX_BYTES} bytes")
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ProblemError("request.malformed_json", f"not JSON at character {error.pos}") from None
    try:
        return _LINE.validate_python(raw)
    except ValidationError as error:
        raise _InvalidError(error, "line", ()) from None


async def _ready(line: bytes) -> bytes:
    return line


def _told(number: int, key: str | None, response: Response) -> bytes:
    """Return a line's answer: what its own address would answer."""
    told: dict[str, Any] = {
        "line": number,
        "key": key,
        "status": response.status_code,
        "etag": response.headers.get("ETag"),
        "replayed": "Idempotency-Replayed" in response.headers,
        "body": orjson.Fragment(bytes(response.body)),
    }
    return orjson.dumps(told) + b"\n"
