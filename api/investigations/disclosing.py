"""POST .../disclosures: personal data in clear, for a purpose and under a case, recorded before it is shown."""

from typing import Annotated, Any

from fastapi import Body
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.crm.routes import Happened, Key
from api.disclosing import Asking, Disclosure, disclose
from api.investigations.asking import Named
from api.problems import ProblemError, documented, retry_after
from api.requests import Caller, Counting, Region, Running, Tracing, answer, audience
from domain.ledger.writer import BusyError, KeyReusedError
from domain.refusals import Refused

NAME = "Disclose"

router = audience("investigations", INVESTIGATE_READ)

_ASKED = {"fields": ["name", "contact_points"], "purpose": "to call the customer back", "case_id": "C-HRB"}
_EXAMPLE: dict[str, Any] = {
    "command_id": "8b9f3f0a4c5e4f7bb0a1c2d3e4f50617",
    "ledger": "heilongjiang",
    "recordedtime": "2014-12-10T10:00:00+08:00",
    "position": 103,
    "version": 12,
    "events": [
        {
            "id": "8b9f3f0a4c5e4f7bb0a1c2d3e4f50617.1",
            "source": "urn:recount:ledger:heilongjiang",
            "type": "PersonalDataDisclosed",
            "subject": "party/P-HRB",
            "version": 12,
            "position": 103,
        }
    ],
    "party_id": "P-HRB",
    "case_id": "C-HRB",
    "purpose": "to call the customer back",
    "disclosed_to": "staff/S-90",
    "values": {"name": "…", "contact_points": {"CP-1": {"kind": "mobile", "value": "…"}}},
}


class Disclosed(BaseModel):
    """What was disclosed, and the event that says so. `values` is null where the key was used before."""

    command_id: str
    ledger: str
    recordedtime: str
    position: int
    version: int
    events: list[Happened]
    party_id: str
    case_id: str
    purpose: str
    disclosed_to: str
    values: dict[str, Any] | None = Field(description="by kind; null in it is what never was, or was erased")


@router.post(
    "/party/{id}/disclosures",
    status_code=201,
    summary="See personal data in clear, for a purpose",
    description="Under an open case that is about the person. That it was disclosed, to whom, which kinds of data and"
    " what for is appended as `PersonalDataDisclosed` before the answer. The same key again says that it was disclosed,"
    " without the data: who has to see it again asks anew.",
    operation_id=NAME,
    response_model=Disclosed,
    responses={
        201: {"content": {"application/json": {"example": _EXAMPLE}}},
        **documented(
            "request.malformed_json",
            "idempotency.key_missing",
            "party.not_found",
            "case.not_found",
            "case.other_party",
            "idempotency.key_reused",
            "body.too_large",
            "body.unsupported_type",
            "storage.busy",
            "storage.unavailable",
        ),
    },
)
def post_disclosure(
    *,
    runtime: Running,
    metrics: Counting,
    trace: Tracing,
    caller: Caller,
    identifier: Named,
    body: Annotated[Disclosure, Body(openapi_examples={NAME: {"summary": "to call back", "value": _ASKED}})],
    key: Key,
    region: Region = None,
) -> Response:
    """Disclose personal data."""
    trace.fields["command"] = NAME
    try:
        found, repeated = disclose(runtime, identifier, body, Asking(caller.subject, key, "web"), region)
    except Refused as refused:
        metrics.command(NAME, str(refused.code))
        raise
    except KeyReusedError:
        raise ProblemError(
            "idempotency.key_reused", "a new request needs a new key: this one has its answer already"
        ) from None
    except BusyError:
        raise ProblemError(
            "storage.busy", "nothing was disclosed: come back", headers=retry_after()
        ) from None
    runtime.wake()
    trace.fields["command_id"] = found["command_id"]
    metrics.command(NAME, "repeated" if repeated else "accepted")
    headers = {"Recount-Position": str(found["position"])}
    if repeated:
        headers["Idempotency-Replayed"] = "true"
    return answer(found, status=201, headers=headers)
