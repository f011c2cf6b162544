"""The addresses of /investigations."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.inquiry import found, lawful, replayed
from api.investigations.asking import MOMENT_MAX_CHARS, At, Kind, KnownAt, Named, Position, answered
from api.investigations.timeline import timeline
from api.problems import documented
from api.requests import Region, Running, audience

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000  # events in an answer: some 1 MB of JSON

router = audience("investigations", INVESTIGATE_READ)

_ENTRY = {
    "event_id": "harbin-001",
    "source": "urn:recount:case:harbin",
    "type": "PartyRegistered",
    "subject": "party/P-HRB",
    "time": "2009-10-20T09:00:00+08:00",
    "recordedtime": "2009-10-20T09:00:00+08:00",
    "actor": "staff/S-01",
    "actororg": None,
    "channel": "store",
    "region": "heilongjiang.harbin",
    "position": 1,
    "version": 1,
    "digest": "0" * 64,
    "evidenceref": "assumed",
    "correlationid": None,
    "causationid": None,
    "data": {"kind": "individual", "id_type": "resident_id", "name": "***"},
}
_FINDINGS = {
    "subject": "account/A-FTTH",
    "known_at": "2014-12-17T23:59:59.999999+08:00",
    "position": 102,
    "rulebook_version": "built-in 1",
    "findings": [
        {
            "rule_id": "charge-basis",
            "rule_version": "2014",
            "citation": "Consumer Rights Protection Law (revision in force 2014-03-15), arts. 8 and 9",
            "subject": "account/A-FTTH",
            "verdict": "breach",
            "required": "each charge for time after an annual term's end rests on the customer's own valid choice",
            "observed": "no choice of the customer's own was on record",
            "evidence_event_ids": ["harbin-043"],
            "absent_event_types": [],
            "amount_fen": 40000,
            "remedy": "reverse the unsupported charges, refund what was paid on them",
        }
    ],
    "digest": "sha256:" + "0" * 64,
}
_COUNTERFACTUAL = {
    "subject": "account/A-FTTH",
    "until": "2014-12-17",
    "assumptions": {"expiry_option": "suspend"},
    "actual": {"balance_fen": 45460, "status": "active"},
    "lawful": {"balance_fen": 0, "status": "suspended"},
    "to_reverse_fen": 45460,
    "to_refund_fen": 0,
}
_REPLAY = {
    "subject": "account/A-FTTH",
    "at": "2014-12-09T23:59:59.999999+08:00",
    "known_at": "2014-12-09T23:59:59.999999+08:00",
    "position": 102,
    "digest": "sha256:" + "0" * 64,
    "state": {"status": "active", "balance_fen": 45_460},
}


class Entry(BaseModel):
    """An event; personal data in `data` reads "***". `digest` chains it to the one before in its stream."""

    event_id: str
    source: str
    type: str
    subject: str
    time: str
    recordedtime: str
    actor: str
    actororg: str | None
    channel: str
    region: str
    position: int
    version: int
    digest: str
    evidenceref: str | None
    correlationid: str | None
    causationid: str | None
    data: dict[str, Any]


class Timeline(BaseModel):
    """A page of a timeline; `next` is the cursor of the page after it, null at the end."""

    subject: str
    subjects: list[str]
    at: str
    known_at: str
    position: int
    events: list[Entry]
    next: str | None


class Replay(BaseModel):
    """What was true; the same question (with its position) has the same digest for ever."""

    subject: str
    at: str
    known_at: str
    position: int
    digest: str
    state: dict[str, Any]
    steps: list[dict[str, Any]] | None = None


@router.get(
    "/{kind}/{id}/timeline",
    summary="Everything that happened around a subject",
    description="The subject's events and, of a party, those of its accounts, cases and dealers, of an account"
    " those of its parties and cases; in the order in which they happened. Personal data is masked.",
    operation_id="timeline",
    response_model=Timeline,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "subject": "party/P-HRB",
                        "subjects": ["account/A-FTTH", "party/P-HRB"],
                        "at": "2026-01-01T00:00:00+08:00",
                        "known_at": "2026-01-01T00:00:00+08:00",
                        "position": 102,
                        "events": [_ENTRY],
                        "next": "102.1",
                    }
                }
            }
        },
        **documented("account.not_found", "subject.ambiguous", "timeline.too_wide", "storage.unavailable"),
    },
)
def get_timeline(
    *,
    runtime: Running,
    kind: Kind,
    identifier: Named,
    after: Annotated[str | None, Query(max_length=MOMENT_MAX_CHARS, description="the `next` before")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    at: At = None,
    known_at: KnownAt = None,
    position: Position = None,
    region: Region = None,
) -> Response:
    """Return a page of a timeline."""
    page = timeline(
        runtime,
        f"{kind}/{identifier}",
        after=after,
        limit=limit,
        at=at,
        known_at=known_at,
        position=position,
        region=region,
    )
    return answered(page)


@router.get(
    "/{kind}/{id}/replay",
    summary="What was true of a subject, as it was known",
    description="The state at a moment, as known at a moment, with `steps` each event and what it changed.",
    operation_id="replay",
    response_model=Replay,
    responses={
        200: {"content": {"application/json": {"example": _REPLAY}}},
        **documented("account.not_found", "subject.ambiguous", "storage.unavailable"),
    },
)
def get_replay(
    *,
    runtime: Running,
    kind: Kind,
    identifier: Named,
    at: At = None,
    known_at: KnownAt = None,
    position: Position = None,
    steps: bool = False,
    region: Region = None,
) -> Response:
    """Return a replay's answer."""
    return answered(
        replayed(
            runtime,
            f"{kind}/{identifier}",
            at=at,
            known_at=known_at,
            position=position,
            region=region,
            with_steps=steps,
        )
    )


@router.get(
    "/{kind}/{id}/findings",
    summary="Which rules were kept or broken",
    description="One finding per rule, subject and verdict: what was required and observed, the events that show it,"
    " the types of events that are absent, the fen that hang on it, and what would put it right.",
    operation_id="findings",
    response_model=dict[str, Any],
    responses={
        200: {"content": {"application/json": {"example": _FINDINGS}}},
        **documented("account.not_found", "subject.ambiguous", "inquiry.too_wide", "storage.unavailable"),
    },
)
def get_findings(
    *,
    runtime: Running,
    kind: Kind,
    identifier: Named,
    known_at: KnownAt = None,
    position: Position = None,
    rule: Annotated[str | None, Query(max_length=MOMENT_MAX_CHARS, description="only this rule")] = None,
    region: Region = None,
) -> Response:
    """Return the findings on a subject."""
    subject = f"{kind}/{identifier}"
    return answered(found(runtime, subject, known_at=known_at, position=position, rule=rule, region=region))


@router.get(
    "/{kind}/{id}/counterfactual",
    summary="What should have happened, beside what did",
    description="The exogenous events kept, the endogenous derived anew by the policies of a real day, under the stated"
    " assumptions; with the sums to reverse and to refund and the correcting events as a proposal.",
    operation_id="counterfactual",
    response_model=dict[str, Any],
    responses={
        200: {"content": {"application/json": {"example": _COUNTERFACTUAL}}},
        **documented("account.not_found", "subject.ambiguous", "inquiry.too_wide", "storage.unavailable"),
    },
)
def get_counterfactual(
    *,
    runtime: Running,
    kind: Kind,
    identifier: Named,
    until: Annotated[
        str | None, Query(max_length=MOMENT_MAX_CHARS, description="the last day; today else")
    ] = None,
    expiry_option: Annotated[str | None, Query(max_length=MOMENT_MAX_CHARS, description="assumed")] = None,
    known_at: KnownAt = None,
    position: Position = None,
    region: Region = None,
) -> Response:
    """Return what should have happened."""
    return answered(
        lawful(
            runtime,
            f"{kind}/{identifier}",
            until=until,
            assume={"expiry_option": expiry_option} if expiry_option else {},
            known_at=known_at,
            position=position,
            region=region,
        )
    )
