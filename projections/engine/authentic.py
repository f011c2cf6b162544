"""Holds each stored event against what only the deployment itself could have made of it, and against its own columns.

Digests anybody can recompute who may write to the tables; a fingerprint takes the deployment's secret.
"""

from collections.abc import Callable, Mapping, Sequence

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


def check_prints(ledger: Ledger, connection: Connection, events: Sequence[LedgerEvent], add: Add) -> None:
    """Check the fingerprints of one stream, as far as its personal data was not erased."""
    keys = PostgresKeys(connection)
    for event in events:
        raw = orjson.loads(event.state)
        try:
            clear = ledger.vault.open_all(ledger.read(event).event, raw["data"], keys)
        except VaultError as error:
            add("log", str(event.originator_id), f"version {event.originator_version}: {error}")
            continue
        if clear is None:
            continue  # erased: no fingerprint can be made of it any more
        if ledger.vault.secrets.fingerprint(as_arrived({**raw, "data": clear})) != event.fingerprint:
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
