"""Holds each stored event against what only the deployment itself could have made of it, and against its own columns.

Digests anybody can recompute who may write to the tables; a fingerprint takes the deployment's secret.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import orjson

from domain.events.envelope import Recorded
from domain.events.party import PersonalDataErased
from domain.ledger.application import Ledger, PostgresKeys
from domain.ledger.codec import LedgerEvent
from domain.ledger.database import Connection
from domain.ledger.sealing import as_arrived
from domain.ledger.vault import VaultError
from projections.engine.storing import Q

Add = Callable[[str, str, str], None]
"""Takes in a difference: where, the stream, and what is wrong."""


class SnapshotKeys(PostgresKeys):
    """The wrapped keys as one snapshot has them: asked for once, as nothing in it can change."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._seen: dict[str, tuple[str, str, bytes | None]] = {}

    def by_id(self, key_ids: Iterable[str]) -> list[tuple[str, str, bytes | None]]:
        """Return (key id, owner, wrapped or None where destroyed)."""
        asked = list(key_ids)
        if new := [key_id for key_id in asked if key_id not in self._seen]:
            self._seen.update((row[0], row) for row in super().by_id(new))
        return [self._seen[key_id] for key_id in asked if key_id in self._seen]


def check_prints(
    ledger: Ledger, keys: SnapshotKeys, events: Sequence[LedgerEvent], history: Sequence[Recorded], add: Add
) -> None:
    """Check the fingerprints of one stream, stored and as read, as far as its personal data was not erased."""
    secrets = ledger.vault.secrets
    for event, recorded in zip(events, history, strict=True):
        if secrets.fingerprint(event.state) == event.fingerprint:
            continue  # it is stored as it arrived: nothing in it is sealed
        raw = orjson.loads(event.state)
        try:
            clear = ledger.vault.open_all(recorded.event, raw["data"], keys)
        except VaultError as error:
            add("log", str(event.originator_id), f"version {event.originator_version}: {error}")
            continue
        if clear is None:
            continue  # erased: no fingerprint can be made of it any more
        if secrets.fingerprint(as_arrived({**raw, "data": clear})) != event.fingerprint:
            text = f"version {event.originator_version}: the fingerprint is not that of the event: it was altered"
            add("log", str(event.originator_id), text)


def check_erased(connection: Connection, histories: Mapping[str, Sequence[Recorded]], add: Add) -> None:
    """Check that no key stands of a party that the log says was erased: a restored one, or one of an older version."""
    erased = [
        subject
        for subject, history in histories.items()
        if subject.startswith("party/") and any(isinstance(r.event.data, PersonalDataErased) for r in history)
    ]
    for owner, key_id, wrapped in PostgresKeys(connection).of_owners(erased) if erased else ():
        if wrapped is not None:
            add("log", owner, f"was erased, and its key {key_id} stands: run recount erase {owner}")


def check_columns(connection: Connection, histories: Mapping[str, Sequence[Recorded]], add: Add) -> None:
    """Check that what is kept beside the stored bytes, to find them by, is what they say."""
    for subject, version, *kept in connection.execute(Q["kept_beside"], {"subjects": list(histories)}):
        history = histories[subject]
        if not 0 < version <= len(history):
            continue  # told as a gap in the versions
        event = history[version - 1].event
        said = [event.type, event.source, event.id, event.subject, event.time, event.recordedtime]
        names = ("type", "source", "id", "subject", "occurred_at", "recorded_at")
        kept.insert(3, subject)
        wrong = [name for name, a, b in zip(names, kept, said, strict=True) if a != b]
        if wrong:
            add("log", subject, f"version {version}: {', '.join(wrong)} beside the event is not what it says")
