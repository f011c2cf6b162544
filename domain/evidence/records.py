"""What one seal says (a record), what is signed of it (a checkpoint), and the signed note it is published as.

Notes, keys and checkpoints are C2SP's (c2sp.org/signed-note, c2sp.org/tlog-checkpoint): the checkpoint's three lines
are the ledger's name, the number of seals, and the root of the log of their records.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from domain.evidence import EvidenceError
from domain.evidence.headmap import Leaf
from domain.evidence.merkle import HASH_BYTES, leaf_hash

RECORD = "recount seal 1"
NOTHING = bytes(HASH_BYTES)
"""What the first seal names as the checkpoint before it."""
ED25519 = b"\x01"
SIGNATURE_BYTES = 64
NOTE_MAX_BYTES = 16_384
SIGNATURES_MAX = 32  # a log's own and its witnesses'
_DASH = "\u2014 "
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,17})\Z", re.ASCII)
_NAME = re.compile(r"[!-*,-~]{1,200}\Z", re.ASCII)


# -- a record -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """What a seal says: one line for each of these, under the line that names the form."""

    ledger: str
    number: int
    position: int
    """The log is sealed up to here."""
    streams: int
    heads: bytes
    """Root of the map of all streams' heads."""
    changes: bytes
    """Digest of the heads that this seal changed: see `ChangesDigest`."""
    log: bytes
    """Digest of the log's events since the seal before: see `LogDigest`."""
    previous: bytes
    """SHA-256 of the checkpoint before, signature and all."""
    sealed_at: datetime

    def text(self) -> bytes:
        """Return the record's bytes, the leaf of the log of seals."""
        lines = [RECORD]
        for name in _FIELDS:
            value = getattr(self, name)
            if isinstance(value, bytes):
                lines.append(base64.b64encode(value).decode())
            else:
                lines.append(value.isoformat() if isinstance(value, datetime) else str(value))
        return ("\n".join(lines) + "\n").encode()

    @property
    def hash(self) -> bytes:
        """The hash of the leaf."""
        return leaf_hash(self.text())


_FIELDS = tuple(f.name for f in fields(Record))


def parse_record(raw: bytes) -> Record:
    """Return the record of its bytes; raises EvidenceError where they are none, to the byte."""
    try:
        form, ledger, number, position, streams, *hashes, sealed_at, end = raw.decode().split("\n")
        heads, changes, log, previous = map(_hash_of, hashes)
        found = Record(
            ledger, int(number), int(position), int(streams), heads, changes, log, previous,
            datetime.fromisoformat(sealed_at),
        )  # fmt: skip
    except ValueError:
        raise EvidenceError("is no record of a seal") from None
    if form != RECORD or end or found.text() != raw:
        raise EvidenceError("is no record of a seal")
    return found


class ChangesDigest:
    """The digest of the heads that a seal changed, in the order of their subjects' bytes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, head: Leaf) -> None:
        """Take in the next head."""
        self._hash.update(f"{head.subject}\n{head.version} {head.digest.hex()}\n".encode())

    def value(self) -> bytes:
        """Return the digest of what was taken in."""
        return self._hash.digest()


class LogDigest:
    """The digest of a stretch of the log, in its order.

    Of each event its position, the microsecond it was appended, its digest and its fingerprint: what no digest of a
    stream covers is covered here.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, position: int, appended_us: int, digest: bytes, fingerprint: bytes) -> None:
        """Take in the next event."""
        self._hash.update(position.to_bytes(8, "big") + appended_us.to_bytes(8, "big") + digest + fingerprint)

    def value(self) -> bytes:
        """Return the digest of what was taken in."""
        return self._hash.digest()


# -- keys -----------------------------------------------------------------------------------------------------


class VerifierKey(NamedTuple):
    """A public key as a note knows it."""

    name: str
    key_id: bytes
    public: bytes

    def __str__(self) -> str:
        """Return the key in the form of the specification (vkey)."""
        key = base64.b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


def verifier_key(name: str, public: bytes) -> VerifierKey:
    """Return an Ed25519 public key (32 bytes) under a name; raises EvidenceError where a note can't have that name."""
    if not _NAME.match(name):
        raise EvidenceError(f"{name!r} can't name a log: visible ASCII characters without + and space can")
    key_id = hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]
    return VerifierKey(name, key_id, public)


def parse_key(text: str) -> VerifierKey:
    """Return the key of its text form; raises EvidenceError."""
    name, _, rest = text.strip().partition("+")
    key_id, _, key = rest.partition("+")
    raw = _base64(key)
    if raw is None or raw[:1] != ED25519 or len(raw) != 1 + HASH_BYTES or not _NAME.match(name):
        raise EvidenceError("is no Ed25519 key in the form NAME+ID+KEY")
    found = verifier_key(name, raw[1:])
    if found.key_id.hex() != key_id:
        raise EvidenceError("is a key whose ID is not its own: it was cut or altered")
    return found


# -- notes ----------------------------------------------------------------------------------------------------


class Signature(NamedTuple):
    """A signature under a note."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A signed note: nothing it says counts before a signature was checked."""

    text: bytes
    signatures: tuple[Signature, ...]


def note(text: bytes, *signatures: Signature) -> bytes:
    """Return a signed note."""
    lines = [f"{_DASH}{s.name} {base64.b64encode(s.key_id + s.signature).decode()}\n" for s in signatures]
    return text + ("\n" + "".join(lines)).encode()


def parse_note(raw: bytes) -> Note:
    """Return a note's text and signatures; raises EvidenceError where it has not the form of the specification."""
    if len(raw) > NOTE_MAX_BYTES:
        raise EvidenceError(f"is longer than {NOTE_MAX_BYTES} bytes: no signed note")
    text, blank, below = raw.rpartition(b"\n\n")
    lines = below.split(b"\n")
    if not blank or not text or lines.pop() or not 0 < len(lines) <= SIGNATURES_MAX:
        raise EvidenceError("is no signed note")
    if any(byte < 0x20 and byte != 0x0A for byte in raw):
        raise EvidenceError("is no signed note: it has control characters")
    try:
        return Note(text + b"\n", tuple(_signature(line.decode()) for line in lines))
    except UnicodeDecodeError:
        raise EvidenceError("is no signed note: it is not UTF-8") from None


def _signature(line: str) -> Signature:
    name, _, rest = line.removeprefix(_DASH).partition(" ")
    raw = _base64(rest)
    if not line.startswith(_DASH) or not name or "+" in name or raw is None or len(raw) < 5:
        raise EvidenceError("is no signed note: a signature line is not well formed")
    return Signature(name, raw[:4], raw[4:])


# -- checkpoints ----------------------------------------------------------------------------------------------


class Checkpoint(NamedTuple):
    """What a checkpoint says: which log, how many seals, and the root over their records."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Return what a note's text says as a checkpoint; raises EvidenceError."""
    try:
        origin, size, root, end = text.decode().split("\n")
        found = Checkpoint(origin, int(size), _hash_of(root))
    except ValueError:
        raise EvidenceError("is no checkpoint of a ledger's seals") from None
    if end or not origin or not _NUMBER.match(size) or found.text() != text:
        raise EvidenceError("is no checkpoint of a ledger's seals")
    return found


def _hash_of(text: str) -> bytes:
    raw = _base64(text)
    if raw is None or len(raw) != HASH_BYTES:
        raise ValueError("should be 32 bytes in base64")
    return raw


def _base64(text: str) -> bytes | None:
    """Return the bytes of base64 in its one canonical form, None where it is not."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
