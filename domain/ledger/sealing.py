"""From an event in clear to what may be stored: its fingerprint, its owner, its personal data sealed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from domain.events.envelope import Event, Recorded
from domain.events.fields import normal
from domain.events.links import OWNERS, links_of
from domain.events.party import PersonalDataErased
from domain.ledger.codec import canonical
from domain.ledger.vault import KeyStore, Vault


class Ownership:
    """Whose each account or case was, and from when: its personal data is sealed with that party's key."""

    def __init__(self) -> None:
        self._since: dict[str, list[tuple[datetime, str]]] = defaultdict(list)

    def learn(self, subject: str, since: datetime, owner: str) -> None:
        """Remember that a stream was a party's from a moment on."""
        entries = self._since[subject]
        if (since, owner) not in entries:
            entries.append((since, owner))
            entries.sort()

    def learn_from(self, event: Event) -> None:
        """Remember what an event says of ownership, if anything."""
        if isinstance(event.data, OWNERS):
            for link in links_of(event):
                if link.startswith("party/"):
                    self.learn(event.subject, event.time, link)

    def learn_history(self, history: Iterable[Recorded]) -> None:
        """Remember what a stream's history says of ownership."""
        for recorded in history:
            self.learn_from(recorded.event)

    def forget(self, subject: str) -> None:
        """Forget whose a stream was."""
        self._since.pop(subject, None)

    def owner_of(self, event: Event) -> str:
        """Return whose the event's stream was when it happened; a stream of nobody's owns itself."""
        entries = self._since.get(event.subject)
        if not entries:
            return event.subject
        before = [owner for since, owner in entries if since <= event.time]
        return before[-1] if before else entries[0][1]


def has_clear_data(event: Event) -> bool:
    """Whether the event carries personal data in clear."""
    return any((p := getattr(event.data, n)) is not None and p.clear is not None for n in event.data.PERSONAL)


def has_sealed_data(event: Event) -> bool:
    """Whether the event carries personal data that is sealed already."""
    return any((p := getattr(event.data, n)) is not None and p.clear is None for n in event.data.PERSONAL)


def fingerprint_of(vault: Vault, event: Event) -> bytes:
    """Return the keyed digest (32 bytes) of an event of our own, its personal data in clear."""
    return vault.secrets.fingerprint(canonical(event))


def as_arrived(raw: Mapping[str, Any]) -> bytes:
    """Return the bytes over which an arrived event's fingerprint is taken: of its own data version.

    The order of keys, nulls, the content type and how a time is written change nothing; for an event of the
    current version these are its canonical bytes.
    """
    plain = {k: v for k, v in raw.items() if k != "datacontenttype"}
    return orjson.dumps(normal(plain), option=orjson.OPT_SORT_KEYS)


class Sealed(NamedTuple):
    """An event as it may be stored: its personal data as ciphertext, its canonical bytes, its fingerprint."""

    event: Event
    state: bytes
    fingerprint: bytes


def sealed(vault: Vault, store: KeyStore | None, ownership: Ownership, event: Event) -> Sealed | None:
    """Return one event sealed under the key of whose it was; None where that key was destroyed.

    `store` may be None where the event carries no personal data in clear.
    """
    ownership.learn_from(event)
    state = canonical(event)
    fingerprint = vault.secrets.fingerprint(state)
    if not (event.data.PERSONAL and has_clear_data(event)):
        return Sealed(event, state, fingerprint)
    if store is None:
        raise ValueError(f"{event.type} carries personal data: it is sealed with a key, which a store has")
    owner = ownership.owner_of(event)
    keys = vault.keys_for((owner,), store)
    if owner not in keys:
        return None
    made = vault.seal(event, owner, keys)
    return Sealed(made, canonical(made), fingerprint)


def seal_all(
    vault: Vault, store: KeyStore, ownership: Ownership, events: Sequence[Event]
) -> list[Event | None]:
    """Return the events sealed, each under the key of whose it was, making keys where there are none.

    None stands for an event whose owner's key was destroyed, or whose owner one of the events before it erases:
    nothing of theirs may be kept any more.
    """
    owners: dict[int, str | None] = {}
    erased: set[str] = set()
    for index, event in enumerate(events):
        ownership.learn_from(event)
        if event.data.PERSONAL and has_clear_data(event):
            owner = ownership.owner_of(event)
            owners[index] = None if owner in erased else owner
        elif isinstance(event.data, PersonalDataErased):
            erased.add(event.subject)
    wanted = {owner for owner in owners.values() if owner is not None}
    keys = vault.keys_for(wanted, store) if wanted else {}
    found: list[Event | None] = []
    for index, event in enumerate(events):
        if index not in owners:
            found.append(event)
            continue
        sealer = owners[index]
        found.append(vault.seal(event, sealer, keys) if sealer is not None and sealer in keys else None)
    return found
