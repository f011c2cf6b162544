"""Every "no" as RFC 9457 problem+json: the one place that knows which code has which HTTP status.

A problem says what would be right, never what came in: it may be personal data. The domain's refusal codes
come from `domain.refusals`; the codes of the edge itself stand here. All are stable once published.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from domain.events.fields import MalformedError
from domain.ledger.database import StorageError
from domain.ledger.deployment import SubjectError
from domain.ledger.embedded import EmbeddedError
from domain.ledger.seals import SealError
from domain.ledger.sight import OtherRegionError
from domain.ledger.signing import SealKeyError
from domain.ledger.surroundings import TooWideError
from domain.refusals import Code, Kind, Refused

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 1  # storage that is busy or behind is usually well again within a second
REPORTED_MAX = 50  # fields named in one problem: enough to mend a form at once
IDEMPOTENCY_KEY = "Idempotency-Key"
IF_MATCH = "If-Match"

STATUS_OF_KIND: dict[Kind, int] = {"unknown": 404, "conflict": 409, "authority": 409, "rule": 409}
"""The domain's refusals: what is not there is 404, everything else stands in the way of the request."""


class Meaning(NamedTuple):
    """An edge's own problem."""

    status: int
    title: str


CODES: dict[str, Meaning] = {
    "request.malformed_json": Meaning(400, "The body is not JSON."),
    "request.invalid": Meaning(422, "The request does not have the form it must have."),
    "request.too_slow": Meaning(408, "The body did not arrive in time."),
    "request.took_too_long": Meaning(503, "Answering took too long."),
    "body.too_large": Meaning(413, "The body is too large."),
    "body.unsupported_type": Meaning(415, "The body is not of a type that is read here."),
    "headers.too_large": Meaning(431, "The headers are too large."),
    "query.too_long": Meaning(414, "The query string is too long."),
    "host.not_allowed": Meaning(421, "This host is not served here."),
    "route.unknown": Meaning(404, "There is nothing at this address."),
    "method.not_allowed": Meaning(405, "The method is not known at this address."),
    "access.token_missing": Meaning(401, "This needs a token."),
    "access.token_invalid": Meaning(401, "The token lets nobody in."),
    "access.scope_missing": Meaning(403, "The token has not the scope this needs."),
    "access.other_region": Meaning(403, "This is of a region the token does not cover."),
    "access.other_actor": Meaning(403, "The token is of somebody else."),
    "access.cross_site": Meaning(403, "Another site may not send this."),
    "access.sign_in": Meaning(303, "Sign in first."),
    "access.sign_in_failed": Meaning(400, "Signing in did not succeed."),
    "access.too_many_requests": Meaning(429, "These are too many requests."),
    "access.keys_unavailable": Meaning(503, "Tokens can't be checked now."),
    "region.ambiguous": Meaning(409, "The token covers several regions."),
    "idempotency.key_missing": Meaning(400, "A write needs an Idempotency-Key."),
    "idempotency.key_malformed": Meaning(400, "The Idempotency-Key does not have the right form."),
    "idempotency.key_reused": Meaning(422, "The Idempotency-Key came before with another request."),
    "if_match.malformed": Meaning(400, "If-Match does not have the right form."),
    "version.mismatch": Meaning(412, "The stream has another version."),
    "subject.not_found": Meaning(404, "There is no such subject."),
    "subject.ambiguous": Meaning(409, "The subject stands in several ledgers."),
    "rulebook.not_found": Meaning(404, "There is no such rulebook."),
    "ledger.not_found": Meaning(404, "There is no such ledger."),
    "ledger.ambiguous": Meaning(409, "There are several ledgers."),
    "ledger.limit_reached": Meaning(409, "There can be no more ledgers."),
    "timeline.too_wide": Meaning(409, "The subject is tied to too many others for one timeline."),
    "inquiry.too_wide": Meaning(409, "The subject is tied to too many others for one answer."),
    "feed.after_end": Meaning(409, "The position lies after the ledger's last one."),
    "feed.too_many_streams": Meaning(503, "Too many event streams are open."),
    "extract.too_many": Meaning(503, "Too many extracts are running."),
    "projection.behind": Meaning(503, "The read model has not got that far yet."),
    "projection.failed": Meaning(503, "The read model has stopped."),
    "seal.not_found": Meaning(404, "There is no such seal."),
    "seal.contradicted": Meaning(409, "The log is not what a seal says."),
    "seal.key_missing": Meaning(503, "The key that seals is not here."),
    "storage.unavailable": Meaning(503, "The storage can't be used now."),
    "storage.not_ready": Meaning(503, "The storage is still being prepared."),
    "storage.busy": Meaning(503, "Others are writing to the same streams."),
    "service.not_ready": Meaning(503, "The service is not ready."),
    "internal.error": Meaning(500, "Something went wrong here."),
}
"""The codes of the edge itself."""
REFUSALS = {str(code): code for code in Code}
"""The codes of the domain."""

log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """A field that is not as it should be, and what would be right."""

    field: str = Field(examples=["data.price_fen"])
    reason: str = Field(examples=["should be greater than or equal to 0"])


class Problem(BaseModel):
    """An RFC 9457 problem, with the stable code by which a program knows it."""

    type: str = Field(examples=["urn:recount:problem:package.expiry_choice_missing"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["package.expiry_choice_missing"])
    instance: str = Field(examples=["urn:recount:request:5f0c1b7c2f0b4f7c8a0d"])
    request_id: str
    errors: list[FieldProblem] | None = None
    details: dict[str, str | int | None] | None = Field(
        None, description="figures and ids a refusal speaks of"
    )
    command_id: str | None = None


class ProblemError(Exception):
    """A request that is answered with a problem of the edge's own."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def response(self) -> Response:
        """Return the answer."""
        status, title = CODES[self.code]
        return problem(
            status,
            title,
            self.code,
            self.detail,
            errors=self.errors,
            headers=self.headers,
            members=self.members,
        )


def problem(
    status: int,
    title: str,
    code: str,
    detail: str,
    *,
    errors: Iterable[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """Return a problem+json answer; its request id is the running request's."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    body: dict[str, Any] = {
        "type": f"urn:recount:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "instance": f"urn:recount:request:{request_id}",
        "request_id": request_id,
        **(members or {}),
    }
    found = [e.model_dump() for e in errors]
    if found:
        body["errors"] = found
    return Response(orjson.dumps(body), status, dict(headers or {}), PROBLEM_JSON)


def retry_after() -> dict[str, str]:
    """Return the header that says when it is worth coming back."""
    return {"Retry-After": str(RETRY_AFTER_S)}


def refusal(code: str, message: str, details: Mapping[str, Any], **members: Any) -> Response:
    """Return the answer to a command the domain refused; `members` are its command_id and version."""
    known = REFUSALS[code]
    given: dict[str, Any] = {"details": dict(details), **members}
    if "command_id" in members:
        given["instance"] = f"urn:recount:command:{members['command_id']}"
    version = members.get("version")
    headers = {"ETag": f'"{version}"'} if version else {}
    return problem(STATUS_OF_KIND[known.kind], known.meaning, code, message, members=given, headers=headers)


def not_found(subject: str, detail: str) -> Response:
    """Return the answer for a subject that stands nowhere: the domain's own code where it has one."""
    code = f"{subject.partition('/')[0]}.not_found"
    if code in REFUSALS:
        return refusal(code, detail, {})
    return ProblemError(code if code in CODES else "subject.not_found", detail).response()


# -- what is wrong with a request ---------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z", re.ASCII)
_SUBJECT_OF_SENTENCE = re.compile(r"^(Value error, |[A-Z][a-z]+ (?=should ))")
_NOT_KNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_REASONS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this request",
    "unexpected_keyword_argument": "is not a field of this command",
    "dataclass_type": "should be an object",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dict_type": "should be an object",
    "string_pattern_mismatch": "should have no control characters, and as an identifier no white space",
}


def _path(parts: Iterable[Any]) -> tuple[str, bool]:
    """Return a field's dotted name, and whether it is whole: a name that came in is shown only if it is one."""
    found: list[str] = []
    for part in parts:
        if not isinstance(part, int) and not _NAME.match(str(part)):
            return ".".join(found), False
        found.append(str(part))
    return ".".join(found), True


def fields_of(errors: Iterable[Mapping[str, Any]]) -> list[FieldProblem]:
    """Return pydantic's findings about a request as fields and reasons, without what came in."""
    found = []
    for item in errors:
        where, *inner = item["loc"]
        field, whole = _path(inner)
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, MalformedError):
            reason = cause.problem.reason
            if inner[-1:] != [cause.problem.field]:
                field = f"{field}.{cause.problem.field}" if field else cause.problem.field
        elif not whole and item["type"] in _NOT_KNOWN:
            reason = "has a field that is not known here"
        elif item["type"] == "missing" and inner == ["region"]:
            reason = "is missing: what opens a stream says in which region, as heilongjiang.harbin"
        else:
            reason = _REASONS.get(item["type"]) or _SUBJECT_OF_SENTENCE.sub("", str(item["msg"]))
        found.append(FieldProblem(field=field or f"({where})", reason=reason))
    return found[:REPORTED_MAX]


def _invalid(error: RequestValidationError) -> Response:
    errors = error.errors()
    for item in errors:
        if item["type"] == "json_invalid":
            return ProblemError(
                "request.malformed_json", f"not JSON at character {item['loc'][-1]}"
            ).response()
        if tuple(item["loc"]) == ("header", IDEMPOTENCY_KEY):
            missing = item["type"] == "missing"
            code = "idempotency.key_missing" if missing else "idempotency.key_malformed"
            return ProblemError(
                code, f"{IDEMPOTENCY_KEY} should be 1 to 200 visible characters, new for each new request"
            ).response()
        if tuple(item["loc"]) == ("header", IF_MATCH):
            return ProblemError(
                "if_match.malformed", f'{IF_MATCH} should be one version, as "3", or *'
            ).response()
    return malformed(fields_of(errors))


def malformed(fields: list[FieldProblem]) -> Response:
    """Return the answer to a request whose fields are not as they should be."""
    detail = "; ".join(f"{f.field} {f.reason}" for f in fields[:3])
    return ProblemError("request.invalid", detail, errors=fields).response()


# -- handlers -----------------------------------------------------------------------------------------------


def from_http(error: HTTPException) -> Response:
    """Return the answer for what the router itself says: an unknown address, another method."""
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            return ProblemError("route.unknown", "the addresses are listed in /openapi.json").response()
        case 405:
            detail = f"this address knows {headers.get('allow', headers.get('Allow', 'other methods'))}"
            return ProblemError("method.not_allowed", detail, headers=headers).response()
        case 413:
            return ProblemError("body.too_large", "the body is too large", headers=headers).response()
        case status if status < 500:
            return problem(
                status, "The request can't be answered.", "request.invalid", "see the OpenAPI document"
            )
        case _:
            return internal()


def from_subject(error: SubjectError) -> Response:
    """Return the answer where a subject stands in no ledger, or in several."""
    if error.ledgers:
        return ProblemError(
            "subject.ambiguous", f"{error} with ?region= or region", members={"ledgers": list(error.ledgers)}
        ).response()
    subject = str(error).partition(" ")[0]
    return not_found(subject, str(error))


def unavailable(error: Exception) -> Response:
    """Return the answer where the storage can't be used; what is wrong with it is logged, not told."""
    log.warning("storage unavailable", error=type(error).__name__)
    detail = "the database does not answer: come back"
    return ProblemError("storage.unavailable", detail, headers=retry_after()).response()


def too_long(error: Exception) -> Response:
    """Return the answer to a question the database was not done with in time."""
    log.warning("a question took too long", error=type(error).__name__)
    return ProblemError(
        "request.took_too_long", "ask for less at once: a region, a page, one subject"
    ).response()


def contradicted(error: Exception) -> Response:
    """Return the answer where the log is not what a seal says: it is for the operator to look into."""
    log.error("the log contradicts a seal", reason=str(error))
    return ProblemError(
        "seal.contradicted", "the log is not what a seal says: recount verify names it"
    ).response()


def not_ready(error: Exception) -> Response:
    """Return the answer where a ledger's tables are still being made."""
    log.warning("tables missing", error=type(error).__name__)
    detail = "a ledger or its read models are being made: come back"
    return ProblemError("storage.not_ready", detail, headers=retry_after()).response()


def internal() -> Response:
    """Return the answer to what nobody foresaw."""
    return ProblemError("internal.error", "it was logged under this request id").response()


_HANDLERS: dict[type[Exception], Callable[[Any], Response]] = {
    ProblemError: lambda e: e.response(),
    TooWideError: lambda e: ProblemError("inquiry.too_wide", str(e)).response(),
    HTTPException: from_http,
    RequestValidationError: _invalid,
    MalformedError: lambda e: malformed([FieldProblem(field=e.problem.field, reason=e.problem.reason)]),
    Refused: lambda e: refusal(str(e.code), e.message, e.details),
    SubjectError: from_subject,
    SealError: contradicted,
    SealKeyError: lambda _: ProblemError(
        "seal.key_missing", "the key that seals is missing or wrong"
    ).response(),
    OtherRegionError: lambda e: ProblemError("access.other_region", str(e)).response(),
    StorageError: unavailable,
    EmbeddedError: unavailable,
    psycopg.errors.QueryCanceled: too_long,
    psycopg.OperationalError: unavailable,
    psycopg.errors.UndefinedTable: not_ready,
}


def answer_to(error: Exception) -> Response | None:
    """Return the problem an error is answered with, None for one that nobody foresaw."""
    make = next((_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS), None)
    return make(error) if make else None


def response_of(error: Exception) -> Response:
    """Return the answer where something goes wrong in a part of a request that answers by itself."""
    for kind in type(error).__mro__:
        if kind in _HANDLERS:
            return _HANDLERS[kind](error)
    log.error("a part of a request failed", exc_info=error)
    return internal()


def install(app: FastAPI) -> None:
    """Let the application answer with problems wherever something goes wrong."""

    def handler(make: Callable[[Any], Response]) -> Callable[[Request, Exception], Any]:
        async def handle(_request: Request, error: Exception) -> Response:
            return make(error)

        return handle

    for kind, make in _HANDLERS.items():
        app.add_exception_handler(kind, handler(make))


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of a route's problems, by the edge's codes or the domain's."""
    by_status: dict[int, list[str]] = {}
    for code in (*codes, "request.invalid"):
        known = REFUSALS.get(code)
        status = STATUS_OF_KIND[known.kind] if known else CODES[code].status
        by_status.setdefault(status, []).append(code)
    return {
        status: {
            "description": "; ".join(f"`{code}`" for code in found),
            "content": {
                PROBLEM_JSON: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": _example(status, found[0]),
                }
            },
        }
        for status, found in by_status.items()
    }


def _example(status: int, code: str) -> dict[str, Any]:
    known = REFUSALS.get(code)
    return {
        "type": f"urn:recount:problem:{code}",
        "title": known.meaning if known else CODES[code].title,
        "status": status,
        "detail": "What would be right, in one sentence.",
        "code": code,
        "instance": "urn:recount:request:5f0c1b7c2f0b4f7c8a0d",
        "request_id": "5f0c1b7c2f0b4f7c8a0d",
    }
