"""The addresses of /crm, made from the table of commands."""

import re
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access import requires
from api.access.principal import ADMIN, CRM_WRITE, INVESTIGATE_DECIDE
from api.crm import batch
from api.crm.bodies import Envelope, body_of
from api.crm.examples import MOMENT, envelope_of
from api.crm.writing import Write, write
from api.problems import documented
from api.requests import Caller, Counting, JsonRoute, Region, Running, Tracing, answer
from domain.commands import COMMANDS, Command
from domain.events.fields import Identifier, StreamKind
from domain.replay import replay

PLURALS: dict[StreamKind, str] = {
    "account": "accounts",
    "party": "parties",
    "dealer": "dealers",
    "case": "cases",
    "rulebook": "rulebooks",
}
SCOPE_OF = {
    "PublishRuleVersion": ADMIN,
    "ErasePersonalData": ADMIN,
    "DecideAppeal": INVESTIGATE_DECIDE,
    "GrantRemedy": INVESTIGATE_DECIDE,
    "ImposePenalty": INVESTIGATE_DECIDE,
    "RecordFinding": INVESTIGATE_DECIDE,
}
"""Commands that are not for everybody who may write: what decides a case, what all are measured by, what is final."""
KEY_MAX_CHARS = 200  # a UUID is 36; room for who likes to say more

Id = Annotated[Identifier, Path(alias="id", description="the stream's id", examples=["A-1"])]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_MAX_CHARS,
        pattern=r"^[\x21-\x7e]+$",
        description="new for each new request; the same key and request give the first answer again",
        examples=["2f1d9a52-5a0c-4f0e-9b7c-0d6c1f1a2b3c"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^("[0-9]{1,9}"|\*)$',
        description="the version of the stream that was seen, as its ETag gave it; * for any",
        examples=['"3"'],
    ),
]
_WRITE_PROBLEMS = documented(
    "request.malformed_json",
    "idempotency.key_missing",
    "if_match.malformed",
    "account.not_found",
    "rule.period_empty",
    "subject.ambiguous",
    "version.mismatch",
    "body.too_large",
    "body.unsupported_type",
    "idempotency.key_reused",
    "storage.busy",
    "storage.unavailable",
)


class Happened(BaseModel):
    """An event that a command led to."""

    id: str
    source: str
    type: str
    subject: str
    version: int
    position: int


class Accepted(BaseModel):
    """What a command came to."""

    command_id: str
    ledger: str
    recordedtime: str
    position: int = Field(description="the ledger's position after it: a reader may wait for it")
    version: int = Field(description="the stream's version after it, as the ETag says")
    events: list[Happened]


class StreamState(BaseModel):
    """A stream's state now."""

    subject: str
    version: int
    at: str
    known_at: str
    position: int
    digest: str
    state: dict[str, Any]


async def _raw_body(request: Request) -> bytes:
    return await request.body()


@cache
def router() -> APIRouter:
    """Return the router of all commands and of each stream's state."""
    made = APIRouter(prefix="/crm", route_class=JsonRoute)
    for kind, plural in PLURALS.items():
        _add_state(made, kind, plural)
    for command in COMMANDS.values():
        _add_command(made, command)
    batch.add_to(made, {_address(c): (c, scope_of(c)) for c in COMMANDS.values()})
    return made


def scope_of(command: type[Command]) -> str:
    """Return the scope that a command needs."""
    return SCOPE_OF.get(command.__name__, CRM_WRITE)


def _address(command: type[Command]) -> str:
    """Return where a command stands below /crm."""
    return f"/{PLURALS[command.STREAM]}/{{id}}" + (f"/{command.ROUTE}" if command.ROUTE else "")


def _add_state(made: APIRouter, kind: StreamKind, plural: str) -> None:
    def state(runtime: Running, identifier: Id, region: Region = None) -> Response:
        question, histories = runtime.deployment.question(
            f"{kind}/{identifier}", runtime.clock(), region=region
        )
        version = len(histories[question.subject])
        body = {**replay(question, histories), "version": version}
        return answer(body, headers={"ETag": f'"{version}"', "Recount-Position": str(question.position)})

    made.add_api_route(
        f"/{plural}/{{id}}",
        state,
        methods=["GET"],
        tags=[f"crm: {plural}"],
        dependencies=[requires(CRM_WRITE)],
        name=f"get_{kind}",
        operation_id=f"get_{kind}",
        summary=f"The {kind}'s state now, and its version",
        description=f"The {kind} as replayed at this moment; the ETag is the stream's version, for If-Match.",
        response_model=StreamState,
        responses={
            200: {"content": {"application/json": {"example": _state_example(kind)}}},
            **documented("account.not_found", "subject.ambiguous", "storage.unavailable"),
        },
    )


def _add_command(made: APIRouter, command: type[Command]) -> None:
    plural = PLURALS[command.STREAM]

    async def ask(
        *,
        request: Request,
        runtime: Running,
        metrics: Counting,
        trace: Tracing,
        caller: Caller,
        raw: Annotated[bytes, Depends(_raw_body)],
        identifier: Id,
        body: Envelope,
        key: Key,
        if_match: IfMatch = None,
    ) -> Response:
        asked = Write(command, identifier, body, request.url.path, raw, key, if_match, caller)
        return await write(runtime, metrics, trace, asked)

    examples: Any = {command.__name__: {"summary": command.__doc__, "value": envelope_of(command)}}
    ask.__annotations__["body"] = Annotated[body_of(command), Body(openapi_examples=examples)]
    accepted: dict[int | str, dict[str, Any]] = {
        201: {"content": {"application/json": {"example": _accepted_example(command)}}}
    }
    made.add_api_route(
        _address(command),
        ask,
        methods=["POST"],
        status_code=201,
        tags=[f"crm: {plural}"],
        dependencies=[requires(scope_of(command))],
        name=command.__name__,
        operation_id=command.__name__,
        summary=_summary(command.__name__),
        description=f"{command.__doc__}\n\nLeads to {' and '.join(e.__name__ for e in command.EMITS)}.",
        response_model=Accepted,
        responses=accepted | _WRITE_PROBLEMS,
    )


def _summary(name: str) -> str:
    words = re.findall(r"[A-Z][a-z]*", name)
    return " ".join([words[0], *(w.lower() for w in words[1:])])


def _accepted_example(command: type[Command]) -> dict[str, Any]:
    return {
        "command_id": "8b9f3f0a4c5e4f7bb0a1c2d3e4f50617",
        "ledger": "heilongjiang",
        "recordedtime": MOMENT,
        "position": 103,
        "version": 4,
        "events": [
            {
                "id": "8b9f3f0a4c5e4f7bb0a1c2d3e4f50617.1",
                "source": "urn:recount:ledger:heilongjiang",
                "type": command.EMITS[0].__name__,
                "subject": f"{command.STREAM}/1",
                "version": 4,
                "position": 103,
            }
        ],
    }


def _state_example(kind: StreamKind) -> dict[str, Any]:
    return {
        "subject": f"{kind}/1",
        "version": 4,
        "at": MOMENT,
        "known_at": MOMENT,
        "position": 103,
        "digest": "sha256:" + "0" * 64,
        "state": {"status": "active"},
    }
