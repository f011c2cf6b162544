"""Ledgers out: sealed (the stored bytes, with what proves and unlocks them) or in clear."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from domain.ledger.application import Ledger, PostgresKeys, Q
from domain.ledger.codec import LedgerEvent, canonical
from domain.ledger.deployment import Deployment
from domain.ledger.interchange.lines import DEPLOYMENT_TYPE, KEY_TYPE
from domain.ledger.vault import VaultError

EXPORT_PAGE = 1_000


def export_sealed(deployment: Deployment, ledger: Ledger, subjects: Sequence[str]) -> Iterator[bytes]:
    """Return a ledger's lines as they are stored, with the keys they need first: any number, in few memory.

    Imported into an empty database with the same master key they give the same digests.
    """
    if deployment.master.old is not None:  # its keys are wrapped by two master keys, and an import has one
        raise VaultError("the master key is being changed: finish that first (recount rotate-master-key)")
    yield _line(
        {
            "specversion": "1.0",
            "id": "deployment",
            "source": ledger.source,
            "type": DEPLOYMENT_TYPE,
            "region": ledger.region,
            "data": {"wrapped": _b64(deployment.master.wrap(deployment.secrets.secret))},
        }
    )
    upto = ledger.journal.last_position()  # before the keys: none is then missing for what is written below
    for key_id, owner, wrapped in _keys(ledger, subjects, upto):
        proof = deployment.secrets.key_line(key_id, owner, _b64(wrapped or b""))
        yield _line(
            {
                "specversion": "1.0",
                "id": key_id,
                "source": ledger.source,
                "type": KEY_TYPE,
                "subject": owner,
                "region": ledger.region,
                "data": {"wrapped": _b64(wrapped) if wrapped is not None else None, "proof": proof},
            }
        )
    for event in _events(ledger, subjects, upto):
        yield _line(
            {
                **orjson.loads(event.state),
                "streamversion": event.originator_version,
                "digest": event.digest.hex(),
                "fingerprint": event.fingerprint.hex(),
            }
        )


def export_plain(ledger: Ledger, subjects: Sequence[str]) -> Iterator[bytes]:
    """Return a ledger's lines with personal data in clear; what was erased stays sealed."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        keys = PostgresKeys(connection)
        for event in _events(ledger, subjects, ledger.journal.last_position()):
            yield canonical(ledger.vault.open(ledger.read(event).event, keys)) + b"\n"


def _events(ledger: Ledger, subjects: Sequence[str], upto: int) -> Iterator[LedgerEvent]:
    """Return the log in position order, or only some streams of it, a page at a time."""
    if subjects:
        streams = ledger.journal.streams(subjects, upto)
        yield from sorted((e for events in streams.values() for e in events), key=lambda e: e.position)
        return
    after = 0
    while page := ledger.journal.log(after, limit=EXPORT_PAGE, upto=upto):
        yield from page
        after = page[-1].position


def _keys(ledger: Ledger, subjects: Sequence[str], upto: int) -> Iterator[tuple[str, str, bytes | None]]:
    """Return the keys with which the personal data of the streams, or of all, is sealed."""
    with ledger.journal.database.transaction(ledger.schema) as connection:
        if not subjects:
            with connection.cursor(name="keys") as cursor:
                for key_id, owner, wrapped in cursor.execute(Q["all_keys"]):
                    yield key_id, owner, None if wrapped is None else bytes(wrapped)
            return
        used: set[str] = set()
        for event in _events(ledger, subjects, upto):
            data = ledger.read(event).event.data
            used |= {p.key_id for n in data.PERSONAL if (p := getattr(data, n)) is not None and p.key_id}
        yield from PostgresKeys(connection).by_id(sorted(used))


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) + b"\n"


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
