"""POST .../proposal and .../acceptance: one person puts forward what a counterfactual comes to, another accepts it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access import Principal
from api.access.principal import INVESTIGATE_DECIDE
from api.crm.routes import Happened, Key
from api.investigations.asking import Kind, Named
from api.metrics import Metrics
from api.problems import ProblemError, documented, retry_after
from api.remedies import accept, by_its_proposer, propose
from api.requests import Caller, Counting, Region, Running, Trace, Tracing, answer, audience
from domain.events.case import RemedyKind
from domain.events.fields import MalformedError
from domain.ledger.writer import BusyError
from domain.refusals import Refused
from domain.remedies import Acceptance, Proposal

NAME = "AcceptProposal"
PROPOSE = "Propose"

router = audience("investigations", INVESTIGATE_DECIDE)

_MOMENT = "2014-12-18T10:00:00+08:00"
_DIGEST = "sha256:" + "0" * 64
_ASKED = {
    "case_id": "C-HRB",
    "position": 102,
    "proposal_digest": _DIGEST,
    "until": "2014-12-17",
    "assumptions": {"expiry_option": "suspend"},
    "evidenceref": "minute 2014-12-18",
}
_PROPOSED = {name: value for name, value in _ASKED.items() if name != "evidenceref"}


class Proposed(BaseModel):
    """What was put forward, and by whom."""

    command_id: str
    ledger: str
    subject: str
    case_id: str
    position: int = Field(description="the ledger's position it was read at")
    proposal_digest: str
    proposed_by: str
    proposed_at: str


_STANDING = {
    "command_id": "8b9f3f0a4c5e4f7bb0a1c2d3e4f50617",
    "ledger": "heilongjiang",
    "subject": "party/P-HRB",
    "case_id": "C-HRB",
    "position": 102,
    "proposal_digest": _DIGEST,
    "proposed_by": "staff/S-90",
    "proposed_at": _MOMENT,
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
    proposed_by: str
    accepted_by: str
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
    "proposed_by": "staff/S-90",
    "accepted_by": "staff/S-91",
    "granted": [{"kind": "reversal", "account_id": "A-FTTH", "amount_fen": 45460}],
}


def _person(caller: Principal, named: str | None, field: str) -> str:
    """Return the member of staff who stands for it: whoever asks, by their token. Raises ProblemError."""
    found = named or caller.subject
    if not caller.may_act_as(found):
        raise ProblemError("access.other_actor", f"{field} should be the token's own subject: leave it out")
    if not found.startswith("staff/"):
        raise MalformedError(field, "should be staff/ID: a person answers for it")
    return found


_PROBLEMS = (
    "request.malformed_json",
    "idempotency.key_missing",
    "case.not_found",
    "case.other_party",
    "proposal.changed",
    "proposal.empty",
    "access.other_actor",
    "subject.ambiguous",
    "inquiry.too_wide",
    "body.too_large",
    "body.unsupported_type",
    "storage.unavailable",
)
"""What may stand against either."""


def _done(
    name: str,
    metrics: Metrics,
    trace: Trace,
    do: Callable[[], tuple[dict[str, Any], bool]],
    *,
    appends: bool = False,
) -> Response:
    """Do it, count it, and return the answer: `do` returns that, and whether it was given before.

    What `appends` to the log says up to where, so that a reader may wait for it.
    """
    trace.fields["command"] = name
    try:
        body, repeated = do()
    except Refused as refused:
        metrics.command(name, str(refused.code))
        raise
    except BusyError:
        raise ProblemError(
            "storage.busy",
            "come back with the same request: it tells whether anything was written",
            headers=retry_after(),
        ) from None
    trace.fields["command_id"] = body["command_id"]
    metrics.command(name, "repeated" if repeated else "accepted")
    headers = {"Recount-Position": str(body["position"])} if appends else {}
    if repeated:
        headers["Idempotency-Replayed"] = "true"
    return answer(body, status=201, headers=headers)


@router.post(
    "/{kind}/{id}/proposal",
    status_code=201,
    summary="Put forward what a counterfactual proposes",
    description="One person reads it and puts it forward under a case; another one accepts it. It is computed again and"
    " compared. Nothing changes yet. Once for a proposal and a case, whoever asks: the first answer comes again.",
    operation_id=PROPOSE,
    response_model=Proposed,
    responses={
        201: {"content": {"application/json": {"example": _STANDING}}},
        **documented(*_PROBLEMS),
    },
)
def post_proposal(
    *,
    runtime: Running,
    metrics: Counting,
    trace: Tracing,
    kind: Kind,
    identifier: Named,
    caller: Caller,
    body: Annotated[Proposal, Body(openapi_examples={PROPOSE: {"summary": "as read", "value": _PROPOSED}})],
    key: Key,  # noqa: ARG001  as below
    region: Region = None,
) -> Response:
    """Put a proposal forward."""

    def do() -> tuple[dict[str, Any], bool]:
        signed = replace(body, proposed_by=_person(caller, body.proposed_by, "proposed_by"))
        return propose(runtime, f"{kind}/{identifier}", signed, region)

    return _done(PROPOSE, metrics, trace, do)


@router.post(
    "/{kind}/{id}/acceptance",
    status_code=201,
    summary="Accept what a counterfactual proposes",
    description="By somebody else than who proposed it. The counterfactual is computed again at its position; where it"
    " still comes to the proposal, and no stream it looked at has changed since, its corrections are appended, all or"
    " none, with what the case grants; both people stand in the case's events. Once for a proposal and a case, whatever"
    " the Idempotency-Key: the first answer comes again.",
    operation_id=NAME,
    response_model=Corrected,
    responses={
        201: {"content": {"application/json": {"example": _EXAMPLE}}},
        **documented(
            *_PROBLEMS,
            "proposal.outdated",
            "proposal.not_made",
            "proposal.same_person",
            "refund.method_missing",
            "storage.busy",
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
    caller: Caller,
    body: Annotated[Acceptance, Body(openapi_examples={NAME: {"summary": "two people", "value": _ASKED}})],
    key: Key,  # noqa: ARG001  every write has one; the proposal itself is what makes this one once
    region: Region = None,
) -> Response:
    """Put a proposal into effect."""
    subject = f"{kind}/{identifier}"

    def do() -> tuple[dict[str, Any], bool]:
        signed = replace(body, accepted_by=_person(caller, body.accepted_by, "accepted_by"))
        found = accept(runtime, subject, by_its_proposer(runtime, subject, signed, region), region)
        return found.body, found.repeated

    return _done(NAME, metrics, trace, do, appends=True)
