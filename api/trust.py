"""Which keys are trusted to have sealed, and whose time stamps: those that are named, or else this deployment's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from api.runtime import Runtime
from api.terminal import CommandError
from domain.evidence import EvidenceError
from domain.evidence.records import NOTE_MAX_BYTES, VerifierKey, parse_key
from domain.ledger.sealchecks import Keys
from domain.ledger.signing import SealKeyError

if TYPE_CHECKING:
    from domain.ledger.timestamping import Roots


def trusted_key(text: str) -> VerifierKey:
    """Return a key as it was handed out; raises CommandError."""
    try:
        return parse_key(text)
    except EvidenceError as error:
        raise CommandError(f"--key: {error}") from error


def read_checkpoint(path: Path) -> bytes:
    """Return a file's checkpoint, as far as it can be one; raises CommandError."""
    with path.open("rb") as file:
        raw = file.read(NOTE_MAX_BYTES + 1)
    if len(raw) > NOTE_MAX_BYTES:
        raise CommandError(f"--checkpoint {path}: is too long for a checkpoint")
    return raw


def roots_in(path: Path | None) -> "Roots | None":
    """Return the roots of authorities that a file has trusted, None where none is named; raises CommandError."""
    if path is None:
        return None
    from domain.ledger.timestamping import Roots, RootsError  # noqa: PLC0415 - an HTTP client most do not need

    try:
        return Roots.read(path)
    except RootsError as error:
        raise CommandError(f"roots of time stamps: {error}") from error


def keys_of(runtime: Runtime, named: Sequence[VerifierKey]) -> Keys:
    """Return the keys that are trusted: those named, or else the one that seals here, under the ledger's name."""
    if named:
        return lambda origin: [key for key in named if key.name == origin] or list(named)
    try:
        own = runtime.seal_key()
    except SealKeyError:
        return lambda _origin: ()
    return lambda origin: (own.named(origin),)
