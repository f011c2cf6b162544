"""The addresses of seals: checkpoints to keep elsewhere, keys to check them with, and proofs of what a stream was.

Keys and the latest checkpoint are there for everybody: a seal that nobody outside ever saw can be made anew.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from api.access import requires
from api.dossier.bundle import proof_document
from api.problems import ProblemError, documented
from api.reading import ledger_asked
from api.requests import JsonRoute, Region, Running, answer
from api.runtime import Runtime
from domain.events.envelope import check_subject
from domain.evidence.headmap import head_of
from domain.ledger.application import Ledger
from domain.ledger.deployment import SubjectError
from domain.ledger.seals import Seal, Seals
from domain.ledger.signing import SealKeyError

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000  # seals in an answer: some 500 kB of JSON
NUMBER_MAX = 2**31 - 1
SUBJECT_MAX_CHARS = 140
WELL_KNOWN = "/.well-known/recount"

router = APIRouter(
    prefix="/seals", tags=["seals"], route_class=JsonRoute, dependencies=[requires("investigate:read")]
)
public = APIRouter(prefix=WELL_KNOWN, tags=["public"], route_class=JsonRoute)

_KEY = "recount/heilongjiang+0b1c2d3e+AYf3n2yBq0d0m5cQ0b9Zk0bX1m2n3o4p5q6r7s8t9u0v"
_CHECKPOINT = (
    "recount/heilongjiang\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— recount/heilongjiang Cxws…\n"
)
_SEAL = {
    "number": 1,
    "position": 102,
    "streams": 20,
    "sealed_at": "2014-12-17T15:59:59+00:00",
    "record": "recount seal 1\nheilongjiang\n1\n…",
    "peaks": [],
    "checkpoint": _CHECKPOINT,
}


class SealOut(BaseModel):
    """A seal: `record` is the leaf of the log of seals, with `peaks` it comes to the root the checkpoint signs."""

    number: int
    position: int
    streams: int
    sealed_at: str
    record: str
    peaks: list[str]
    checkpoint: str


class SealList(BaseModel):
    """A page of seals; `next` is the number to go on after, null at the end."""

    ledger: str
    seals: list[SealOut]
    next: int | None


class KeyOut(BaseModel):
    """A ledger's public key (c2sp.org/signed-note, vkey)."""

    ledger: str
    key: str


class KeyList(BaseModel):
    """The keys that seal here."""

    keys: list[KeyOut]


class ProofOut(BaseModel):
    """What a seal says of a stream: its last event, or null where there was none, and the proof of it."""

    ledger: str
    subject: str
    head: dict[str, Any] | None
    proof: dict[str, Any]
    seal: SealOut


def _plain(seal: Seal) -> dict[str, Any]:
    return {
        "number": seal.number,
        "position": seal.position,
        "streams": seal.record.streams,
        "sealed_at": seal.record.sealed_at.isoformat(),
        "record": seal.record.text().decode(),
        "peaks": [peak.hex() for peak in seal.peaks],
        "checkpoint": seal.checkpoint.decode(),
    }


def _example(value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


@router.get(
    "",
    summary="The seals of a ledger, the first one first",
    operation_id="seals",
    response_model=SealList,
    responses={
        **_example({"ledger": "heilongjiang", "seals": [_SEAL], "next": None}),
        **documented("ledger.not_found", "ledger.ambiguous", "seal.contradicted", "storage.unavailable"),
    },
)
def get_seals(
    runtime: Running,
    after: Annotated[int, Query(ge=0, le=NUMBER_MAX, description="go on after this seal")] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    region: Region = None,
) -> Response:
    """Return a page of seals."""
    ledger = ledger_asked(runtime, region)
    found = Seals(ledger).page(after, limit + 1)
    more = found[limit - 1].number if len(found) > limit else None
    return answer({"ledger": ledger.region, "seals": [_plain(s) for s in found[:limit]], "next": more})


@router.get(
    "/latest",
    summary="The latest seal of a ledger",
    operation_id="latest_seal",
    response_model=SealOut,
    responses={
        **_example(_SEAL),
        **documented(
            "ledger.not_found",
            "ledger.ambiguous",
            "seal.not_found",
            "seal.contradicted",
            "storage.unavailable",
        ),
    },
)
def get_seal(runtime: Running, region: Region = None) -> Response:
    """Return the latest seal."""
    return answer(_plain(_seal(Seals(ledger_asked(runtime, region)))))


def _seal(seals: Seals, number: int | None = None) -> Seal:
    """Return a seal, the latest one where none is named; raises ProblemError."""
    seal = seals.last() if number is None else seals.numbered(number)
    if seal is None:
        raise ProblemError("seal.not_found", "this ledger has no such seal")
    return seal


def _ledger_of(runtime: Runtime, subject: str, region: str | None) -> Ledger:
    """Return the ledger a stream stands in; that it stands in none is told only to who may see all of it."""
    try:
        return runtime.deployment.locate(subject, region)
    except SubjectError as error:
        if error.ledgers or not runtime.deployment.sight.everywhere:
            raise
        return ledger_asked(runtime, region)


@router.get(
    "/proof",
    summary="What a seal says of a stream",
    description="The stream's last event when it was sealed, or that there was none, with the proof that leads to the"
    " signed root: `siblings` from the root down, `place` the leaf at the end of the way. The latest seal, unless a"
    " number is given.",
    operation_id="seal_proof",
    response_model=ProofOut,
    responses={
        **_example(
            {
                "ledger": "heilongjiang",
                "subject": "account/A-FTTH",
                "head": {"version": 44, "digest": "0" * 64},
                "proof": {
                    "siblings": ["0" * 64],
                    "place": {"key": "0" * 64, "version": 44, "digest": "0" * 64},
                },
                "seal": _SEAL,
            }
        ),
        **documented(
            "account.not_found",
            "subject.ambiguous",
            "ledger.not_found",
            "ledger.ambiguous",
            "seal.not_found",
            "seal.contradicted",
            "storage.unavailable",
        ),
    },
)
def get_proof(
    runtime: Running,
    subject: Annotated[str, Query(max_length=SUBJECT_MAX_CHARS, examples=["account/A-FTTH"])],
    number: Annotated[int | None, Query(ge=1, le=NUMBER_MAX, description="which seal")] = None,
    region: Region = None,
) -> Response:
    """Return a stream's head at a seal with its proof."""
    ledger = _ledger_of(runtime, check_subject(subject), region)
    seals = Seals(ledger)
    seal = _seal(seals, number)
    proof = seals.proofs(seal, [subject])[subject]
    head = head_of(seal.record.heads, subject, proof)
    return answer(
        {
            "ledger": ledger.region,
            "subject": subject,
            "head": head and {"version": head[0], "digest": head[1].hex()},
            "proof": proof_document(proof),
            "seal": _plain(seal),
        }
    )


@public.get(
    "/keys",
    summary="The public keys that seal",
    description="To be compared with what was published elsewhere: a key from the one who is checked proves nothing.",
    operation_id="seal_keys",
    response_model=KeyList,
    responses={
        **_example({"keys": [{"ledger": "heilongjiang", "key": _KEY}]}),
        **documented("seal.key_missing", "seal.contradicted", "storage.unavailable"),
    },
)
def get_keys(runtime: Running) -> Response:
    """Return each ledger's public key."""
    try:
        found = [
            {"ledger": ledger.region, "key": str(runtime.verifier_key(ledger, Seals(ledger).last()))}
            for ledger in runtime.deployment.ledgers
        ]
    except SealKeyError as error:
        raise ProblemError("seal.key_missing", "no key to seal with is set here") from error
    return answer({"keys": found})


@public.get(
    "/checkpoint",
    summary="The latest checkpoint of a ledger",
    description="A signed note (c2sp.org/tlog-checkpoint), to be kept elsewhere: a ledger that was set back or sealed"
    " anew does not come to it.",
    operation_id="checkpoint",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _CHECKPOINT}}},
        **documented(
            "ledger.not_found",
            "ledger.ambiguous",
            "seal.not_found",
            "seal.contradicted",
            "storage.unavailable",
        ),
    },
)
def get_checkpoint(runtime: Running, region: Region = None) -> Response:
    """Return the latest checkpoint."""
    seal = _seal(Seals(ledger_asked(runtime, region)))
    return Response(seal.checkpoint, 200, {"Cache-Control": "no-cache"}, "text/plain; charset=utf-8")
