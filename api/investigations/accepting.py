"""POST .../acceptance: a person accepts what a counterfactual proposes, and it is put into effect."""

from typing import Annotated, Any

from fastapi import Body
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access.principal import INVESTIGATE_DECIDE
from api.crm.routes import Happened, Key
from api.investigations.asking import Kind, Named
from api.problems import ProblemError, documented, retry_after
from api.remedies import accept
from api.requests import Counting, Region, Running, Tracing, answer, audience
from domain.events.case import RemedyKind
from domain.ledger.writer import BusyError
from domain.refusals import Refused
from domain.remedies import Acceptance

NAME = "AcceptProposal"

router = audience("investigations", INVESTIGATE_DECIDE)

_MOMENT = "2014-12-18T10:00:00+08:00"
_DIGEST = "sha256:" + "0" * 64
_ASKED = {
    "case_id": "C-HRB",
    "position": 102,
    "proposal_digest": _DIGEST,
    "until": "2014-12-17",
    "assumptions": {"expiry_option": "suspend"},
    "accepted_by": "staff/S-90",
    "proposed_by": "staff/S-91",
    "evidenceref": "minute 2014-12-18",
}


class Granted(BaseModel):
    """What was granted under the case."""

    kind: RemedyKind
    account_id: str | None
    amount_fen: int = Field(description="CNY, in fen; 0 where no money is in it")


class Corrected(BaseModel):
    """What accepting a proposal came to."""

    command_id: str
    ledger: str
    recordedtime: str
    position: int = Field(description="the ledger's position after it: a reader may wait for it")
    version: int = Field(description="the case's version after it")
    events: list[Happened]
    case_id: str
    proposal_digest: str
    granted: list[Granted]


_EXAMPLE: dict[str, Any] = {
    "command_id": "8b9f3f0a4c5e4f7bb0a1c2d3e4f50617",
    "ledger": "heilongjiang",
    "recordedtime": _MOMENT,
    "position": 104,
    "version": 25,
    "events": [
        {
            "id": f"8b9f3f0a4c5e4f7bb0a1c2d3e4f50617.{number}",
            "source": "urn:recount:ledger:heilongjiang",
            "type": kind,
            "subject": subject,
            "version": 25,
            "position": 102 + number,
        }
        for number, (kind, subject) in enumerate(
            [("RemedyGranted", "case/C-HRB"), ("ChargeReversed", "account/A-FTTH")], 1
        )
    ],
    "case_id": "C-HRB",
    "proposal_digest": _DIGEST,
    "granted": [{"kind": "reversal", "account_id": "A-FTTH", "amount_fen": 45460}],
}


@router.post(
    "/{kind}/{id}/acceptance",
    status_code=201,
    summary="Accept what a counterfactual proposes",
    description="The counterfactual is computed again at its position; where it still comes to the proposal that was"
    " read, and no stream it looked at has changed since, its corrections are appended, all or none, with what the"
    " case grants. Once for a proposal and a case, whatever the Idempotency-Key: the first answer comes again.",
    operation_id=NAME,
    response_model=Corrected,
    responses={
        201: {"content": {"application/json": {"example": _EXAMPLE}}},
        **documented(
            "request.malformed_json",
            "idempotency.key_missing",
            "case.not_found",
            "case.other_party",
            "proposal.changed",
            "proposal.outdated",
            "proposal.empty",
            "proposal.same_person",
            "refund.method_missing",
            "subject.ambiguous",
            "inquiry.too_wide",
            "body.too_large",
            "body.unsupported_type",
            "storage.busy",
            "storage.unavailable",
        ),
    },
)
def post_acceptance(
    *,
    runtime: Running,
    metrics: Counting,
    trace: Tracing,
    kind: Kind,
    identifier: Named,
    body: Annotated[Acceptance, Body(openapi_examples={NAME: {"summary": "two people", "value": _ASKED}})],
    key: Key,  # noqa: ARG001  every write has one; the proposal itself is what makes this one once
    region: Region = None,
) -> Response:
    """Put a proposal into effect."""
    trace.fields["command"] = NAME
    try:
        found = accept(runtime, f"{kind}/{identifier}", body, region)
    except Refused as refused:
        metrics.command(NAME, str(refused.code))
        raise
    except BusyError:
        raise ProblemError(
            "storage.busy",
            "come back with the same request: it tells whether anything was written",
            headers=retry_after(),
        ) from None
    trace.fields["command_id"] = found.body["command_id"]
    metrics.command(NAME, "repeated" if found.repeated else "accepted")
    headers = {"Recount-Position": str(found.body["position"])}
    if found.repeated:
        headers["Idempotency-Replayed"] = "true"
    return answer(found.body, status=201, headers=headers)
