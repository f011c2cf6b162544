"""Keys that seal: an Ed25519 key outside the database signs, keys that were handed out check.

Whoever owns the database can write whatever they like into it; what they can't make is a signature.
"""

import base64
import binascii
import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.evidence import EvidenceError
from domain.evidence.records import (
    SIGNATURE_BYTES,
    Note,
    Signature,
    VerifierKey,
    note,
    parse_note,
    verifier_key,
)
from domain.ledger.keyfiles import key_text, made_once

SEED_BYTES = 32


class SealKeyError(Exception):
    """The key that seals is missing or wrong: one line that says which and what would be right."""


class NoSealKeyError(SealKeyError):
    """Nobody ever set a key to seal with."""


class SealKey:
    """The key that signs seals. It never leaves the process's memory."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def parse(cls, text: str, where: str) -> "SealKey":
        """Return the key of base64 text; raises SealKeyError that names where it came from."""
        try:
            seed = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            seed = b""
        if len(seed) != SEED_BYTES:
            raise SealKeyError(
                f"{where}: should hold {SEED_BYTES} random bytes in base64 (head -c 32 /dev/urandom | base64)"
            )
        return cls(seed)

    @classmethod
    def read(cls, path: Path) -> "SealKey":
        """Return the key a file holds; raises SealKeyError where it can't be read or is no key."""
        try:
            return cls.parse(key_text(path), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise SealKeyError(f"the seal key file {path} can't be read: {error}") from error

    @classmethod
    def make(cls, path: Path) -> "SealKey":
        """Make a new key in a file only its owner may read, safe on disk before it is used."""
        made_once(path, base64.b64encode(os.urandom(SEED_BYTES)).decode())
        return cls.read(path)

    def named(self, name: str) -> VerifierKey:
        """Return the public key under a log's name."""
        return verifier_key(name, self.public)

    def signed(self, name: str, text: bytes) -> bytes:
        """Return a text as a note signed under a log's name. The same text gives the same bytes."""
        return note(text, Signature(name, self.named(name).key_id, self._key.sign(text)))


def is_valid(key: VerifierKey, text: bytes, signature: bytes) -> bool:
    """Whether a signature over a text is a key's."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def signer_of(found: Note, trusted: Iterable[VerifierKey]) -> VerifierKey | None:
    """Return which of the trusted keys signed a note, None where none did.

    Raises EvidenceError where a signature that says it is a trusted key's is not: the note was altered.
    """
    known = {(key.name, key.key_id): key for key in trusted}
    signer = None
    for one in found.signatures:
        key = known.get((one.name, one.key_id))
        if key is None:
            continue  # a witness's, or an older key's: whoever trusts it checks it
        if not is_valid(key, found.text, one.signature):
            raise EvidenceError(f"the signature of {key.name} is not valid")
        signer = signer or key
    return signer


def opened(raw: bytes, trusted: Iterable[VerifierKey]) -> bytes:
    """Return the text of a note that a trusted key signed; raises EvidenceError."""
    found = parse_note(raw)
    if signer_of(found, trusted) is None:
        names = ", ".join(f"{s.name}+{s.key_id.hex()}" for s in found.signatures)
        raise EvidenceError(f"is not signed with a trusted key (it is signed by {names})")
    return found.text
