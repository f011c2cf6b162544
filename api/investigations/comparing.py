"""Addresses that hold one thing against another: two replays, what happened and what should have, claims and ledger."""

from typing import Annotated, Any

from fastapi import Body, Query
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.inquiry_compare import Lawful, Second, compared, refuse, weighed
from api.investigations.asking import MOMENT_MAX_CHARS, At, Kind, KnownAt, Named, Position, answered
from api.problems import documented
from api.requests import Region, Running, audience
from domain.claims.forms import schema, table
from domain.ledger.recorder import POSITION_MAX

router = audience("investigations", INVESTIGATE_READ)

_PAYMENT = {
    "event_id": "late-posted-payment-008",
    "source": "urn:recount:case:late-posted-payment",
    "type": "PaymentReceived",
    "subject": "account/A-1",
    "time": "2017-02-28T09:30:00+08:00",
    "recordedtime": "2017-03-12T09:30:00+08:00",
    "position": 8,
    "data": {"payment_id": "PY", "amount_fen": 9900, "value_date": "2017-02-28", "method": "cash"},
    "reason": "recorded_later",
    "why": "recorded 2017-03-12T09:30:00+08:00, after the other side's known-at",
    "rule_id": None,
}
_SIDE = {
    "at": "2017-03-11T23:59:59.999999+08:00",
    "known_at": "2017-03-11T23:59:59.999999+08:00",
    "position": 9,
    "status": "active",
    "balance_fen": 10107,
    "principal_fen": 9900,
    "late_fee_fen": 207,
    "arrears_since": "2017-03-01",
    "digest": "sha256:" + "0" * 64,
}
_COMPARISON = {
    "subject": "account/A-1",
    "compared": "replays",
    "position": 9,
    "left": _SIDE,
    "right": {
        **_SIDE,
        "known_at": "2017-03-12T23:59:59.999999+08:00",
        "balance_fen": 207,
        "principal_fen": 0,
        "arrears_since": None,
    },
    "first_divergence": {
        "time": "2017-02-28T00:00:00+08:00",
        "event_ids": ["late-posted-payment-008"],
        "type": "PaymentReceived",
        "subject": "account/A-1",
        "events": [{"side": "right", **_PAYMENT}],
        "left": {"status": "active", "balance_fen": 9900},
        "right": {"status": "active", "balance_fen": 0},
        "changed": {"balance_fen": {"from": 9900, "to": 0}},
    },
    "events": {"only_left": [], "only_right": [_PAYMENT]},
    "changed": {"balance_fen": {"from": 10107, "to": 207}},
    "balance": [{"on": "2017-02-28", "left_fen": 9900, "right_fen": 0}],
    "left_out": {"only_left": 0, "only_right": 0, "balance": 0},
    "digest": "sha256:" + "0" * 64,
}
_CLAIMS = [
    {"claim": "paid", "amount_fen": 108000, "on": "2013-07-16", "text": "I paid for the whole year"},
    {"claim": "never_chose", "option": "convert_to_monthly"},
]
_WEIGHED = {
    "subject": "party/P-HRB",
    "known_at": "2014-12-17T23:59:59.999999+08:00",
    "position": 102,
    "claims": [
        {
            "index": 0,
            "claim": _CLAIMS[0],
            "verdict": "confirmed",
            "because": "a payment of 108000 fen counts from 2013-07-16",
            "event_ids": ["harbin-034"],
            "nearest": [],
        }
    ],
    "counts": {"confirmed": 1, "contradicted": 0, "unknown": 0},
    "digest": "sha256:" + "0" * 64,
}


class Claims:
    """A JSON list of claims, as it came; its schema is made when the OpenAPI document is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take any JSON: the claims' own errors name the claim and the field."""
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the forms of claims."""
        return schema()


def _moment(text: str) -> Any:
    return Query(max_length=MOMENT_MAX_CHARS, description=text)


@router.get(
    "/{kind}/{id}/comparison",
    summary="What differs between two histories of a subject, and from which event on",
    description="Two replays: what the second is not asked with (`with_at`, `with_known_at`, `with_position`) is as in"
    " the first; or with `lawful`, of an account or a party, what happened (left) and what should have (right)."
    " The first divergence is the first moment from which an event of one side counts that the other has not.",
    operation_id="comparison",
    response_model=dict[str, Any],
    responses={
        200: {"content": {"application/json": {"example": _COMPARISON}}},
        **documented("account.not_found", "subject.ambiguous", "inquiry.too_wide", "storage.unavailable"),
    },
)
def get_comparison(
    *,
    runtime: Running,
    kind: Kind,
    identifier: Named,
    at: At = None,
    known_at: KnownAt = None,
    position: Position = None,
    with_at: Annotated[str | None, _moment("the second replay's at; `now` for now")] = None,
    with_known_at: Annotated[str | None, _moment("the second replay's known-at; `now` for now")] = None,
    with_position: Annotated[
        int | None, Query(ge=0, le=POSITION_MAX, description="the second replay's position")
    ] = None,
    lawful: Annotated[bool, Query(description="compare with what should have happened")] = False,
    until: Annotated[str | None, _moment("with `lawful`: the last day; today, where not given")] = None,
    expiry_option: Annotated[str | None, _moment("with `lawful`: assumed")] = None,
    region: Region = None,
) -> Response:
    """Return how two histories differ."""
    other: Second | Lawful
    if lawful:
        refuse(
            "should not be given with lawful: until is its last day",
            with_at=with_at,
            with_known_at=with_known_at,
            with_position=with_position,
        )
        other = Lawful(until, {"expiry_option": expiry_option} if expiry_option else {})
    else:
        refuse("should be given only with lawful", until=until, expiry_option=expiry_option)
        other = Second(with_at, with_known_at, with_position)
    return answered(
        compared(
            runtime,
            f"{kind}/{identifier}",
            other,
            at=at,
            known_at=known_at,
            position=position,
            region=region,
        )
    )


@router.post(
    "/{kind}/{id}/claims",
    summary="A customer's claims held against the ledger",
    description="Each claim is confirmed, contradicted or unknown, with the events that show it, or that come nearest."
    " That the ledger lacks an event disproves nothing the customer says they did. It is a read: it needs no"
    " Idempotency-Key and changes nothing. The forms of claims (fields in brackets may be left out):\n\n```\n"
    + table()
    + "\n```",
    operation_id="claims",
    response_model=dict[str, Any],
    responses={
        200: {"content": {"application/json": {"example": _WEIGHED}}},
        **documented(
            "account.not_found",
            "subject.ambiguous",
            "inquiry.too_wide",
            "request.malformed_json",
            "body.too_large",
            "body.unsupported_type",
            "storage.unavailable",
        ),
    },
)
def post_claims(
    *,
    runtime: Running,
    kind: Kind,
    identifier: Named,
    claims: Annotated[Claims, Body(openapi_examples={"claims": {"value": _CLAIMS}})],
    known_at: KnownAt = None,
    position: Position = None,
    region: Region = None,
) -> Response:
    """Return each claim's verdict."""
    subject = f"{kind}/{identifier}"
    return answered(weighed(runtime, subject, claims, known_at=known_at, position=position, region=region))
