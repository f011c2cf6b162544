"""Time stamps by RFC 3161: a third party's word that a checkpoint was there at a time, kept beside the seal.

Nothing waits for it: a seal stands without, and the authority is asked again at the next one. Whose word it is, the
roots say that a user trusts; without any, a stamp shows what it is of, and nothing more. Revocation is not looked up.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from domain.evidence import EvidenceError
from domain.ledger.application import Ledger
from domain.ledger.database import WRITER
from domain.ledger.seals import Q

ANSWER_WAIT_S = 10.0  # an authority that takes longer is asked again with the next seal
TOKEN_MAX_BYTES = 65_536  # a response with its certificates has some 6 kB
SEALS_AT_ONCE = 10  # the latest are stamped; each covers all before it
ROOTS_MAX_BYTES = 1_048_576  # all roots that a browser trusts have some 250 kB
NAME_MAX_CHARS = 200
SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
WHY = re.compile(r'data: "Verify error: ([^"]{1,100})"')
NOT_TRUSTED = frozenset(
    {
        "unable to get local issuer certificate",
        "unable to get issuer certificate",
        "self-signed certificate",
        "self-signed certificate in certificate chain",
    }
)
"""What OpenSSL says of a chain that is not wrong in itself, but ends at no root that is trusted."""

MALFORMED = (
    ValueError, KeyError, TypeError, OverflowError, UnsupportedAlgorithm,
    x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""What the libraries raise at bytes that are no time stamp or no certificate."""

log = structlog.get_logger(__name__)


class RootsError(Exception):
    """The file of trusted roots can't be used: one line that says what would be right."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Certificates of authorities that are trusted, and those between them and signers, which alone are not."""

    roots: tuple[x509.Certificate, ...]
    between: tuple[x509.Certificate, ...] = ()

    @classmethod
    def parse(cls, raw: bytes, where: str) -> "Roots":
        """Return the certificates of a PEM file; raises RootsError that names it."""
        try:
            found = dict.fromkeys(x509.load_pem_x509_certificates(raw))
            signers = [certificate for certificate in found if certificate.issuer == certificate.subject]
        except MALFORMED as error:
            raise RootsError(f"{where}: should hold certificates in PEM form") from error
        if not signers:
            raise RootsError(f"{where}: holds no root (a certificate that is its own issuer)")
        return cls(tuple(signers), tuple(c for c in found if c not in signers))

    @classmethod
    def read(cls, path: Path) -> "Roots":
        """Return a file's; raises RootsError where it can't be read or holds none."""
        try:
            with path.open("rb") as file:
                raw = file.read(ROOTS_MAX_BYTES + 1)
        except OSError as error:
            raise RootsError(f"{path}: can't be read ({error.strerror})") from error
        if len(raw) > ROOTS_MAX_BYTES:
            raise RootsError(f"{path}: is longer than {ROOTS_MAX_BYTES} bytes")
        return cls.parse(raw, str(path))


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a time stamp says that is not wrong: of this checkpoint, at a time."""

    at: datetime
    signer: str
    """The name on the certificate it was made with."""
    trusted: bool
    """Whether its signature holds and leads to a trusted root; else nothing but what it says is known."""


# -- asking ---------------------------------------------------------------------------------------------------


def stamp(
    ledger: Ledger, authority: str, clock: Callable[[], datetime], roots: Roots | None = None
) -> tuple[int, str | None]:
    """Ask an authority (its address) about the latest seals it has not stamped; return how many it did, and why not.

    The last is None where it stamped all. With `roots` only a stamp that leads to one of them is kept.
    """
    database, schema = ledger.journal.database, ledger.schema
    with database.connection(schema) as connection:
        given = {"authority": authority, "limit": SEALS_AT_ONCE}
        waiting = connection.execute(Q["without_timestamp"], given).fetchall()
    for done, (number, checkpoint) in enumerate(waiting):
        try:
            token = _asked(authority, bytes(checkpoint), roots)
        except (httpx.HTTPError, httpx.InvalidURL, EvidenceError) as error:
            reason = str(error) or type(error).__name__
            log.warning("no time stamp", ledger=ledger.region, seal=number, reason=reason)
            return done, reason
        with database.connection(schema, WRITER) as connection:
            row = {"seal": number, "authority": authority, "token": token, "obtained_at": clock()}
            connection.execute(Q["add_timestamp"], row)
    return len(waiting), None


def _asked(authority: str, checkpoint: bytes, roots: Roots | None) -> bytes:
    request = TimestampRequestBuilder().data(checkpoint).hash_algorithm(HashAlgorithm.SHA256).build()
    token = _posted(authority, request.as_bytes())
    found = read_stamp(token, checkpoint)
    if found.tst_info.nonce != request.nonce:
        raise EvidenceError("the authority answered another request")
    if roots is not None and not checked(token, checkpoint, roots).trusted:
        raise EvidenceError("the authority is not one of those that are trusted")
    return token


def _posted(authority: str, query: bytes) -> bytes:
    """Return the answer to a query: no more of it than a time stamp has, and in bounded time."""
    until = time.monotonic() + ANSWER_WAIT_S
    given = {"content": query, "headers": {"Content-Type": "application/timestamp-query"}}
    found = b""
    with httpx.stream("POST", authority, **given, timeout=ANSWER_WAIT_S) as answer:  # type: ignore[arg-type]
        answer.raise_for_status()
        for part in answer.iter_bytes():
            found += part
            if len(found) > TOKEN_MAX_BYTES:
                raise EvidenceError("the time stamp is too long")
            if time.monotonic() > until:
                raise EvidenceError(f"the authority took longer than {ANSWER_WAIT_S:.0f} s")
    return found


# -- checking -------------------------------------------------------------------------------------------------


def read_stamp(token: bytes, checkpoint: bytes) -> TimeStampResponse:
    """Return what an authority's response says; raises EvidenceError where it is not about this checkpoint.

    Whose signature it is `checked` says.
    """
    if len(token) > TOKEN_MAX_BYTES:
        raise EvidenceError("the time stamp is too long")
    try:
        found = decode_timestamp_response(token)
        granted = found.status in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS)
        imprint = found.tst_info.message_imprint if granted else None
        algorithm, digest = (imprint.hash_algorithm, imprint.message) if imprint else (None, b"")
    except MALFORMED as error:
        raise EvidenceError(f"the time stamp can't be read: {error}") from error
    if not granted:
        raise EvidenceError("the authority granted no time stamp")
    if (algorithm, digest) != (SHA256, hashlib.sha256(checkpoint).digest()):
        raise EvidenceError("the time stamp is of something else")
    return found


def checked(token: bytes, checkpoint: bytes, roots: Roots | None) -> Stamp:
    """Return what a time stamp of a checkpoint says, and whether its authority is trusted.

    With roots: its signature, and the chain of certificates from the signer to a root, each valid at the stamped
    time and made for what it is used for. Raises EvidenceError where anything of it is wrong.
    """
    found = read_stamp(token, checkpoint)
    try:
        name = _signer(found).subject.rfc4514_string()[:NAME_MAX_CHARS]
        at = found.tst_info.gen_time
    except EvidenceError:
        raise
    except MALFORMED as error:
        raise EvidenceError(f"the time stamp can't be read: {error}") from error
    if roots is None:
        return Stamp(at, name, trusted=False)
    try:
        VerifierBuilder(roots=list(roots.roots), intermediates=list(roots.between)).build().verify_message(
            found, checkpoint
        )
    except (VerificationError, *MALFORMED) as error:
        reasons = WHY.findall(str(error))
        reason = (
            reasons[-1] if reasons else "its signature is not valid" if "pkcs7" in str(error) else str(error)
        )
        if reason in NOT_TRUSTED:
            return Stamp(at, name, trusted=False)
        raise EvidenceError(f"the time stamp is not valid: {reason}") from error
    return Stamp(at, name, trusted=True)


def _signer(found: TimeStampResponse) -> x509.Certificate:
    """Return the certificate a time stamp was made with; raises EvidenceError where it is none to stamp with."""
    infos = list(found.signed_data.signer_infos)
    if len(infos) != 1:
        raise EvidenceError("the time stamp has not one signature")
    for raw in found.signed_data.certificates:
        one = x509.load_der_x509_certificate(raw)
        if (one.issuer, one.serial_number) == (infos[0].issuer, infos[0].serial_number):
            break
    else:
        raise EvidenceError("the time stamp has not its authority's certificate")
    try:
        is_ca = one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if is_ca and one.issuer != one.subject:
        raise EvidenceError("the time stamp is made with a key that makes certificates")
    return one
