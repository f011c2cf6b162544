"""A party's personal data destroyed: its key goes with the event that says so, then what is left of the key.

The event and the key's end are one transaction of the writer, or of the import that brought the event. Copies outside
of the ledger go before it, while the key can still say what to look for; who is killed in between has lost copies of
what was refused, and can ask again. What follows is the store's: a table keeps the row as it was before until it is
vacuumed, and the write-ahead log keeps what was written; both hold the key only as the master key wrapped it. Done
again for a party that was erased, it clears up once more and gives the same receipt.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import structlog

from domain.commands.asking import Asked
from domain.commands.party import ErasePersonalData
from domain.decisions import decide
from domain.events.envelope import Recorded
from domain.events.party import PersonalDataErased
from domain.ledger.application import Ledger, PostgresKeys, Q
from domain.ledger.database import WRITER, Connection, Database
from domain.ledger.queries import queries
from domain.ledger.writer import Answer, ReceiptKey, Writer, request_digest
from domain.refusals import Refused

ACTOR = "system/erasure"
SCOPE = "erase"
REWRITTEN_BYTES_MAX = 64 * 1024 * 1024  # a table of some 300,000 keys is written anew within a second or two
LOCK_WAIT_MS = 5_000  # who reads keys holds them for milliseconds; longer waits are somebody's open session
SEGMENTS_MAX = 256  # what PostgreSQL keeps ready of its log for later: more would be a setting nobody has

S = queries("domain.ledger.sql", "erasing.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Erased:
    """The receipt of an erasure. `digest` is of the destroyed keys as they were wrapped: proof, and of no other use."""

    party: str
    ledger: str
    event_id: str
    position: int
    legal_basis: str
    erased_at: datetime
    keys_destroyed: tuple[str, ...]
    digest: str
    repeated: bool
    also_known_as: tuple[str, ...]
    """Parties that were merged into this one: each has its own data and key, and is erased by itself."""


class NotErasedError(Exception):
    """The erasure was refused: why, and when asking again makes sense."""


def erase(
    writer: Writer,
    subject: str,
    legal_basis: str,
    *,
    actor: str = ACTOR,
    evidenceref: str | None = None,
    copies: Callable[[set[str], set[str]], None] = lambda _subjects, _values: None,
) -> Erased:
    """Destroy a party's keys, unless that was done before, and return the receipt.

    `copies` is called before, where nothing stands against it, to remove what else speaks of some streams or holds some
    values. Raises NotErasedError where the domain refuses it, and what the writer raises.
    """
    ledger = writer.ledger
    before = _erasure(ledger, subject)
    if before is not None:
        copies(*values_of(ledger, subject))  # if it is done again: what could still be found then
    else:
        region = ledger.history(subject)[0].event.region
        asked = Asked(
            subject=subject, command=ErasePersonalData(legal_basis=legal_basis), actor=actor, channel="system",
            region=region, time=writer.clock(), evidenceref=evidenceref,
        )  # fmt: skip
        _check(ledger, asked)
        copies(*values_of(ledger, subject))
        key = uuid.uuid4().hex
        answer = writer.execute(asked, ReceiptKey(SCOPE, key, request_digest(key.encode())))
        if answer.refused:
            raise NotErasedError(_said(answer))
    with ledger.journal.database.transaction(ledger.schema, WRITER) as connection:
        # What was imported by an older version destroyed no key, and a restored one may stand again.
        connection.execute(Q["lock_counter"])
        connection.execute(Q["destroy_keys"], {"owners": [subject]})
        destroyed = connection.execute(Q["destroyed_keys"], {"owner": subject}).fetchall()
    ledger.vault.forget([key_id for key_id, _, _ in destroyed])
    event = _erasure(ledger, subject)
    assert event is not None, "it was just recorded"
    lines = "".join(f"{key_id} {bytes(digest or b'').hex()}\n" for key_id, digest, _ in destroyed)
    assert isinstance(event.event.data, PersonalDataErased)
    merged = [s for s in ledger.journal.linked_to(subject) if s.startswith("party/")]
    return Erased(
        party=subject,
        ledger=ledger.region,
        event_id=event.event.id,
        position=event.position or 0,
        legal_basis=event.event.data.legal_basis,
        erased_at=event.event.recordedtime,
        keys_destroyed=tuple(key_id for key_id, _, _ in destroyed),
        digest=f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}",
        repeated=before is not None,
        also_known_as=tuple(merged),
    )


def _check(ledger: Ledger, asked: Asked) -> None:
    """Raise NotErasedError where the decision would be no, as far as can be seen before it is made."""
    try:
        decide(asked, ledger.load(asked).states, asked.time)
    except Refused as refusal:
        raise NotErasedError(f"{refusal.message} ({refusal.code})") from None


def _erasure(ledger: Ledger, subject: str) -> Recorded | None:
    """Return the event of a party's erasure, if it was erased."""
    history = ledger.history(subject)
    return next((r for r in history if isinstance(r.event.data, PersonalDataErased)), None)


def _said(answer: Answer) -> str:
    refusal: dict[str, Any] = answer.body["refusal"]
    return f"{refusal['message']} ({refusal['code']})"


# -- what a person's data is found by elsewhere -------------------------------------------------------------


def values_of(ledger: Ledger, subject: str) -> tuple[set[str], set[str]]:
    """Return the streams that concern a party, and its personal data in clear as long as it can be opened."""
    subjects = {subject, *ledger.journal.concerning(subject)}
    values: set[str] = set()
    with ledger.journal.database.connection(ledger.schema) as connection:
        keys = PostgresKeys(connection)
        own = {key_id for owner, key_id, _ in keys.of_owners([subject]) if owner == subject}
        for recorded in _all(ledger, subjects):
            data = recorded.event.data
            names = [n for n in data.PERSONAL if (p := getattr(data, n)) is not None and p.key_id in own]
            opened = ledger.vault.open(recorded.event, keys).data if names else data
            values |= {clear for n in names if (clear := getattr(opened, n).clear) is not None}
    return subjects, values


def _all(ledger: Ledger, subjects: set[str]) -> Iterator[Recorded]:
    for history in ledger.histories(sorted(subjects)).values():
        yield from history


# -- what is left of a key ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was done about the remains of destroyed keys in the database's own files."""

    key_table: str
    write_ahead_log: str


def clear(database: Database, schema: str) -> Cleared:
    """Remove what the database's files keep of destroyed keys, as far as its owner may."""
    with database.owner(schema) as connection:
        return Cleared(_clear_table(connection), _clear_log(connection))


def _clear_table(connection: Connection) -> str:
    """Write the table of keys anew where it is small: a plain vacuum frees a row's place, and overwrites nothing."""
    connection.execute(S["wait"], {"lock_wait": f"{LOCK_WAIT_MS}ms"})
    (size,) = connection.execute(S["size"]).fetchone() or (0,)
    try:
        if size <= REWRITTEN_BYTES_MAX:
            connection.execute("VACUUM (FULL) party_key")
            return "written anew"
    except psycopg.errors.LockNotAvailable:
        log.warning("the table of keys is in use: vacuumed, and not written anew")
    connection.execute("VACUUM party_key")
    return "vacuumed: freed places keep what stood there until they are used again"


def _clear_log(connection: Connection) -> str:
    """Remove the write-ahead log that is not needed any more, where the owner is a superuser: the embedded one is."""
    kept = "kept until the server uses its files again"
    (superuser,) = connection.execute(S["superuser"]).fetchone() or (False,)
    if not superuser:
        return kept
    connection.execute(
        "ALTER SYSTEM SET wal_recycle = off"
    )  # files that were written are removed, not kept for later
    try:
        connection.execute("SELECT pg_reload_conf()")
        for _ in range(SEGMENTS_MAX):
            connection.execute(
                S["switch"]
            )  # a file that was kept for later is overwritten: the rest of it is zeros
            connection.execute("CHECKPOINT")
            (ahead,) = connection.execute(S["ahead"]).fetchone() or (0,)
            if not ahead:
                return "removed up to the last checkpoint"
    finally:
        connection.execute("ALTER SYSTEM RESET wal_recycle")
        connection.execute("SELECT pg_reload_conf()")
    return kept
