"""What proves a dossier's events: a seal that covers them, with the last event of every stream as it sealed it.

The seal is the first one that reaches the dossier's position, so that the same question has the same proofs for ever;
where none does yet, the ledger is sealed first. A stream that went on before that seal was made brings its later
events along: they are no part of any answer, they only lead to the sealed end.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from api.runtime import Runtime
from api.sealing import seal_one
from domain.evidence.headmap import Proof, key_of
from domain.ledger.application import Ledger
from domain.ledger.codec import LedgerEvent
from domain.ledger.seals import Seal, SealError, Seals
from domain.ledger.signing import NoSealKeyError, SealKey


@dataclass(frozen=True, slots=True)
class Proven:
    """The seal of a dossier's events, and what leads from each stream to it."""

    seal: Seal
    key: SealKey
    proofs: Mapping[str, Proof]
    """Of every stream that was looked at, those that were not there among them."""
    later: tuple[LedgerEvent, ...]
    """Events after the dossier's position up to the seal, of the streams that went on, in the log's order."""
    stamps: tuple[tuple[str, bytes], ...]
    """What time-stamping authorities said of the seal."""


def sealed_now(runtime: Runtime, ledger: Ledger) -> Seal | None:
    """Seal a ledger as it stands and return the seal; None where no key to seal with was ever set.

    Raises SealError where the log contradicts its seals, SealKeyError where the key is missing.
    """
    try:
        return seal_one(runtime, ledger, stamped=False).seal
    except NoSealKeyError:
        return None


def proven(runtime: Runtime, ledger: Ledger, position: int, streams: Mapping[str, int]) -> Proven | None:
    """Return what proves some streams, given how many events each has up to a position.

    None where no key to seal with was ever set. Raises SealError, SealKeyError.
    """
    try:
        key = runtime.seal_key()
    except NoSealKeyError:
        return None
    seals = Seals(ledger)
    seal = seals.first_from(position) or sealed_now(runtime, ledger)
    if seal is None:  # nothing stands in the ledger: there is no dossier of it either
        return None
    proofs = seals.proofs(seal, sorted(streams))
    if tampered := [s for s, proof in proofs.items() if _versions(s, proof) < streams[s]]:
        raise SealError(f"{tampered[0]} has more events than seal {seal.number} has: run recount verify")
    grown = [s for s, proof in proofs.items() if _versions(s, proof) > streams[s]]
    found = ledger.journal.streams(grown, seal.position) if grown else {}
    later = sorted((e for events in found.values() for e in events if e.position > position), key=_position)
    return Proven(seal, key, proofs, tuple(later), tuple(seals.timestamps(seal.number)))


def _versions(subject: str, proof: Proof) -> int:
    return proof.place.version if proof.place is not None and proof.place.key == key_of(subject) else 0


def _position(event: LedgerEvent) -> int:
    return event.position
