"""How the golden files are made: fixed keys, counted nonces, so that the stored format is pinned to the byte."""

import hashlib
import itertools

from domain.events import Event
from domain.ledger.codec import canonical, chain, genesis
from domain.ledger.sealing import Ownership, fingerprint_of, seal_all
from domain.ledger.vault import MasterKey, MemoryKeys, Secrets, Vault


def fixed_vault() -> tuple[Vault, MemoryKeys]:
    """Return a vault whose every random byte is known."""
    numbers = itertools.count(1)

    def counted(size: int) -> bytes:
        return hashlib.sha256(b"golden %d" % next(numbers)).digest()[:size]

    return Vault(MasterKey(bytes(range(32))), Secrets(bytes(range(32, 64))), random=counted), MemoryKeys()


def stored_form(events: list[Event]) -> list[tuple[bytes, bytes, bytes]]:
    """Return each event's stored bytes, chained digest and fingerprint."""
    vault, keys = fixed_vault()
    heads: dict[str, bytes] = {}
    found = []
    for event, sealed in zip(events, seal_all(vault, keys, Ownership(), events), strict=True):
        assert sealed is not None
        state = canonical(sealed)
        digest = chain(heads.get(event.subject, genesis(event.subject)), state)
        heads[event.subject] = digest
        found.append((state, digest, fingerprint_of(vault, event)))
    return found
