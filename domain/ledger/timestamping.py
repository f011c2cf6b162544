"""Time stamps by RFC 3161: a third party's word that a checkpoint was there at a time, kept beside the seal.

Nothing waits for it: a seal stands without, and the authority is asked again at the next one.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime

import httpx
import structlog
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    decode_timestamp_response,
)

from domain.evidence import EvidenceError
from domain.ledger.application import Ledger
from domain.ledger.database import WRITER
from domain.ledger.seals import Q

ANSWER_WAIT_S = 10.0  # an authority that takes longer is asked again with the next seal
TOKEN_MAX_BYTES = 65_536  # a response with its certificates has some 6 kB
SEALS_AT_ONCE = 10  # the latest are stamped; each covers all before it

log = structlog.get_logger(__name__)


def stamp(ledger: Ledger, authority: str, clock: Callable[[], datetime]) -> tuple[int, str | None]:
    """Ask an authority (its address) about the latest seals it has not stamped; return how many it did, and why not.

    The last is None where it stamped all.
    """
    database, schema = ledger.journal.database, ledger.schema
    with database.connection(schema) as connection:
        given = {"authority": authority, "limit": SEALS_AT_ONCE}
        waiting = connection.execute(Q["without_timestamp"], given).fetchall()
    for done, (number, checkpoint) in enumerate(waiting):
        try:
            token = _asked(authority, bytes(checkpoint))
        except (httpx.HTTPError, httpx.InvalidURL, EvidenceError) as error:
            reason = str(error) or type(error).__name__
            log.warning("no time stamp", ledger=ledger.region, seal=number, reason=reason)
            return done, reason
        with database.connection(schema, WRITER) as connection:
            row = {"seal": number, "authority": authority, "token": token, "obtained_at": clock()}
            connection.execute(Q["add_timestamp"], row)
    return len(waiting), None


def _asked(authority: str, checkpoint: bytes) -> bytes:
    request = TimestampRequestBuilder().data(checkpoint).hash_algorithm(HashAlgorithm.SHA256).build()
    answer = httpx.post(
        authority,
        content=request.as_bytes(),
        headers={"Content-Type": "application/timestamp-query"},
        timeout=ANSWER_WAIT_S,
    )
    answer.raise_for_status()
    found = read_stamp(answer.content, checkpoint)
    if found.tst_info.nonce != request.nonce:
        raise EvidenceError("the authority answered another request")
    return answer.content


def read_stamp(token: bytes, checkpoint: bytes) -> TimeStampResponse:
    """Return what an authority's response says; raises EvidenceError where it is not about this checkpoint.

    Whose signature it is takes the authority's own certificate to say.
    """
    if len(token) > TOKEN_MAX_BYTES:
        raise EvidenceError("the time stamp is too long")
    try:
        found = decode_timestamp_response(token)
        granted = found.status in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS)
        imprint = found.tst_info.message_imprint.message if granted else b""
    except ValueError as error:
        raise EvidenceError(f"the time stamp can't be read: {error}") from error
    if not granted:
        raise EvidenceError("the authority granted no time stamp")
    if imprint != hashlib.sha256(checkpoint).digest():
        raise EvidenceError("the time stamp is of something else")
    return found
